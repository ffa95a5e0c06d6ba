"""What if the picture were a little different? Turned, moved, brighter, noisy: the picture and the answer at once."""

import streamlit as st

from cnnlab.analysis.perturbations import Perturbation
from cnnlab.explanations import inspection
from cnnlab.inspect import feature_maps, prediction
from cnnlab.inspect.context import InspectContext
from cnnlab.models import numpy_forward
from cnnlab.rendering.color_scale import upscaled_png
from cnnlab.ui.state import session_key

SLIDERS = {  # name: (label, lowest, usual, highest, step)
    "right": ("Move right, pixels", -8, 0, 8, 1),
    "down": ("Move down, pixels", -8, 0, 8, 1),
    "degrees": ("Turn left, degrees", -180, 0, 180, 5),
    "brightness": ("Brighter", -120, 0, 120, 5),
    "noise": ("Noise", 0, 0, 60, 5),
}
PREFIX = session_key("inspect.perturbation.")  # and the name of the change
RESET = session_key("inspect.perturbation.reset")


def perturbation_view(scene: InspectContext) -> None:
    """The changes, the changed picture, and both answers."""
    change = perturbation_controls()
    picture = change(scene.image)
    now = numpy_forward.softmax(numpy_forward.logits(scene.layers, scene.weights, picture[None]))[0]
    unchanged = change == Perturbation()
    said = "Nothing is changed yet: move a slider." if unchanged else ""
    st.markdown(said or inspection.explain_prediction_change(scene.probabilities, now, scene.classes))
    first, second = feature_maps.grid_cells(2)
    with first:
        st.markdown("**The changed picture**")
        st.image(upscaled_png(picture, 7), width=224, alt=f"The picture changed: {describe_perturbation(change)}")
    with second:
        st.markdown("**What it says now**")
        prediction.probability_bars(
            now, scene.classes, scene.selected_image.true_class, "perturbation now", before=scene.probabilities
        )
        st.caption("The mark on each bar is the answer to the picture as it was.")
    st.caption(
        "You would still recognize it. A convolution does not care where something stands; the dense layers behind it "
        "do, and nothing in the network knows about turning."
    )


def perturbation_controls() -> Perturbation:
    """The change that the sliders describe."""
    values = {}
    with st.grid(5, min_column_width=150):
        for name, (label, low, usual, high, step) in SLIDERS.items():
            values[name] = st.slider(label, low, high, usual, step, key=PREFIX + name)
    with st.container(horizontal=True, vertical_alignment="center"):
        flipped = st.toggle("Mirrored", key=PREFIX + "mirrored")
        st.button("Reset", icon=":material/restart_alt:", on_click=_on_reset, key=RESET)
    return Perturbation(flipped=flipped, **values)


def describe_perturbation(change: Perturbation) -> str:
    """The change in words, for people who do not see it."""
    parts = ["mirrored"] if change.flipped else []
    parts += [f"{name} {getattr(change, name):g}" for name in SLIDERS if getattr(change, name)]
    return ", ".join(parts) or "not at all"


def _on_reset() -> None:
    for name in (*SLIDERS, "mirrored"):
        st.session_state[PREFIX + name] = False if name == "mirrored" else SLIDERS[name][2]
