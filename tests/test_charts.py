"""The charts hold what they are given, and their words say what the figures say."""

import io
import json

import altair as alt
import numpy as np
import pyarrow as pa
import pytest
from history_factories import columns

from cnnlab.analysis import curve_summary
from cnnlab.experiment import REGULARIZERS
from cnnlab.explanations import curves
from cnnlab.rendering import charts, palette

LEARNS = columns([0.1, 0.5, 0.62], [0.1, 0.5, 0.6])
MEMORIZES = columns([0.1, 0.7, 0.9], [0.1, 0.6, 0.65])


def table(spec):
    return pa.ipc.open_stream(io.BytesIO(spec["datasets"]["figures"])).read_all().to_pydict()


def all_charts():
    named = {"3-conv, dropout 0.1": LEARNS, "3-conv, no regularizer": MEMORIZES}
    colours = [palette.REGULARIZER_COLORS["dropout"], palette.REGULARIZER_COLORS["none"]]
    return {
        "accuracy": charts.accuracy_chart(LEARNS, 2),
        "loss": charts.loss_chart(LEARNS, 2),
        "penalty": charts.penalty_chart(columns([0.1, 0.5], [0.1, 0.5], 0.003), 2),
        "panel": charts.panel_chart(LEARNS, 30),
        "overlay": charts.overlay_chart(named, colours, 30),
        "ranking": charts.ranking_chart(["a", "b"], [0.6, 0.7], ["none", "l2"], [0.6, 0.6]),
        "gaps": charts.ranking_chart(["a", "b"], [0.3, 0.1], ["none", "l2"], [0.3, 0.2], points=True),
    }


@pytest.mark.parametrize("name", list(all_charts()))
@pytest.mark.slow
def test_a_chart_is_a_valid_specification_that_draws_only_what_is_in_its_figures(name):
    spec = all_charts()[name]
    held = set(table(spec))
    bare = {key: value for key, value in spec.items() if key != "datasets"}
    alt.Chart.from_dict(bare)  # raises where Vega-Lite's schema is broken
    folded = {"line", "value"}
    assert fields(bare) <= held | folded
    assert bare["data"] == {"name": "figures"}


def fields(part):
    """Every "field" anywhere in a specification."""
    if isinstance(part, dict):
        own = {part["field"]} if isinstance(part.get("field"), str) else set()
        return own.union(*(fields(value) for value in part.values()))
    return set().union(*(fields(value) for value in part)) if isinstance(part, list) else set()


def test_the_accuracy_chart_shows_what_was_measured_and_what_keras_reports():
    held = table(charts.accuracy_chart(LEARNS, 30))
    assert held["epoch"] == [0, 1, 2]
    assert held["training"] == [0.1, 0.5, 0.62]
    assert held["validation"] == [0.1, 0.5, 0.6]
    assert np.isnan(held["reported"][0])
    assert held["reported"][1:] == pytest.approx([0.48, 0.6])


def test_the_gap_is_shaded_between_the_two_curves_that_are_measured_alike():
    area = charts.accuracy_chart(LEARNS, 30)["layer"][0]
    assert area["mark"]["type"] == "area"
    assert {area["encoding"]["y"]["field"], area["encoding"]["y2"]["field"]} == {"training", "validation"}


def test_training_and_validation_differ_in_colour_and_in_dash():
    colours, dashes = zip(*palette.LINE_STYLES.values(), strict=True)
    pairs = set(zip(colours, map(tuple, dashes), strict=True))
    assert len(pairs) == 3
    assert palette.LINE_STYLES["training"][0] != palette.LINE_STYLES["validation"][0]
    assert set(palette.REGULARIZER_COLORS) == set(REGULARIZERS)
    assert len(set(palette.REGULARIZER_COLORS.values())) == 4


def test_a_second_drawing_builds_nothing_and_spoils_nothing():
    first = charts.accuracy_chart(LEARNS, 30)
    kept = json.dumps({key: value for key, value in first.items() if key != "datasets"})
    first["datasets"].clear()
    first.pop("data")
    again = charts.accuracy_chart(MEMORIZES, 30)
    assert json.dumps({key: value for key, value in again.items() if key != "datasets"}) == kept
    assert table(again)["training"] == [0.1, 0.7, 0.9]


def test_panels_share_their_axes_whatever_they_hold():
    low, high = (charts.panel_chart(history, 30) for history in (columns([0.1], [0.1]), MEMORIZES))
    assert low["layer"] == high["layer"]


def test_words_and_numbers_pass_through_the_figures_unharmed():
    names = ["3-conv, dropout 0.1", "", "für Übungen", "🐈"]
    held = (
        pa.ipc.open_stream(io.BytesIO(charts.arrow_table(name=names, value=[1, 2.5, np.nan, -1])))
        .read_all()
        .to_pydict()
    )
    assert held["name"] == names
    assert held["value"][:2] == [1.0, 2.5]


