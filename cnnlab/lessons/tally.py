"""Tallies of a class's predictions: how many chose what, and how predictions compare with the result."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median
from typing import Any

from cnnlab.lessons.sheet import Step


@dataclass(frozen=True)
class Row:
    """One line of a tally: a label, a count, and the count's share of all answers (0..1)."""

    label: str
    count: int
    share: float


def tally(step: Step, contents: Sequence[Any]) -> list[Row]:
    """The tally of these answers; of an order the share that put each option first, of other kinds how many answered.

    A sketch has no rows: `median_sketch` sums it up.
    """
    if step.kind == "choice":
        counts = Counter(contents)
    elif step.kind == "order":
        counts = Counter(content[0] for content in contents)
    else:
        return []
    total = max(1, len(contents))
    return [Row(option, counts[option], counts[option] / total) for option in step.options]


def median_sketch(step: Step, contents: Sequence[Any]) -> list[float]:
    """The median of the sketches at each x; empty without answers."""
    if not contents or step.sketch is None:
        return []
    return [float(median(content[index] for content in contents)) for index in range(len(step.sketch.x))]


def agreeing_pairs(
    order: Sequence[str], result: Sequence[str], undecided: Iterable[tuple[str, str]] = ()
) -> tuple[int, int]:
    """Of how many pairs of options the order is that of the result, and the number of pairs, without the undecided."""
    place = {label: index for index, label in enumerate(result)}
    left_out = set(map(frozenset, undecided))
    pairs = [
        (a, b) for a, b in combinations(order, 2) if a in place and b in place and frozenset((a, b)) not in left_out
    ]
    return sum(place[a] < place[b] for a, b in pairs), len(pairs)


def sketch_distance(step: Step, sketch: Sequence[float], curve: Sequence[tuple[float, float]]) -> float | None:
    """The mean absolute difference of a sketch and a measured curve at the sketch's x, linearly between epochs.

    None where the curve does not reach any of them.
    """
    if step.sketch is None:
        return None
    found = [abs(y - value) for x, y in zip(step.sketch.x, sketch, strict=True) if (value := _at(curve, x)) is not None]
    return sum(found) / len(found) if found else None


def _at(curve: Sequence[tuple[float, float]], x: float) -> float | None:
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x0 <= x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return None
