"""Block by block: what the convolution puts out, what batch normalization and ReLU make of it, what pooling keeps.

Before ReLU numbers have two signs and the colours two sides; after it there is only "how much". What stands before and
after batch normalization is drawn on one scale, and so are ReLU and pooling, so that one sees what each step changes.
"""

import streamlit as st

from cnnlab.architecture import Layer
from cnnlab.forward import Array
from cnnlab.pages import address
from cnnlab.pages.inside import maps, picker, tiles
from cnnlab.pages.inside.scene import Scene
from cnnlab.walls import Wall, compose, is_signed, limits

WHAT = {
    "conv": "Convolution: a sum for each pixel. {negative} of the numbers are below zero.",
    "bn": "Batch normalization: each map stretched and moved by its own four numbers. {negative} are below zero now.",
    "relu": "ReLU: what was below zero becomes zero, the rest stays. {zero} of the numbers are zero.",
    "pool": "Pooling: the largest of each 2x2 square. {zero} are zero.",
}


def view(scene: Scene) -> None:
    """One block: the layer is chosen above, its stages hang side by side."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scale = address.choice("scale", "Colours", maps.SCALES)
        conv, number = picker.choose_map(scene)
    block = scene.block(conv)
    ends = {signed: shared_limits(scene, block, scale, signed) for signed in (True, False)}
    for layer, cell in zip(block, maps.cells(len(block)), strict=True):
        with cell:
            wall = compose(
                scene.stages[layer.name][0],
                scale,
                signed=is_signed(layer.name),
                limit=ends[is_signed(layer.name)],
            )
            show(layer, conv, wall, number)
    st.caption(
        "Click a map to follow it through the block. Purple is below zero, orange above; in dark walls dark is zero."
    )


def shared_limits(scene: Scene, block: list[Layer], scale: str, signed: bool) -> Array | None:
    """The end of the scale for all stages before ReLU, or for all after it."""
    found = [scene.stages[layer.name][0] for layer in block if is_signed(layer.name) == signed]
    return limits(found, scale) if found else None


def show(layer: Layer, conv: str, wall: Wall, number: int | None) -> None:
    """One stage: its wall, and what the layer did."""
    st.markdown(f"**{layer.name}** {wall.count} maps, {wall.tile[0]}x{wall.tile[1]}")
    said = WHAT[layer.kind].format(negative=share(wall.negative_share), zero=share(wall.zero_share))
    tiles.draw(
        tiles.of_wall(wall),
        key=f"stage {layer.kind}",
        alt=f"{wall.count} maps of {layer.name}, {tiles.values(wall.low.min(), wall.high.max())}. {said}",
        chosen=number,
        on_pick=lambda picked: picker.choose(conv, picked),
    )
    st.caption(said)


def share(part: float) -> str:
    """'43 %'."""
    return f"{100 * part:.0f} %"
