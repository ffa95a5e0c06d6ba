"""Metrics of predictions: accuracy, cross-entropy, confusion, calibration, and the comparison of two networks.

Logits are float arrays (n, classes); labels are integers (n,) in 0..classes-1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnnlab.array_types import Float64Array

Calibration = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]  # confidence, accuracy, n of each bin


def log_softmax(logits: ArrayLike) -> Float64Array:
    """The logarithm of the softmax along the last axis, float64, without overflow for any finite logits."""
    values = np.asarray(logits, np.float64)
    with np.errstate(over="ignore"):
        shifted = values - values.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def probabilities(logits: ArrayLike) -> Float64Array:
    """Softmax along the last axis: float64, rows sum to 1. An infinite logit counts as the largest finite number."""
    return np.asarray(np.exp(log_softmax(np.nan_to_num(np.asarray(logits, np.float64)))))


def accuracy(logits: ArrayLike, labels: ArrayLike) -> float:
    """The share of rows whose largest logit is the label's, 0..1."""
    return float(np.mean(np.argmax(np.asarray(logits), axis=-1) == np.asarray(labels)))


def cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    """The mean negative log-probability of the true class, in nats; 2.303 for ten equally likely classes."""
    rows = log_softmax(logits)
    return float(-rows[np.arange(len(rows)), np.asarray(labels, np.int64)].mean())


def confusion_matrix(logits: ArrayLike, labels: ArrayLike, classes: int = 10) -> NDArray[np.int64]:
    """How often each true class (row) was predicted as each class (column): int64 (classes, classes)."""
    pairs = np.asarray(labels, np.int64) * classes + np.argmax(np.asarray(logits), axis=-1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def calibration(
    logits: ArrayLike, labels: ArrayLike, bins: int = 10
) -> tuple[Float64Array, Float64Array, NDArray[np.int64]]:
    """Mean confidence, accuracy and count in equal bins of confidence (Guo et al. 2017); NaN where a bin is empty.

    A perfectly calibrated network has equal first and second arrays. All three have shape (bins,).
    """
    confidence = probabilities(logits).max(axis=-1)
    is_correct = np.argmax(np.asarray(logits), axis=-1) == np.asarray(labels)
    bin_index = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(bin_index, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(bin_index, confidence, minlength=bins) / count
        bin_accuracy = np.bincount(bin_index, is_correct, minlength=bins) / count
    return mean_confidence, bin_accuracy, count


def class_accuracy(table: NDArray[np.int64]) -> Float64Array:
    """The recall of each class from a confusion matrix: float64 (classes,), NaN for a class without images."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.diag(table) / table.sum(axis=1))


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of a network for labelled images.

    true_class, predicted: int64 (n,). confidence: the probability of the predicted class, float64 (n,), 0..1.
    """

    true_class: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: Float64Array

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which predictions are correct: bool (n,)."""
        return np.asarray(self.true_class == self.predicted)

    def select(self, true_class: int | None = None, predicted: int | None = None) -> NDArray[np.bool_]:
        """The images of class `true_class` that were predicted as `predicted`: bool (n,).

        None stands for any class that makes the prediction wrong: `select()` is every mistake, `select(true_class=3)`
        every image of class 3 that was predicted as another class.
        """
        mask = (
            np.ones(len(self.true_class), bool) if true_class is not None and predicted is not None else ~self.correct
        )
        if true_class is not None:
            mask &= self.true_class == true_class
        if predicted is not None:
            mask &= self.predicted == predicted
        return mask


def classify(logits: ArrayLike, labels: ArrayLike) -> Predictions:
    """The class with the largest logit of each row, its softmax probability, and the true class."""
    shares = probabilities(logits)
    return Predictions(np.asarray(labels, np.int64), np.argmax(shares, axis=-1), shares.max(axis=-1))


def sort_by_confidence(mask: NDArray[np.bool_], confidence: Float64Array, descending: bool = True) -> NDArray[np.int64]:
    """The indices of the images in `mask` in the order of their confidence; equal ones by index."""
    indices = np.flatnonzero(mask)
    keys = confidence[indices]
    return np.asarray(indices[np.argsort(-keys if descending else keys, kind="stable")], np.int64)


@dataclass(frozen=True, eq=False)
class PairedOutcomes:
    """Two networks on the same images: four masks, bool (n,), by which of the two is correct.

    now_correct: the first is correct and the second is not; now_wrong: the reverse.
    """

    now_correct: NDArray[np.bool_]
    now_wrong: NDArray[np.bool_]
    both_correct: NDArray[np.bool_]
    both_wrong: NDArray[np.bool_]

    def mask(self, group: str) -> NDArray[np.bool_]:
        """The images of a group with mistakes, "now_correct", "now_wrong" or "both_wrong"; bool (n,)."""
        return {"now_correct": self.now_correct, "now_wrong": self.now_wrong, "both_wrong": self.both_wrong}[group]


def compare_predictions(mine: Predictions, other: Predictions) -> PairedOutcomes:
    """The outcomes of two networks on the same images. Raises ValueError for different images."""
    if not np.array_equal(mine.true_class, other.true_class):
        raise ValueError(
            f"Compare two networks on the same images in the same order. "
            f"Received: {len(mine.true_class)} and {len(other.true_class)} images with different labels"
        )
    a, b = mine.correct, other.correct
    return PairedOutcomes(now_correct=a & ~b, now_wrong=~a & b, both_correct=a & b, both_wrong=~a & ~b)


def rank_order(values: Sequence[float], smallest: bool) -> list[int]:
    """The indices of the values in descending order; with `smallest` in ascending order."""
    return sorted(range(len(values)), key=lambda index: values[index] if smallest else -values[index])
