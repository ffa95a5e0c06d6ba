"""The verdict on a network with batch normalization is that of both of its measures; its words have stated limits."""

import re

import numpy as np
import pytest
from history_factories import columns, history, write

from cnnlab import settings
from cnnlab.analysis.curve_summary import reestimated_summary, summarize_curves
from cnnlab.analysis.statistics import generalization_gap
from cnnlab.array_types import History
from cnnlab.experiment import Experiment
from cnnlab.explanations import learning_verdict
from cnnlab.pages.train.learning_curves import find_reestimated_summary
from cnnlab.report_models import REPORT
from cnnlab.storage import runs

BATCHNORM, DROPOUT = REPORT["3conv-batchnorm"].experiment, REPORT["3conv-dropout"].experiment
PLAIN = summarize_curves(columns([0.1, 0.95], [0.1, 0.65]))  # a gap of 30 points


def verdict(averages, anew, reported=None):
    """By both measures, each (training accuracy, validation accuracy)."""
    curve: History = columns([0.1, averages[0]], [0.1, averages[1]])
    if reported is not None:
        curve["accuracy"][-1] = reported
    summary = summarize_curves(curve)
    return learning_verdict.verdict(summary, BATCHNORM, PLAIN, reestimated=reestimated_summary(summary, *anew))


def test_two_measures_that_agree_are_named_with_the_figures_of_both():
    words = verdict((0.90, 0.66), (0.98, 0.70))
    assert words.startswith("It learns, with strong overfitting, by both measures")
    assert all(part in words for part in ("90 %", "66 %", "24.0 points", "98 %", "70 %", "28.0 points"))


@pytest.mark.parametrize(("training", "validation", "said"), [(0.8732, 0.7496, True), (0.87, 0.75, False)])
def test_a_gap_that_is_not_the_difference_of_the_shown_figures_is_explained(training, validation, said):
    """87.3 and 75.0 differ by 12.3, the gap of 87.32 and 74.96 is shown as 12.4."""
    summary = summarize_curves(columns([0.1, training], [0.1, validation]))
    assert bool(learning_verdict.describe_rounding(summary)) == said


def test_two_measures_that_disagree_decide_nothing():
    words = verdict((0.80, 0.72), (0.98, 0.70))
    assert words.startswith("The verdict depends on the measure of batch normalization")
    assert "with weak overfitting" in words and "with strong overfitting" in words


def test_while_the_moving_averages_lag_the_other_measure_judges_what_was_learned():
    """On Shapes at epoch 5: 15 % with moving averages, 82 % with those of the population."""
    words = verdict((0.16, 0.15), (0.82, 0.72), reported=0.82)
    assert words.startswith("It learns, with ") and "guesses" not in words
    assert "correct on 82 % of the training images and on 72 % of new ones" in words
    assert "which lag behind the weights, it is correct on 16 %" in words


def test_a_network_is_early_by_what_its_weights_can_do_and_not_by_averages_that_lag():
    summary = summarize_curves(columns([0.1, 0.16], [0.1, 0.15]))
    anew = reestimated_summary(summary, 0.82, 0.72)
    assert "still learning" not in learning_verdict.verdict(summary, BATCHNORM, PLAIN, 0.72, anew)
    assert "still learning" in learning_verdict.verdict(
        summary, BATCHNORM, PLAIN, 0.72, reestimated_summary(summary, 0.3, 0.2)
    )


def test_a_stopped_run_is_judged_by_the_figures_that_it_recorded_at_its_last_epoch(tmp_path):
    experiment = Experiment(dataset="shapes", regularizer="batchnorm", epochs=30)
    rows = history([0.1, 0.12, 0.16], [0.1, 0.1, 0.15])
    for row, (known, new) in zip(rows, [(0.1, 0.1), (0.6, 0.5), (0.82, 0.72)], strict=True):
        row |= {"train_eval_accuracy_reestimated": known, "val_accuracy_reestimated": new}
    run = runs.Run(write(tmp_path / "run", experiment, rows, "stopped"), experiment)
    anew = find_reestimated_summary(run, run.history(), summarize_curves(run.history()))
    assert anew is not None and (anew.training, anew.validation) == (0.82, 0.72)
    assert find_reestimated_summary(run, columns([0.1, 0.2], [0.1, 0.2]), anew) is None


