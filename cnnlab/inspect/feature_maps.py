"""The view "All maps": every feature map of every convolution layer, one grid for each layer. A click enlarges a map.

The enlarged map opens above the grids and stays at the top of the window while the page is scrolled, so that a click
on any grid, also on a phone, has its result on the screen.
"""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab import formatting
from cnnlab.analysis import activation_stats
from cnnlab.inspect import epoch_slider, layer_summary, map_controls, top_activations
from cnnlab.inspect.computation_panel import computation_panel
from cnnlab.inspect.context import VIEW_PARAM, InspectContext
from cnnlab.inspect.notice import notice
from cnnlab.jobs.top_activations_file import COMPUTATION
from cnnlab.rendering.feature_map_grid import FeatureMapGrid, render_feature_maps, shared_vmax
from cnnlab.rendering.palette import BACKGROUND
from cnnlab.ui import clickable_image, query_state
from cnnlab.ui.state import url_param

SCALE_PARAM, ORDER_PARAM, CLASS_PARAM = url_param("scale"), url_param("order"), url_param("class")

SCALES = {"layer": "compare strength", "map": "see detail"}
DETAIL_FIRST = dict(reversed(SCALES.items()))  # at first sight one wants to recognize something
ORDERS = {"number": "by number", "mean": "strongest mean first", "max": "strongest pixel first", "class": "by a class"}
ENLARGED_WIDTH = 300  # pixels, on a wide screen
PAGE_COLOR = f"light-dark({BACKGROUND['light']}, {BACKGROUND['dark']})"
ENLARGED_STYLE = f"""<style>
:has(> .st-key-enlarged) {{ position: sticky; top: 3.75rem; z-index: 10; }}
.st-key-enlarged {{ background: {PAGE_COLOR}; padding-bottom: 0.25rem; }}
@media (max-width: 640px) {{ :has(> .st-key-enlarged_picture) {{ width: 45vw !important; flex: 0 0 45vw; }} }}
</style>"""
NARROWEST, NARROWEST_OF_FOUR = 250, 190  # pixels; a grid that would be narrower goes into the next row


def feature_maps_view(context: InspectContext) -> None:
    """The grids; below them their color scale and order, and the menus that select a map by keyboard."""
    scale, order = query_state.read_option(SCALE_PARAM, DETAIL_FIRST), query_state.read_option(ORDER_PARAM, ORDERS)
    conv, number = map_controls.selected_map(context)
    if number is not None:
        enlarged_map(context, conv, number)
    rows = layer_summary.layer_rows(context)
    notice(layer_summary.feature_maps_sentence(rows))
    for name, cell in zip(context.convolution_names, grid_cells(len(context.convolution_names)), strict=True):
        with cell, st.container(gap="xsmall"):
            grid = layer_feature_maps(context, name, scale, map_order(context, name, order))
            layer_grid(context, name, grid, number if name == conv else None)
    st.caption(f"Each square is the feature map of one filter; click one to enlarge it. {describe_color_scale(scale)}")
    grid_controls(context, order)
    layer_summary.layer_table(context, rows)


