"""Chance of which images were drawn: intervals for fixed networks, had other images come from the same source.

All assume images drawn independently. CIFAR-10 holds near-duplicates (Barz and Denzler, 2020: 3.3 % of its test images
have one among the training images), so the intervals are slightly too narrow. None describes retraining.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from cnnlab.analysis.statistics.distributions import normal_quantile, two_sided_normal_p
from cnnlab.analysis.statistics.estimate import Estimate, InsufficientData

BISECTIONS = 60  # halvings of an interval of length 2: an error below 1e-17


def accuracy_interval(accuracy: float, n: int, confidence: float = 0.95) -> Estimate:
    """An accuracy (0..1) measured on `n` images with Wilson's score interval.

    Wilson, "Probable inference, the law of succession, and statistical inference", 1927; method 3 of Newcombe,
    "Two-sided confidence intervals for the single proportion", 1998. Stays within 0..1. Exact coverage for accuracies
    from 0.05 to 0.95: 93.1 to 97.6 % for 50 images, 94.3 to 95.5 % for 1,000; lower very near 0 and 1. Raises
    ValueError for an accuracy outside 0..1, InsufficientData for no image.
    """
    low, high = _wilson(accuracy, n, confidence)
    return Estimate(value=accuracy, low=low, high=high, n=(n,), chance="images", method="wilson", confidence=confidence)


def unpaired_difference(
    accuracy: float, n: int, other_accuracy: float, other_n: int, confidence: float = 0.95
) -> Estimate:
    """The difference `accuracy` - `other_accuracy` of two accuracies measured on different images.

    Method 10 of Newcombe, "Interval estimation for the difference between independent proportions", 1998: the limits of
    two Wilson intervals, squared and added. Exact coverage for accuracies from 0.05 to 0.95: 92.3 to 97.9 % (mean 95.1)
    for 50 images each, 94.2 to 95.4 % for 300. The p value is that of the test of two proportions with a pooled
    variance; for few images interval and p value can disagree where p is near 1 - confidence. For the same images it
    is too wide: use `paired_difference`. Raises as `accuracy_interval`.
    """
    low, high = _wilson(accuracy, n, confidence)
    other_low, other_high = _wilson(other_accuracy, other_n, confidence)
    difference = accuracy - other_accuracy
    return Estimate(
        value=difference,
        low=difference - math.hypot(accuracy - low, other_high - other_accuracy),
        high=difference + math.hypot(high - accuracy, other_accuracy - other_low),
        n=(n, other_n),
        chance="images",
        method="newcombe",
        p_value=_pooled_p_value(accuracy, n, other_accuracy, other_n),
        confidence=confidence,
    )


def generalization_gap(
    train_accuracy: float, train_n: int, validation_accuracy: float, validation_n: int, confidence: float = 0.95
) -> Estimate:
    """Training minus validation accuracy of one network, both in inference mode: `unpaired_difference` of the two.

    The interval is about the accuracy on all training images, of which `train_n` were evaluated, and about validation
    images in general. As the evaluated ones are a large share of all training images (5,000 of 40,000), it is wider
    than it need be, by at most 6 % of its width. Keras's running mean of an epoch is no accuracy of one network:
    with it the interval is only approximate. Raises as `accuracy_interval`.
    """
    return unpaired_difference(train_accuracy, train_n, validation_accuracy, validation_n, confidence)


def gap_difference(gap: Estimate, other_gap: Estimate) -> Estimate:
    """`gap` - `other_gap`, two estimates of `generalization_gap` for two networks, in 95 % intervals.

    The limits of both are squared and added (Newcombe 1998), as if all four accuracies were measured on different
    images; too wide where the images are the same. The p value takes half of the interval for 1.96 standard errors.
    """
    value = gap.value - other_gap.value
    low = value - math.hypot(gap.value - gap.low, other_gap.high - other_gap.value)
    high = value + math.hypot(gap.high - gap.value, other_gap.value - other_gap.low)
    error = (high - low) / (2 * normal_quantile(0.975))
    return Estimate(
        value=value,
        low=low,
        high=high,
        n=gap.n,
        chance="images",
        method="newcombe",
        p_value=two_sided_normal_p(value / error),
    )


def paired_difference(correct: ArrayLike, other_correct: ArrayLike, confidence: float = 0.95) -> Estimate:
    """The difference of the accuracies of two networks on the same images, `correct` minus `other_correct`, bool (n,).

    Tango's score interval: Tango, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", 1998. It excludes 0 exactly where the p value, that of McNemar's test (1947, no continuity
    correction), is below 1 - confidence. Chosen by coverage: exactly computed for 50 images with 2 to 30 % of them
    correct for only one, each way, it covers 94.0 to 98.6 % (mean 95.0), the Wald interval 86.3 to 98.6 %; for 100
    images 94.0 to 95.8 %. Raises ValueError for arrays of different lengths, InsufficientData for empty ones.
    """
    first, second = np.asarray(correct, bool), np.asarray(other_correct, bool)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(
            f"Expected the outcomes of two networks on the same images, two arrays of one length. "
            f"Received: shapes {first.shape} and {second.shape}"
        )
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return paired_difference_from_counts(only_first, only_second, len(first), confidence)


@lru_cache(maxsize=1024)
def paired_difference_from_counts(only_first: int, only_second: int, n: int, confidence: float = 0.95) -> Estimate:
    """`paired_difference` from how many of `n` images only the first and only the second network classifies correctly.

    Raises ValueError for counts that are negative or exceed `n`, InsufficientData for no image.
    """
    _check_count(n)
    if min(only_first, only_second) < 0 or only_first + only_second > n:
        raise ValueError(f"Expected counts of at most n images. Received: {only_first=}, {only_second=}, {n=}")
    low, high = _tango(only_first, only_second, n, confidence)
    discordant = only_first + only_second
    return Estimate(
        value=(only_first - only_second) / n,
        low=low,
        high=high,
        n=(n,),
        chance="images",
        method="tango",
        p_value=two_sided_normal_p((only_first - only_second) / math.sqrt(discordant)) if discordant else 1.0,
        confidence=confidence,
    )


def _check_count(n: int) -> None:
    if n < 1:
        raise InsufficientData(f"Expected at least one image. Received: n={n}")


def _wilson(share: float, n: int, confidence: float) -> tuple[float, float]:
    """The limits of Wilson's interval."""
    _check_count(n)
    if not 0 <= share <= 1:
        raise ValueError(f"Expected an accuracy from 0 to 1, a fraction. Received: accuracy={share}")
    z = normal_quantile((1 + confidence) / 2)
    center, spread = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    scale = 1 + z * z / n
    return max(0.0, (center - spread) / scale), min(1.0, (center + spread) / scale)


