"""Kernels: those of the first layer as small colour pictures, all of them or one by one with its numbers."""

import numpy as np
import streamlit as st

from cnnlab import formatting
from cnnlab.analysis import kernels
from cnnlab.array_types import Array
from cnnlab.inspect import feature_maps, map_controls, pixel_trace
from cnnlab.inspect.context import InspectContext
from cnnlab.rendering.color_scale import colorize, image_grid_png, png_data_uri
from cnnlab.rendering.feature_map_grid import grid_columns, render_feature_maps, shared_vmax
from cnnlab.ui import clickable_image, query_state
from cnnlab.ui.state import session_key, url_param

KERNEL = session_key("inspect.kernels.kernel")
SCALE_PARAM = url_param("kernels")

SCALES = {"layer": "compare strength", "filter": "see detail"}


def kernels_view(scene: InspectContext) -> None:
    """All kernels of the first layer; the one that is chosen with its numbers beside them."""
    conv = scene.convolution_names[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scale = query_state.segmented_param(SCALE_PARAM, "Colours", SCALES)
    _, number = map_controls.selected_map(scene)
    left, right = feature_maps.grid_cells(2)
    with left:
        kernel_grid(scene, conv, scale, number)
    with right:
        chosen = 0 if number is None else min(number, scene.activations[conv].shape[-1] - 1)
        st.session_state[KERNEL] = chosen
        last = scene.activations[conv].shape[-1] - 1
        st.number_input(
            f"Kernel, 0 to {last}", 0, last, key=KERNEL, on_change=_on_kernel_entered, args=(conv,), width=150
        )
        single_kernel(scene, conv, chosen)
    st.caption(
        "Grey is zero; brighter is positive, darker is negative, for each colour by itself: an orange kernel likes red "
        "and dislikes blue. Edges and colours come out of the training by themselves; nobody drew them."
    )


def kernel_grid(scene: InspectContext, conv: str, scale: str, number: int | None) -> None:
    """Every kernel as a picture; a click chooses one."""
    kernel = np.nan_to_num(scene.weights[f"{conv}/kernel"])
    pictures = kernels.kernel_images(kernel, scale)
    count, height, width = pictures.pixels.shape[:3]
    columns = grid_columns(count)
    grown = pictures.pixels.repeat(5, axis=1).repeat(5, axis=2)
    low, high = kernel.min(axis=(0, 1, 2)), kernel.max(axis=(0, 1, 2))
    side = 1 - 1 / (5 * width + 1)
    squares = [
        clickable_image.Cell(
            index=index,
            position=(index % columns, index // columns),
            size=(side, side),
            name=f"kernel {index}",
            value=formatting.format_range(float(low[index]), float(high[index])),
        )
        for index in range(count)
    ]
    st.markdown(f"**{conv}** {count} kernels, {height}x{width}, three colours each")
    picture = clickable_image.ClickableImage(
        uri=png_data_uri(image_grid_png(grown, columns)), columns=columns, rows=-(-count // columns), cells=squares
    )
    words = (
        f"{count} first-layer kernels as colour pictures; weights"
        f" {formatting.format_range(float(low.min()), float(high.max()))}."
    )
    clickable_image.clickable_image(
        picture, "kernels", words, selected=number, on_click=lambda picked: map_controls.select_map(conv, picked)
    )


def single_kernel(scene: InspectContext, conv: str, number: int) -> None:
    """One filter's kernel: three colours with their numbers in the first layer, a wall of small kernels in others."""
    kernel = np.nan_to_num(scene.weights[f"{conv}/kernel"][..., number])
    channels = kernel.shape[-1]
    bias = float(scene.weights[f"{conv}/bias"][number])
    st.markdown(f"**Kernel {number} of {conv}**, {kernel.shape[0]}x{kernel.shape[1]}x{channels}")
    if channels == len(pixel_trace.COLOR_NAMES):
        color_kernel(kernel)
    else:
        hung = render_feature_maps(kernel, signed=True, gap=3)
        clickable_image.clickable_image(
            clickable_image.from_feature_maps(hung),
            "one kernel",
            f"Kernel {number} of {conv}: one small kernel for each of {channels} incoming maps, "
            f"{formatting.format_range(float(kernel.min()), float(kernel.max()))}.",
        )
    st.caption(f"Bias {bias:+.4f}. Purple is negative, orange positive.")


def color_kernel(kernel: Array) -> None:
    """The three colours of a first-layer kernel, each with its sign as a colour and its numbers, and all together."""
    size, end = kernel.shape[0], float(shared_vmax([kernel])[0])
    pictures = [colorize(kernel[..., colour], end, signed=True) for colour in range(3)]
    pictures.append(kernels.kernel_images(kernel[..., None], "filter").pixels[0])
    squares = []
    for place, name in enumerate((*pixel_trace.COLOR_NAMES, "all three as a picture")):
        at = (place % 2 * (size + 1), place // 2 * (size + 1))
        if place < len(pixel_trace.COLOR_NAMES):
            squares += pixel_trace.number_cells(kernel[..., place], at, end, signed=True)
        squares.append(pixel_trace.label_cell(name, (at[0], at[1] + size), size))
    picture = clickable_image.ClickableImage(
        uri=png_data_uri(image_grid_png(np.stack(pictures), 2)),
        columns=2 * (size + 1),
        rows=2 * (size + 1),
        cells=squares,
    )
    said = "; ".join(
        f"{name} {formatting.format_range(float(kernel[..., colour].min()), float(kernel[..., colour].max()))}"
        for colour, name in enumerate(pixel_trace.COLOR_NAMES)
    )
    clickable_image.clickable_image(picture, "coloured kernel", f"The kernel's weights: {said}.")


def _on_kernel_entered(conv: str) -> None:
    map_controls.select_map(conv, st.session_state[KERNEL])
