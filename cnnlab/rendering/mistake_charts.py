"""The charts of the page Mistakes, in figures and in words; their specifications are in `mistake_chart_specs`.

Blue is right, red is wrong, and each number stands on its square too. A regularizer keeps its colour.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cnnlab.analysis.metrics import PairedOutcomes
from cnnlab.formatting import percent
from cnnlab.rendering.charts import Spec, cached_spec, with_data
from cnnlab.rendering.palette import REGULARIZER_COLORS

ALL_WRONG = "all wrong"  # the last row and the last column of the matrix: every mistake of a class
MAX_OPACITY = 0.85  # the opacity of the strongest square: its number stays readable
Calibration = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]


def confusion_matrix_chart(table: NDArray[np.int64], classes: Sequence[str], chosen: tuple[str, str]) -> Spec:
    """The confusion matrix with its mistakes summed up at the right and below; `chosen` is (truth, said), "" for any.

    A square that is clicked gives its `truth` and `said`, which are ANY at the margin. Right answers are coloured by
    their share of the class, mistakes by their share of the commonest one.
    """
    names, size = [*classes, ALL_WRONG], len(classes) + 1
    counts, here = with_error_totals(table), (chosen[0] or ALL_WRONG, chosen[1] or ALL_WRONG)
    kind = np.full((size, size), "wrong", dtype="U5")
    np.fill_diagonal(kind, "right")
    kind[-1] = kind[:, -1] = "sum"
    most = np.where(kind == "right", np.append(table.sum(axis=1), 1)[:, None], counts[kind == "wrong"].max())
    truth, said = np.repeat(names, size).tolist(), names * size
    return with_data(
        cached_spec("mistake_chart_specs.matrix", tuple(names)),
        truth=truth,
        said=said,
        count=counts.ravel(),
        label=[f"{count:,}" if count else "" for count in counts.ravel().tolist()],
        kind=kind.ravel(),
        strength=MAX_OPACITY * (counts / np.maximum(most, 1)).ravel(),
        words=[f"{describe_cell(*pair)}: {count:,}" for *pair, count in zip(truth, said, counts.ravel(), strict=True)],
        chosen=[float(pair == here) for pair in zip(truth, said, strict=True)],
        turn=[" ".join(here)] * size**2,
    )


def describe_cell(truth: str, said: str) -> str:
    """One square for a screen reader: 'cat, taken for dog'."""
    whose = "every class" if truth == ALL_WRONG else truth
    return (
        f"{whose}, recognized"
        if truth == said != ALL_WRONG
        else f"{whose}, taken for {'others' if said == ALL_WRONG else said}"
    )


def with_error_totals(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """A confusion matrix with one more row and column: the mistakes of each column and of each row added up."""
    mistakes = table - np.diag(np.diag(table))
    last = np.append(mistakes.sum(axis=0), mistakes.sum())
    return np.vstack([np.column_stack([table, mistakes.sum(axis=1)]), last])


def class_accuracy_chart(shares: NDArray[np.float64], classes: Sequence[str], colour: str) -> Spec:
    """The share of each class that is recognized, best first."""
    order = [index for index in np.argsort(-shares, kind="stable").tolist() if not np.isnan(shares[index])]
    return with_data(
        cached_spec("mistake_chart_specs.class_accuracy", colour),
        name=[classes[index] for index in order],
        share=shares[order],
        label=[percent(shares[index]) for index in order],
    )


def calibration_chart(curves: Mapping[str, Calibration], colours: Sequence[str]) -> Spec:
    """How often each network is right when it is so sure; empty bins are left out."""
    rows = [
        (name, sure, right, count)
        for name, curve in curves.items()
        for sure, right, count in zip(*curve, strict=True)
        if count
    ]
    names, sure, right, count = zip(*rows, strict=True)
    return with_data(
        cached_spec("mistake_chart_specs.calibration", tuple(curves), tuple(colours)),
        run=names,
        sure=sure,
        right=right,
        count=count,
    )


def outcome_chart(groups: PairedOutcomes, truth: NDArray[np.int64], classes: Sequence[str]) -> Spec:
    """Class by class, how many pictures were fixed (to the right) and broken (to the left)."""
    fixed = np.bincount(truth[groups.now_correct], minlength=len(classes))
    broke = np.bincount(truth[groups.now_wrong], minlength=len(classes))
    order = np.argsort(broke - fixed, kind="stable")
    return with_data(
        cached_spec("mistake_chart_specs.outcomes"),
        name=[classes[index] for index in order],
        fixed=fixed[order],
        broke=-broke[order],
        net=[f"{fixed[index] - broke[index]:+,}" for index in order],
    )


# -- the same in words -----------------------------------------------------------------------------------------------


def describe_confusion_matrix(table: NDArray[np.int64], classes: Sequence[str]) -> str:
    """What the matrix shows: for each class how many are right, and what the others are taken for most."""
    said = []
    for row, name in enumerate(classes):
        others = table[row].copy()
        others[row] = 0
        most = int(np.argmax(others))
        mixed = f", {others[most]:,} taken for {classes[most]}" if others[most] else ""
        said.append(f"{name} {table[row, row]:,} of {table[row].sum():,} right{mixed}")
    return f"Confusion matrix. {'; '.join(said)}."


def describe_class_accuracy(shares: NDArray[np.float64], classes: Sequence[str]) -> str:
    """What the bars show, best first."""
    order = [index for index in np.argsort(-shares, kind="stable").tolist() if not np.isnan(shares[index])]
    return "Share of each class that is recognized: " + ", ".join(f"{classes[i]} {percent(shares[i])}" for i in order)


def describe_calibration_curve(curves: Mapping[str, Calibration]) -> str:
    """What the calibration chart shows, bin by bin."""
    parts = []
    for name, curve in curves.items():
        bins = [f"{percent(sure)} sure, {percent(right)} right" for sure, right, n in zip(*curve, strict=True) if n]
        parts.append(f"{name}: {'; '.join(bins)}.")
    return "Calibration. " + " ".join(parts)


def describe_outcomes(groups: PairedOutcomes, truth: NDArray[np.int64], classes: Sequence[str]) -> str:
    """What the exchange chart shows."""
    fixed = np.bincount(truth[groups.now_correct], minlength=len(classes))
    broke = np.bincount(truth[groups.now_wrong], minlength=len(classes))
    return "Fixed and broken by class: " + ", ".join(
        f"{name} {fixed[index]:,} and {broke[index]:,}" for index, name in enumerate(classes)
    )


def regularizer_colors(regularizers: Sequence[str]) -> list[str]:
    """The colour of each run by its regularizer."""
    return [REGULARIZER_COLORS[name] for name in regularizers]
