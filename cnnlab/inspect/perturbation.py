"""The view "What if": the prediction for the image after a shift, a rotation, a change of brightness, or noise."""

import streamlit as st

from cnnlab.analysis.perturbations import Perturbation
from cnnlab.explanations import inspection
from cnnlab.inspect import adversarial, feature_maps, prediction
from cnnlab.inspect.context import InspectContext
from cnnlab.inspect.notice import notice
from cnnlab.models import numpy_forward
from cnnlab.rendering.color_scale import upscaled_png
from cnnlab.ui import query_state
from cnnlab.ui.state import session_key, url_param

SLIDERS = {  # of each change: label, lowest, default, highest, step
    "right": ("Shift right, pixels", -8, 0, 8, 1),
    "down": ("Shift down, pixels", -8, 0, 8, 1),
    "degrees": ("Rotate left, degrees", -180, 0, 180, 5),
    "brightness": ("Brighter", -120, 0, 120, 5),
    "noise": ("Noise", 0, 0, 60, 5),
}
CHANGE_PARAMS = {name: url_param(f"change_{name}") for name in (*SLIDERS, "mirrored")}
RESET = session_key("inspect.perturbation.reset")


def perturbation_view(context: InspectContext) -> None:
    """The sliders, the changed image, and the prediction before and after."""
    change = perturbation_controls()
    picture = change(context.image)
    now = numpy_forward.softmax(numpy_forward.logits(context.layers, context.weights, picture[None]))[0]
    unchanged = change == Perturbation()
    description = "nothing is changed yet. Move a slider." if unchanged else ""
    notice(description or inspection.describe_prediction_change(context.probabilities, now, context.classes))
    first, second = feature_maps.grid_cells(2)
    with first:
        st.markdown("**The changed image**")
        st.image(upscaled_png(picture, 7), width=224, alt=f"The image changed: {describe_perturbation(change)}")
    with second:
        st.markdown("**Prediction for it**")
        prediction.probability_bars(
            now, context.classes, context.selected_image.true_class, "perturbation now", before=context.probabilities
        )
        st.caption("The mark on each bar is the prediction for the unchanged image.")
    st.caption(
        "A convolution computes the same at every position. The dense layers behind it have separate weights for every "
        "position, and no layer is invariant to rotation."
    )
    adversarial.adversarial_section(context)


def perturbation_controls() -> Perturbation:
    """The change that the sliders describe."""
    values = {}
    with st.grid(5, min_column_width=150):
        for name, (label, low, default, high, step) in SLIDERS.items():
            values[name] = query_state.slider_param(CHANGE_PARAMS[name], label, low, high, default, step=step)
    with st.container(horizontal=True, vertical_alignment="center"):
        flipped = query_state.toggle_param(CHANGE_PARAMS["mirrored"], "Mirrored")
        st.button("Reset", icon=":material/restart_alt:", on_click=_on_reset, key=RESET)
    return Perturbation(flipped=flipped, **values)


def describe_perturbation(change: Perturbation) -> str:
    """The change in words, for the alt text."""
    parts = ["mirrored"] if change.flipped else []
    parts += [f"{name} {getattr(change, name):g}" for name in SLIDERS if getattr(change, name)]
    return ", ".join(parts) or "not at all"


def _on_reset() -> None:
    query_state.set_params(dict.fromkeys(CHANGE_PARAMS.values()))
