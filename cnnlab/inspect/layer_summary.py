"""The table below "All maps": each convolution layer in one row."""

from dataclasses import dataclass

import streamlit as st

from cnnlab.analysis import effective_receptive_field, filter_ablation, receptive_field
from cnnlab.analysis.class_purity import most_frequent_class
from cnnlab.explanations import notices
from cnnlab.formatting import percent
from cnnlab.inspect import top_images
from cnnlab.inspect.context import InspectContext
from cnnlab.ui.image_source import network_classes
from cnnlab.ui.scrolling_table import scrolling_table

STRONGEST = 3  # maps of a layer that the table describes


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One convolution layer.

    size, field: the side of its maps and of the receptive field of its middle pixel, in pixels; zeros: the share of
    zeros after ReLU on the image, 0 to 1; strongest: its strongest maps there, by their largest value.
    """

    name: str
    maps: int
    size: int
    field: int
    zeros: float
    strongest: tuple[int, ...]


def layer_rows(context: InspectContext) -> list[LayerRow]:
    """The rows of the table, first convolution to last."""
    rows = []
    for conv in context.convolution_names:
        relu = context.relu_name(conv)
        maps = context.activations[relu][0]
        box = receptive_field.receptive_field(
            context.layers, relu, *effective_receptive_field.center_pixel(context.layers, relu)
        )
        rows.append(
            LayerRow(
                name=conv,
                maps=maps.shape[-1],
                size=maps.shape[0],
                field=max(box.bottom - box.top, box.right - box.left),
                zeros=float((maps == 0).mean()),
                strongest=tuple(filter_ablation.top_filters(maps, min(STRONGEST, maps.shape[-1]))),
            )
        )
    return rows


def feature_maps_sentence(rows: list[LayerRow]) -> str:
    """The sentence above the view "All maps": what to notice in the layers' maps."""
    names, sizes = [row.name for row in rows], [row.size for row in rows]
    return notices.feature_maps_notice(names, sizes, [row.field for row in rows], [row.zeros for row in rows])


def layer_table(context: InspectContext, rows: list[LayerRow]) -> None:
    """The table, with the most frequent class among the strongest test images of each of the strongest maps."""
    known = top_images.labeled_top_images(context.run)
    strongest_title = "strongest maps here" + (", and what activates them most" if known else "")
    lines = [
        f"| layer | maps | size | receptive field | zeros after ReLU | {strongest_title} |",
        "| :-- | --: | --: | --: | --: | :-- |",
    ]
    for row in rows:
        strongest = ", ".join(describe_filter(context, row.name, number, known) for number in row.strongest)
        sizes = f"{row.size}x{row.size} | {row.field}x{row.field}"
        lines.append(f"| {row.name} | {row.maps} | {sizes} | {percent(row.zeros)} | {strongest} |")
    scrolling_table("\n".join(lines), "layers")
    if known is None:
        st.caption("Which images activate a map most: see the view Top images.")
    else:
        count = next(iter(known[0].examples.values())).images.shape[1]
        st.caption(
            f"In parentheses: the most frequent class among the {count} images that activate the map most, of "
            f"{known[0].images:,} test images."
        )


def describe_filter(context: InspectContext, conv: str, number: int, known: top_images.Labeled | None) -> str:
    """'12 (frog 5 of 9)': the most frequent class among the test images that activate the map most; '12' if unknown.

    known: the top images of the network, and the label of each test image.
    """
    if known is None:
        return f"{number}"
    found, labels = known
    relu = context.relu_name(conv)
    if found.dead[relu][number]:
        return f"{number} (dead)"
    chosen = found.examples[relu].images[number]
    label, count = most_frequent_class(labels[chosen])
    return f"{number} ({network_classes(context.run)[label]} {count} of {len(chosen)})"
