"""Chance of which seed was used: means and differences of series, and the trend of one curve.

A series is an experiment trained with several seeds: a mapping from the seed to a figure (an accuracy, a gap). The seed
decides the initial weights, the order of the images and the dropout masks; the images are the same for all. The t
intervals assume figures that are independent and roughly normal from seed to seed; for fewer than 10 seeds that cannot
be checked.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from cnnlab.analysis.statistics.distributions import t_quantile, two_sided_t_p
from cnnlab.analysis.statistics.estimate import Chance, Estimate, InsufficientData
from cnnlab.array_types import Float64Array

MIN_SEEDS_FOR_INTERVAL = 3  # with two, t is 12.7 and the interval says nothing


def seed_mean(series: Mapping[int, float], confidence: float = 0.95) -> Estimate:
    """The mean of a series over its seeds, with a t interval; the range where there are fewer than 3 seeds.

    Student, "The probable error of a mean", 1908. The p value tests a mean of 0, of use where the figure is itself a
    difference, such as a gap. Seeds whose figure is NaN are left out. Raises InsufficientData where none is left.
    """
    return _mean_estimate(_finite(series.values()), confidence)


def seed_difference(first: Mapping[int, float], second: Mapping[int, float], confidence: float = 0.95) -> Estimate:
    """The mean of `first` - `second` over the seeds they have in common: the t interval of the paired differences.

    Fewer than 3 common seeds give the range of the differences. Pairing removes what a seed does to both alike (the
    order of the images; for networks with equal shapes the initial weights too) and is valid where it does nothing to
    both. `n` is the number of common seeds. Raises InsufficientData where there is none.
    """
    common = sorted(set(first) & set(second))
    return _mean_estimate(_finite(first[seed] - second[seed] for seed in common), confidence)


def trend(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """The least-squares slope of a curve per step (per epoch), with its t interval; `values` is (n,), n >= 3.

    "Rising" is where the whole interval lies above 0. Assumes a straight line with independent deviations; those of
    neighboring epochs resemble each other, so the interval is rather too narrow: use ten epochs or so, not all. Raises
    InsufficientData for fewer than 3 values.
    """
    curve = np.asarray(values, np.float64)
    n = len(curve)
    if n < 3:
        raise InsufficientData(f"Expected at least three values for a trend. Received: n={n}")
    steps = np.arange(n) - (n - 1) / 2
    spread = float((steps**2).sum())
    slope = float(steps @ curve / spread)
    residuals = curve - curve.mean() - slope * steps
    error = math.sqrt(float((residuals**2).sum()) / (n - 2) / spread)
    return t_estimate(slope, error, n, n - 2, "epochs", confidence)


def _finite(values: object) -> Float64Array:
    numbers = np.array(list(values), np.float64)  # type: ignore[call-overload]
    return np.asarray(numbers[np.isfinite(numbers)])


def _mean_estimate(values: Float64Array, confidence: float) -> Estimate:
    """The mean with its t interval, or with its range where there are too few values."""
    n = len(values)
    if n == 0:
        raise InsufficientData("Expected at least one seed, the same in both series for a difference. Received: n=0")
    mean = float(values.mean())
    if n < MIN_SEEDS_FOR_INTERVAL:
        low, high = float(values.min()), float(values.max())
        return Estimate(value=mean, low=low, high=high, n=(n,), chance="seeds", method="range", confidence=0.0)
    return t_estimate(mean, float(values.std(ddof=1)) / math.sqrt(n), n, n - 1, "seeds", confidence)


def t_estimate(value: float, error: float, n: int, degrees: int, chance: Chance, confidence: float) -> Estimate:
    """`value` with the t interval of its standard error, and the p value of the test that it is 0."""
    margin = t_quantile((1 + confidence) / 2, degrees) * error
    p_value = two_sided_t_p(value / error, degrees) if error > 0 else float(value == 0)
    return Estimate(
        value=value,
        low=value - margin,
        high=value + margin,
        n=(n,),
        chance=chance,
        method="t",
        p_value=p_value,
        confidence=confidence,
    )
