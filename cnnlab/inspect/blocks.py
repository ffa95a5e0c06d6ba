"""The view "Blocks": the feature maps after each layer of one convolution block.

Activations before ReLU have both signs and a color scale with two sides; after ReLU they start at zero. The layers
before ReLU share one scale, and so do ReLU and pooling, so the effect of each layer can be compared.
"""

import streamlit as st

from cnnlab import formatting
from cnnlab.array_types import Array
from cnnlab.explanations import notices
from cnnlab.inspect import feature_maps, map_controls
from cnnlab.inspect.context import InspectContext
from cnnlab.inspect.notice import notice
from cnnlab.models.architecture import Layer
from cnnlab.rendering.feature_map_grid import FeatureMapGrid, render_feature_maps, shared_vmax
from cnnlab.ui import clickable_image, query_state

LAYER_EFFECTS = {
    "conv": "Convolution: a weighted sum for each pixel. {negative} of the numbers are below zero.",
    "bn": "Batch normalization: each map is scaled and shifted by its own four numbers. {negative} of the "
    "numbers are below zero.",
    "relu": "ReLU: numbers below zero become zero. {zero} of the numbers are zero.",
    "pool": "Pooling: the largest number of each {kernel}x{kernel} square. {zero} of the numbers are zero.",
}
OTHER_EFFECT = "{inputs} in, {negative} of the numbers below zero, {zero} zero."  # of a kind that is not listed


def blocks_view(context: InspectContext) -> None:
    """The control for the layer, then one grid of maps for each layer of its block."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scale = query_state.segmented_param(feature_maps.SCALE_PARAM, "Colors", feature_maps.SCALES)
        conv, number = map_controls.map_controls(context)
    block = context.block_layers(conv)
    notice(block_sentence(context, block))
    ends = {signed: block_vmax(context, block, scale, signed) for signed in (True, False)}
    for layer, cell in zip(block, feature_maps.grid_cells(len(block)), strict=True):
        with cell:
            grid = render_feature_maps(
                context.activations[layer.name][0],
                scale,
                signed=layer.signed,
                vmax=ends[layer.signed],
            )
            layer_grid(layer, conv, grid, number)
    st.caption(
        "Click a map to mark it in every layer of the block. Purple: below zero. Orange: above zero. In dark "
        "grids dark is zero."
    )


def block_sentence(context: InspectContext, block: list[Layer]) -> str:
    """The notice of a block: the shares of zeros after its ReLU and after its pooling."""
    zeros = {layer.kind: float((context.activations[layer.name] == 0).mean()) for layer in block}
    names = {layer.kind: layer.name for layer in block}
    return notices.block_notice(names["relu"], zeros["relu"], names.get("pool", ""), zeros.get("pool", 0.0))


def block_vmax(context: InspectContext, block: list[Layer], scale: str, signed: bool) -> Array | None:
    """The end of the scale for all layers before ReLU (`signed`), or for all from ReLU on."""
    found = [context.activations[layer.name][0] for layer in block if layer.signed == signed]
    return shared_vmax(found, scale) if found else None


def layer_grid(layer: Layer, conv: str, grid: FeatureMapGrid, number: int | None) -> None:
    """One layer: its grid, and a sentence about its effect."""
    st.markdown(f"**{layer.name}** {formatting.pluralize(grid.count, 'map')}, {grid.map_shape[0]}x{grid.map_shape[1]}")
    description = LAYER_EFFECTS.get(layer.kind, OTHER_EFFECT).format(
        inputs=" and ".join(layer.inputs),
        negative=formatting.percent(grid.negative_share),
        zero=formatting.percent(grid.zero_share),
        kernel=layer.kernel,
    )
    clickable_image.clickable_image(
        clickable_image.from_feature_maps(grid),
        key=f"block {layer.name}",
        alt=(
            f"{formatting.pluralize(grid.count, 'map')} of {layer.name},"
            f" {formatting.format_range(grid.minimum.min(), grid.maximum.max())}. {description}"
        ),
        selected=number,
        on_click=lambda picked: map_controls.select_map(conv, picked),
    )
    st.caption(formatting.keep_figures_whole(description))