def _pooled_p_value(share: float, n: int, other: float, other_n: int) -> float:
    """The two-sided p value for equal shares, with the variance of the pooled share."""
    pooled = (share * n + other * other_n) / (n + other_n)
    variance = pooled * (1 - pooled) * (1 / n + 1 / other_n)
    return two_sided_normal_p((share - other) / math.sqrt(variance)) if variance > 0 else 1.0


def _tango(only_first: int, only_second: int, n: int, confidence: float) -> tuple[float, float]:
    """The differences whose score statistic is z and -z; it falls steadily from -1 to 1."""
    z, estimate = normal_quantile((1 + confidence) / 2), (only_first - only_second) / n

    def statistic(difference: float) -> float:
        return tango_statistic(only_first, only_second, n, difference)

    low = _bisect(lambda difference: statistic(difference) > z, -1.0, estimate)
    return low, _bisect(lambda difference: statistic(difference) > -z, estimate, 1.0)


def tango_statistic(only_first: int, only_second: int, n: int, difference: float) -> float:
    """The score statistic of the hypothesis that the accuracies differ by `difference`; about standard normal under it.

    The nuisance parameter, the share of images that only the second classifies correctly, is the root of a quadratic
    that maximizes the likelihood under the hypothesis (Tango 1998, equation 26).
    """
    b = (2 * n - only_first + only_second) * difference - only_first - only_second
    product = only_second * difference * (1 - difference)  # -c of the quadratic 2n q^2 + b q + c
    q = (math.sqrt(max(b * b + 8 * n * product, 0.0)) - b) / (4 * n)
    variance = n * (2 * q + difference * (1 - difference))
    distance = only_first - only_second - n * difference
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def _bisect(is_before: Callable[[float], bool], low: float, high: float) -> float:
    """The point between `low` and `high` where `is_before` turns from true to false."""
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_before(middle) else (low, middle)
    return (low + high) / 2
