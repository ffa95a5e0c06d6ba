"""Numbers about predictions: logits in, figures out.

Logits are float arrays (n, classes); labels are whole numbers (n,) in 0..classes-1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnnlab.array_types import Float64Array


def log_softmax(logits: ArrayLike) -> Float64Array:
    """The logarithm of the softmax along the last axis, float64, without overflow for any finite logits."""
    values = np.asarray(logits, np.float64)
    with np.errstate(over="ignore"):
        shifted = values - values.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def probabilities(logits: ArrayLike) -> Float64Array:
    """Softmax along the last axis: float64, each row adds up to 1. Of an infinite logit the largest number is taken."""
    return np.asarray(np.exp(log_softmax(np.nan_to_num(np.asarray(logits, np.float64)))))


def accuracy(logits: ArrayLike, labels: ArrayLike) -> float:
    """The share of rows whose largest logit is the label's, 0..1."""
    return float(np.mean(np.argmax(np.asarray(logits), axis=-1) == np.asarray(labels)))


def cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    """The mean negative log-probability of the true class, in nats; 2.303 for ten equally likely classes."""
    rows = log_softmax(logits)
    return float(-rows[np.arange(len(rows)), np.asarray(labels, np.int64)].mean())


def confusion_matrix(logits: ArrayLike, labels: ArrayLike, classes: int = 10) -> NDArray[np.int64]:
    """How often each true class (row) was taken for each class (column): int64 (classes, classes)."""
    pairs = np.asarray(labels, np.int64) * classes + np.argmax(np.asarray(logits), axis=-1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def calibration(
    logits: ArrayLike, labels: ArrayLike, bins: int = 10
) -> tuple[Float64Array, Float64Array, NDArray[np.int64]]:
    """Mean confidence, accuracy and count in equal bins of confidence (Guo et al. 2017); NaN where a bin is empty.

    A perfectly calibrated network has equal first and second arrays. All three have shape (bins,).
    """
    confidence = probabilities(logits).max(axis=-1)
    right = np.argmax(np.asarray(logits), axis=-1) == np.asarray(labels)
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(which, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(which, confidence, minlength=bins) / count
        mean_right = np.bincount(which, right, minlength=bins) / count
    return mean_confidence, mean_right, count


def class_accuracy(table: NDArray[np.int64]) -> Float64Array:
    """From a confusion matrix, the share of each true class that was recognized: float64, NaN where there was none."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.diag(table) / table.sum(axis=1))


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a network said about labelled images, picture by picture.

    truth, said: classes, int64 (n,). confidence: the probability that it gave to what it said, float64 (n,), 0..1.
    """

    true_class: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: Float64Array

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which answers are right: bool (n,)."""
        return np.asarray(self.true_class == self.predicted)

    def select(self, true_class: int | None = None, predicted: int | None = None) -> NDArray[np.bool_]:
        """Which pictures are of the class `truth` and were said to be `said`: bool (n,).

        None stands for any class that makes the answer wrong, so `where()` is every mistake and `where(truth=3)` every
        picture of class 3 that was taken for something else.
        """
        chosen = (
            np.ones(len(self.true_class), bool) if true_class is not None and predicted is not None else ~self.correct
        )
        if true_class is not None:
            chosen &= self.true_class == true_class
        if predicted is not None:
            chosen &= self.predicted == predicted
        return chosen


def classify(logits: ArrayLike, labels: ArrayLike) -> Predictions:
    """The largest logit of each row, beside the truth, with its softmax."""
    shares = probabilities(logits)
    return Predictions(np.asarray(labels, np.int64), np.argmax(shares, axis=-1), shares.max(axis=-1))


def sort_by_confidence(
    chosen: NDArray[np.bool_], confidence: Float64Array, descending: bool = True
) -> NDArray[np.int64]:
    """The numbers of the chosen pictures by confidence; equal ones by number."""
    numbers = np.flatnonzero(chosen)
    keys = confidence[numbers]
    return np.asarray(numbers[np.argsort(-keys if descending else keys, kind="stable")], np.int64)


@dataclass(frozen=True, eq=False)
class PairedOutcomes:
    """Two networks on the same pictures, by who is right: four masks, bool (n,), of which each picture is in one."""

    now_correct: NDArray[np.bool_]
    now_wrong: NDArray[np.bool_]
    both_correct: NDArray[np.bool_]
    both_wrong: NDArray[np.bool_]

    def mask(self, group: str) -> NDArray[np.bool_]:
        """The images of a group by its name in the URL: "fixed", "broke" or "both_wrong"; bool (n,)."""
        return {"fixed": self.now_correct, "broke": self.now_wrong, "both_wrong": self.both_wrong}[group]

    @property
    def within_chance(self) -> bool:
        """Whether fixing and breaking could as well be tosses of a coin: a difference below two standard deviations.

        Only pictures that one of the two gets right say anything about which is better (McNemar 1947).
        """
        fixed, broke = int(self.now_correct.sum()), int(self.now_wrong.sum())
        return (fixed - broke) ** 2 <= 4 * (fixed + broke)


def compare_predictions(mine: Predictions, other: Predictions) -> PairedOutcomes:
    """What `mine` gets right that `other` does not, and the reverse. Raises ValueError for different pictures."""
    if not np.array_equal(mine.true_class, other.true_class):
        raise ValueError(
            f"Compare two networks on the same pictures in the same order. "
            f"Received: {len(mine.true_class)} and {len(other.true_class)} pictures with different labels"
        )
    a, b = mine.correct, other.correct
    return PairedOutcomes(now_correct=a & ~b, now_wrong=~a & b, both_correct=a & b, both_wrong=~a & ~b)
