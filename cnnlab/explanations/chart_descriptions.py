"""What a chart shows, in words, for who does not see it: the alt texts of rankings, sweeps and mistakes."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cnnlab.analysis.metrics import Calibration, PairedOutcomes, rank_order
from cnnlab.formatting import percent, points
from cnnlab.sweep_results import PointResult
from cnnlab.sweeps import describe_value


def describe_confusion_matrix(table: NDArray[np.int64], classes: Sequence[str]) -> str:
    """The alt text of the matrix: for each class the number of correct images and the most frequent confusion."""
    parts = []
    for row, name in enumerate(classes):
        others = table[row].copy()
        others[row] = 0
        top = int(np.argmax(others))
        confusion = f", {others[top]:,} predicted as {classes[top]}" if others[top] else ""
        parts.append(f"{name} {table[row, row]:,} of {table[row].sum():,} correct{confusion}")
    return f"Confusion matrix. {'; '.join(parts)}."


def describe_class_accuracy(shares: NDArray[np.float64], classes: Sequence[str]) -> str:
    """The alt text of the bars, best class first."""
    order = [index for index in np.argsort(-shares, kind="stable").tolist() if not np.isnan(shares[index])]
    return "Accuracy per class: " + ", ".join(f"{classes[i]} {percent(shares[i])}" for i in order)


def describe_calibration_curve(curves: Mapping[str, Calibration]) -> str:
    """The alt text of the calibration chart, bin by bin."""
    parts = []
    for name, curve in curves.items():
        bins = [f"confidence {percent(c)}, accuracy {percent(a)}" for c, a, n in zip(*curve, strict=True) if n]
        parts.append(f"{name}: {'; '.join(bins)}.")
    return "Calibration. " + " ".join(parts)


def describe_outcomes(groups: PairedOutcomes, truth: NDArray[np.int64], classes: Sequence[str]) -> str:
    """The alt text of the chart of outcomes."""
    now_correct = np.bincount(truth[groups.now_correct], minlength=len(classes))
    now_wrong = np.bincount(truth[groups.now_wrong], minlength=len(classes))
    return "Now correct and now wrong by class: " + ", ".join(
        f"{name} {now_correct[index]:,} and {now_wrong[index]:,}" for index, name in enumerate(classes)
    )


def describe_points(results: Sequence[PointResult], field: str, measured_on: str) -> str:
    """The alt text of a chart of points: each value with its accuracies and gap."""
    listed = "; ".join(
        f"{describe_value(field, result.value(field))}: training {percent(result.training.value, 1)}, {measured_on}"
        f" {percent(result.accuracy.value, 1)}, gap {points(result.gap.value)}"
        for result in results
    )
    return f"{listed}."


def describe_heat_map(results: Sequence[PointResult], as_points: bool) -> str:
    """The alt text of a heat map: each cell with its value."""
    cells = [
        f"{result.depth} conv, strength {describe_value('strength', result.value('strength'))}:"
        f" {points(result.gap.value) if as_points else percent(result.accuracy.value, 1)}"
        for result in results
    ]
    return f"{'Gap' if as_points else 'Accuracy'} by depth and strength. {'; '.join(cells)}."


def describe_ranking(names: Sequence[str], values: Sequence[float], as_points: bool = False) -> str:
    """The alt text of a ranking: names and values, best first."""
    order = rank_order(values, smallest=as_points)
    unit = "points" if as_points else "%"
    listed = ", ".join(f"{names[index]} {100 * values[index]:.1f} {unit}" for index in order)
    return f"{'Gaps, smallest' if as_points else 'Validation accuracies, highest'} first: {listed}."
