"""Which sweep is shown: the menu of known ones, and the form that defines another one."""

import re
from contextlib import suppress

import streamlit as st

from cnnlab.datasets import DATASETS
from cnnlab.experiment import Experiment, ExperimentError, format_decimal
from cnnlab.formatting import quoted
from cnnlab.regularizers import REGULARIZERS
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage import sweep_files
from cnnlab.storage.sweep_files import UnknownSweep
from cnnlab.sweeps import KINDS, SHIPPED_SWEEPS, Sweep, SweepError, Value, create_sweep, sweep_from_json, sweep_name
from cnnlab.ui.page_address import write_params
from cnnlab.ui.selection import show_problems
from cnnlab.ui.state import session_key, url_param

SWEEP_PARAM = url_param("sweep")  # a name, a key, or a definition as JSON
DEFAULT_SWEEP = "shapes-size"
MENU, KIND, DATASET, VALUES = (session_key(f"sweeps.{name}") for name in ("menu", "kind", "dataset", "values"))
REGULARIZER, DEPTHS, AUGMENT = (session_key(f"sweeps.{name}") for name in ("regularizer", "depths", "augment"))
EPOCHS, SEEDS, IMAGES = (session_key(f"sweeps.{name}") for name in ("epochs", "seeds", "images"))
SESSION_FORM_ERROR = session_key("sweeps.form_error")
DEPTH_CHOICES = (1, 2, 3, 4)
WITH_STRENGTH = [name for name, entry in REGULARIZERS.items() if entry.strength]
MAX_SEEDS = 10
MENU_WIDTH = 560  # pixels: the longest title of a shipped sweep
DEFAULT_VALUES = {  # of the form, by swept field and data set; those of a strength stand in its regularizer's entry
    ("train_images", "shapes"): "250, 500, 1000, 2000",
    ("train_images", "cifar10"): "1000, 5000, 10000, 20000, 40000",
    ("label_noise", "shapes"): "0, 0.2, 0.4, 0.8",
    ("label_noise", "cifar10"): "0, 0.2, 0.4, 0.8",
}
HINTS = {
    "train_images": "Numbers of training images, with commas between them.",
    "strength": "Strengths, with commas between them; 0 is the network without a regularizer.",
    "label_noise": "Shares of training labels that are replaced at random, from 0 to 1.",
}


def requested_sweep() -> Sweep:
    """The sweep that the address names; where it names none, the shipped one of the training set's size."""
    word = st.query_params.get(SWEEP_PARAM, "")
    if not word:
        return SHIPPED_SWEEPS[DEFAULT_SWEEP]
    try:
        return sweep_from_json(word) if word.startswith("{") else sweep_files.open_sweep(word)
    except (SweepError, ExperimentError, UnknownSweep):
        show_problems(
            [f"This address names a sweep that does not exist; another one is shown. Received: {quoted(word)}"]
        )
        return SHIPPED_SWEEPS[DEFAULT_SWEEP]


def show_sweep(sweep: Sweep) -> None:
    """Make this the sweep of the address: by name or key where it is stored, else by its definition."""
    known = sweep in sweep_files.list_sweeps()
    write_params({SWEEP_PARAM: sweep_name(sweep) if known else sweep.to_json()}, [SWEEP_PARAM])


def sweep_menu(sweep: Sweep) -> None:
    """The known sweeps in a menu."""
    known = sweep_files.list_sweeps()
    choices = {sweep_name(known_sweep): known_sweep for known_sweep in (known if sweep in known else [sweep, *known])}
    st.session_state[MENU] = sweep_name(sweep)
    st.selectbox(
        "Sweep",
        list(choices),
        key=MENU,
        format_func=lambda name: menu_label(choices[name]),
        on_change=lambda: show_sweep(choices[st.session_state[MENU]]),
        width=MENU_WIDTH,
    )


def menu_label(sweep: Sweep) -> str:
    """The data set first: 'Shapes: size of the training set, 3-conv, dropout 0.1'."""
    kind, _, network = sweep.title.partition(": ")
    info = sweep.base.dataset_info
    network = network.replace(f", {info.word}", "")
    return f"{info.title}: {kind[0].lower()}{kind[1:]}, {network}"


def menu_title(sweep: Sweep) -> str:
    """The title, with the data set."""
    info = sweep.base.dataset_info
    if info.word in sweep.title:
        return sweep.title.replace(info.word, info.title)
    return f"{sweep.title}, {info.title}"


