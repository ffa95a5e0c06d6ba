"""The selection (run, image, epoch, layer, map), stored in the URL, so that a copied link opens the same view.

    /look_inside?run=3conv-dropout&image=sample-0&epoch=10&layer=conv2&map=17

URLs are typed, cut off and invented: every parameter is checked, and a wrong one takes its default and is reported in
one sentence. `experiment_params` does the same for the experiments of the page Train.

The first half is pure functions, the second reads and writes Streamlit's URL and session.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import streamlit as st

from cnnlab.datasets import DATASETS, MAX_PICTURES
from cnnlab.formatting import quoted
from cnnlab.models.architecture import Layer
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage import runs
from cnnlab.storage.imported_networks import StoredNetwork, open_network
from cnnlab.storage.runs import DamagedRun, UnknownRun
from cnnlab.ui.page_address import SESSION_SELECTION, Problems, write_params
from cnnlab.ui.state import session_key, url_param

IMAGE_PATTERN = re.compile(r"(?P<kind>sample|test|shapes|own)-(?P<number>[0-9]{1,5})|photo-[0-9a-f]{16}")
IMAGE_COUNT = (
    {"sample": 20} | {info.image_prefix: info.test_images for info in DATASETS.values()} | {"own": MAX_PICTURES}
)
SESSION_NETWORK = session_key("selection.network")  # the experiment of the selected network, as URL parameters


@dataclass(frozen=True, kw_only=True)
class Selection:
    """One view: a run, an image, an epoch, a layer, one of its maps, and a second run to compare with.

    `run`, `versus`: a key or a shipped run's name, "" for none chosen. `image`: sample-0..19 (shipped), test-0..9999
    (CIFAR-10's test images), shapes-0..999, own-0..59999 (those of one's own pictures, as far as they exist), or
    photo-<16 hex digits>. `epoch`, `map`: None for the last epoch, for no
    map. `layer`: a layer's name, "" for the first convolution.
    """

    run: str = ""
    image: str = "sample-0"
    epoch: int | None = None
    layer: str = ""
    map: int | None = None
    versus: str = ""


SELECTION_PARAMS = tuple(url_param(field.name) for field in fields(Selection))


def parse_selection(params: Mapping[str, str]) -> tuple[Selection, Problems]:
    """The selection that these URL parameters describe, and a sentence for each invalid one.

    Only the form is checked here. `open_selected_run` checks whether the run exists, `fit_selection` what it contains.
    """
    found: dict[str, Any] = {}
    problems: Problems = []
    for name in SELECTION_PARAMS:
        word = params.get(name, "")
        if word == "":
            continue
        try:
            found[name] = READERS[name](word)
        except ValueError as error:
            problems.append(f"This address names {error}. Received: {name}={quoted(word)}")
    return Selection(**found), problems


def _read_run_name(word: str) -> str:
    if not runs.RUN_NAME_PATTERN.fullmatch(word):
        raise ValueError("a run that cannot exist; the default one is shown")
    return word


def _read_image_name(word: str) -> str:
    match = IMAGE_PATTERN.fullmatch(word)
    if match is None or (match["kind"] and int(match["number"]) >= IMAGE_COUNT[match["kind"]]):
        raise ValueError("an image that does not exist; the first sample, a cat, is shown")
    return f"{match['kind']}-{int(match['number'])}" if match["kind"] else word


def _read_integer(word: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", word):
        raise ValueError("something that should be a whole number; the default view is shown")
    return int(word)


def _read_layer_name(word: str) -> str:
    if not re.fullmatch(r"[a-z_]{1,12}[0-9]{0,2}", word):
        raise ValueError("a layer that no network has; the first convolution is shown")
    return word


READERS = {
    "run": _read_run_name,
    "image": _read_image_name,
    "epoch": _read_integer,
    "layer": _read_layer_name,
    "map": _read_integer,
    "versus": _read_run_name,
}


def selection_params(selection: Selection) -> dict[str, str]:
    """The URL parameters of a selection, without those at their default."""
    chosen = {name: value for name, value in asdict(selection).items() if value is not None and value != ""}
    return {name: str(value) for name, value in chosen.items()}


def fit_selection(
    selection: Selection, layers: Collection[Layer], epochs: Collection[int]
) -> tuple[Selection, Problems]:
    """The selection limited to what a run has: its layers, their maps, the epochs whose weights are kept.

    The result has an epoch (the last one kept, where none or a missing one was asked for) and an existing layer.
    """
    problems: Problems = []
    epoch, layer, number = selection.epoch, selection.layer, selection.map
    if epoch is not None and epoch not in epochs:
        listed = ", ".join(map(str, sorted(epochs))) or "none yet"
        problems.append(
            f"This run keeps the weights after epochs {listed}; the last one is shown. Received: epoch={epoch}"
        )
        epoch = None
    shapes = {layer.name: layer.output_shape for layer in layers}
    if layer and layer not in shapes:
        problems.append(f"This network has no layer called {layer}; the first convolution is shown.")
        layer, number = "", None
    layer = layer or next((name for name in shapes if name.startswith("conv")), "")
    maps = shapes[layer][-1] if layer in shapes else 0
    if number is not None and number >= maps:
        problems.append(f"{layer} has maps 0 to {maps - 1}; none is enlarged. Received: map={number}")
        number = None
    last = max(epochs, default=None) if epoch is None else epoch
    return replace(selection, epoch=last, layer=layer, map=number), problems


# -- tied to Streamlit -----------------------------------------------------------------------------------------------


def current_selection() -> Selection:
    """The selection in the URL; for parameters that it lacks, the last selection of this session.

    An invalid parameter is reported on the page, in one sentence.
    """
    selection, problems = parse_selection(current_params())
    show_problems(problems)
    return selection


def current_params() -> dict[str, str]:
    """The parameters of the URL, or of the session where it has none; the session's run where it names only others."""
    named = {name: st.query_params[name] for name in SELECTION_PARAMS if name in st.query_params}
    before: dict[str, str] = st.session_state.get(SESSION_SELECTION, {})
    return ({"run": before["run"]} if before.get("run") else {}) | named if named else before


