"""The fields of an experiment: data set, depth, regularizer and strength; the other settings under More."""

from typing import Any

import streamlit as st

from cnnlab import data
from cnnlab.data import DatasetMissing
from cnnlab.datasets import DATASETS
from cnnlab.experiment import (
    AUGMENTATIONS,
    OPTIMIZERS,
    PRECISIONS,
    Experiment,
    ExperimentError,
    format_decimal,
)
from cnnlab.jobs import picture_uploads
from cnnlab.jobs.precision import bfloat16_hint
from cnnlab.pages.train import own_pictures
from cnnlab.regularizers import REGULARIZERS
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui import app_shell, control_locks, selected_network
from cnnlab.ui.augmentation_preview import augmentation_preview
from cnnlab.ui.state import session_key

SESSION_FORM_ERROR = session_key("train.form_error")
SESSION_FORM_KEY = session_key("train.form_key")  # the key of the experiment whose fields stand in the form
KEYS = {name: session_key(f"f_{name}") for name in Experiment().to_dict()}  # of the widgets, by field
MORE_HEIGHT = 260  # pixels of the box with the other settings
INTEGER_FIELDS = {
    "epochs": "Epochs",
    "filters": "Filters in a layer",
    "kernel": "Kernel: 1, 3, 5 or 7",
    "dense": "Units in a dense layer",
    "batch": "Batch",
}
AUGMENTATION_NAMES = {"none": "none", "flip_shift": "flip and shift"}
LABEL_NOISE_STEP = 0.1
LEARNING_RATE_STEP = 0.0005  # of one click on + or -
SPLITS = {"validation": "validation images", "test": "test images (trains on all training images)"}
PRECISION_NAMES = {"float32": "float32", "bfloat16": "bfloat16: half the digits"}


def experiment_form(experiment: Experiment) -> None:
    """Data set, depth, regularizer and strength; the other settings under More. Each acts at once.

    The fields have no bounds: with a number out of bounds a browser sends nothing and does not say why.
    """
    fill_form(experiment)
    for name, field in MAIN_FIELDS.items():
        if not control_locks.is_hidden(name):
            field(control_locks.is_locked(name))
    if not control_locks.is_hidden("more"):
        with st.expander("More"), st.container(height=MORE_HEIGHT, border=False):
            advanced_fields(control_locks.is_locked("more"))
    if problem := st.session_state.pop(SESSION_FORM_ERROR, None):
        st.error(escape_markdown(problem))


def dataset_field(locked: bool) -> None:
    """The control of the data set."""
    with st.container(gap="xsmall"):
        dataset_menu(locked)
        if not locked:
            own_pictures.own_pictures_popover()


def dataset_menu(locked: bool) -> None:
    """The built-in data sets beside each other; a menu where there are own ones, which may be many."""
    shown = selected_network.selected_experiment() or Experiment()
    own = picture_uploads.visible_datasets(app_shell.current_person(), app_shell.is_teacher())
    titles = {info.name: info.title for info in (*DATASETS.values(), *own, shown.dataset_info)}
    if len(titles) > len(DATASETS):
        st.selectbox(
            "Data set", list(titles), key=KEYS["dataset"], format_func=titles.__getitem__, on_change=on_change_dataset,
            disabled=locked,
        )  # fmt: skip
        return
    st.segmented_control(
        "Data set", list(titles), key=KEYS["dataset"], format_func=titles.__getitem__, required=True, width="stretch",
        on_change=on_change_dataset, disabled=locked,
    )  # fmt: skip


def depth_field(locked: bool) -> None:
    """The control of the depth."""
    st.segmented_control(
        "Depth, in convolutions", [1, 2, 3, 4], key=KEYS["depth"], required=True, width="stretch", on_change=on_change,
        disabled=locked,
    )  # fmt: skip


def regularizer_field(locked: bool) -> None:
    """The control of the regularizer."""
    names = list(REGULARIZERS)
    st.radio(
        "Regularizer", names, key=KEYS["regularizer"], format_func=regularizer_label, on_change=on_change_regularizer,
        disabled=locked,
    )  # fmt: skip


def strength_field(locked: bool) -> None:
    """The field of the regularizer's strength, empty for the report's value; nothing for one without a strength."""
    entry = REGULARIZERS[st.session_state[KEYS["regularizer"]]]
    if entry.strength:
        st.number_input(
            "Strength",
            value=None,
            key=KEYS["strength"],
            step=entry.strength.step,
            format="%.7g",
            placeholder=f"{format_decimal(entry.strength.default)}, as in the lab report",
            help=entry.hint,
            on_change=on_change,
            disabled=locked,
        )