def test_bars_stand_in_the_order_of_their_values_and_the_smallest_gap_first():
    best = table(charts.ranking_chart(["a", "b", "c"], [0.6, 0.7, 0.65], ["none"] * 3, [0.5, 0.9, 0.6]))
    assert best["model"] == ["b", "c", "a"]
    assert best["label"] == ["70.0 %", "65.0 %", "60.0 %"]
    assert best["end"] == pytest.approx([0.9, 0.65, 0.6])
    gaps = table(charts.ranking_chart(["a", "b"], [0.3, 0.1], ["none"] * 2, [0.3, 0.2], points=True))
    assert gaps["model"] == ["b", "a"]
    assert gaps["value"] == pytest.approx([10, 30])


def test_a_reading_is_the_last_epoch_and_remembers_the_best():
    reading = curve_summary.summarize_curves(columns([0.1, 0.8, 0.9], [0.1, 0.7, 0.65]))
    assert (reading.epoch, reading.training, reading.validation) == (2, 0.9, 0.65)
    assert reading.gap == pytest.approx(0.25)
    assert (reading.best, reading.best_epoch) == (0.7, 1)


def test_nothing_is_read_from_an_empty_history():
    assert curve_summary.summarize_curves(columns([], [])) is None
    assert "no epoch" in curves.describe_accuracy(columns([], []), "x")
    assert "no epoch" in curves.describe_loss(columns([], []), "x")


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ([0.0, 0.01, 0.02, 0.03], "rising"),
        ([0.2, 0.1, 0.05], "falling"),
        ([0.1, 0.1001, 0.1, 0.1002], "steady"),
        ([0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1], "steady"),
        ([0.3], "steady"),
    ],
)
def test_where_the_gap_goes_is_read_from_the_last_five_epochs(gaps, said):
    assert curve_summary.trend(np.array(gaps)) == said


@pytest.mark.parametrize(
    ("training", "validation", "begins"),
    [
        (0.62, 0.60, "It learns: it is right on 62 %"),
        (0.70, 0.63, "It learns, and begins to memorize"),
        (0.95, 0.65, "It memorizes"),
        (0.11, 0.10, "It guesses"),
        (0.90, 0.12, "It has hardly learned anything"),
    ],
)
def test_the_question_of_the_page_is_answered_from_the_figures(training, validation, begins):
    assert curves.verdict(curve_summary.summarize_curves(columns([0.1, training], [0.1, validation]))).startswith(
        begins
    )


def test_before_the_first_epoch_nothing_was_learned():
    assert "not learned yet" in curves.verdict(curve_summary.summarize_curves(columns([0.1], [0.1])))


def test_the_penalty_is_told_as_a_share_of_what_training_makes_small():
    history = columns([0.1, 0.5], [0.1, 0.5], penalty=0.003)
    share = 0.003 / (0.003 + 2.35 * 0.5)
    assert f"{100 * share:.1f} %" in curves.describe_penalty(history)
    assert "changes little" in curves.describe_penalty(history)
    assert curves.describe_penalty(LEARNS) is None


def test_the_epoch_at_work_lengthens_keras_curve_alone():
    progress = {"phase": "training", "epoch": 3, "batch": 5, "batches": 10, "accuracy": 0.61, "loss": 1.0}
    longer = curve_summary.append_progress(LEARNS, progress)
    assert longer["epoch"].tolist() == [0, 1, 2, 2.5]
    assert longer["accuracy"][-1] == 0.61
    assert np.isnan(longer["val_accuracy"][-1])
    assert curve_summary.summarize_curves(longer) == curve_summary.summarize_curves(LEARNS)
    assert curves.describe_accuracy(longer, "x") == curves.describe_accuracy(LEARNS, "x")


@pytest.mark.parametrize("progress", [{}, {"phase": "evaluating", "epoch": 3}, {"phase": "starting"}])
def test_without_a_batch_the_history_stays_as_it_is(progress):
    assert curve_summary.append_progress(LEARNS, progress) is LEARNS


def test_a_chart_in_words_has_its_figures():
    words = curves.describe_accuracy(MEMORIZES, "2-conv, no regularizer")
    assert all(part in words for part in ("2-conv, no regularizer", "90.0 %", "65.0 %", "25.0 points", "rising"))
    assert "0.80" in curves.describe_loss(MEMORIZES, "x")
    said = charts.describe_ranking(["a", "b"], [0.1, 0.3], points=True)
    assert said == "Gaps, smallest first: a 10.0 points, b 30.0 points."
