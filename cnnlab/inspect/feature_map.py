"""The view "One map": its numbers, its kernel, and the receptive field and computation of one pixel.

The pixel is the one that is clicked, by default the strongest.
"""

import numpy as np
import streamlit as st

from cnnlab import formatting
from cnnlab.analysis import activation_stats, filter_ablation, receptive_field
from cnnlab.inspect import convolution_animation, kernels, map_controls, maximized_image, pixel_trace, top_activations
from cnnlab.inspect.context import InspectContext
from cnnlab.inspect.feature_maps import grid_cells, map_vmax
from cnnlab.inspect.notice import notice
from cnnlab.models.architecture import Layer, find_layer
from cnnlab.ui import clickable_image, query_state
from cnnlab.ui.state import session_key, url_param

PIXEL_INPUTS = {name: session_key(f"inspect.feature_map.{name.lower()}") for name in ("Row", "Column")}
STAGE_PARAM = url_param("stage")

LAYER_KIND_TITLES = {"relu": "after ReLU", "conv": "convolution", "bn": "batch norm", "pool": "pooled"}


def feature_map_view(context: InspectContext) -> None:
    """Controls, the map beside the image, the computation of one pixel, the images that activate the filter most."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        conv, number = map_controls.map_controls(context, default=strongest_map(context))
        number = strongest_map(context) if number is None else number
        layer = layer_control(context, conv)
        row, column = pixel_controls(context, layer, number)
    notice(describe_map(context, conv, number))
    pixel_computation(context, layer, number, (row, column))
    map_and_input(context, conv, layer, number, (row, column))
    maximized_image.maximized_image_section(context, conv, number)
    top_activations.top_activations_section(context, conv, number)


def strongest_map(context: InspectContext) -> int:
    """The strongest map of the chosen layer, shown where none is chosen."""
    conv, _ = map_controls.selected_map(context)
    return filter_ablation.top_filters(context.activations[context.relu_name(conv)][0], 1)[0]


def layer_control(context: InspectContext, conv: str) -> Layer:
    """The control for the layer of the block up to its pooling: ReLU by default."""
    block: dict[str, Layer] = {}
    for layer in context.block_layers(conv):
        if "pool" not in block:
            block.setdefault(layer.kind, layer)
    options = {kind: name for kind, name in LAYER_KIND_TITLES.items() if kind in block}
    return block[query_state.segmented_param(STAGE_PARAM, "Stage", options)]


def pixel_controls(context: InspectContext, layer: Layer, number: int) -> tuple[int, int]:
    """Row and column, for the keyboard; the strongest pixel where none is chosen."""
    height, width, _ = layer.output_shape
    place = query_state.read_index(map_controls.PIXEL_PARAM, height * width)
    if place is None:
        place = int(np.abs(context.activations[layer.name][0, ..., number]).argmax())
    row, column = divmod(place, width)
    for name, value, size in (("Row", row, height), ("Column", column, width)):
        key = PIXEL_INPUTS[name]
        st.session_state[key] = value
        st.number_input(name, 0, size - 1, key=key, on_change=_on_pixel_entered, args=(width,), width=84)
    return row, column


def describe_map(context: InspectContext, conv: str, number: int) -> str:
    """Its range and its rank, or whether it is inactive for this image or for all test images."""
    maps = context.activations[context.relu_name(conv)][0]
    found = activation_stats.feature_map_stats(maps, number)
    name = f"**Map {number} of {conv}**"
    known = top_activations.load_top_activations(context.run)
    dead = known is not None and bool(known.examples[context.relu_name(conv)].dead[number])
    if found.inactive and dead and known is not None:
        return f"{name} is **dead**: after ReLU it is zero on this image and on all {known.images:,} test images."
    if found.inactive:
        elsewhere = " (it is active for other test images)" if known is not None else ""
        return f"{name} is **inactive on this image**: after ReLU it is zero everywhere{elsewhere}."
    ranks = f"{found.rank_by_mean} by mean, {found.rank_by_max} by strongest pixel"
    return (
        f"{name} after ReLU: {formatting.format_range(found.minimum, found.maximum)}, mean"
        f" {formatting.format_value(found.mean)}. Rank among {maps.shape[-1]}: {ranks}."
    )


def pixel_computation(context: InspectContext, layer: Layer, number: int, pixel: tuple[int, int]) -> None:
    """How the pixel is computed: the animation, in which every pixel can be chosen, or else this pixel's numbers."""
    if not convolution_animation.convolution_animation(context, layer, number, pixel):
        pixel_trace.pixel_trace_section(context, layer, number, *pixel)
    elif layer.kind == "pool":
        st.markdown(pixel_trace.describe_pooling(pixel_trace.pool_window(context, layer, number, *pixel)))


def map_and_input(context: InspectContext, conv: str, layer: Layer, number: int, pixel: tuple[int, int]) -> None:
    """The map, the image with the pixel's receptive field, and the kernel, side by side where there is room."""
    row, column = pixel
    map_cell, picture_cell, kernel_cell = grid_cells(3)
    with map_cell:
        maps = context.activations[layer.name][0]
        end = map_vmax(context, layer.name, number)
        st.markdown(f"**{layer.name}**, map {number}")
        clickable_image.clickable_image(
            clickable_image.from_feature_map(maps, number, end, layer.signed),
            key="one map",
            alt=(
                f"Map {number} of {layer.name}, {maps.shape[0]}x{maps.shape[1]} pixels; row {row}, column {column} is "
                f"{maps[row, column, number]:.4f}."
            ),
            selected=row * maps.shape[1] + column,
            on_click=lambda place: query_state.set_param(map_controls.PIXEL_PARAM, str(place)),
        )
    with picture_cell:
        box = receptive_field.receptive_field(context.layers, layer.name, row, column)
        st.markdown("**Receptive field of that pixel**")
        size = f"{box.bottom - box.top}x{box.right - box.left} pixels, rows {box.top} to {box.bottom - 1}"
        clickable_image.clickable_image(
            clickable_image.from_pixels(context.image, [box]),
            "field",
            f"The image with the receptive field framed: {size}.",
        )
        padding = find_layer(context.layers, conv).padding
        framed = f" {conv} is padded: it also reads zeros outside the border of its map." if padding == "same" else ""
        st.caption(f"Its receptive field: {size}, columns {box.left} to {box.right - 1}.{framed}")
    with kernel_cell:
        kernels.single_kernel(context, conv, number)


def _on_pixel_entered(width: int) -> None:
    query_state.set_param(
        map_controls.PIXEL_PARAM,
        str(st.session_state[PIXEL_INPUTS["Row"]] * width + st.session_state[PIXEL_INPUTS["Column"]]),
    )
