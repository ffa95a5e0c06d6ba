"""A figure with its interval, and the correction for several comparisons."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Chance = Literal["images", "seeds", "epochs"]
Method = Literal["wilson", "newcombe", "tango", "t", "range"]

SIGNIFICANCE_LEVEL = 0.05


class InsufficientData(ValueError):
    """There are too few values for the figure that was asked for. The message is one sentence."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure, the interval from `low` to `high` around it, and what the interval describes.

    n: the number of observations: (images,), (images of the one set, images of the other), (seeds,) or (epochs,).
    chance: what would be drawn again: "images", "seeds" or "epochs".
    method: how the interval was made; "range" is from the smallest to the largest value, no confidence interval.
    p_value: of the two-sided test that the true figure is 0; None for a share and for a range.
    confidence: of the interval, 0..1; 0 for a range.
    """

    value: float
    low: float
    high: float
    n: tuple[int, ...]
    chance: Chance
    method: Method
    p_value: float | None = None
    confidence: float = 0.95

    @property
    def margin(self) -> float:
        """Half the width of the interval; most intervals here are not quite symmetrical."""
        return (self.high - self.low) / 2

    @property
    def is_interval(self) -> bool:
        """Whether this is a confidence interval, not a range."""
        return self.method != "range"

    @property
    def is_significant(self) -> bool:
        """Whether the figure differs from 0 beyond chance: its p value is at most 0.05."""
        return self.p_value is not None and self.p_value <= SIGNIFICANCE_LEVEL


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the given order: reject where one is at most the level of the whole family.

    The smallest of m p values is multiplied by m, the next by m - 1, and so on; none is smaller than one before it, and
    none exceeds 1. The chance of any false rejection stays at the level, however the tests depend on each other. Holm,
    "A simple sequentially rejective multiple test procedure", 1979. It has less power than procedures that bound the
    share of false rejections instead. Raises ValueError for a value outside 0..1.
    """
    given = np.asarray(p_values, np.float64)
    if not bool(np.all((given >= 0) & (given <= 1))):
        raise ValueError(f"Expected p values from 0 to 1. Received: p_values={list(p_values)}")
    order = np.argsort(given, kind="stable")
    factors = len(given) - np.arange(len(given))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1)
    return [float(value) for value in adjusted]


def adjust_for_multiple_comparisons(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The same estimates, each with its p value adjusted by `holm` for all of those that have one.

    For a claim that rests on several comparisons at once ("every regularizer helps"). Intervals stay those of one
    comparison: each covers its own figure in 95 % of cases, all of them together less often.
    """
    tested = [index for index, estimate in enumerate(estimates) if estimate.p_value is not None]
    adjusted = dict(zip(tested, holm([estimates[index].p_value or 0.0 for index in tested]), strict=True))
    return [
        dataclasses.replace(estimate, p_value=adjusted[index]) if index in adjusted else estimate
        for index, estimate in enumerate(estimates)
    ]
