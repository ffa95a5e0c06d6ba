"""One pixel taken apart: the patch it saw, the kernel, the products and their sum, bias, batch norm, ReLU.

In the first layer these are all the numbers there are. In deeper layers every incoming map adds its own sum; the
strongest are shown, the rest is one line, and together they are the number on the screen.

Kernels above 3x3 take the whole width, and their numbers are written without the zero before the point.
"""

import re
from collections.abc import Sequence

import numpy as np
import streamlit as st

from cnnlab import lens
from cnnlab.architecture import Layer
from cnnlab.forward import Array
from cnnlab.lens import PixelSum, PoolWindow
from cnnlab.pages.ink import ink
from cnnlab.pages.inside import tiles
from cnnlab.pages.inside.scene import Scene
from cnnlab.walls import colours, data_uri, limits, mosaic

COLOURS = ("red", "green", "blue")
SHOWN = 4  # incoming maps shown one by one
SMALL = 3  # kernels up to this size stand beside the table of their sums
SQUARE = 38  # pixels for one number, where there is room
WRITTEN = "Numbers below one are written without their zero; under the pointer, or a finger, each has five decimals."


def view(scene: Scene, layer: Layer, number: int, row: int, column: int) -> None:
    """The arithmetic behind one pixel of a stage; a pooled one is first followed to the pixel that won."""
    st.markdown(f"#### The arithmetic of {layer.name}, row {row}, column {column}")
    if layer.kind == "pool":
        window = lens.pool_window(scene.layers, scene.stages, layer.name, row, column, number)
        st.markdown(pooled(window))
        row, column = window.winner
    conv = scene.convolution(layer.name)
    found = lens.pixel_sum(scene.layers, scene.weights, scene.stages, conv, row, column, number)
    strongest, others = found.strongest(SHOWN)
    strongest = tuple(sorted(strongest)) if len(found.channels) == len(COLOURS) else strongest
    small = found.kernel.shape[0] <= SMALL
    left, right = st.columns([1.3, 1], gap="medium") if small else (st.container(), st.container())
    with left:
        products(found, [channel for channel, _ in strongest])
        st.caption(" ".join(filter(None, (padded(scene, found), "" if small else WRITTEN))))
    with right:
        st.markdown(table(found, strongest, others))
        st.caption(sentence(found))


def padded(scene: Scene, found: PixelSum) -> str:
    """Where the zeros around a patch come from; nothing where the convolution reads what there is."""
    conv = next(layer for layer in scene.layers if layer.name == found.layer)
    if conv.padding != "same":
        return ""
    height, width, _ = scene.stages[found.source][0].shape
    return (
        f"{conv.name} is padded: {found.source} is {height}x{width}, smaller than the kernel, so it is framed with "
        f"zeros. {found.outside} of the {conv.kernel**2} places of this patch lie outside the map and hold "
        f"{short(0, conv.kernel)}."
    )


def pooled(window: PoolWindow) -> str:
    """Which of four numbers was kept."""
    numbers = ", ".join(f"{value:.4f}" for value in window.values.ravel())
    row, column = window.winner
    return f"The largest of {numbers} is **{window.value:.4f}**: {window.source}, row {row}, column {column}."


def products(found: PixelSum, channels: Sequence[int]) -> None:
    """Patch, kernel and products of the strongest channels, as squares with their numbers."""
    size = found.kernel.shape[0]
    parts = [part[..., channel] for channel in channels for part in (found.patch, found.kernel, found.products)]
    ends = [float(limits([part[..., list(channels)]])[0]) for part in (found.patch, found.kernel, found.products)]
    pictures = np.stack([colours(part, ends[place % 3], signed=place % 3 > 0) for place, part in enumerate(parts)])
    squares = []
    for place, part in enumerate(parts):
        row, column = divmod(place, 3)
        squares += numbers(part, (column * (size + 1), row * (size + 1)), ends[column], signed=column > 0)
        squares.append(label(found, channels[row], column, (column * (size + 1), row * (size + 1) + size), size))
    picture = tiles.Picture(
        uri=data_uri(mosaic(pictures, columns=3)),
        columns=3 * (size + 1),
        rows=len(channels) * (size + 1),
        squares=squares,
    )
    named = ", ".join(f"{name(found, channel)} {found.channels[channel]:.4f}" for channel in channels)
    with st.container(width=SQUARE * 3 * (size + 1)):
        tiles.draw(picture, key="products", alt=f"Patch, kernel and products; the products add up to: {named}.")


def numbers(part: Array, at: tuple[float, float], end: float, signed: bool) -> list[tiles.Square]:
    """A square for each number, which is written on it."""
    shades = colours(part, end, signed).astype(int).sum(axis=-1)
    found = []
    for (row, column), value in np.ndenumerate(part):
        text = short(value, part.shape[0])
        colour = "#000000" if shades[row, column] > 330 else "#ffffff"
        place = (at[0] + column, at[1] + row)
        shown = tiles.Square(
            number=-1, at=place, name=f"row {row}, column {column}", value=f"{value:.5f}", text=text, text_colour=colour
        )
        found.append(shown)
    return found


def short(value: float, size: int) -> str:
    """Two decimals; in kernels above SMALL '-.12' for -0.12."""
    text = f"{value:z.2f}"
    return text if size <= SMALL else re.sub(r"^(-?)0\.", r"\1.", text)


def label(found: PixelSum, channel: int, column: int, at: tuple[float, float], size: int) -> tiles.Square:
    """What stands under a block of numbers."""
    return text((name(found, channel), "x kernel", f"= {found.channels[channel]:+.3f}")[column], at, size)


def text(said: str, at: tuple[float, float], size: int) -> tiles.Square:
    """Words under a block of `size` squares."""
    return tiles.Square(number=-1, at=at, size=(size, 0.9), name=said, value="", text=said, text_colour=ink())


def name(found: PixelSum, channel: int) -> str:
    """An incoming channel: a colour of the picture, or a map."""
    return COLOURS[channel] if len(found.channels) == len(COLOURS) else f"map {channel}"


def table(found: PixelSum, strongest: Sequence[tuple[int, float]], others: float) -> str:
    """The sum, line by line."""
    lines = [(name(found, channel), f"{value:+.4f}") for channel, value in strongest]
    left = len(found.channels) - len(strongest)
    lines += [(f"all {left} others", f"{others:+.4f}")] if left else []
    lines += [("bias", f"{found.bias:+.4f}"), (f"**{found.layer}**", f"**{found.value:.4f}**")]
    lines += [(f"**{step.name}**", f"**{step.after:.4f}**") for step in found.steps]
    return "\n".join(["| from | adds |", "| :-- | --: |", *(f"| {what} | {value} |" for what, value in lines)])


def sentence(found: PixelSum) -> str:
    """What batch normalization and ReLU did with the sum."""
    said = []
    for step in found.steps:
        if step.kind == "bn":
            n = step.numbers
            said.append(
                f"{step.name}: ({step.before:.4f} - {n['mean']:.4f}) / sqrt({n['variance']:.4f} + {n['epsilon']:g}) "
                f"x {n['gamma']:.4f} + {n['beta']:.4f} = {step.after:.4f}."
            )
        elif step.before < 0:
            said.append(f"{step.name}: below zero, so it becomes 0.")
        else:
            said.append(f"{step.name}: above zero, so it stays.")
    return " ".join(said)
