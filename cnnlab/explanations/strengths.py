"""Sentences about a sweep of strengths, each with its measure and interval."""

from collections.abc import Sequence

from cnnlab.analysis.statistics import Estimate
from cnnlab.explanations.intervals import difference_with_interval, share_with_interval
from cnnlab.formatting import percent, pluralize, points
from cnnlab.storage.run import Run
from cnnlab.sweep_results import PointResult, Predictions, StrengthEffect, strength_effects
from cnnlab.sweeps import Sweep


def describe_strengths(
    sweep: Sweep, results: Sequence[PointResult], predictions: Predictions = Run.predictions
) -> list[str]:
    """What the strengths change beyond chance; the highest accuracy, which is too high, and the smallest gap."""
    if not results:
        return []
    best = max(results, key=lambda result: result.accuracy.value)
    smallest = min(results, key=lambda result: result.gap.value)
    effects = strength_effects(results, sweep.measured_on, predictions)
    return [
        *([describe_effects(sweep, effects)] if effects else []),
        f"Highest {sweep.measured_on} accuracy: {point_name(sweep, best)}, {share_with_interval(best.accuracy)}, gap"
        f" {points(best.gap.value)}.",
        f"Smallest gap: {point_name(sweep, smallest)}, {points(smallest.gap.value)}, {sweep.measured_on} accuracy"
        f" {percent(smallest.accuracy.value, 1)}.",
        f"The highest of {len(results)} figures, chosen on the images that it is measured on, is too high: on a new set"
        " of images it would on average be lower.",
    ]


def describe_effects(sweep: Sweep, effects: Sequence[StrengthEffect]) -> str:
    """Which strengths differ from no regularizer at the same depth, in accuracy and gap, beyond chance."""
    accuracies = [(effect.point, effect.accuracy) for effect in effects]
    gaps = [(effect.point, effect.gap) for effect in effects]
    by_seeds = all(effect.accuracy.chance == "seeds" for effect in effects)
    chance = "chance of the seed" if by_seeds else "chance of the images, not of the seed"
    return (
        f"**Against no regularizer at the same depth**, beyond {chance} (adjusted for"
        f" {pluralize(len(effects), 'comparison')}):"
        f" {sweep.measured_on} accuracy higher with {_changed(sweep, accuracies, 1)}, lower with"
        f" {_changed(sweep, accuracies, -1)}; gap smaller with {_changed(sweep, gaps, -1)}."
    )


def _changed(sweep: Sweep, found: Sequence[tuple[PointResult, Estimate]], sign: int) -> str:
    """The points whose difference has this sign beyond chance, each with its difference and interval."""
    named = [
        f"{point_name(sweep, point)}, {difference_with_interval(estimate)}"
        for point, estimate in found
        if estimate.is_significant and sign * estimate.value > 0
    ]
    return "; ".join(named) if named else "none"


def point_name(sweep: Sweep, point: PointResult) -> str:
    """'3-conv, dropout 0.3'."""
    experiment = point.first.run.experiment
    return f"{experiment.depth}-conv, {experiment.regularizer_title}"
