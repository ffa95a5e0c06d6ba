"""One map: every number of it, the kernel that made it, the part of the picture that a pixel of it sees.

A click on a pixel of the map takes that pixel apart (see `pixel`); until then it is the strongest one.
"""

import numpy as np
import streamlit as st

from cnnlab import lens
from cnnlab.architecture import Layer
from cnnlab.pages import address
from cnnlab.pages.inside import excites, kernels, picker, pixel, tiles, top
from cnnlab.pages.inside.maps import cells, own_end
from cnnlab.pages.inside.scene import Scene
from cnnlab.walls import is_signed

STAGE_NAMES = {"relu": "after ReLU", "conv": "convolution", "bn": "batch norm", "pool": "pooled"}


def view(scene: Scene) -> None:
    """Controls, the map beside the picture, its figures, one pixel's arithmetic, the images that excite the filter."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        conv, number = picker.choose_map(scene, usual=strongest(scene))
        number = strongest(scene) if number is None else number
        layer = choose_stage(scene, conv)
        row, column = choose_pixel(scene, layer, number)
    st.markdown(facts(scene, conv, number))
    show(scene, conv, layer, number, (row, column))
    pixel.view(scene, layer, number, row, column)
    excites.view(scene, conv, number)


def strongest(scene: Scene) -> int:
    """The strongest map of the chosen layer, shown where none is chosen."""
    conv, _ = picker.chosen(scene)
    return lens.strongest(scene.stages[scene.activation(conv)][0], 1)[0]


def choose_stage(scene: Scene, conv: str) -> Layer:
    """After ReLU, or another stage of the block."""
    block = {layer.kind: layer for layer in scene.block(conv)}
    options = {kind: name for kind, name in STAGE_NAMES.items() if kind in block}
    return block[address.choice("stage", "Stage", options)]


def choose_pixel(scene: Scene, layer: Layer, number: int) -> tuple[int, int]:
    """Row and column, for the keyboard; the strongest pixel where none is chosen."""
    height, width, _ = layer.output_shape
    place = address.number("pixel", height * width)
    if place is None:
        place = int(np.abs(scene.stages[layer.name][0, ..., number]).argmax())
    row, column = divmod(place, width)
    for name, value, size in (("Row", row, height), ("Column", column, width)):
        key = f"inside {name}"
        st.session_state[key] = value
        st.number_input(name, 0, size - 1, key=key, on_change=_pixel_typed, args=(width,), width=84)
    return row, column


def facts(scene: Scene, conv: str, number: int) -> str:
    """Its range, its rank, and whether it is silent here or everywhere."""
    maps = scene.stages[scene.activation(conv)][0]
    found = lens.map_facts(maps, number)
    name = f"**Map {number} of {conv}**"
    known = top.of(scene.run)
    dead = known is not None and bool(known.galleries[scene.activation(conv)].dead[number])
    if found.silent and dead and known is not None:
        return f"{name} is **dead**: after ReLU it is zero on this image and on all {known.images:,} test images."
    if found.silent:
        elsewhere = " (it answers others)" if known is not None else ""
        return f"{name} is **silent on this image**: after ReLU it is zero everywhere{elsewhere}."
    ranks = f"{found.rank_by_mean} by mean, {found.rank_by_max} by strongest pixel"
    return (
        f"{name} after ReLU: {tiles.values(found.low, found.high)}, mean {tiles.number(found.mean)}. "
        f"Rank among {maps.shape[-1]}: {ranks}."
    )


def show(scene: Scene, conv: str, layer: Layer, number: int, spot: tuple[int, int]) -> None:
    """The map, the picture with the pixel's receptive field, and the kernel, side by side where there is room."""
    row, column = spot
    map_cell, picture_cell, kernel_cell = cells(3)
    with map_cell:
        maps = scene.stages[layer.name][0]
        end = own_end(scene, layer.name, number)
        st.markdown(f"**{layer.name}**, map {number}")
        tiles.draw(
            tiles.of_map(maps, number, end, is_signed(layer.name)),
            key="one map",
            alt=f"Map {number} of {layer.name}, {maps.shape[0]}x{maps.shape[1]} pixels; row {row}, column {column} is "
            f"{maps[row, column, number]:.4f}.",
            chosen=row * maps.shape[1] + column,
            on_pick=lambda place: address.put("pixel", str(place)),
        )
    with picture_cell:
        box = lens.receptive_field(scene.layers, layer.name, row, column)
        st.markdown("**What that pixel can see**")
        size = f"{box.bottom - box.top}x{box.right - box.left} pixels, rows {box.top} to {box.bottom - 1}"
        tiles.draw(
            tiles.of_pixels(scene.image, [box]), "field", f"The picture with the receptive field framed: {size}."
        )
        padding = next(one.padding for one in scene.layers if one.name == conv)
        framed = f" {conv} is padded: it also looks over the border of its map." if padding == "same" else ""
        st.caption(f"Its receptive field: {size}, columns {box.left} to {box.right - 1}.{framed}")
    with kernel_cell:
        kernels.one(scene, conv, number)


def _pixel_typed(width: int) -> None:
    address.put("pixel", str(st.session_state["inside Row"] * width + st.session_state["inside Column"]))
