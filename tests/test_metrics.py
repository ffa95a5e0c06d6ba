"""Metrics of predictions, checked on examples small enough to count by hand."""

import math

import numpy as np
import pytest

from cnnlab.analysis import metrics

CAT, DOG, SHIP = 0, 1, 2


def logits(*rows):
    """Rows of probabilities as logits: the logarithm gives softmax its probabilities back."""
    return np.log(np.array(rows))


SURE_CAT, UNSURE_CAT, SURE_DOG, UNSURE_SHIP = (
    (0.92, 0.06, 0.02),
    (0.55, 0.30, 0.15),
    (0.05, 0.94, 0.01),
    (0.35, 0.22, 0.43),
)
LOGITS = logits(SURE_CAT, UNSURE_CAT, SURE_DOG, UNSURE_SHIP, SURE_DOG)
LABELS = [CAT, DOG, DOG, SHIP, CAT]  # correct, wrong, correct, correct, wrong


def test_probabilities_are_those_the_logits_were_made_of():
    assert metrics.probabilities(LOGITS)[3] == pytest.approx(UNSURE_SHIP)


def test_logits_of_any_size_give_no_overflow():
    assert metrics.probabilities([[1e4, 0.0, -1e4]]).tolist() == [[1.0, 0.0, 0.0]]
    assert metrics.cross_entropy([[1e4, 0.0]], [1]) == pytest.approx(1e4)


def test_logits_in_half_precision_are_counted_in_double():
    assert metrics.probabilities(np.float16([[20.0, 19.0]])).dtype == np.float64


def test_accuracy_is_the_share_of_correct_predictions():
    assert metrics.accuracy(LOGITS, LABELS) == pytest.approx(3 / 5)


def test_guessing_among_ten_classes_costs_the_logarithm_of_ten():
    assert metrics.cross_entropy(np.zeros((7, 10)), np.arange(7)) == pytest.approx(math.log(10))


def test_cross_entropy_is_the_mean_of_minus_log_of_the_true_class():
    true_class_probabilities = [0.92, 0.30, 0.94, 0.43, 0.05]
    assert metrics.cross_entropy(LOGITS, LABELS) == pytest.approx(-sum(map(math.log, true_class_probabilities)) / 5)


def test_the_confusion_matrix_has_the_truth_in_rows_and_the_prediction_in_columns():
    assert metrics.confusion_matrix(LOGITS, LABELS, classes=3).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_class_accuracy_is_diagonal_over_row_sum_and_nan_for_a_class_without_images():
    shares = metrics.class_accuracy(np.array([[3, 1, 0], [0, 0, 0], [1, 1, 2]]))
    assert shares[[0, 2]].tolist() == [0.75, 0.5]
    assert np.isnan(shares[1])


def test_calibration_puts_each_prediction_into_the_bin_of_its_confidence():
    confidence, right, count = metrics.calibration(LOGITS, LABELS, bins=10)
    assert count.tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 3]
    assert confidence[[4, 5, 9]] == pytest.approx([0.43, 0.55, (0.92 + 0.94 + 0.94) / 3])
    assert right[[4, 5, 9]] == pytest.approx([1, 0, 2 / 3])
    assert np.isnan(confidence[0]) and np.isnan(right[0])


def test_full_confidence_belongs_to_the_last_bin():
    assert metrics.calibration([[1e4, 0.0]], [0], bins=4)[2].tolist() == [0, 0, 0, 1]


def test_infinite_logits_get_probability_one():
    shares = metrics.probabilities(np.array([[np.inf, 1, -np.inf], [np.inf, np.inf, 0]], np.float16))
    assert shares.tolist() == [[1, 0, 0], [0.5, 0.5, 0]]
    assert metrics.calibration(np.array([[np.inf, np.inf, 0]]), [0], bins=2)[2].tolist() == [0, 1]


def test_predictions_have_class_confidence_and_correctness():
    predictions = metrics.classify(LOGITS, LABELS)
    assert predictions.predicted.tolist() == [CAT, CAT, DOG, SHIP, DOG]
    assert predictions.confidence == pytest.approx([0.92, 0.55, 0.94, 0.43, 0.94])
    assert predictions.correct.tolist() == [True, False, True, True, False]


@pytest.mark.parametrize(
    ("choice", "indices"),
    [
        ({}, [1, 4]),
        ({"true_class": CAT}, [4]),
        ({"predicted": CAT}, [1]),
        ({"true_class": DOG, "predicted": CAT}, [1]),
        ({"true_class": DOG, "predicted": DOG}, [2]),
        ({"true_class": SHIP}, []),
        ({"true_class": CAT, "predicted": SHIP}, []),
    ],
    ids=["every mistake", "a row", "a column", "a cell", "the diagonal", "a row without mistakes", "an empty cell"],
)
def test_a_cell_a_row_or_a_column_selects(choice, indices):
    assert np.flatnonzero(metrics.classify(LOGITS, LABELS).select(**choice)).tolist() == indices


def test_the_selected_are_as_many_as_the_confusion_matrix_counts():
    rng = np.random.default_rng(0)
    many, labels = rng.normal(size=(500, 10)), rng.integers(0, 10, 500)
    predictions, table = metrics.classify(many, labels), metrics.confusion_matrix(many, labels)
    counted = [[predictions.select(truth, predicted).sum() for predicted in range(10)] for truth in range(10)]
    assert np.array_equal(counted, table)
    assert [predictions.select(true_class=row).sum() for row in range(10)] == (
        table.sum(axis=1) - np.diag(table)
    ).tolist()
    assert [predictions.select(predicted=column).sum() for column in range(10)] == (
        table.sum(axis=0) - np.diag(table)
    ).tolist()


def test_images_are_sorted_by_confidence_and_equal_ones_by_number():
    confidence = np.array([0.5, 0.9, 0.7, 0.9, 0.1])
    chosen = np.array([True, True, True, True, False])
    assert metrics.sort_by_confidence(chosen, confidence).tolist() == [1, 3, 2, 0]
    assert metrics.sort_by_confidence(chosen, confidence, descending=False).tolist() == [0, 2, 1, 3]


def test_every_image_is_in_exactly_one_of_the_four_outcomes():
    mine = metrics.classify(LOGITS, LABELS)
    other = metrics.classify(logits(SURE_DOG, UNSURE_CAT, SURE_DOG, SURE_DOG, SURE_CAT), LABELS)
    groups = metrics.compare_predictions(mine, other)
    assert np.flatnonzero(groups.now_correct).tolist() == [0, 3]
    assert np.flatnonzero(groups.now_wrong).tolist() == [4]
    assert np.flatnonzero(groups.both_correct).tolist() == [2]
    assert np.flatnonzero(groups.both_wrong).tolist() == [1]


def test_two_networks_are_compared_on_the_same_images_only():
    mine = metrics.classify(LOGITS, LABELS)
    with pytest.raises(ValueError, match="same images"):
        metrics.compare_predictions(mine, metrics.classify(LOGITS, LABELS[::-1]))
