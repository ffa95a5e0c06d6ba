"""The computation of one pixel: patch, kernel, products and their sum, bias, batch normalization, ReLU.

It stands where the animation of the kernel (`convolution_animation`) cannot be drawn.

In deeper layers every input map adds its own sum; the largest are shown, and the others in one row.

Kernels above 3x3 take the whole width, and their numbers are written without the zero before the point.
"""

import re
from collections.abc import Sequence

import numpy as np
import streamlit as st

from cnnlab.analysis import pixel_trace
from cnnlab.analysis.pixel_trace import PixelTrace, PoolTrace
from cnnlab.array_types import Array
from cnnlab.inspect.context import InspectContext
from cnnlab.models.architecture import Layer, find_layer
from cnnlab.rendering.color_scale import colorize, image_grid_png, png_data_uri
from cnnlab.rendering.feature_map_grid import shared_vmax
from cnnlab.rendering.palette import text_color_on
from cnnlab.ui import clickable_image

COLOR_NAMES = ("red", "green", "blue")
MAX_CHANNELS_SHOWN = 4  # incoming maps shown one by one
SMALL_KERNEL = 3  # kernels up to this size stand beside the table of their sums
CELL_PIXELS = 38  # pixels for one number, where there is room
SHORT_NUMBERS_NOTE = (
    "Numbers below one are written without their zero; under the pointer, or a finger, each has five decimals."
)


def pixel_trace_section(context: InspectContext, layer: Layer, number: int, row: int, column: int) -> None:
    """The computation of one pixel of a layer; for pooling, of the pixel with the largest value."""
    st.header(f"The arithmetic of {layer.name}, row {row}, column {column}", anchor=False)
    if layer.kind == "pool":
        window = pool_window(context, layer, number, row, column)
        st.markdown(describe_pooling(window))
        row, column = window.winner
    conv = context.convolution_name(layer.name)
    found = pixel_trace.trace_pixel(context.layers, context.weights, context.activations, conv, row, column, number)
    strongest, others = found.top_channels(MAX_CHANNELS_SHOWN)
    strongest = tuple(sorted(strongest)) if len(found.channel_sums) == len(COLOR_NAMES) else strongest
    small = found.kernel.shape[0] <= SMALL_KERNEL
    left, right = st.columns([1.3, 1], gap="medium") if small else (st.container(), st.container())
    with left:
        product_grid(found, [channel for channel, _ in strongest])
        st.caption(" ".join(filter(None, (describe_padding(context, found), "" if small else SHORT_NUMBERS_NOTE))))
    with right:
        st.markdown(sum_table(found, strongest, others))
        st.caption(describe_steps(found))


def pool_window(context: InspectContext, layer: Layer, number: int, row: int, column: int) -> PoolTrace:
    """The window that a pixel of a pooling layer is the largest value of."""
    return pixel_trace.trace_pool(context.layers, context.activations, layer.name, row, column, number)


def describe_padding(context: InspectContext, found: PixelTrace) -> str:
    """Where the zeros around a patch come from; "" for a convolution without padding."""
    conv = find_layer(context.layers, found.layer)
    if conv.padding != "same":
        return ""
    height, width, _ = context.activations[found.input_name][0].shape
    reason = ", smaller than the kernel" if min(height, width) < conv.kernel else ""
    return (
        f"{conv.name} is padded: {found.input_name} is {height}x{width}{reason}, so it is framed with "
        f"zeros. {found.padded_positions} of the {conv.kernel**2} places of this patch lie outside the map and hold "
        f"{short_number(0, conv.kernel)}."
    )


def describe_pooling(window: PoolTrace) -> str:
    """Which of four numbers was kept."""
    numbers = ", ".join(f"{value:.4f}" for value in window.values.ravel())
    row, column = window.winner
    return f"The largest of {numbers} is **{window.value:.4f}**: {window.input_name}, row {row}, column {column}."