MAIN_FIELDS = {
    "dataset": dataset_field,
    "depth": depth_field,
    "regularizer": regularizer_field,
    "strength": strength_field,
}


def regularizer_label(name: str) -> str:
    """The regularizer's name in the form."""
    return REGULARIZERS[name].label


def advanced_fields(locked: bool) -> None:
    """Every other setting that affects the result; an empty field means the default."""
    how: dict[str, Any] = {"on_change": on_change, "disabled": locked}
    st.selectbox("Evaluate on", list(SPLITS), key=KEYS["split"], format_func=SPLITS.__getitem__, **how)
    st.number_input(
        "Training images",
        value=None,
        key=KEYS["train_images"],
        step=100,
        format="%d",
        placeholder="all of them",
        **how,
    )
    training_image_fields(how)
    for name, label in INTEGER_FIELDS.items():
        st.number_input(label, key=KEYS[name], step=2 if name == "kernel" else 1, **how)
    st.selectbox("Optimizer", OPTIMIZERS, key=KEYS["optimizer"], **how)
    st.number_input("Learning rate", key=KEYS["learning_rate"], step=LEARNING_RATE_STEP, format="%.7g", **how)
    st.number_input("Seed", key=KEYS["seed"], step=1, **how)
    precision_field(how)


def precision_field(how: dict[str, Any]) -> None:
    """The precision; bfloat16 only where it is faster on this machine, or where the network on the page has it."""
    hint, chosen = bfloat16_hint(), st.session_state.get(KEYS["precision"])
    st.selectbox(
        "Precision",
        [name for name in PRECISIONS if name in ("float32", chosen) or not hint],
        key=KEYS["precision"],
        format_func=PRECISION_NAMES.__getitem__,
        help=hint or None,
        **how,
    )


def training_image_fields(how: dict[str, Any]) -> None:
    """Augmentation, with pictures of what it does, and label noise. `how`: on_change and disabled of the widgets."""
    st.selectbox("Augmentation", AUGMENTATIONS, key=KEYS["augment"], format_func=AUGMENTATION_NAMES.__getitem__, **how)
    if st.session_state[KEYS["augment"]] != "none":
        augmentation_preview(selected_network.selected_experiment() or Experiment())  # the fields may make none
    st.number_input(
        "Label noise",
        key=KEYS["label_noise"],
        step=LABEL_NOISE_STEP,
        format="%.7g",
        help="The share of training labels, from 0 to 1, that are replaced by a random class.",
        **how,
    )


def fill_form(experiment: Experiment) -> None:
    """Fill the form with the fields of this experiment, unless it shows them already."""
    if st.session_state.get(SESSION_FORM_KEY) == experiment.key and KEYS["depth"] in st.session_state:
        return
    shown: dict[str, Any] = experiment.to_dict()
    if REGULARIZERS[experiment.regularizer].strength is None:
        shown["strength"] = None
    if experiment.train_images == experiment.dataset_info.train_images_by_default(experiment.split):
        shown["train_images"] = None
    st.session_state.update({KEYS[name]: value for name, value in shown.items()})
    st.session_state[SESSION_FORM_KEY] = experiment.key


def on_change_dataset() -> None:
    """Select the experiment with all training images of the chosen data set."""
    st.session_state[KEYS["train_images"]] = None
    on_change()


def on_change_regularizer() -> None:
    """Select the experiment with the default strength of the chosen regularizer."""
    st.session_state[KEYS["strength"]] = None
    on_change()


def on_change() -> None:
    """Select the experiment of the form; where its fields make none, keep the error for the next run of the page."""
    before = selected_network.selected_experiment() or Experiment()
    fields = {name: st.session_state.get(KEYS[name], value) for name, value in before.to_dict().items()}
    if REGULARIZERS[fields["regularizer"]].strength is None:
        fields["strength"] = None
    try:
        same = fields["dataset"] == before.dataset
        fields |= before.dataset_fields if same else data.dataset_fields(fields["dataset"])
        experiment = Experiment.from_dict(fields)
    except (ExperimentError, DatasetMissing) as error:
        st.session_state[SESSION_FORM_ERROR] = str(error)
        return
    st.session_state[SESSION_FORM_KEY] = None
    selected_network.show_experiment(experiment)
