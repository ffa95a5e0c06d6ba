"""What does depth cost? Seconds an epoch under equal conditions, multiply-adds and parameters, against accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from cnnlab import settings
from cnnlab.explanations.epoch_times import describe_cost, describe_cost_chart, describe_depth_time, describe_extremes
from cnnlab.explanations.series_table import describe_averages
from cnnlab.formatting import keep_figures_whole
from cnnlab.pages.compare.results import Results
from cnnlab.rendering import palette
from cnnlab.rendering.charts import Spec
from cnnlab.rendering.cost_charts import CostPoint, cost_chart
from cnnlab.report import network_costs
from cnnlab.series_results import SeriesResult
from cnnlab.storage import epoch_times
from cnnlab.storage.epoch_times import EpochTimes
from cnnlab.ui import cache, query_state
from cnnlab.ui.chart_download import chart_with_download
from cnnlab.ui.state import url_param

COST_PARAM = url_param("cost")
COSTS = {
    "seconds": ("seconds an epoch", ".0f"),
    "multiply_adds": ("million multiply-adds an image", ".2f"),
    "parameters": ("parameters", ",.0f"),
}
MARKS = (
    "Square: 2 convolution layers, circle: 3; side by side where they cost the same. Vertical line: 95 % interval of"
    " the accuracy."
)
RANGE = " Horizontal line: the fastest and the slowest round."


@dataclass(frozen=True)
class Scatter:
    """The scatter of one cost: a sentence ("" where there is none), the chart, its alternative text, notes below it."""

    sentence: str
    chart: Spec
    words: str
    notes: str


def cost(results: Results) -> None:
    """A scatter of validation accuracy against the cost that is chosen."""
    if not any(not result.reestimated for result in results.series()):
        return
    st.header("What does depth cost?", anchor=False)
    times = load_times() if results.is_report else None  # measured on CIFAR-10's images
    choices = {name: label for name, (label, _) in COSTS.items() if name != "seconds" or times}
    which = query_state.segmented_param(COST_PARAM, "Cost", choices)
    measured = times.finished if times else ""
    shown = results.cached(("cost", which, measured), lambda: scatter(results.series(), which, times))
    if shown.sentence:
        st.write(keep_figures_whole(shown.sentence))
    title, _ = COSTS[which]
    st.html(palette.regularizer_legend_html(list(palette.REGULARIZER_COLORS)))
    chart_with_download(shown.chart, alt=shown.words, key="cost", name=f"accuracy and {title}", title=MARKS)
    st.caption(keep_figures_whole(shown.notes))


def scatter(everything: Sequence[SeriesResult], which: str, times: EpochTimes | None) -> Scatter:
    """The scatter of this cost, without the re-estimated results, which cost the same."""
    results = [result for result in everything if not result.reestimated]
    costs, (title, form) = network_costs(which, times), COSTS[which]
    measured = times if which == "seconds" else None
    rounds = measured.seconds if measured else {}
    points = [
        cost_point(result, costs[result.model.name], rounds.get(result.model.name, ()))
        for result in results
        if result.model.name in costs
    ]
    names = [result.model.name for result in results]
    sentences = [describe_depth_time(measured, names), describe_extremes(measured, names)] if measured else []
    return Scatter(
        sentence=" ".join(filter(None, sentences)),
        chart=cost_chart(points, title, form),
        words=describe_cost_chart(title, {point.title: (point.cost, point.accuracy) for point in points}),
        notes=f"{describe_cost(which, times)} {MARKS}{RANGE if rounds else ''} {describe_averages(everything)}",
    )


def cost_point(result: SeriesResult, cost: float, rounds: Sequence[float]) -> CostPoint:
    """A network's mark in the scatter; `rounds`: the measurements of its cost, none for a cost that is counted."""
    experiment = result.model.experiment
    return CostPoint(
        title=f"{experiment.depth}-conv, {experiment.regularizer_title}",
        regularizer=experiment.regularizer,
        depth=experiment.depth,
        cost=cost,
        accuracy=result.accuracy.value,
        low=result.accuracy.low,
        high=result.accuracy.high,
        cost_range=(min(rounds), max(rounds)) if rounds else None,
    )


def load_times() -> EpochTimes | None:
    """The measured times; read again only where a file was written."""
    places = (epoch_times.measured_path(), settings.PRETRAINED / epoch_times.EPOCH_TIMES_FILE)
    return _load_times(tuple((str(place), cache.modified_ns(place)) for place in places))


@st.cache_resource(max_entries=2, show_spinner=False)
def _load_times(moments: tuple[tuple[str, int], ...]) -> EpochTimes | None:
    return epoch_times.load_epoch_times()
