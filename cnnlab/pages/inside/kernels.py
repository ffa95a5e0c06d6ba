"""Kernels: those of the first layer as small colour pictures, all of them or one by one with its numbers."""

import numpy as np
import streamlit as st

from cnnlab import lens
from cnnlab.forward import Array
from cnnlab.pages import address
from cnnlab.pages.inside import maps, picker, pixel, tiles
from cnnlab.pages.inside.scene import Scene
from cnnlab.walls import across, colours, compose, data_uri, limits, mosaic

SCALES = {"layer": "compare strength", "filter": "see detail"}


def view(scene: Scene) -> None:
    """All kernels of the first layer; the one that is chosen with its numbers beside them."""
    conv = scene.convolutions[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scale = address.choice("kernels", "Colours", SCALES)
    _, number = picker.chosen(scene)
    left, right = maps.cells(2)
    with left:
        wall(scene, conv, scale, number)
    with right:
        chosen = 0 if number is None else min(number, scene.stages[conv].shape[-1] - 1)
        st.session_state["inside kernel"] = chosen
        last = scene.stages[conv].shape[-1] - 1
        st.number_input(f"Kernel, 0 to {last}", 0, last, key="inside kernel", on_change=_typed, args=(conv,), width=150)
        one(scene, conv, chosen)
    st.caption(
        "Grey is zero; brighter is positive, darker is negative, for each colour by itself: an orange kernel likes red "
        "and dislikes blue. Edges and colours come out of the training by themselves; nobody drew them."
    )


def wall(scene: Scene, conv: str, scale: str, number: int | None) -> None:
    """Every kernel as a picture; a click chooses one."""
    kernel = np.nan_to_num(scene.weights[f"{conv}/kernel"])
    pictures = lens.kernel_pictures(kernel, scale)
    count, height, width = pictures.pixels.shape[:3]
    columns = across(count)
    grown = pictures.pixels.repeat(5, axis=1).repeat(5, axis=2)
    low, high = kernel.min(axis=(0, 1, 2)), kernel.max(axis=(0, 1, 2))
    side = 1 - 1 / (5 * width + 1)
    squares = [
        tiles.Square(
            number=index,
            at=(index % columns, index // columns),
            size=(side, side),
            name=f"kernel {index}",
            value=tiles.values(float(low[index]), float(high[index])),
        )
        for index in range(count)
    ]
    st.markdown(f"**{conv}** {count} kernels, {height}x{width}, three colours each")
    picture = tiles.Picture(
        uri=data_uri(mosaic(grown, columns)), columns=columns, rows=-(-count // columns), squares=squares
    )
    words = (
        f"{count} first-layer kernels as colour pictures; weights {tiles.values(float(low.min()), float(high.max()))}."
    )
    tiles.draw(picture, "kernels", words, chosen=number, on_pick=lambda picked: picker.choose(conv, picked))


def one(scene: Scene, conv: str, number: int) -> None:
    """One filter's kernel: three colours with their numbers in the first layer, a wall of small kernels in others."""
    kernel = np.nan_to_num(scene.weights[f"{conv}/kernel"][..., number])
    channels = kernel.shape[-1]
    bias = float(scene.weights[f"{conv}/bias"][number])
    st.markdown(f"**Kernel {number} of {conv}**, {kernel.shape[0]}x{kernel.shape[1]}x{channels}")
    if channels == len(pixel.COLOURS):
        coloured(kernel)
    else:
        hung = compose(kernel, signed=True, gap=3)
        tiles.draw(
            tiles.of_wall(hung),
            "one kernel",
            f"Kernel {number} of {conv}: one small kernel for each of {channels} incoming maps, "
            f"{tiles.values(float(kernel.min()), float(kernel.max()))}.",
        )
    st.caption(f"Bias {bias:+.4f}. Purple is negative, orange positive.")


def coloured(kernel: Array) -> None:
    """The three colours of a first-layer kernel, each with its sign as a colour and its numbers, and all together."""
    size, end = kernel.shape[0], float(limits([kernel])[0])
    pictures = [colours(kernel[..., colour], end, signed=True) for colour in range(3)]
    pictures.append(lens.kernel_pictures(kernel[..., None], "filter").pixels[0])
    squares = []
    for place, name in enumerate((*pixel.COLOURS, "all three as a picture")):
        at = (place % 2 * (size + 1), place // 2 * (size + 1))
        if place < len(pixel.COLOURS):
            squares += pixel.numbers(kernel[..., place], at, end, signed=True)
        squares.append(pixel.text(name, (at[0], at[1] + size), size))
    picture = tiles.Picture(
        uri=data_uri(mosaic(np.stack(pictures), 2)), columns=2 * (size + 1), rows=2 * (size + 1), squares=squares
    )
    said = "; ".join(
        f"{name} {tiles.values(float(kernel[..., colour].min()), float(kernel[..., colour].max()))}"
        for colour, name in enumerate(pixel.COLOURS)
    )
    tiles.draw(picture, "coloured kernel", f"The kernel's weights: {said}.")


def _typed(conv: str) -> None:
    picker.choose(conv, st.session_state["inside kernel"])
