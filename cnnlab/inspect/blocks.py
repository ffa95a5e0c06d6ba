"""Block by block: what the convolution puts out, what batch normalization and ReLU make of it, what pooling keeps.

Before ReLU numbers have two signs and the colours two sides; after it there is only "how much". What stands before and
after batch normalization is drawn on one scale, and so are ReLU and pooling, so that one sees what each step changes.
"""

import streamlit as st

from cnnlab import formatting
from cnnlab.array_types import Array
from cnnlab.inspect import feature_maps, map_controls
from cnnlab.inspect.context import InspectContext
from cnnlab.models.architecture import Layer
from cnnlab.rendering.feature_map_grid import FeatureMapGrid, render_feature_maps, shared_vmax
from cnnlab.ui import clickable_image, query_state

LAYER_EFFECTS = {
    "conv": "Convolution: a sum for each pixel. {negative} of the numbers are below zero.",
    "bn": "Batch normalization: each map stretched and moved by its own four numbers. {negative} are below zero now.",
    "relu": "ReLU: what was below zero becomes zero, the rest stays. {zero} of the numbers are zero.",
    "pool": "Pooling: the largest of each 2x2 square. {zero} are zero.",
}
OTHER_EFFECT = "{inputs} in, {negative} of the numbers below zero, {zero} zero."  # of a kind that is not listed


def blocks_view(scene: InspectContext) -> None:
    """One block: the layer is chosen above, its stages hang side by side."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scale = query_state.segmented_param("scale", "Colours", feature_maps.SCALES)
        conv, number = map_controls.map_controls(scene)
    block = scene.block_layers(conv)
    ends = {signed: block_vmax(scene, block, scale, signed) for signed in (True, False)}
    for layer, cell in zip(block, feature_maps.grid_cells(len(block)), strict=True):
        with cell:
            wall = render_feature_maps(
                scene.activations[layer.name][0],
                scale,
                signed=layer.signed,
                vmax=ends[layer.signed],
            )
            layer_grid(layer, conv, wall, number)
    st.caption(
        "Click a map to follow it through the block. Purple is below zero, orange above; in dark walls dark is zero."
    )


def block_vmax(scene: InspectContext, block: list[Layer], scale: str, signed: bool) -> Array | None:
    """The end of the scale for all stages before ReLU, or for all after it."""
    found = [scene.activations[layer.name][0] for layer in block if layer.signed == signed]
    return shared_vmax(found, scale) if found else None


def layer_grid(layer: Layer, conv: str, wall: FeatureMapGrid, number: int | None) -> None:
    """One stage: its wall, and what the layer did."""
    st.markdown(f"**{layer.name}** {wall.count} maps, {wall.map_shape[0]}x{wall.map_shape[1]}")
    said = LAYER_EFFECTS.get(layer.kind, OTHER_EFFECT).format(
        inputs=" and ".join(layer.inputs),
        negative=formatting.percent(wall.negative_share),
        zero=formatting.percent(wall.zero_share),
    )
    clickable_image.clickable_image(
        clickable_image.from_feature_maps(wall),
        key=f"stage {layer.kind}",
        alt=(
            f"{wall.count} maps of {layer.name},"
            f" {formatting.format_range(wall.minimum.min(), wall.maximum.max())}. {said}"
        ),
        selected=number,
        on_click=lambda picked: map_controls.select_map(conv, picked),
    )
    st.caption(said)
