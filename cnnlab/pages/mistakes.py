"""Which pictures does it get wrong, and how sure was it?

Everything here was written down when a training ended: what a network said about each test picture. Nothing is computed
anew, so the figures are there without the data set; only the pictures need it. With a second network, the page asks
what the first one fixed and what it broke.
"""

from collections.abc import Callable, Mapping

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab.analysis import metrics
from cnnlab.analysis.statistics import expected_calibration_error
from cnnlab.explanations import mistakes as explanations
from cnnlab.rendering import mistake_charts
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage.runs import DamagedRun, Run
from cnnlab.ui import cache, damaged_runs, image_grid, query_state, selected_network, selection, test_results
from cnnlab.ui.image_grid import GridImage
from cnnlab.ui.test_results import TestResults

DEFAULT_RUN = "final-3conv-dropout"
ORDERS = {"surest": "surest first", "unsure": "least sure first"}
NOT_TRAINED = "is not trained yet."
MATRIX_HEIGHT = 480  # pixels: each cell is at least 32 high, and on a phone as wide: then the matrix scrolls
MATRIX_STYLE = """<style>@media (max-width: 640px) {
  .st-key-matrix_scroll { overflow-x: auto; }
  .st-key-matrix { min-width: 520px; }
}</style>"""
IMAGES_PER_PAGE = 15  # pictures at a time
CALIBRATION_HELP = (
    "A network gives each class a probability; the largest one belongs to its prediction, and how large it is, is its "
    "confidence. Sort the test images by confidence, and look at those with 80 to 90 %: if it is justified, "
    "about 85 % of them are correct, and its point lies on the dashed line. Below the line it is overconfident. Large "
    "points stand for many images; one that stands for fewer than 20 says little and stays off the line (Guo and "
    "others, 2017)."
)


def page() -> None:
    """Choose a network, or two; see what it gets wrong; look at the pictures."""
    st.title("Which pictures does it get wrong, and how sure was it?", anchor=False)
    st.caption("Counted on test pictures, which no network has learned from. A click on a picture looks inside.")
    runs = [run for run in cache.list_runs() if is_tested(run)]
    if not runs:
        st.info("No network has been trained to its end here yet: train one on the page Train, then see its mistakes.")
        return
    wanted = selection.current_selection()
    default = next((run for run in runs if run.name == DEFAULT_RUN), runs[0])
    try:
        run = selected_network.open_network(wanted.run, default)
        if run is None or "test" not in cache.predictions(run):
            reason = "has no answers to the test pictures: they come at the end of a training." if run else NOT_TRAINED
            selected_network.unavailable_network(reason, runs, select_other_run)
            return
        mine, other = selected_results(run, runs, wanted.versus)
    except DamagedRun as damage:
        st.error(escape_markdown(f"{damage} Choose another network, or train it again."), icon=damaged_runs.ICON)
        return
    if mine is None:
        return
    if other is None:
        single_network(mine)
    else:
        network_comparison(mine, other)


def is_tested(run: Run) -> bool:
    """Whether the training ended and left the answers to the test pictures."""
    return run.record.state == "done" and (run.path / "predictions.npz").exists()


# -- which networks ----------------------------------------------------------------------------------------------------


def selected_results(run: Run, runs: list[Run], wanted: str) -> tuple[TestResults | None, TestResults | None]:
    """The test results of the network, and of the one it is compared with, None where there is none."""
    rivals = [one for one in runs if one.experiment.dataset == run.experiment.dataset and one.name != run.name]
    rivals.sort(key=lambda one: train_images(one) != train_images(run))  # those that learned from as many come first
    versus = next((one for one in rivals if one.name == wanted), None)
    if versus and train_images(versus) != train_images(run) and not is_asked_for(wanted):
        versus = None  # chosen on another page, beside another network
    elif wanted not in ("", run.name) and versus is None:
        which = selection.quoted(wanted)
        selection.show_problems(
            [f"{which} is no network that this one can be compared with: both need the same pictures."]
        )
    selection.update_selection(run=run.name, versus=versus.name if versus else "")
    with st.container(horizontal=True):
        run_menu("run", "Network", [run, *(one for one in runs if one.name != run.name)], run.name)
        run_menu("versus", "Compared with", rivals, versus.name if versus else "", nobody="no other network")
    return test_results.load_test_results(run), test_results.load_test_results(versus) if versus else None


def train_images(run: Run) -> int:
    """How many images the network learned from."""
    return int(run.experiment.train_images or 0)


def is_asked_for(versus: str) -> bool:
    """Whether this page's own address names the network to compare with, and not only the session."""
    return st.query_params.get("versus") == versus


