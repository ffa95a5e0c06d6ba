"""Several networks on the same images: how often two agree, and the average of all."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from cnnlab.analysis import metrics
from cnnlab.analysis.statistics.estimate import Estimate
from cnnlab.analysis.statistics.images import accuracy_interval
from cnnlab.array_types import Float64Array


def agreement(logits: ArrayLike, other_logits: ArrayLike, confidence: float = 0.95) -> Estimate:
    """The share of images for which two networks predict the same class, correct or not; Wilson's interval.

    Logits (n, classes) of the same images in the same order. Two networks of accuracies p and q agree on at least
    p + q - 1. Raises ValueError for different numbers of images.
    """
    first, second = np.asarray(logits), np.asarray(other_logits)
    _check_same_shape([first.shape, second.shape])
    share = float((first.argmax(axis=-1) == second.argmax(axis=-1)).mean()) if len(first) else 0.0
    return accuracy_interval(share, len(first), confidence)


def ensemble_logits(all_logits: Sequence[ArrayLike]) -> Float64Array:
    """The logarithm of the networks' mean probabilities, float64 (n, classes): logits of their ensemble.

    The probabilities are averaged, not the logits, so that a network with large logits has one vote like any other
    (Lakshminarayanan, Pritzel and Blundell, "Deep ensembles", 2017). Raises ValueError where there is no network or
    the numbers of images differ.
    """
    if not all_logits:
        raise ValueError("Expected the logits of at least one network. Received: none")
    _check_same_shape([np.shape(logits) for logits in all_logits])
    rows = np.stack([metrics.log_softmax(np.nan_to_num(np.asarray(logits, np.float64))) for logits in all_logits])
    return np.asarray(np.logaddexp.reduce(rows, axis=0) - np.log(len(rows)))


def _check_same_shape(shapes: Sequence[tuple[int, ...]]) -> None:
    if len(set(shapes)) > 1:
        raise ValueError(f"Expected networks on the same images, logits of one shape. Received: shapes={list(shapes)}")
