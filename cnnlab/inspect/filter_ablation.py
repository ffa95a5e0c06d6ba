"""The view "Switch off": filters set to zero, kernels of the first layer edited, and the effect on the prediction.

The changes belong to the session. The run is not changed; Reset removes all changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab import formatting
from cnnlab.analysis import filter_ablation
from cnnlab.analysis.kernels import replace_kernel
from cnnlab.array_types import Weights
from cnnlab.explanations import inspection, notices
from cnnlab.inspect import feature_maps, map_controls, pixel_trace, prediction
from cnnlab.inspect.context import InspectContext
from cnnlab.inspect.notice import notice
from cnnlab.models import numpy_forward
from cnnlab.models.numpy_forward import Activations
from cnnlab.rendering.feature_map_grid import render_feature_maps, shared_vmax
from cnnlab.ui import clickable_image
from cnnlab.ui.state import session_key

SESSION_ABLATION = session_key("inspect.filter_ablation.state")
TOGGLE, COUNT = session_key("inspect.filter_ablation.toggle"), session_key("inspect.filter_ablation.count")
RESET, KERNEL = session_key("inspect.filter_ablation.reset"), session_key("inspect.filter_ablation.kernel")
COLOR = session_key("inspect.filter_ablation.color")
PRESET = session_key("inspect.filter_ablation.preset")  # and the kernel and the color
WEIGHT = session_key("inspect.filter_ablation.weight")  # and the kernel, the color, the row and the column
KERNEL_PRESETS = {
    "edge from left to right": np.array([[-1, 0, 1]] * 3) / 3,
    "edge from top to bottom": np.array([[-1, 0, 1]] * 3).T / 3,
    "blur": np.full((3, 3), 1 / 9),
    "all zero": np.zeros((3, 3)),
}


@dataclass
class AblationState:
    """What one browser has changed in one run: filters that are off, by convolution, and kernels, by filter."""

    run: str
    ablated: dict[str, set[int]] = field(default_factory=dict)
    kernels: dict[int, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many filters are off."""
        return sum(len(numbers) for numbers in self.ablated.values())

    def weights(self, context: InspectContext) -> Weights:
        """The run's weights with the changed kernels."""
        weights: Weights = context.weights
        for number, values in self.kernels.items():
            weights = replace_kernel(weights, number, values, context.convolution_names[0])
        return weights

    def activations(self, context: InspectContext) -> Activations:
        """The activations of the image with the filters off and the kernels changed."""
        return filter_ablation.ablate_filters(context.layers, self.weights(context), context.image[None], self.ablated)


def filter_ablation_view(context: InspectContext) -> None:
    """The buttons, the prediction before and after, the grid of maps, and the kernel editor."""
    kept = ablation_state(context)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        conv, number = map_controls.map_controls(context)
        ablation_buttons(context, kept, conv, number)
    notice(ablation_sentence(context, conv))
    changed = kept.activations(context)
    left, right = feature_maps.grid_cells(2)
    with left:
        filter_grid(context, kept, conv, changed)
    with right:
        prediction_change(context, kept, changed)
    st.markdown(f"## Change a kernel of {context.convolution_names[0]}")
    kernel_editor(context, kept, changed)


def ablation_sentence(context: InspectContext, conv: str) -> str:
    """The notice: the effect of switching off the strongest filter of the layer alone."""
    (strongest,) = filter_ablation.top_filters(context.activations[context.relu_name(conv)][0], 1)
    changed = filter_ablation.ablate_filters(context.layers, context.weights, context.image[None], {conv: {strongest}})
    after = np.asarray(numpy_forward.softmax(changed["logits"])[0])
    return notices.ablation_notice(conv, strongest, context.probabilities, after, context.classes)


def ablation_state(context: InspectContext) -> AblationState:
    """The session's changes; none for another run."""
    kept = st.session_state.get(SESSION_ABLATION)
    if not isinstance(kept, AblationState) or kept.run != context.run.name:
        kept = st.session_state[SESSION_ABLATION] = AblationState(context.run.name)
    return kept


