"""One adversarial step in the view "What if": the image changed along the gradient, and the prediction."""

import streamlit as st

from cnnlab.analysis import adversarial
from cnnlab.explanations import notices
from cnnlab.inspect import feature_maps, prediction
from cnnlab.inspect.context import InspectContext
from cnnlab.rendering.color_scale import colorize, upscaled_png
from cnnlab.ui import query_state
from cnnlab.ui.state import url_param

STEP_PARAM = url_param("step")  # strength of the adversarial step
DEFAULT_STRENGTH = 4  # pixel values


def adversarial_section(context: InspectContext) -> None:
    """The slider, the change and the changed image, and the prediction before and after it."""
    st.header("One adversarial step", anchor=False)
    strength = query_state.slider_param(
        STEP_PARAM, "Strength, of 255", 0, adversarial.MAX_STRENGTH, DEFAULT_STRENGTH, width=300
    )
    true_class, predicted = context.selected_image.true_class, int(context.probabilities.argmax())
    label = predicted if true_class is None else true_class
    step = adversarial.adversarial_step(context.layers, context.weights, context.image, label, strength)
    st.markdown(notices.adversarial_notice(step, context.probabilities, context.classes, strength))
    change, image, bars = feature_maps.grid_cells(3)
    with change:
        st.markdown("**The change**, enlarged")
        signs = colorize(step.signs.mean(axis=-1), 1.0, signed=True)
        alt = "The sign of the change of each pixel, mean of the three colors: purple is darker, orange is brighter."
        st.image(upscaled_png(signs, 7), width=224, alt=alt)
    with image:
        st.markdown("**The changed image**")
        st.image(upscaled_png(step.image, 7), width=224, alt=f"The image after a step of {strength} of 255.")
    with bars:
        st.markdown("**Prediction for it**")
        key = "adversarial now"
        prediction.probability_bars(step.probabilities, context.classes, true_class, key, before=context.probabilities)
    kind = "predicted" if true_class is None else "true"
    st.caption(
        f"Every value moves by the strength in the direction that increases the loss of the {kind} class, "
        f"{context.classes[label]} (fast gradient sign method, Goodfellow and others, 2015)."
        f"{'' if step.signs.all() else ' White: pixels that do not change the loss.'}"
    )
