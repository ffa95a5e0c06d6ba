"""The scatter of accuracy against cost with its data; `compare_chart_specs` has its specification."""

from collections.abc import Sequence
from dataclasses import dataclass

from cnnlab.regularizers import REGULARIZERS
from cnnlab.rendering.charts import Spec, cached_spec, with_data

EQUAL_COST = 0.01  # of the range of the costs: within it they count as equal
MARK_SPACING, LABEL_SPACING = 0.018, 0.06  # of the range of the axis, between the marks and the labels in the scatter


@dataclass(frozen=True, kw_only=True)
class CostPoint:
    """A network in the scatter of accuracy against cost; accuracies are fractions, with the ends of the interval.

    cost_range: the smallest and the largest measurement of the cost; None for a cost that is counted.
    """

    title: str
    regularizer: str
    depth: int
    cost: float
    accuracy: float
    low: float
    high: float
    cost_range: tuple[float, float] | None = None


def cost_chart(points: Sequence[CostPoint], title: str, form: str) -> Spec:
    """Accuracy against a cost, whose axis has this title and format; marks of equal cost stand side by side."""
    ranges = [point.cost_range or (point.cost, point.cost) for point in points]
    places, labels = separate_equal_costs([point.cost for point in points]), separate_labels(points)
    return with_data(
        cached_spec("compare_chart_specs.cost_scatter", title, form),
        model=[point.title for point in points],
        cost=[point.cost for point in points],
        least=[least for least, _ in ranges],
        most=[most for _, most in ranges],
        accuracy=[point.accuracy for point in points],
        low=[point.low for point in points],
        high=[point.high for point in points],
        regularizer=[point.regularizer for point in points],
        depth=[str(point.depth) for point in points],
        label=[REGULARIZERS[point.regularizer].label for point in points],
        place=places,
        label_place=[label_place(point, points, places) for point in points],
        label_height=labels,
    )


def separate_equal_costs(costs: Sequence[float]) -> list[float]:
    """The costs, equal ones moved apart by MARK_SPACING of their range, which else hide each other."""
    extent = max(costs, default=0.0) - min(costs, default=0.0)
    places = list(costs)
    for cost in set(costs):
        equal = [index for index, other in enumerate(costs) if abs(other - cost) <= EQUAL_COST * extent]
        for rank, index in enumerate(equal):
            places[index] = cost + (rank - (len(equal) - 1) / 2) * MARK_SPACING * extent
    return places


def separate_labels(points: Sequence[CostPoint]) -> list[float]:
    """The heights of the labels: the accuracies, moved up until they are LABEL_SPACING of the axis apart."""
    extent = max((point.high for point in points), default=0.0) - min((point.low for point in points), default=0.0)
    heights = [point.accuracy for point in points]
    below = float("-inf")
    for index in sorted(range(len(points)), key=lambda index: points[index].accuracy):
        heights[index] = below = max(heights[index], below + LABEL_SPACING * extent)
    return heights


def label_place(point: CostPoint, points: Sequence[CostPoint], places: Sequence[float]) -> float:
    """Where the label of this network stands: beside the outermost mark of its depth with the same cost."""
    extent = max(place.cost for place in points) - min(place.cost for place in points)
    equal = [
        place
        for other, place in zip(points, places, strict=True)
        if other.depth == point.depth and abs(other.cost - point.cost) <= EQUAL_COST * extent
    ]
    return max(equal) if point.depth == max(point.depth for point in points) else min(equal)