def ablation_buttons(context: InspectContext, kept: AblationState, conv: str, number: int | None) -> None:
    """One filter, the strongest few, all but one, and Reset."""
    if number is not None:
        word = "Switch on" if number in kept.ablated.get(conv, ()) else "Switch off"
        st.button(f"{word} map {number}", on_click=_on_filter_toggled, args=(kept, conv, number), key=TOGGLE)
        everything = map_controls.map_count(context, conv)
        others = filter_ablation.all_filters_except(everything, [number])
        st.button(f"All but map {number}", on_click=_set_ablated, args=(kept, conv, others))
    few = st.number_input("How many", 1, map_controls.map_count(context, conv), 3, key=COUNT, width=110)
    found = filter_ablation.top_filters(context.activations[context.relu_name(conv)][0], int(few))
    st.button(f"The strongest {few} off", on_click=_set_ablated, args=(kept, conv, found))
    st.button("Reset", icon=":material/restart_alt:", on_click=_on_reset, key=RESET)


def prediction_change(context: InspectContext, kept: AblationState, changed: Activations) -> None:
    """The prediction before and after, and a sentence about the difference."""
    now = np.asarray(numpy_forward.softmax(changed["logits"])[0])
    off = ", ".join(f"{len(numbers)} of {conv}" for conv, numbers in kept.ablated.items() if numbers) or "none"
    if kept.count or kept.kernels:
        difference = inspection.explain_prediction_change(context.probabilities, now, context.classes)
        st.markdown(f"Filters off: {off}{describe_edited_kernels(kept, context.convolution_names[0])}. {difference}")
    else:
        st.markdown(
            "All filters are on, as trained. Click a map to switch its filter off and see the change of the prediction."
        )
    prediction.probability_bars(
        now, context.classes, context.selected_image.true_class, "ablation changed", before=context.probabilities
    )
    st.caption(
        "The mark on each bar is the prediction as trained. Nothing is saved; Reset switches everything on again."
    )


def describe_edited_kernels(kept: AblationState, conv: str) -> str:
    """'; kernels 0 and 4 of conv1 changed'; nothing where none was."""
    numbers = [str(number) for number in sorted(kept.kernels)]
    if not numbers:
        return ""
    named = " and ".join(filter(None, (", ".join(numbers[:-1]), numbers[-1])))
    return f"; {'kernel' if len(numbers) == 1 else 'kernels'} {named} of {conv} changed"


def filter_grid(context: InspectContext, kept: AblationState, conv: str, changed: Activations) -> None:
    """The layer's maps as they are now; a click switches one off or on."""
    stage = context.relu_name(conv)
    grid = render_feature_maps(changed[stage][0], vmax=shared_vmax([context.activations[stage][0]]))
    off = sorted(kept.ablated.get(conv, ()))
    picture = clickable_image.from_feature_maps(grid)
    places = [(column, row, column + 1, row + 1) for row, column in map(grid.position, off)]
    st.markdown(f"**{conv}** {grid.count - len(off)} of {grid.count} filters on; click one to switch it")
    clickable_image.clickable_image(
        clickable_image.ClickableImage(
            uri=picture.uri, columns=picture.columns, rows=picture.rows, cells=picture.cells, legend=picture.legend,
            boxes=places,
        ),
        key="switches",
        alt=f"The maps of {conv}; switched off: {', '.join(map(str, off)) or 'none'}.",
        on_click=lambda number: _on_filter_toggled(kept, conv, number),
    )  # fmt: skip


