"""Calibration: whether a network is right as often as its confidence says, and temperature scaling.

Logits are float (n, classes), labels integers (n,).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cnnlab.analysis import metrics
from cnnlab.analysis.statistics.estimate import Estimate
from cnnlab.analysis.statistics.seeds import t_estimate
from cnnlab.array_types import Float64Array

TEMPERATURE_RANGE = (0.01, 100.0)
BISECTIONS = 60


def expected_calibration_error(logits: ArrayLike, labels: ArrayLike, bins: int = 10) -> float:
    """The mean absolute difference of confidence and accuracy over equal bins of confidence, by their images; 0..1.

    Naeini, Cooper and Hauskrecht, 2015; Guo et al., "On calibration of modern neural networks", 2017 (with 15 bins).
    The bins are those of `metrics.calibration`. It says how far confidence is off, not in which direction, depends on
    the bins, and is biased upwards: a perfectly calibrated network has about 0.01 on 10,000 images, 0.03 on 1,000.
    """
    confidence, accuracy, count = metrics.calibration(logits, labels, bins)
    filled = count > 0
    return float(np.abs(confidence - accuracy)[filled] @ count[filled] / count.sum())


def confidence_difference(confidence: ArrayLike, correct: ArrayLike) -> Estimate:
    """The mean confidence (0..1) minus the accuracy on the same images: t interval of the differences by image.

    `confidence` is float (n,), `correct` bool (n,), n at least 2; chance is that of the images.
    """
    excess = np.asarray(confidence, np.float64) - np.asarray(correct, np.float64)
    error = float(excess.std(ddof=1)) / math.sqrt(len(excess))
    return t_estimate(float(excess.mean()), error, len(excess), len(excess) - 1, "images", 0.95)


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature T whose logits / T have the smallest cross-entropy; above 1 where the network is overconfident.

    Guo et al. 2017. The loss is convex in 1 / T, so the zero of its derivative, the mean over the images of the
    expected minus the true class's logit, is found by bisection, within TEMPERATURE_RANGE. No prediction changes:
    the largest logit stays the largest. Fit on images that the network was not trained on.
    """
    scores = np.nan_to_num(np.asarray(logits, np.float64))
    true = scores[np.arange(len(scores)), np.asarray(labels, np.int64)]
    low, high = np.log(TEMPERATURE_RANGE)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        expected = (metrics.probabilities(scores / np.exp(middle)) * scores).sum(axis=1)
        low, high = (middle, high) if float((expected - true).mean()) > 0 else (low, middle)
    return float(np.exp((low + high) / 2))


def loss_difference(logits: ArrayLike, other_logits: ArrayLike, labels: ArrayLike) -> Estimate:
    """The cross-entropy of the first logits minus that of the others, in nats: t interval of the paired differences.

    Both of the same images, of which there are at least two; chance is that of the images.
    """
    rows = np.arange(len(np.asarray(labels))), np.asarray(labels, np.int64)
    first, second = (-metrics.log_softmax(scores)[rows] for scores in (logits, other_logits))
    change = first - second
    error = float(change.std(ddof=1)) / math.sqrt(len(change))
    return t_estimate(float(change.mean()), error, len(change), len(change) - 1, "images", 0.95)


@dataclass(frozen=True)
class TemperatureScaling:
    """The effect of one temperature on `n` images: ECE (0..1) and cross-entropy (nats), before and after.

    `loss_change` is the cross-entropy after minus before, with its interval.
    """

    temperature: float
    ece_before: float
    ece_after: float
    loss_before: float
    loss_after: float
    loss_change: Estimate
    n: int


def temperature_scaling(
    fit_logits: ArrayLike, fit_labels: ArrayLike, logits: ArrayLike, labels: ArrayLike, bins: int = 10
) -> TemperatureScaling:
    """Fit a temperature on the first logits (validation) and measure its effect on the second (test).

    Measuring on the images that it was fitted on would flatter it slightly.
    """
    temperature = fit_temperature(fit_logits, fit_labels)
    before: Float64Array = np.nan_to_num(np.asarray(logits, np.float64))
    after = before / temperature
    return TemperatureScaling(
        temperature=temperature,
        ece_before=expected_calibration_error(before, labels, bins),
        ece_after=expected_calibration_error(after, labels, bins),
        loss_before=metrics.cross_entropy(before, labels),
        loss_after=metrics.cross_entropy(after, labels),
        loss_change=loss_difference(after, before, labels),
        n=len(before),
    )
