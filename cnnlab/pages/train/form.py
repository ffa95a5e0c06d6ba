"""The form of an experiment: depth, regularizer and strength; the other settings under More."""

from typing import Any

import streamlit as st

from cnnlab import formatting
from cnnlab.experiment import (
    OPTIMIZERS,
    PRECISIONS,
    TRAIN_IMAGE_COUNTS,
    Experiment,
    ExperimentError,
    format_decimal,
)
from cnnlab.jobs.precision import bfloat16_hint
from cnnlab.pages.train.requested_experiment import set_experiment
from cnnlab.regularizers import REGULARIZERS
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui.selection import EXPERIMENT_PARAMS
from cnnlab.ui.state import session_key

SESSION_FORM_ERROR = session_key("train.form_error")
SESSION_FORM_KEY = session_key("train.form_key")  # the key of the experiment whose fields stand in the form
REGULARIZER, STRENGTH = session_key("f_regularizer"), session_key("f_strength")
MORE_HEIGHT = 190  # pixels of the box with the other settings, so that the button stays beside the result
LEARNING_RATE_STEP = 0.0005  # of one click on + or -
SPLITS = {"validation": "validation images", "test": "test images (trains on all training images)"}
PRECISION_NAMES = {"float32": "float32", "bfloat16": "bfloat16: half the digits"}


def experiment_form(experiment: Experiment) -> None:
    """Depth, regularizer and strength; the other settings under More. One button submits all of them.

    The regularizer is outside the form, because the strength's field depends on it. The fields have no bounds: with a
    number out of bounds a browser does not submit the form and does not say why.
    """
    fill_form(experiment)
    st.segmented_control("Depth, in convolutions", [1, 2, 3, 4], key="f_depth", required=True, width="stretch")
    st.radio(
        "Regularizer",
        list(REGULARIZERS),
        key=REGULARIZER,
        format_func=regularizer_label,
        on_change=lambda: st.session_state.update({STRENGTH: None}),
    )
    with st.form("network", border=False, enter_to_submit=False):
        strength_field(st.session_state[REGULARIZER])
        with st.expander("More"), st.container(height=MORE_HEIGHT, border=False):
            advanced_fields()
        st.form_submit_button("Show this network", type="primary", width="stretch", on_click=on_submit)
    if problem := st.session_state.pop(SESSION_FORM_ERROR, None):
        st.error(escape_markdown(problem))


def strength_field(regularizer: str) -> None:
    """The field of the regularizer's strength; empty means the report's value. Disabled for one without a strength."""
    strength = REGULARIZERS[regularizer].strength
    st.number_input(
        "Strength",
        value=None,
        key=STRENGTH,
        step=strength_step(regularizer),
        format="%.7g",
        placeholder=f"{format_decimal(strength.default)}, as in the report"
        if strength
        else "this regularizer has none",
        disabled=strength is None,
        help=" ".join(filter(None, (one.hint for one in reversed(REGULARIZERS.values())))),
    )


def regularizer_label(name: str) -> str:
    """The regularizer's name in the form."""
    return REGULARIZERS[name].label


def strength_step(regularizer: str) -> float:
    """By how much a click on + or - changes the strength; dropout's step for a regularizer without a strength."""
    strength = REGULARIZERS[regularizer].strength or REGULARIZERS["dropout"].strength
    return strength.step if strength else 0.0


def advanced_fields() -> None:
    """Every other setting that affects the result; an empty field means the default."""
    st.selectbox(
        "Images", list(formatting.DATASET_NAMES), key="f_dataset", format_func=formatting.DATASET_NAMES.__getitem__
    )
    st.selectbox("Evaluate on", list(SPLITS), key="f_split", format_func=SPLITS.__getitem__)
    st.number_input(
        "Training images", value=None, key="f_train_images", step=100, format="%d", placeholder="all of them"
    )
    for name, label in (("epochs", "Epochs"), ("filters", "Filters in a layer"), ("kernel", "Kernel: 1, 3, 5 or 7")):
        st.number_input(label, key=f"f_{name}", step=2 if name == "kernel" else 1)
    for name, label in (("dense", "Units in a dense layer"), ("batch", "Batch")):
        st.number_input(label, key=f"f_{name}", step=1)
    st.selectbox("Optimizer", OPTIMIZERS, key="f_optimizer")
    st.number_input("Learning rate", key="f_learning_rate", step=LEARNING_RATE_STEP, format="%.7g")
    st.number_input("Seed", key="f_seed", step=1)
    precision_field()


def precision_field() -> None:
    """The precision; bfloat16 only where it is faster on this machine, or where the network on the page has it."""
    hint, chosen = bfloat16_hint(), st.session_state.get("f_precision")
    offered = [name for name in PRECISIONS if name in ("float32", chosen) or not hint]
    st.selectbox("Precision", offered, key="f_precision", format_func=PRECISION_NAMES.__getitem__, help=hint or None)


def fill_form(experiment: Experiment) -> None:
    """Fill the form with the fields of this experiment, unless it shows them already."""
    if st.session_state.get(SESSION_FORM_KEY) == experiment.key and "f_depth" in st.session_state:
        return
    shown: dict[str, Any] = experiment.to_dict()
    if REGULARIZERS[experiment.regularizer].strength is None:
        shown["strength"] = None
    if experiment.train_images == TRAIN_IMAGE_COUNTS[experiment.dataset, experiment.split][0]:
        shown["train_images"] = None
    st.session_state.update({f"f_{name}": value for name, value in shown.items()})
    st.session_state[SESSION_FORM_KEY] = experiment.key


def on_submit() -> None:
    """Select the experiment of the form; where its fields make none, keep the error for the next run of the page."""
    fields = {name: st.session_state[f"f_{name}"] for name in EXPERIMENT_PARAMS}
    if REGULARIZERS[fields["regularizer"]].strength is None:
        fields["strength"] = None
    try:
        experiment = Experiment.from_dict(fields)
    except ExperimentError as error:
        st.session_state[SESSION_FORM_ERROR] = str(error)
        return
    st.session_state[SESSION_FORM_KEY] = None
    set_experiment(experiment)