def select_other_run(name: str) -> None:
    """Show this network; one that it is compared with stays where both learned from as many images."""
    versus = selection.parse_selection(selection.selection_words())[0].versus
    found = {run.name: train_images(run) for run in cache.list_runs()}
    alike = name in found and versus in found and found[name] == found[versus]
    selection.update_selection(run=name, versus=versus if alike else "")


def run_menu(field: str, label: str, runs: list[Run], name: str, nobody: str = "") -> None:
    """A menu of networks that writes one field of the selection."""
    titles = ({"": nobody} if nobody else {}) | {run.name: run.title for run in runs}
    key = f"mistakes {field}"
    st.session_state[key] = name
    st.selectbox(
        label,
        list(titles),
        format_func=titles.__getitem__,
        key=key,
        on_change=on_run_selected,
        args=(field, key),
        width=300,
    )


def on_run_selected(field: str, key: str) -> None:
    """What was chosen in a menu goes into the address."""
    if field == "run":
        select_other_run(st.session_state[key])
    else:
        selection.update_selection(**{field: st.session_state[key]})


# -- one network -------------------------------------------------------------------------------------------------------


def single_network(mine: TestResults) -> None:
    """What it takes for what, the pictures, class by class, and how sure it was."""
    st.header(explanations.error_headline(mine.run.title, mine.predictions), anchor=False)
    st.write(explanations.error_details(mine.predictions, mine.confusion, mine.classes))
    left, right = st.columns([1, 1.1], gap="large")
    with left:
        confusion_matrix(mine)
    with right:
        selected_images(mine)
    left, right = st.columns([1, 1.1], gap="large")
    with left:
        class_accuracies(mine)
    with right:
        calibration({mine.run.title: mine})


def confusion_matrix(mine: TestResults) -> None:
    """What it takes for what. A click on a square writes its class and its answer into the address."""
    st.header("Which classes does it confuse?", anchor=False)
    spec = mistake_charts.confusion_matrix_chart(mine.confusion, mine.classes, selected_cell(mine.classes))
    st.html(MATRIX_STYLE)
    with st.container(key="matrix_scroll"):
        st.vega_lite_chart(
            spec=spec | {"height": MATRIX_HEIGHT},
            key="matrix",
            on_select=on_cell_clicked,
            width="stretch",
            alt=mistake_charts.describe_confusion_matrix(mine.confusion, mine.classes),
        )
    st.caption(
        "Rows: true class. Columns: predicted class. Blue: correct. Red: wrong, the stronger the more often. The "
        "last row and column add up the mistakes. A click on a square shows its pictures."
    )


def on_cell_clicked() -> None:
    """The square that was clicked."""
    for cell in st.session_state["matrix"].selection.get("cell", []):
        chosen = {field: cell[field] for field in ("truth", "said")}
        query_state.set_params({name: None if one == mistake_charts.ALL_WRONG else one for name, one in chosen.items()})


def selected_cell(classes: tuple[str, ...]) -> tuple[str, str]:
    """The chosen (truth, said), "" for any."""
    options = dict.fromkeys(("", *classes), "")
    return query_state.read_option("truth", options), query_state.read_option("said", options)


def selected_images(mine: TestResults) -> None:
    """The pictures of the chosen square, row or column; the menus reach every one of them without a mouse."""
    names = {name: name for name in mine.classes}
    with st.container(horizontal=True):
        truth = query_state.select_param("truth", "It is", {"": "any class"} | names, width=130)
        said = query_state.select_param("said", "It said", {"": "anything wrong"} | names, width=150)
        surest = query_state.segmented_param("order", "Order", ORDERS) == "surest"
    numbers = {"": None} | {name: label for label, name in enumerate(mine.classes)}
    which = mine.predictions.select(numbers[truth], numbers[said])
    order = metrics.sort_by_confidence(which, mine.predictions.confidence, surest)
    st.markdown(f"**{explanations.describe_selected_images(len(order), truth, said)}**")
    image_pages(
        mine,
        order,
        f"{truth} {said} {surest}",
        lambda number: explanations.image_caption(mine.predictions, number, mine.classes),
    )


def class_accuracies(mine: TestResults) -> None:
    """The share of each class that it recognizes."""
    st.header("Accuracy per class", anchor=False)
    shares, (colour,) = (
        metrics.class_accuracy(mine.confusion),
        mistake_charts.regularizer_colors([mine.run.experiment.regularizer]),
    )
    spec = mistake_charts.class_accuracy_chart(shares, mine.classes, colour)
    st.vega_lite_chart(
        spec=spec, key="classes", width="stretch", alt=mistake_charts.describe_class_accuracy(shares, mine.classes)
    )


