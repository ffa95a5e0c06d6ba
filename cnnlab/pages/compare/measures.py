"""The training accuracy that the page Compare counts with: in inference mode, or as Keras reports it."""

import streamlit as st

from cnnlab.ui.state import session_key

TRAINING_MEASURES = {"measured": "after the epoch, dropout off", "reported": "averaged during the epoch (Keras)"}
SESSION_MEASURE = session_key("compare.measure")  # which training accuracy is drawn
MEASURE_EXPLANATION = {
    "measured": "The gap is training minus validation accuracy, both after the epoch with dropout off.",
    "reported": "The gap is Keras's training accuracy, as in the report, minus validation accuracy. Keras averages "
    "over the epoch with dropout on, which makes dropout's gap look smaller.",
}


def measure_control() -> None:
    """The choice of the training accuracy, for all of the page."""
    st.session_state.setdefault(SESSION_MEASURE, "measured")
    st.segmented_control(
        "Training accuracy",
        list(TRAINING_MEASURES),
        format_func=TRAINING_MEASURES.__getitem__,
        required=True,
        key=SESSION_MEASURE,
    )


def is_reported() -> bool:
    """Whether the training accuracy is chosen as Keras reports it, which is how the report measured."""
    return bool(st.session_state[SESSION_MEASURE] == "reported")


def describe_gap_measure() -> str:
    """What the gap is with the training accuracy that was chosen."""
    return MEASURE_EXPLANATION[str(st.session_state[SESSION_MEASURE])]