def kernel_editor(context: InspectContext, kept: AblationState, changed: Activations) -> None:
    """The numbers of one first-layer kernel, to be typed over, and its map before and after."""
    conv = context.convolution_names[0]
    own = context.weights[f"{conv}/kernel"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = int(st.number_input(f"Kernel of {conv}", 0, own.shape[-1] - 1, key=KERNEL, width=130))
        color = st.segmented_control(
            "Color", ["all", *pixel_trace.COLOR_NAMES], default="all", required=True, key=COLOR
        )
        options = ["no ready-made kernel", *(KERNEL_PRESETS if own.shape[0] == 3 else {"all zero": 0})]
        ready = f"{PRESET} {number} {color}"
        st.selectbox(
            "Ready-made",
            options,
            key=ready,
            on_change=_on_preset_selected,
            args=(kept, number, color, own, ready),
            width=220,
        )
    stage = context.relu_name(conv)
    pair = [stages[stage][0][..., [number]] for stages in (context.activations, changed)]
    end = float(shared_vmax(pair)[0])
    numbers, *places = st.columns([1.6, 1, 1])
    with numbers:
        weight_inputs(kept, number, str(color), kept.kernels.get(number, own[..., number]), own)
    for cell, title, one in zip(places, ("before", "now"), pair, strict=True):
        with cell:
            st.markdown(f"map {number} **{title}**")
            picture = clickable_image.from_feature_map(one, 0, end, signed=False)
            clickable_image.clickable_image(
                picture,
                f"edited {title}",
                f"Map {number} {title}: up to {formatting.format_value(float(one.max()))}.",
            )


def weight_inputs(
    kept: AblationState, number: int, color: str, values: NDArray[np.float32], own: NDArray[np.float32]
) -> None:
    """One number input for each weight, in the kernel's own arrangement."""
    size = values.shape[0]
    shown = values.mean(axis=-1) if color == "all" else values[..., pixel_trace.COLOR_NAMES.index(color)]
    for row in range(size):
        with st.container(horizontal=True, wrap=False, gap="xsmall"):  # columns are never narrower than 128 pixels
            for column in range(size):
                key = f"{WEIGHT} {number} {color} {row} {column}"
                st.session_state[key] = float(shown[row, column])
                st.number_input(
                    f"row {row}, column {column}", key=key, step=0.1, format="%.3f", label_visibility="collapsed",
                    width=110 if size <= 3 else 84,
                    on_change=_on_weight_entered, args=(kept, number, color, (row, column), key, own),
                )  # fmt: skip
    what = "The mean of the three colors; a number typed here goes into all three." if color == "all" else ""
    st.caption(what or f"The weights for {color}.")


def _on_filter_toggled(kept: AblationState, conv: str, number: int) -> None:
    kept.ablated.setdefault(conv, set()).symmetric_difference_update({number})


def _set_ablated(kept: AblationState, conv: str, numbers: Sequence[int]) -> None:
    kept.ablated[conv] = set(numbers)


def _on_reset() -> None:
    st.session_state.pop(SESSION_ABLATION, None)
    for key in [key for key in st.session_state if str(key).startswith(PRESET)]:
        del st.session_state[key]


def _on_weight_entered(
    kept: AblationState, number: int, color: str, place: tuple[int, int], key: str, own: NDArray[np.float32]
) -> None:
    value = st.session_state[key]
    if value is None or not np.isfinite(value):
        return
    kernel = kept.kernels.get(number, own[..., number]).copy()
    kernel[place] = value if color == "all" else kernel[place]
    if color != "all":
        kernel[(*place, pixel_trace.COLOR_NAMES.index(color))] = value
    kept.kernels[number] = kernel


def _on_preset_selected(kept: AblationState, number: int, color: str, own: NDArray[np.float32], key: str) -> None:
    chosen = st.session_state[key]
    if chosen not in KERNEL_PRESETS:
        kept.kernels.pop(number, None)
        return
    values = KERNEL_PRESETS[chosen] if own.shape[0] == 3 else np.zeros(own.shape[:2])
    kernel = kept.kernels.get(number, own[..., number]).copy()
    if color == "all":
        kernel[...] = values[..., None]
    else:
        kernel[..., pixel_trace.COLOR_NAMES.index(color)] = values
    kept.kernels[number] = kernel
