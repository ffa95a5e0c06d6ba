"""The results of a sweep: accuracy and gap of each point with its interval, and differences of two points.

From three seeds on an interval is over the seeds (t); with fewer it is that of the images of the first seed
(`analysis.statistics`). A point without a finished run has no result.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.analysis.statistics import (
    Estimate,
    accuracy_interval,
    gap_difference,
    generalization_gap,
    paired_difference,
    seed_difference,
    seed_mean,
    unpaired_difference,
)
from cnnlab.comparison import MIN_SEEDS
from cnnlab.storage import runs
from cnnlab.storage.run import DamagedRun, Run
from cnnlab.sweeps import Coordinates, Sweep, Value

Predictions = Callable[[Run], Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class RunResult:
    """Accuracies of one run after its last epoch, fractions: on training images and on `measured_on`."""

    run: Run
    training: float
    accuracy: float

    @property
    def gap(self) -> float:
        """The generalization gap, in inference mode."""
        return self.training - self.accuracy


@dataclass(frozen=True)
class PointResult:
    """One point of a sweep: its runs by seed, and its accuracies and gap as estimates.

    `training` is the accuracy on the training images in inference mode, with label noise on the labels as they were
    trained with; `accuracy` is that on the validation images, or on the test images (`Sweep.measured_on`).
    """

    coordinates: Coordinates
    by_seed: Mapping[int, RunResult]
    training: Estimate
    accuracy: Estimate
    gap: Estimate

    def value(self, field: str) -> Value:
        """The coordinate on this axis."""
        return dict(self.coordinates)[field]

    @property
    def first(self) -> RunResult:
        """The run of the smallest seed."""
        return self.by_seed[min(self.by_seed)]

    @property
    def depth(self) -> int:
        """How many convolutions its networks have."""
        return self.first.run.experiment.depth


def sweep_results(sweep: Sweep) -> list[PointResult]:
    """The points that have a finished run, in the order of the sweep."""
    measured = {
        coordinates: {
            experiment.seed: result
            for experiment in experiments
            if (run := runs.find_results(experiment)) and (result := run_result(run, sweep.measured_on))
        }
        for coordinates, experiments in sweep.points.items()
    }
    return [point_result(coordinates, by_seed) for coordinates, by_seed in measured.items() if by_seed]


def run_result(run: Run, measured_on: str) -> RunResult | None:
    """The accuracies of a finished run; None where its files do not have them."""
    try:
        history = run.history()
    except DamagedRun:
        return None
    if not len(history["epoch"]):
        return None
    is_test = measured_on == "test" and run.experiment.split == "validation"
    accuracy = run.record.test_accuracy if is_test else float(history["val_accuracy"][-1])
    return None if accuracy is None else RunResult(run, float(history["train_eval_accuracy"][-1]), accuracy)


def point_result(coordinates: Coordinates, by_seed: Mapping[int, RunResult]) -> PointResult:
    """The estimates of one point; `by_seed` is not empty."""
    if len(by_seed) >= MIN_SEEDS:
        training, accuracy, gap = (
            seed_mean({seed: float(getattr(result, figure)) for seed, result in by_seed.items()})
            for figure in ("training", "accuracy", "gap")
        )
        return PointResult(coordinates, by_seed, training, accuracy, gap)
    first = by_seed[min(by_seed)]
    images, others = first.run.experiment.train_eval_images, first.run.experiment.validation_images
    return PointResult(
        coordinates,
        by_seed,
        accuracy_interval(first.training, images),
        accuracy_interval(first.accuracy, others),
        generalization_gap(first.training, images, first.accuracy, others),
    )


def accuracy_difference(
    first: PointResult, second: PointResult, measured_on: str, predictions: Predictions = Run.predictions
) -> Estimate:
    """The accuracy of `first` minus that of `second`: over common seeds from MIN_SEEDS on, else paired by image."""
    common = sorted(set(first.by_seed) & set(second.by_seed))
    if len(common) >= MIN_SEEDS:
        return seed_difference(
            {seed: first.by_seed[seed].accuracy for seed in common},
            {seed: second.by_seed[seed].accuracy for seed in common},
        )
    seed = common[0] if common else None
    ours, theirs = (point.by_seed[seed] if seed is not None else point.first for point in (first, second))
    correct = [correct_images(result.run, measured_on, predictions) for result in (ours, theirs)]
    if correct[0] is not None and correct[1] is not None and len(correct[0]) == len(correct[1]):
        return paired_difference(correct[0], correct[1])
    images = ours.run.experiment.validation_images
    return unpaired_difference(ours.accuracy, images, theirs.accuracy, images)


def gap_change(first: PointResult, second: PointResult) -> Estimate:
    """The gap of `first` minus that of `second`: over common seeds from MIN_SEEDS on, else over the images."""
    common = sorted(set(first.by_seed) & set(second.by_seed))
    if len(common) >= MIN_SEEDS:
        ours, theirs = ({seed: result.by_seed[seed].gap for seed in common} for result in (first, second))
        return seed_difference(ours, theirs)
    return gap_difference(first.gap, second.gap)


def correct_images(run: Run, measured_on: str, predictions: Predictions) -> NDArray[np.bool_] | None:
    """Which images this run classifies correctly, bool (n,); None where its predictions are missing or damaged."""
    try:
        found = predictions(run)
    except DamagedRun:
        return None
    if measured_on not in found:
        return None
    return np.asarray(found[measured_on].argmax(axis=1) == found[f"{measured_on}_labels"])