def update_selection(**changes: Any) -> Selection:
    """Change these fields of the selection and write it into the address; for the body of a page and for callbacks.

    A name that is no field of the selection is a parameter of the address beside it; None takes it out. All of it is
    one change of the address, so one entry in the browser's history.
    """
    selection, _ = parse_selection(current_params())
    others = {name: value for name, value in changes.items() if name not in SELECTION_PARAMS}
    own = {name: value for name, value in changes.items() if name in SELECTION_PARAMS}
    return store_selection(replace(selection, **own), others)


def store_selection(selection: Selection, others: Mapping[str, str | None] | None = None) -> Selection:
    """Write the whole selection into the URL and into the session, and `others` into the URL."""
    params, others = selection_params(selection), others or {}
    st.session_state[SESSION_SELECTION] = params
    also = {name: value for name, value in others.items() if value is not None}
    write_params(params | also, [*SELECTION_PARAMS, *others])
    return selection


def open_selected_run(reference: str, default: StoredNetwork | None) -> StoredNetwork | None:
    """The run or imported network of this reference; where there is none, report it and return `default`."""
    if not reference:
        return default
    try:
        return open_network(reference)
    except UnknownRun as problem:
        shown = f"{default.title} is shown instead" if default else ""
        if isinstance(problem, DamagedRun):
            show_problems([f"{problem} {shown}{'.' if shown else ''}".strip()])
        else:
            show_problems([f"There is no run called {quoted(reference)} here{'; ' if shown else ''}{shown}."])
        return default


def show_problems(problems: Problems) -> None:
    """Show the problems of the URL in one line of bounded length."""
    if problems:
        st.warning(" ".join(map(escape_markdown, problems)), icon=":material/link_off:")
