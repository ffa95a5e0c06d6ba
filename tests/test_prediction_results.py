"""Agreement, average, temperature and training-set size from stored predictions, on constructed and shipped runs."""

import dataclasses

import numpy as np
import pytest
from history_factories import history, write

from cnnlab.explanations import predictions as sentences
from cnnlab.prediction_results import agreement_matrix, ensemble_result, load_predictions, prediction_results
from cnnlab.report_models import REPORT, models_on
from cnnlab.storage import files, runs

LABELS = np.arange(10).repeat(1000)
ROWS = history([0.1, *[0.9] * 30], [0.1, *[0.7] * 30])


def logits(correct, wrong_class=0):
    """Confident logits of 10,000 images that are right on these, and say `wrong_class` on the others."""
    answers = np.where(correct, LABELS, wrong_class)
    return (5 * np.eye(10)[answers]).astype(np.float16)


def run_with(folder, name, seed=0, correct=None, **changed):
    """A finished run of a model of the report with these answers on the test images."""
    experiment = dataclasses.replace(REPORT[name].experiment, seed=seed)
    write(folder / f"{name}-{seed}", experiment, ROWS)
    kept = {"test": logits(LABELS >= 0 if correct is None else correct), "test_labels": LABELS, **changed}
    files.write_npz(folder / f"{name}-{seed}" / "predictions.npz", kept)
    return runs.read_run(folder / f"{name}-{seed}")


def test_the_average_of_networks_with_different_mistakes_is_better_than_each():
    """Three networks, each wrong on another third, with three different wrong answers: the average is always right."""
    third = np.arange(len(LABELS)) % 3
    named = {name: logits(third != index, index) for index, name in enumerate(("2conv-none", "2conv-l2", "3conv-l2"))}
    result = ensemble_result(named, LABELS)
    assert result.accuracy.value == 1
    assert result.difference.value == pytest.approx(1 - max(result.accuracies.values()))


def test_agreement_counts_equal_answers_right_or_wrong():
    half = np.arange(len(LABELS)) % 2 == 0
    shares = agreement_matrix([logits(half, 3), logits(half, 3), logits(~half, 3)])
    both_say_three = np.mean(LABELS == 3)  # the label 3 itself
    assert shares[0, 1] == 1 == shares[2, 2]
    assert shares[0, 2] == shares[2, 0] == pytest.approx(both_say_three)


def test_a_run_without_predictions_or_on_other_images_is_left_out(tmp_path):
    known = [run_with(tmp_path, "2conv-none"), run_with(tmp_path, "2conv-l2", test_labels=LABELS[::-1].copy())]
    write(tmp_path / "none", REPORT["3conv-none"].experiment, ROWS)
    known.append(runs.read_run(tmp_path / "none"))
    assert list(load_predictions(known)) == ["2conv-none"]
    results = prediction_results(known)
    assert results.names == ("2conv-none",) and results.ensemble is None and results.temperatures == {}


def test_networks_on_another_data_set_are_compared_among_themselves(tmp_path):
    known = [run_with(tmp_path, "2conv-none"), run_with(tmp_path, "2conv-l2")]
    shapes = models_on("shapes")["3conv-none"].experiment
    write(tmp_path / "shapes", shapes, ROWS)
    kept = {"test": logits(LABELS >= 0), "test_labels": LABELS}
    files.write_npz(tmp_path / "shapes" / "predictions.npz", kept)
    known.append(runs.read_run(tmp_path / "shapes"))
    assert prediction_results(known).names == ("2conv-none", "2conv-l2")
    assert prediction_results(known, "shapes").names == ("3conv-none",)


def test_forty_and_fifty_thousand_images_are_compared_on_the_same_test_images(tmp_path):
    small, large = np.arange(len(LABELS)) < 7_400, np.arange(len(LABELS)) < 7_500
    known = [
        run_with(tmp_path, "3conv-dropout", correct=small),
        run_with(tmp_path, "final-3conv-dropout", correct=large),
        run_with(tmp_path, "3conv-dropout", seed=1, correct=large),  # no final run of seed 1
    ]
    results = prediction_results(known)
    [result] = results.set_sizes
    inside = np.mean(large & ~small & (LABELS != 0))  # a wrong answer "0" is right for the label 0
    assert result.seed == 0 and result.difference.value == pytest.approx(inside)
    assert len(results.seed_agreements["3conv-dropout"]) == 1


def test_an_average_that_gains_nothing_beyond_chance_is_given_no_cause(tmp_path):
    known = [run_with(tmp_path, "2conv-none"), run_with(tmp_path, "2conv-l2")]
    told = sentences.describe_ensemble(prediction_results(known).ensemble)
    assert "no gain beyond chance" in told and "different mistakes" not in told


def test_the_shipped_runs_have_the_figures_that_were_measured():
    """Average 78.3 % against 73.9 % for the best; two runs agree on 67 %; an overconfident network is repaired."""
    results = prediction_results([*runs.list_runs(), *runs.shipped_seeds()])
    assert len(results.names) == 8
    assert results.ensemble.accuracy.value == pytest.approx(0.783, abs=0.002)
    assert results.ensemble.best == "3conv-dropout"
    assert results.ensemble.accuracies["3conv-dropout"] == pytest.approx(0.739, abs=0.001)
    between = results.agreements[~np.eye(8, dtype=bool)]
    assert between.min() > 0.6 and between.max() < 0.75
    plain, dropout = results.temperatures["3conv-none"], results.temperatures["3conv-dropout"]
    assert plain.temperature > dropout.temperature > 1
    assert plain.ece_after < plain.ece_before / 5 and dropout.ece_after < dropout.ece_before
    told = sentences.describe_ensemble(results.ensemble)
    assert "78.3 %" in told and "beyond chance. The networks make different mistakes" in told
    assert sentences.temperature_table(results.temperatures).count("\n") == 3
    assert "3-conv no regularizer and 3-conv dropout 0.1: overconfident" in sentences.describe_temperatures(
        results.temperatures
    )
    assert sentences.describe_agreement_chart(results).count("agrees most with") == 8


def test_a_network_is_overconfident_only_where_the_loss_falls_beyond_chance():
    """On Shapes the temperature of 3-conv with dropout is 1.14, and the loss on 1,000 test images stays."""
    results = prediction_results([*runs.list_runs(), *runs.shipped_seeds()], "shapes")
    assert results.temperatures["3conv-dropout"].temperature > 1
    told = sentences.describe_temperatures(results.temperatures)
    assert "3-conv no regularizer: overconfident" in told
    assert "3-conv dropout 0.1: the loss does not fall beyond chance" in told
