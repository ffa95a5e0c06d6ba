"""The kernel editor of the view "Switch off": the weights of one first-layer kernel, and its map before and after."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab import formatting
from cnnlab.inspect import pixel_trace
from cnnlab.inspect.context import InspectContext
from cnnlab.inspect.network_changes import NetworkChanges, write_changes
from cnnlab.models.numpy_forward import Activations
from cnnlab.rendering.feature_map_grid import shared_vmax
from cnnlab.ui import clickable_image, query_state
from cnnlab.ui.state import session_key, url_param

# of the kernel that the editor shows
KERNEL_PARAM, COLOR_PARAM = url_param("edit", of_network=True), url_param("color")
PRESET = session_key("inspect.kernel_editor.preset")  # and the kernel and the color
WEIGHT = session_key("inspect.kernel_editor.weight")  # and the kernel, the color, the row and the column
COLORS = {name: name for name in ("all", *pixel_trace.COLOR_NAMES)}
NO_PRESET = "no ready-made kernel"
KERNEL_PRESETS = {
    "edge from left to right": np.array([[-1, 0, 1]] * 3) / 3,
    "edge from top to bottom": np.array([[-1, 0, 1]] * 3).T / 3,
    "blur": np.full((3, 3), 1 / 9),
    "all zero": np.zeros((3, 3)),
}

Kernel = NDArray[np.float32]


def kernel_editor(context: InspectContext, changes: NetworkChanges, changed: Activations) -> None:
    """The numbers of one first-layer kernel, to be typed over, and its map before and after."""
    conv = context.convolution_names[0]
    own = context.weights[f"{conv}/kernel"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = query_state.number_param(KERNEL_PARAM, f"Kernel of {conv}", 0, own.shape[-1] - 1, 0, width=130)
        color = query_state.segmented_param(COLOR_PARAM, "Color", COLORS)
        kernel = changes.kernels.get(number, own[..., number])
        preset_menu(changes, number, color, kernel)
    relu = context.relu_name(conv)
    pair = [activations[relu][0][..., [number]] for activations in (context.activations, changed)]
    end = float(shared_vmax(pair)[0])
    numbers, *places = st.columns([1.6, 1, 1])
    with numbers:
        weight_inputs(changes, number, color, kernel)
    for cell, title, feature_map in zip(places, ("before", "now"), pair, strict=True):
        with cell:
            st.markdown(f"map {number} **{title}**")
            picture = clickable_image.from_feature_map(feature_map, 0, end, signed=False)
            clickable_image.clickable_image(
                picture,
                f"edited {title}",
                f"Map {number} {title}: up to {formatting.format_value(float(feature_map.max()))}.",
            )


def preset_menu(changes: NetworkChanges, number: int, color: str, kernel: Kernel) -> None:
    """The ready-made kernels; the one that this kernel equals is selected."""
    presets = {name: values for name, values in KERNEL_PRESETS.items() if values.shape == kernel.shape[:2]}
    presets = presets or {"all zero": np.zeros(kernel.shape[:2])}
    shown = kernel if color == "all" else kernel[..., [pixel_trace.COLOR_NAMES.index(color)]]
    equal = [name for name, values in presets.items() if np.allclose(shown, values[..., None], atol=1e-3)]
    key = f"{PRESET} {number} {color}"
    st.session_state[key] = (equal if number in changes.kernels else []) + [NO_PRESET]
    st.session_state[key] = st.session_state[key][0]

    def on_change() -> None:
        chosen = st.session_state[key]
        values = None if chosen == NO_PRESET else with_color(kernel, color, presets[chosen][..., None])
        write_changes(changes.with_kernel(number, values))

    st.selectbox("Ready-made", [NO_PRESET, *presets], key=key, on_change=on_change, width=220)


def weight_inputs(changes: NetworkChanges, number: int, color: str, kernel: Kernel) -> None:
    """One number input for each weight, in the kernel's own arrangement."""
    size = kernel.shape[0]
    shown = kernel.mean(axis=-1) if color == "all" else kernel[..., pixel_trace.COLOR_NAMES.index(color)]
    for row in range(size):
        with st.container(horizontal=True, wrap=False, gap="xsmall"):  # columns are never narrower than 128 pixels
            for column in range(size):
                key = f"{WEIGHT} {number} {color} {row} {column}"
                st.session_state[key] = float(shown[row, column])
                st.number_input(
                    f"row {row}, column {column}", key=key, step=0.1, format="%.3f", label_visibility="collapsed",
                    width=110 if size <= 3 else 84,
                    on_change=_on_weight_entered, args=(changes, number, color, kernel, (row, column), key),
                )  # fmt: skip
    what = "The mean of the three colors; a number typed here goes into all three." if color == "all" else ""
    st.caption(what or f"The weights for {color}.")


def with_color(kernel: Kernel, color: str, values: NDArray[np.floating]) -> Kernel:
    """The kernel (h, w, 3) with these values, (h, w, 1), in this color or in all three."""
    found = kernel.copy()
    found[..., slice(None) if color == "all" else [pixel_trace.COLOR_NAMES.index(color)]] = values
    return found


def _on_weight_entered(
    changes: NetworkChanges, number: int, color: str, kernel: Kernel, place: tuple[int, int], key: str
) -> None:
    value = st.session_state[key]
    if value is None:
        return
    found = kernel.copy()
    found[place] = value if color == "all" else found[place]
    if color != "all":
        found[(*place, pixel_trace.COLOR_NAMES.index(color))] = value
    write_changes(changes.with_kernel(number, found))
