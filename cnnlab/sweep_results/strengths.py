"""A sweep of strengths: each strength against the network without a regularizer of the same depth."""

from collections.abc import Sequence
from dataclasses import dataclass

from cnnlab.analysis.statistics import Estimate, adjust_for_multiple_comparisons
from cnnlab.storage.run import Run
from cnnlab.sweep_results.points import PointResult, Predictions, accuracy_difference, gap_change


@dataclass(frozen=True)
class StrengthEffect:
    """A point of a sweep of strengths minus the network without a regularizer of the same depth.

    The p values are adjusted for all effects of the sweep (Holm), those of accuracy and of gap by themselves.
    """

    point: PointResult
    accuracy: Estimate
    gap: Estimate


def strength_effects(
    results: Sequence[PointResult], measured_on: str, predictions: Predictions = Run.predictions
) -> list[StrengthEffect]:
    """What each strength above 0 changes; without the depths whose plain network (strength 0) has no result."""
    plain = {dict(result.coordinates).get("depth"): result for result in results if not result.value("strength")}
    pairs = [
        (result, plain[depth])
        for result in results
        if result.value("strength") and (depth := dict(result.coordinates).get("depth")) in plain
    ]
    accuracies = [accuracy_difference(result, other, measured_on, predictions) for result, other in pairs]
    gaps = [gap_change(result, other) for result, other in pairs]
    return [
        StrengthEffect(result, accuracy, gap)
        for (result, _), accuracy, gap in zip(
            pairs, adjust_for_multiple_comparisons(accuracies), adjust_for_multiple_comparisons(gaps), strict=True
        )
    ]
