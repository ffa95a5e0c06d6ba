"""Which pictures does it get wrong, and how sure was it?

Everything here was written down when a training ended: what a network said about each test picture. Nothing is computed
anew, so the figures are there without the data set; only the pictures need it. With a second network, the page asks
what the first one fixed and what it broke.
"""

from collections.abc import Callable, Mapping

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab import metrics
from cnnlab.pages import address, cached, selection
from cnnlab.pages.ink import ink
from cnnlab.pages.wrong import drawing, exam, gallery, words
from cnnlab.pages.wrong.exam import Exam
from cnnlab.pages.wrong.gallery import Tile
from cnnlab.runs import Run

FIRST_CHOICE = "final-3conv-dropout"
ORDERS = {"surest": "surest first", "unsure": "least sure first"}
A_SHEET = 15  # pictures at a time
CONFIDENCE = (
    "A network gives each class a probability; the largest one is its answer, and how large it is, its confidence. "
    "Sort the test pictures by confidence, and look at those that it was 80 to 90 % sure of: if it knows how sure it "
    "may be, it is right about 85 % of them, and its point lies on the dashed line. Below the line it is too sure of "
    "itself. Large points stand for many pictures; one that stands for fewer than 20 says little and stays off the "
    "line (Guo and others, 2017)."
)


def page() -> None:
    """Choose a network, or two; see what it gets wrong; look at the pictures."""
    st.title("Which pictures does it get wrong, and how sure was it?", anchor=False)
    st.caption("Counted on test pictures, which no network has learned from. A click on a picture looks inside.")
    runs = [run for run in cached.all_runs() if cached.record(run).get("state") == "done"]
    if not runs:
        st.info("No network has been trained to its end here yet: train one on the page Train, then see its mistakes.")
        return
    mine, other = chosen(runs)
    if mine is None:
        st.info("This network has said nothing about the test pictures yet: let its training end, or choose another.")
    elif other is None:
        alone(mine)
    else:
        against(mine, other)


# -- which networks ----------------------------------------------------------------------------------------------------


def chosen(runs: list[Run]) -> tuple[Exam | None, Exam | None]:
    """The exam of the network in the address, and of the one it is compared with, None where there is none."""
    wanted = selection.current()
    usual = next((run for run in runs if run.name == FIRST_CHOICE), runs[0])
    run = selection.open_chosen(wanted.run, usual) or usual
    rivals = [one for one in runs if one.experiment.dataset == run.experiment.dataset and one.name != run.name]
    versus = next((one for one in rivals if one.name == wanted.versus), None)
    if wanted.versus not in ("", run.name) and versus is None:
        which = selection.shortened(wanted.versus)
        selection.complain([f"{which} is no network that this one can be compared with: both need the same pictures."])
    selection.choose(run=run.name, versus=versus.name if versus else "")
    with st.container(horizontal=True):
        menu("run", "Network", [run, *(one for one in runs if one.name != run.name)], run.name)
        menu("versus", "Compared with", rivals, versus.name if versus else "", nobody="no other network")
    return exam.read(run), exam.read(versus) if versus else None


def menu(field: str, label: str, runs: list[Run], name: str, nobody: str = "") -> None:
    """A menu of networks that writes one field of the selection."""
    titles = ({"": nobody} if nobody else {}) | {run.name: run.title for run in runs}
    key = f"mistakes {field}"
    st.session_state[key] = name
    st.selectbox(
        label, list(titles), format_func=titles.__getitem__, key=key, on_change=choose, args=(field, key), width=300
    )


def choose(field: str, key: str) -> None:
    """What was chosen in a menu goes into the address."""
    selection.choose(**{field: st.session_state[key]})


# -- one network -------------------------------------------------------------------------------------------------------


def alone(mine: Exam) -> None:
    """What it takes for what, the pictures, class by class, and how sure it was."""
    st.subheader(words.verdict(mine.run.title, mine.answers), anchor=False)
    st.write(words.details(mine.answers, mine.table, mine.classes))
    left, right = st.columns([1, 1.1], gap="large")
    with left:
        matrix(mine)
    with right:
        selected(mine)
    left, right = st.columns([1, 1.1], gap="large")
    with left:
        by_class(mine)
    with right:
        calibration({mine.run.title: mine})


def matrix(mine: Exam) -> None:
    """What it takes for what. A click on a square writes its class and its answer into the address."""
    st.subheader("What does it take for what?", anchor=False)
    spec = drawing.matrix_chart(mine.table, mine.classes, cell_in_address(mine.classes), ink())
    st.vega_lite_chart(
        spec=spec, key="matrix", on_select=clicked, width="stretch", alt=drawing.matrix_words(mine.table, mine.classes)
    )
    st.caption(
        "Rows: what it is. Columns: what the network said. Blue: right. Red: wrong, the redder the more often. The "
        "last row and column add up the mistakes. A click on a square shows its pictures."
    )


def clicked() -> None:
    """The square that was clicked."""
    for cell in st.session_state["matrix"].selection.get("cell", []):
        for field in ("truth", "said"):
            address.put(field, None if cell[field] == drawing.ANY else cell[field])


def cell_in_address(classes: tuple[str, ...]) -> tuple[str, str]:
    """The chosen (truth, said), "" for any."""
    options = dict.fromkeys(("", *classes), "")
    return address.word("truth", options), address.word("said", options)


