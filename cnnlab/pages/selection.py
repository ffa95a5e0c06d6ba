"""What is being looked at, written in the address, so that a copied link opens the same view.

    /look_inside?run=3conv-dropout&image=sample-0&epoch=10&layer=conv2&map=17
    /?depth=3&regularizer=dropout&strength=0.2

The first kind is a `Selection`, which the pages share; the second an `Experiment` on the page that trains. Addresses
are typed, cut off and made up: every word is checked here, and a wrong one costs a sentence and takes its default.

The upper half is plain functions. The lower half ties them to Streamlit: `current` reads, `choose` writes.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import streamlit as st

from cnnlab import runs
from cnnlab.architecture import Layer
from cnnlab.experiment import WHOLE_NUMBERS, Experiment, ExperimentError
from cnnlab.runs import Run, UnknownRun

IMAGES = re.compile(r"(?P<kind>sample|test|shapes)-(?P<number>[0-9]{1,5})|photo-[0-9a-f]{16}")
IMAGE_COUNT = {"sample": 20, "test": 10_000, "shapes": 1_000}
MEMORY = "selection in the address"  # where the session keeps the words while another page is open
NUMBERS = {*WHOLE_NUMBERS, "strength", "learning_rate", "train_images"}  # fields of an experiment
LONGEST_SHOWN = 40  # letters of a wrong word that are repeated to its author

Problems = list[str]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """One view: a run, an image, an epoch, a layer, one of its maps, and a second run to compare with.

    `run`, `versus`: a key or a shipped run's name, "" for none chosen. `image`: sample-0..19 (shipped), test-0..9999
    (CIFAR-10's test images), shapes-0..999, or photo-<16 hex digits>. `epoch`, `map`: None for the last epoch, for no
    map. `layer`: a layer's name, "" for the first convolution.
    """

    run: str = ""
    image: str = "sample-0"
    epoch: int | None = None
    layer: str = ""
    map: int | None = None
    versus: str = ""


NAMES = tuple(field.name for field in fields(Selection))
EXPERIMENT_NAMES = tuple(field.name for field in fields(Experiment))


def parse(words: Mapping[str, str]) -> tuple[Selection, Problems]:
    """The selection that these words of an address describe, and a sentence for each word that is none.

    Only the form is checked here. Whether the run exists is `open_chosen`'s question, and what it holds `fit`'s.
    """
    found: dict[str, Any] = {}
    problems: Problems = []
    for name in NAMES:
        word = words.get(name, "")
        if word == "":
            continue
        try:
            found[name] = READERS[name](word)
        except ValueError as error:
            problems.append(f"This address names {error}. Received: {name}={shortened(word)}")
    return Selection(**found), problems


def _reference(word: str) -> str:
    if not runs.REFERENCE.fullmatch(word):
        raise ValueError("a run that cannot exist; the usual one is shown")
    return word


def _image(word: str) -> str:
    match = IMAGES.fullmatch(word)
    if match is None or (match["kind"] and int(match["number"]) >= IMAGE_COUNT[match["kind"]]):
        raise ValueError("an image that there is not; the cat, the first sample, is shown")
    return f"{match['kind']}-{int(match['number'])}" if match["kind"] else word


def _whole(word: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", word):
        raise ValueError("something that should be a whole number and is not; the usual view is shown")
    return int(word)


def _layer(word: str) -> str:
    if not re.fullmatch(r"[a-z_]{1,12}[0-9]{0,2}", word):
        raise ValueError("a layer that no network has; the first convolution is shown")
    return word


READERS = {"run": _reference, "image": _image, "epoch": _whole, "layer": _layer, "map": _whole, "versus": _reference}


def words_of(selection: Selection) -> dict[str, str]:
    """The words for the address: what is chosen, and nothing that is not."""
    chosen = {name: value for name, value in asdict(selection).items() if value is not None and value != ""}
    return {name: str(value) for name, value in chosen.items()}


def fit(selection: Selection, layers: Collection[Layer], epochs: Collection[int]) -> tuple[Selection, Problems]:
    """The selection brought to what a run really has: its layers, their maps, the epochs whose weights were kept.

    The answer names an epoch (the last one kept, where none or a missing one was asked for) and a layer that exists.
    """
    problems: Problems = []
    epoch, layer, number = selection.epoch, selection.layer, selection.map
    if epoch is not None and epoch not in epochs:
        listed = ", ".join(map(str, sorted(epochs))) or "none yet"
        problems.append(
            f"This run keeps the weights after epochs {listed}; the last one is shown. Received: epoch={epoch}"
        )
        epoch = None
    shapes = {one.name: one.output_shape for one in layers}
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


def parse_experiment(words: Mapping[str, str], usual: Experiment) -> tuple[Experiment, Problems]:
    """The experiment that an address describes: `usual`, with the fields that the words name.

    A regularizer that is named without a strength takes its own usual one. Where the words make no experiment, the
    answer is `usual`, and one sentence.
    """
    named = {name: words[name] for name in EXPERIMENT_NAMES if words.get(name, "") != ""}
    if not named:
        return usual, []
    changed: dict[str, Any] = usual.to_dict()
    changed |= {"strength": None} if "regularizer" in named else {}
    changed |= {"train_images": None} if {"dataset", "split"} & set(named) else {}
    try:
        changed |= {name: _number(name, word) if name in NUMBERS else word for name, word in named.items()}
        return Experiment.from_dict(changed), []
    except ExperimentError as error:
        return usual, [f"This address describes no experiment; the usual one is shown. {error}"]


def _number(name: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise ExperimentError(f"{name} must be a number. Received: {name}={shortened(word)}") from None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def experiment_words(experiment: Experiment) -> dict[str, str]:
    """The words for the address: data set, depth and regularizer, and what differs from their usual setting."""
    always = {name: getattr(experiment, name) for name in ("dataset", "depth", "regularizer")}
    usual = Experiment(**always, split=experiment.split)
    other = {
        name: value
        for name, value in experiment.to_dict().items()
        if name not in always and value != getattr(usual, name)
    }
    other |= {"split": experiment.split} if experiment.split != "validation" else {}
    return {name: str(value) for name, value in (always | other).items()}


def shortened(word: str) -> str:
    """What somebody typed, safe to repeat: printable, in quotes, and not too long."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in word)
    return repr(shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + "...")


# -- tied to Streamlit -----------------------------------------------------------------------------------------------


def current() -> Selection:
    """The selection in the address; where the address says nothing, the one this session looked at last.

    A word that cannot be used is complained about on the page, in one sentence.
    """
    words = {name: st.query_params[name] for name in NAMES if name in st.query_params}
    selection, problems = parse(words or st.session_state.get(MEMORY, {}))
    complain(problems)
    return selection


def choose(**changes: Any) -> Selection:
    """Change these fields of the selection and write it into the address; for the body of a page and for callbacks."""
    words = {name: st.query_params[name] for name in NAMES if name in st.query_params}
    selection, _ = parse(words or st.session_state.get(MEMORY, {}))
    return remember(replace(selection, **changes))


def remember(selection: Selection) -> Selection:
    """Write the whole selection into the address and into the session's memory."""
    words = words_of(selection)
    st.session_state[MEMORY] = words
    write(words, NAMES)
    return selection


def write(words: Mapping[str, str], names: Collection[str]) -> None:
    """Make the address say `words` and none of the other `names`. Writing what it says already costs nothing."""
    for name in names:
        if name in words and st.query_params.get(name) != words[name]:
            st.query_params[name] = words[name]
        elif name not in words and name in st.query_params:
            del st.query_params[name]


def open_chosen(reference: str, otherwise: Run | None) -> Run | None:
    """The run of this reference. Where there is none, a sentence on the page, and `otherwise`."""
    if not reference:
        return otherwise
    try:
        return runs.open_run(reference)
    except UnknownRun:
        usual = f"; {otherwise.title} is shown instead." if otherwise else "."
        complain([f"There is no run called {shortened(reference)} here{usual}"])
        return otherwise


def complain(problems: Problems) -> None:
    """Show what was wrong with the address: one line, however much it was."""
    if problems:
        st.warning(" ".join(_plain(problem) for problem in problems), icon=":material/link_off:")


def _plain(text: str) -> str:
    """Text that Markdown leaves alone: these are somebody else's words."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|$~:&])", r"\\\1", text)