# -- two networks ------------------------------------------------------------------------------------------------------


def network_comparison(mine: TestResults, other: TestResults) -> None:
    """What the first network fixed and broke, the pictures, class by class, and how sure both were."""
    names = explanations.distinguishing_titles(mine.run.experiment, other.run.experiment)
    try:
        groups = metrics.compare_predictions(mine.predictions, other.predictions)
    except ValueError:
        st.warning("These two networks were tested on different pictures: choose two that had the same data set.")
        return
    st.header(explanations.comparison_headline(*names, groups), anchor=False)
    st.write(
        explanations.describe_agreement(groups)
        + " "
        + explanations.describe_class_changes(groups, mine.predictions.true_class, mine.classes)
    )
    if train_images(mine.run) != train_images(other.run):
        st.warning(
            f"{names[0]} learned from {train_images(mine.run):,} images and {names[1]} from"
            f" {train_images(other.run):,}: part of the difference may come from that."
        )
    left, right = st.columns([1, 1.1], gap="large")
    with left:
        st.subheader("Which classes gained, which lost?", anchor=False)
        told = mistake_charts.describe_outcomes(groups, mine.predictions.true_class, mine.classes)
        spec = mistake_charts.outcome_chart(groups, mine.predictions.true_class, mine.classes)
        st.vega_lite_chart(spec=spec, key="exchange", width="stretch", alt=told)
    with right:
        comparison_images(mine, other, names, groups)
    with st.container(width=640):
        calibration(dict(zip(names, (mine, other), strict=True)))


def comparison_images(
    mine: TestResults, other: TestResults, names: tuple[str, str], groups: metrics.PairedOutcomes
) -> None:
    """The pictures that were fixed, broken, or are wrong in both."""
    group = query_state.segmented_param("group", "Pictures", explanations.outcome_options(groups), wrap=True)
    with st.container(horizontal=True):
        truth = query_state.select_param(
            "truth", "It is", {"": "any class"} | {name: name for name in mine.classes}, width=150
        )
        surest = query_state.segmented_param("order", "Order", ORDERS) == "surest"
    which = groups.mask(group)
    if truth:
        which = which & (mine.predictions.true_class == mine.classes.index(truth))
    mistaken = other if group == "fixed" else mine
    order = metrics.sort_by_confidence(which, mistaken.predictions.confidence, surest)
    st.markdown(f"**{explanations.describe_outcome_images(len(order), group, truth, names)}**")
    st.caption(f"Bold: what {names[0]} says. Below: what {names[1]} says.")

    def caption(number: int) -> tuple[list[str], str]:
        return explanations.comparison_caption((mine.predictions, other.predictions), names, number, mine.classes)

    image_pages(mine, order, f"{group} {truth} {surest}", caption)


# -- for one and for two -----------------------------------------------------------------------------------------------


def calibration(exams: Mapping[str, TestResults]) -> None:
    """How often each network is right when it is so sure."""
    st.header("Is its confidence justified?", anchor=False)
    for name, one in exams.items():
        st.write(
            explanations.describe_calibration(name, one.predictions, expected_calibration_error(one.logits, one.labels))
        )
    curves = {name: metrics.calibration(one.logits, one.labels) for name, one in exams.items()}
    colours = mistake_charts.regularizer_colors([one.run.experiment.regularizer for one in exams.values()])
    spec = mistake_charts.calibration_chart(curves, colours)
    st.vega_lite_chart(
        spec=spec, key="calibration", width="stretch", alt=mistake_charts.describe_calibration_curve(curves)
    )
    with st.expander("How to read this"):
        st.write(CALIBRATION_HELP)


def image_pages(
    mine: TestResults, numbers: NDArray[np.int64], what: str, caption: Callable[[int], tuple[list[str], str]]
) -> None:
    """A sheet of pictures, and a way to the next. `caption` gives the lines under a picture and its words."""
    pictures, missing = test_results.available_images(mine)
    if missing:
        st.info(missing)
    if pictures is None:
        return
    here = numbers[numbers < len(pictures.labels)]
    if not len(here):
        return
    sheets = -(-len(here) // IMAGES_PER_PAGE)
    place = st.container()
    sheet = st.pagination(sheets, key=f"sheet {mine.run.name} {what}") if sheets > 1 else 1
    tiles = []
    for number in here[(sheet - 1) * IMAGES_PER_PAGE : sheet * IMAGES_PER_PAGE].tolist():
        lines, said = caption(number)
        to = {"run": mine.run.name, "image": pictures.image_name(number)}
        tiles.append(GridImage(pixels=np.asarray(pictures.images[number]), params=to, caption=lines, alt=said))
    with place:
        image_grid.image_grid(tiles)