def new_sweep_form() -> None:
    """The swept setting and the data set stand before the form, since its other fields follow them."""
    with st.expander("New sweep"):
        st.selectbox("Setting", list(KINDS), key=KIND, format_func=KINDS.__getitem__)
        kind = st.session_state[KIND]
        names = {name: info.title for name, info in DATASETS.items()}
        st.segmented_control(
            "Data set", sorted(names, reverse=True), key=DATASET, format_func=names.__getitem__, default="shapes",
            required=True,
        )  # fmt: skip
        choices = WITH_STRENGTH if kind == "strength" else list(REGULARIZERS)
        st.selectbox(
            "Regularizer", choices, key=f"{REGULARIZER}.{kind}", format_func=lambda name: REGULARIZERS[name].label,
            index=choices.index("dropout") if kind != "label_noise" else 0,
        )  # fmt: skip
        with st.form("new sweep", border=False, enter_to_submit=False):
            form_fields(kind)
            st.form_submit_button("Show this sweep", type="primary", width="stretch", on_click=on_submit)
        if problem := st.session_state.pop(SESSION_FORM_ERROR, None):
            st.error(escape_markdown(problem))


def form_fields(kind: str) -> None:
    """Values, depths and what else decides how long it takes."""
    dataset, regularizer = st.session_state[DATASET], st.session_state[f"{REGULARIZER}.{kind}"]
    default = strength_values(regularizer) if kind == "strength" else DEFAULT_VALUES[kind, dataset]
    st.text_input("Values", value=default, key=f"{VALUES}.{kind}.{dataset}.{regularizer}", help=HINTS[kind])
    if kind == "strength":
        st.multiselect("Depths, in convolutions", DEPTH_CHOICES, default=[2, 3], key=DEPTHS)
    else:
        st.selectbox("Depth, in convolutions", DEPTH_CHOICES, index=2, key=f"{DEPTHS}.{kind}")
    if kind == "train_images":
        st.checkbox("with and without augmentation (flip and shift)", value=True, key=AUGMENT)
    else:
        default_images = DATASETS[dataset].train_images_by_default("validation")
        st.number_input("Training images", value=None, key=IMAGES, step=100, placeholder=f"{default_images:,}")
    st.number_input("Epochs", value=Experiment().epochs, key=EPOCHS, step=1)
    st.number_input("Seeds", value=1, key=SEEDS, step=1, help="With 3 or more the intervals are those of the seed.")


def strength_values(regularizer: str) -> str:
    """The strengths that the form proposes: '0, 0.1, 0.3, 0.5'."""
    strength = REGULARIZERS[regularizer].strength
    return ", ".join(map(format_decimal, strength.sweep)) if strength else ""


def on_submit() -> None:
    """The form was sent: its sweep is the page's from now on, or a sentence says what is wrong."""
    try:
        show_sweep(form_sweep())
    except (SweepError, ExperimentError) as error:
        st.session_state[SESSION_FORM_ERROR] = str(error)


def form_sweep() -> Sweep:
    """The sweep that the form describes. Raises SweepError, ExperimentError."""
    state = st.session_state
    kind, dataset = state[KIND], state[DATASET]
    regularizer = state[f"{REGULARIZER}.{kind}"]
    axes: dict[str, list[Value]] = {kind: parse_values(state[f"{VALUES}.{kind}.{dataset}.{regularizer}"])}
    depth = 2
    if kind == "strength":
        axes["depth"] = list(state[DEPTHS])
    else:
        depth = state[f"{DEPTHS}.{kind}"]
    if kind == "train_images" and state[AUGMENT]:
        axes["augment"] = ["none", "flip_shift"]
    seeds = state[SEEDS]
    if not isinstance(seeds, int) or not 1 <= seeds <= MAX_SEEDS:
        raise SweepError(f"Choose between 1 and {MAX_SEEDS} seeds. Received: {seeds}")
    if seeds > 1:
        axes["seed"] = list(range(seeds))
    images = None if kind == "train_images" else state[IMAGES]
    base = Experiment(dataset=dataset, regularizer=regularizer, depth=depth, epochs=state[EPOCHS], train_images=images)
    return create_sweep(base, axes)


def parse_values(text: str) -> list[Value]:
    """The numbers in a text with commas, semicolons or spaces between them. Raises SweepError."""
    words = [word for word in re.split(r"[,;\s]+", text) if word]
    values: list[Value] = []
    for word in words:
        number = None
        with suppress(ValueError):
            number = float(word)
        if number is None:
            raise SweepError(f"Values are numbers with commas between them. Received: {quoted(word)}")
        values.append(int(number) if number.is_integer() else number)
    if not values:
        raise SweepError("Type at least one value. Received: nothing")
    return values