def selected(mine: Exam) -> None:
    """The pictures of the chosen square, row or column; the menus reach every one of them without a mouse."""
    names = {name: name for name in mine.classes}
    with st.container(horizontal=True):
        truth = address.menu("truth", "It is", {"": "any class"} | names, width=130)
        said = address.menu("said", "It said", {"": "anything wrong"} | names, width=150)
        surest = address.choice("order", "Order", ORDERS) == "surest"
    numbers = {"": None} | {name: label for label, name in enumerate(mine.classes)}
    which = mine.answers.where(numbers[truth], numbers[said])
    order = metrics.ordered(which, mine.answers.confidence, surest)
    st.markdown(f"**{words.selection(len(order), truth, said)}**")
    show(mine, order, f"{truth} {said} {surest}", lambda number: words.caption(mine.answers, number, mine.classes))


def by_class(mine: Exam) -> None:
    """The share of each class that it recognizes."""
    st.subheader("Which class does it know?", anchor=False)
    shares, (colour,) = metrics.class_accuracy(mine.table), drawing.colours_of([mine.run.experiment.regularizer])
    spec = drawing.class_chart(shares, mine.classes, colour, ink())
    st.vega_lite_chart(spec=spec, key="classes", width="stretch", alt=drawing.class_words(shares, mine.classes))


# -- two networks ------------------------------------------------------------------------------------------------------


def against(mine: Exam, other: Exam) -> None:
    """What the first network fixed and broke, the pictures, class by class, and how sure both were."""
    names = words.told_apart(mine.run.experiment, other.run.experiment)
    try:
        groups = metrics.exchange(mine.answers, other.answers)
    except ValueError:
        st.warning("These two networks were tested on different pictures: choose two that had the same data set.")
        return
    st.subheader(words.exchanged(*names, groups), anchor=False)
    st.write(words.shared(groups) + " " + words.most_moved(groups, mine.answers.truth, mine.classes))
    left, right = st.columns([1, 1.1], gap="large")
    with left:
        st.subheader("Which classes gained, which lost?", anchor=False)
        told = drawing.exchange_words(groups, mine.answers.truth, mine.classes)
        spec = drawing.exchange_chart(groups, mine.answers.truth, mine.classes, ink())
        st.vega_lite_chart(spec=spec, key="exchange", width="stretch", alt=told)
    with right:
        compared(mine, other, names, groups)
    with st.container(width=640):
        calibration(dict(zip(names, (mine, other), strict=True)))


def compared(mine: Exam, other: Exam, names: tuple[str, str], groups: metrics.Exchange) -> None:
    """The pictures that were fixed, broken, or are wrong in both."""
    group = address.choice("group", "Pictures", words.group_names(groups), wrap=True)
    with st.container(horizontal=True):
        truth = address.menu("truth", "It is", {"": "any class"} | {name: name for name in mine.classes}, width=150)
        surest = address.choice("order", "Order", ORDERS) == "surest"
    which: NDArray[np.bool_] = getattr(groups, group)
    if truth:
        which = which & (mine.answers.truth == mine.classes.index(truth))
    mistaken = other if group == "fixed" else mine
    order = metrics.ordered(which, mistaken.answers.confidence, surest)
    st.markdown(f"**{words.grouped(len(order), group, truth, names)}**")
    st.caption(f"Bold: what {names[0]} says. Below: what {names[1]} says.")

    def caption(number: int) -> tuple[list[str], str]:
        return words.both_captions((mine.answers, other.answers), names, number, mine.classes)

    show(mine, order, f"{group} {truth} {surest}", caption)


# -- for one and for two -----------------------------------------------------------------------------------------------


def calibration(exams: Mapping[str, Exam]) -> None:
    """How often each network is right when it is so sure."""
    st.subheader("Does it know how sure it may be?", anchor=False)
    for name, one in exams.items():
        st.write(words.calibrated(name, one.answers))
    curves = {name: metrics.calibration(one.logits, one.labels) for name, one in exams.items()}
    colours = drawing.colours_of([one.run.experiment.regularizer for one in exams.values()])
    spec = drawing.calibration_chart(curves, colours)
    st.vega_lite_chart(spec=spec, key="calibration", width="stretch", alt=drawing.calibration_words(curves))
    with st.expander("How to read this"):
        st.write(CONFIDENCE)


def show(mine: Exam, numbers: NDArray[np.int64], what: str, caption: Callable[[int], tuple[list[str], str]]) -> None:
    """A sheet of pictures, and a way to the next. `caption` gives the lines under a picture and its words."""
    pictures, missing = exam.pictures(mine)
    if missing:
        st.info(missing)
    if pictures is None:
        return
    here = numbers[numbers < len(pictures.labels)]
    if not len(here):
        return
    sheets = -(-len(here) // A_SHEET)
    place = st.container()
    sheet = st.pagination(sheets, key=f"sheet {mine.run.name} {what}") if sheets > 1 else 1
    tiles = []
    for number in here[(sheet - 1) * A_SHEET : sheet * A_SHEET].tolist():
        lines, said = caption(number)
        to = {"run": mine.run.name, "image": pictures.reference(number)}
        tiles.append(Tile(pixels=np.asarray(pictures.pictures[number]), words=to, caption=lines, alt=said))
    with place:
        gallery.show(tiles)