def product_grid(found: PixelTrace, channels: Sequence[int]) -> None:
    """Patch, kernel and products of the strongest channels, as squares with their numbers."""
    size = found.kernel.shape[0]
    parts = [part[..., channel] for channel in channels for part in (found.patch, found.kernel, found.products)]
    ends = [float(shared_vmax([part[..., list(channels)]])[0]) for part in (found.patch, found.kernel, found.products)]
    images = np.stack([colorize(part, ends[place % 3], signed=place % 3 > 0) for place, part in enumerate(parts)])
    cells = []
    for place, part in enumerate(parts):
        row, column = divmod(place, 3)
        cells += number_cells(part, (column * (size + 1), row * (size + 1)), ends[column], signed=column > 0)
        cells.append(block_label(found, channels[row], column, (column * (size + 1), row * (size + 1) + size), size))
    picture = clickable_image.ClickableImage(
        uri=png_data_uri(image_grid_png(images, columns=3)),
        columns=3 * (size + 1),
        rows=len(channels) * (size + 1),
        cells=cells,
    )
    named = ", ".join(f"{channel_name(found, channel)} {found.channel_sums[channel]:.4f}" for channel in channels)
    with st.container(width=CELL_PIXELS * 3 * (size + 1)):
        clickable_image.clickable_image(
            picture, key="products", alt=f"Patch, kernel and products; the products add up to: {named}."
        )


def number_cells(part: Array, at: tuple[float, float], end: float, signed: bool) -> list[clickable_image.Cell]:
    """A square for each number, which is written on it."""
    grounds = colorize(part, end, signed)
    found = []
    for (row, column), value in np.ndenumerate(part):
        text = short_number(value, part.shape[0])
        place = (at[0] + column, at[1] + row)
        shown = clickable_image.Cell(
            index=-1,
            position=place,
            name=f"row {row}, column {column}",
            value=f"{value:.5f}",
            text=text,
            text_color=text_color_on(grounds[row, column]),
        )
        found.append(shown)
    return found


def short_number(value: float, size: int) -> str:
    """Two decimals; in kernels above SMALL_KERNEL '-.12' for -0.12."""
    text = f"{value:z.2f}"
    return text if size <= SMALL_KERNEL else re.sub(r"^(-?)0\.", r"\1.", text)


def block_label(
    found: PixelTrace, channel: int, column: int, at: tuple[float, float], size: int
) -> clickable_image.Cell:
    """What stands under a block of numbers."""
    return label_cell(
        (channel_name(found, channel), "x kernel", f"= {found.channel_sums[channel]:+.4f}")[column], at, size
    )


def label_cell(description: str, at: tuple[float, float], size: int) -> clickable_image.Cell:
    """Words under a block of `size` squares."""
    return clickable_image.Cell(index=-1, position=at, size=(size, 0.9), name=description, value="", text=description)


def channel_name(found: PixelTrace, channel: int) -> str:
    """An incoming channel: a color of the image, or a map."""
    return COLOR_NAMES[channel] if len(found.channel_sums) == len(COLOR_NAMES) else f"map {channel}"


def sum_table(found: PixelTrace, strongest: Sequence[tuple[int, float]], others: float) -> str:
    """The sum, line by line."""
    lines = [(channel_name(found, channel), f"{value:+.4f}") for channel, value in strongest]
    left = len(found.channel_sums) - len(strongest)
    lines += [(f"all {left} others", f"{others:+.4f}")] if left else []
    lines += [("bias", f"{found.bias:+.4f}"), (f"**{found.layer}**", f"**{found.value:.4f}**")]
    lines += [(f"**{step.name}**", f"**{step.after:.4f}**") for step in found.steps]
    return "\n".join(["| from | adds |", "| :-- | --: |", *(f"| {what} | {value} |" for what, value in lines)])


def describe_steps(found: PixelTrace) -> str:
    """What batch normalization and ReLU did with the sum."""
    description = []
    for step in found.steps:
        if step.kind == "bn":
            n = step.parameters
            description.append(
                f"{step.name}: ({step.before:.4f} - {n['mean']:.4f}) / sqrt({n['variance']:.4f} + {n['epsilon']:g}) "
                f"x {n['gamma']:.4f} + {n['beta']:.4f} = {step.after:.4f}."
            )
        elif step.before < 0:
            description.append(f"{step.name}: below zero, so it becomes 0.")
        else:
            description.append(f"{step.name}: above zero, so it stays.")
    return " ".join(description)