def grid_controls(context: InspectContext, order: str) -> None:
    """How the grids are colored and sorted, and which map is enlarged."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        query_state.segmented_param(SCALE_PARAM, "Colors", DETAIL_FIRST)
        query_state.select_param(ORDER_PARAM, "Order", ORDERS, width=190)
        if order == "class":
            query_state.select_param(
                CLASS_PARAM, "Class", {str(label): name for label, name in enumerate(context.image_classes)}, width=150
            )
        map_controls.map_controls(context)
    if order == "class" and top_activations.load_top_activations(context.run) is None:
        computation_panel(context.run, COMPUTATION, "How much does each filter prefer the images of a class?")


def grid_cells(count: int) -> list[st.delta_generator.DeltaGenerator]:
    """Places for the grids, side by side as far as there is room."""
    grid = st.grid(max(min(count, 4), 2), min_column_width=NARROWEST if count < 4 else NARROWEST_OF_FOUR, gap="small")
    return [grid.cell() for _ in range(count)]


def layer_feature_maps(
    context: InspectContext, conv: str, scale: str, order: NDArray[np.int64] | None = None
) -> FeatureMapGrid:
    """The grid of one layer after ReLU; on the scale of all epochs where that is wanted."""
    relu = context.relu_name(conv)
    maps = context.activations[relu][0]
    return render_feature_maps(maps, scale, vmax=epoch_slider.epochs_vmax(context, relu, scale), order=order)


def map_order(context: InspectContext, conv: str, order: str) -> NDArray[np.int64] | None:
    """The maps in the order that was asked for; None for their own."""
    relu = context.relu_name(conv)
    if order in ("mean", "max"):
        return activation_stats.rank_feature_maps(context.activations[relu][0], order)
    if order == "class" and (found := top_activations.load_top_activations(context.run)) is not None:
        label = query_state.read_index(CLASS_PARAM, len(context.image_classes)) or 0
        return np.argsort(-found.selectivity[relu][label], kind="stable")
    return None


def layer_grid(context: InspectContext, conv: str, grid: FeatureMapGrid, number: int | None) -> None:
    """One layer: its name and count, and its maps, the chosen one framed."""
    st.markdown(grid_heading(conv, grid))
    clickable_image.clickable_image(
        clickable_image.from_feature_maps(grid),
        key=f"grid {conv}",
        alt=describe_grid(conv, grid),
        selected=number,
        on_click=lambda picked: map_controls.select_map(conv, picked),
    )


def grid_heading(conv: str, grid: FeatureMapGrid) -> str:
    """'**conv1** 64 of 64 maps, 30x30, 3 found nothing here'."""
    inactive = int(grid.inactive.sum())
    size, total = grid.map_shape, formatting.pluralize(len(grid.minimum), "map")
    found = f"**{conv}** {grid.count} of {total}, {size[0]}x{size[1]}"
    broken = f", {int(grid.non_finite.sum())} without numbers" if grid.non_finite.any() else ""
    return found + (f", {inactive} found nothing here" if inactive else "") + broken


def describe_grid(conv: str, grid: FeatureMapGrid) -> str:
    """The alt text of the grid."""
    strongest = np.argsort(-grid.maximum)[:3].tolist()
    named = ", ".join(f"map {number} up to {formatting.format_value(grid.maximum[number])}" for number in strongest)
    inactive, size, count = int(grid.inactive.sum()), grid.map_shape, formatting.pluralize(grid.count, "map")
    return (
        f"{count} of {conv}, {size[0]}x{size[1]} each. Strongest: {named}. "
        f"{inactive} of them found nothing in this image."
    )


def enlarged_map(context: InspectContext, conv: str, number: int) -> None:
    """The chosen map, with its numbers under the pointer and its figures beside it."""
    maps = context.activations[context.relu_name(conv)][0]
    facts = activation_stats.feature_map_stats(maps, number)
    description = (
        "inactive on this image: zero everywhere"
        if facts.inactive
        else (
            f"{formatting.format_range(facts.minimum, facts.maximum)}, mean"
            f" {formatting.format_value(facts.mean)}; of {maps.shape[-1]} maps number {facts.rank_by_mean} by mean"
            f" and {facts.rank_by_max} by its strongest pixel"
        )
    )
    end = map_vmax(context, context.relu_name(conv), number)
    picture = clickable_image.from_feature_map(maps, number, end, signed=False)
    st.html(ENLARGED_STYLE)
    with st.container(key="enlarged", horizontal=True, wrap=False, vertical_alignment="center"):
        with st.container(key="enlarged_picture", width=ENLARGED_WIDTH):
            alt = f"Map {number} of {conv}, enlarged: {description}."
            clickable_image.clickable_image(picture, key="enlarged map", alt=alt)
        with st.container(gap="xsmall"):
            st.markdown(f"**Map {number} of {conv}**, enlarged")
            st.caption(f"{description}.")
            apart, close = "Show how this map is computed", "Close"
            st.button(apart, icon=":material/zoom_in:", on_click=query_state.set_param, args=(VIEW_PARAM, "map"))
            st.button(close, icon=":material/close:", on_click=map_controls.select_map, args=(conv, None))


def map_vmax(context: InspectContext, layer_name: str, number: int) -> float:
    """Where one map's own scale ends: at its strongest pixel, or at that of all epochs."""
    held = epoch_slider.epochs_vmax(context, layer_name, "map")
    return float((shared_vmax([context.activations[layer_name][0]], "map") if held is None else held)[number])


def describe_color_scale(scale: str) -> str:
    """How to read the colors, in two sentences."""
    if scale == "layer":
        return (
            "Dark is zero: the filter found nothing there. All maps of a layer have one scale, so bright maps are "
            "strong maps."
        )
    return (
        "Dark is zero. Each map has its own scale, so weak maps are visible too; do not compare brightness between "
        "maps."
    )
