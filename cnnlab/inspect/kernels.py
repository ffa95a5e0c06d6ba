"""The view "Kernels": the kernels of the first layer as color images, and one of them with its numbers."""

import numpy as np
import streamlit as st

from cnnlab import formatting
from cnnlab.analysis import kernels
from cnnlab.array_types import Array
from cnnlab.explanations import notices
from cnnlab.inspect import feature_maps, map_controls, pixel_trace
from cnnlab.inspect.context import InspectContext
from cnnlab.inspect.notice import notice
from cnnlab.rendering.color_scale import colorize, image_grid_png, png_data_uri
from cnnlab.rendering.feature_map_grid import grid_columns, render_feature_maps, shared_vmax
from cnnlab.ui import clickable_image, query_state
from cnnlab.ui.state import session_key, url_param

KERNEL = session_key("inspect.kernels.kernel")
SCALE_PARAM = url_param("kernels")

SCALES = {"layer": "compare strength", "filter": "see detail"}


def kernels_view(context: InspectContext) -> None:
    """All kernels of the first layer; the one that is chosen with its numbers beside them."""
    conv = context.convolution_names[0]
    notice(notices.kernels_notice(context.weights[f"{conv}/kernel"]))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scale = query_state.segmented_param(SCALE_PARAM, "Colors", SCALES)
    _, number = map_controls.selected_map(context)
    last = context.activations[conv].shape[-1] - 1
    chosen = min(number or 0, last)
    left, right = feature_maps.grid_cells(2)
    with left:
        kernel_grid(context, conv, scale, chosen)
    with right:
        st.session_state[KERNEL] = chosen
        st.number_input(
            f"Kernel, 0 to {last}", 0, last, key=KERNEL, on_change=_on_kernel_entered, args=(conv,), width=150
        )
        single_kernel(context, conv, chosen)
    st.caption(
        "Gray is zero, brighter is positive, darker is negative, separately for each color: an orange kernel "
        "has positive "
        "weights for red and negative weights for blue. All of these weights were learned in the training."
    )


def kernel_grid(context: InspectContext, conv: str, scale: str, number: int) -> None:
    """Every kernel as an image, `number` marked; a click chooses another one."""
    kernel = np.nan_to_num(context.weights[f"{conv}/kernel"])
    images = kernels.kernel_images(kernel, scale)
    count, height, width = images.pixels.shape[:3]
    columns = grid_columns(count)
    grown = images.pixels.repeat(5, axis=1).repeat(5, axis=2)
    low, high = kernel.min(axis=(0, 1, 2)), kernel.max(axis=(0, 1, 2))
    side = 1 - 1 / (5 * width + 1)
    cells = [
        clickable_image.Cell(
            index=index,
            position=(index % columns, index // columns),
            size=(side, side),
            name=f"kernel {index}",
            value=formatting.format_range(float(low[index]), float(high[index])),
        )
        for index in range(count)
    ]
    st.markdown(f"**{conv}** {formatting.pluralize(count, 'kernel')}, {height}x{width}, three colors each")
    picture = clickable_image.ClickableImage(
        uri=png_data_uri(image_grid_png(grown, columns)), columns=columns, rows=-(-count // columns), cells=cells
    )
    words = (
        f"{formatting.pluralize(count, 'first-layer kernel as a color image', 'first-layer kernels as color images')};"
        " weights"
        f" {formatting.format_range(float(low.min()), float(high.max()))}."
    )
    clickable_image.clickable_image(
        picture, "kernels", words, selected=number, on_click=lambda picked: map_controls.select_map(conv, picked)
    )


def single_kernel(context: InspectContext, conv: str, number: int) -> None:
    """One filter's kernel: three colors with their numbers in the first layer, a grid of small kernels in others."""
    kernel = np.nan_to_num(context.weights[f"{conv}/kernel"][..., number])
    channels = kernel.shape[-1]
    bias = float(context.weights[f"{conv}/bias"][number])
    st.markdown(f"**Kernel {number} of {conv}**, {kernel.shape[0]}x{kernel.shape[1]}x{channels}")
    if channels == len(pixel_trace.COLOR_NAMES):
        color_kernel(kernel)
    else:
        grid = render_feature_maps(kernel, signed=True, gap=3)
        clickable_image.clickable_image(
            clickable_image.from_feature_maps(grid),
            "one kernel",
            f"Kernel {number} of {conv}: one small kernel for each of {channels} incoming maps, "
            f"{formatting.format_range(float(kernel.min()), float(kernel.max()))}.",
        )
    st.caption(f"Bias {bias:+.4f}. Purple is negative, orange positive.")


def color_kernel(kernel: Array) -> None:
    """The three colors of a first-layer kernel, each with its sign as a color and its numbers, and all together."""
    size, end = kernel.shape[0], float(shared_vmax([kernel])[0])
    images = [colorize(kernel[..., color], end, signed=True) for color in range(3)]
    images.append(kernels.kernel_images(kernel[..., None], "filter").pixels[0])
    cells = []
    for place, name in enumerate((*pixel_trace.COLOR_NAMES, "all three as an image")):
        at = (place % 2 * (size + 1), place // 2 * (size + 1))
        if place < len(pixel_trace.COLOR_NAMES):
            cells += pixel_trace.number_cells(kernel[..., place], at, end, signed=True)
        cells.append(pixel_trace.label_cell(name, (at[0], at[1] + size), size))
    picture = clickable_image.ClickableImage(
        uri=png_data_uri(image_grid_png(np.stack(images), 2)),
        columns=2 * (size + 1),
        rows=2 * (size + 1),
        cells=cells,
    )
    description = "; ".join(
        f"{name} {formatting.format_range(float(kernel[..., color].min()), float(kernel[..., color].max()))}"
        for color, name in enumerate(pixel_trace.COLOR_NAMES)
    )
    clickable_image.clickable_image(picture, "colored kernel", f"The kernel's weights: {description}.")


def _on_kernel_entered(conv: str) -> None:
    map_controls.select_map(conv, st.session_state[KERNEL])