@pytest.mark.parametrize("name", ["2conv-batchnorm", "3conv-batchnorm", "final-3conv-batchnorm"])
def test_a_shipped_network_with_batch_normalization_is_judged_by_both_measures(name):
    run = runs.open_run(name)
    history = run.history()
    summary = summarize_curves(history)
    anew = find_reestimated_summary(run, history, summary)
    words = learning_verdict.verdict(summary, run.experiment, None, None, anew)
    assert "by both measures of batch normalization" in words or "depends on the measure" in words


def test_noisy_labels_say_that_the_training_accuracy_counts_the_replaced_ones():
    noisy = Experiment(dataset="shapes", label_noise=0.4)
    assert "labels as they were trained with, 40 % of them replaced" in learning_verdict.describe_interval(noisy)
    assert "replaced" not in learning_verdict.describe_interval(DROPOUT)
    without = learning_verdict.describe_interval(noisy, has_margin=False)  # as before the first epoch
    assert "±" not in without and without.startswith("Measured on ") and "40 % of them replaced" in without


# -- weak, some, strong ------------------------------------------------------------------------------------------------


def test_the_limits_of_weak_and_strong_overfitting_are_stated_beside_the_verdict():
    words = learning_verdict.describe_thresholds(DROPOUT, PLAIN)
    stated = [int(number) / 100 for number in re.findall(r"(\d+) %", words)]
    limits = (learning_verdict.WEAK_OVERFITTING, learning_verdict.STRONG_OVERFITTING)
    assert stated == pytest.approx(limits, abs=0.005)
    assert learning_verdict.describe_thresholds(DROPOUT, None) == ""
    assert learning_verdict.describe_thresholds(DROPOUT.without_regularizer(), PLAIN) == ""


@pytest.mark.parametrize(
    ("gap", "word"),
    [(0.06, "weak overfitting"), (0.10, "with overfitting"), (0.15, "some"), (0.20, "with overfitting")],
)
def test_overfitting_at_a_limit_within_its_interval_is_neither_weak_nor_strong(gap, word):
    summary = summarize_curves(columns([0.1, 0.70 + gap], [0.1, 0.70]))
    assert word in learning_verdict.verdict(summary, DROPOUT, PLAIN)


def test_the_chance_of_the_plain_networks_gap_counts_in_weak_and_strong():
    """On Shapes 16.5 points are 13.8 or more, 69 % of 20; but the 20 have an interval of ± 2.6 themselves."""
    shapes = Experiment(dataset="shapes", regularizer="dropout")
    summary, plain = (summarize_curves(columns([0.1, 0.75 + gap], [0.1, 0.75])) for gap in (0.165, 0.2))
    gap = learning_verdict.gap_estimate(summary, shapes)
    assert gap.low / plain.gap > learning_verdict.STRONG_OVERFITTING
    assert "strong" not in learning_verdict.verdict(summary, shapes, plain)
    rng = np.random.default_rng(0)
    train, new = (rng.binomial(n, [[p]] * 2, (2, 20_000)) / n for n, p in ((2000, 0.9), (1000, 0.7)))
    shares = (train[0] - new[0]) / (train[1] - new[1])  # two networks with one true gap
    told = learning_verdict.share_margin(*[generalization_gap(0.9, 2000, 0.7, 1000)] * 2)
    assert np.mean(np.abs(shares - 1) <= told) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("name", [name for name in REPORT if "batchnorm" not in name])
def test_the_verdict_of_a_shipped_network_never_turns_over_in_its_last_ten_epochs(name):
    """Not from weak to strong, nor from learning to guessing; 'is still learning' ends once."""
    run = runs.Run(settings.PRETRAINED / name, REPORT[name].experiment)
    plain_run = runs.find_run(run.experiment.without_regularizer())
    plain = summarize_curves(plain_run.history()) if plain_run else None
    whole = run.history()
    said = []
    for end in range(-9, 1):
        part = {column: values[: end or None] for column, values in whole.items()}
        said.append(learning_verdict.verdict(summarize_curves(part), run.experiment, plain).partition(":")[0])
    strengths = {word for one in said for word in ("weak", "some", "strong") if word in one}
    assert len(strengths) <= 1 and all(one.startswith(("It learns", "It is still learning")) for one in said)
