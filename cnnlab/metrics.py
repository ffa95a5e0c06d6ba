"""Numbers about predictions: logits in, figures out.

Logits are float arrays (n, classes); labels are whole numbers (n,) in 0..classes-1.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def log_softmax(logits: ArrayLike) -> Floats:
    """The logarithm of the softmax along the last axis, float64, without overflow for any finite logits."""
    values = np.asarray(logits, np.float64)
    shifted = values - values.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def probabilities(logits: ArrayLike) -> Floats:
    """Softmax along the last axis: float64, each row adds up to 1."""
    return np.asarray(np.exp(log_softmax(logits)))


def accuracy(logits: ArrayLike, labels: ArrayLike) -> float:
    """The share of rows whose largest logit is the label's, 0..1."""
    return float(np.mean(np.argmax(np.asarray(logits), axis=-1) == np.asarray(labels)))


def cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    """The mean negative log-probability of the true class, in nats; 2.303 for ten equally likely classes."""
    rows = log_softmax(logits)
    return float(-rows[np.arange(len(rows)), np.asarray(labels, np.int64)].mean())


def confusion(logits: ArrayLike, labels: ArrayLike, classes: int = 10) -> NDArray[np.int64]:
    """How often each true class (row) was taken for each class (column): int64 (classes, classes)."""
    pairs = np.asarray(labels, np.int64) * classes + np.argmax(np.asarray(logits), axis=-1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def calibration(logits: ArrayLike, labels: ArrayLike, bins: int = 10) -> tuple[Floats, Floats, NDArray[np.int64]]:
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
