"""The charts of the page Mistakes with their data, and their alt texts; `mistake_chart_specs` has the specifications.

Blue: correct, red: wrong; the counts are printed in the cells too. Each regularizer has its own color.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cnnlab.analysis.metrics import Calibration, PairedOutcomes
from cnnlab.formatting import percent
from cnnlab.rendering.charts import Spec, cached_spec, with_data
from cnnlab.rendering.palette import REGULARIZER_COLORS

ALL_WRONG = "all wrong"  # the last row and the last column of the matrix: all mistakes of a class
MAX_OPACITY = 0.85  # of the most frequent cell, so that its number stays readable


def confusion_matrix_chart(table: NDArray[np.int64], classes: Sequence[str], chosen: tuple[str, str]) -> Spec:
    """The confusion matrix, int (classes, classes), with the sums of mistakes in a last row and column.

    `chosen` is the selected (true class, predicted class), "" for any. A click on a cell selects its
    `true_class` and `predicted`, ALL_WRONG in the last row and column. The opacity of correct predictions is their
    share of the class, that of mistakes their share of the most frequent mistake.
    """
    names, size = [*classes, ALL_WRONG], len(classes) + 1
    counts, selected = with_error_totals(table), (chosen[0] or ALL_WRONG, chosen[1] or ALL_WRONG)
    kind = np.full((size, size), "wrong", dtype="U7")
    np.fill_diagonal(kind, "correct")
    kind[-1] = kind[:, -1] = "sum"
    scale = np.where(kind == "correct", np.append(table.sum(axis=1), 1)[:, None], counts[kind == "wrong"].max())
    truth, predicted = np.repeat(names, size).tolist(), names * size
    return with_data(
        cached_spec("mistake_chart_specs.matrix", tuple(names)),
        true_class=truth,
        predicted=predicted,
        count=counts.ravel(),
        label=[f"{count:,}" if count else "" for count in counts.ravel().tolist()],
        kind=kind.ravel(),
        strength=MAX_OPACITY * (counts / np.maximum(scale, 1)).ravel(),
        description=[
            f"{describe_cell(*pair)}: {count:,}" for *pair, count in zip(truth, predicted, counts.ravel(), strict=True)
        ],
        chosen=[float(pair == selected) for pair in zip(truth, predicted, strict=True)],
        previous=[" ".join(selected)] * size**2,
    )


def describe_cell(truth: str, predicted: str) -> str:
    """The alt text of one cell: 'cat, predicted as dog'."""
    true_class = "every class" if truth == ALL_WRONG else truth
    if truth == predicted != ALL_WRONG:
        return f"{true_class}, correct"
    return f"{true_class}, predicted as {'another class' if predicted == ALL_WRONG else predicted}"


def with_error_totals(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """The confusion matrix (n, n) with the sums of the mistakes of each column and row: int64 (n + 1, n + 1)."""
    mistakes = table - np.diag(np.diag(table))
    last = np.append(mistakes.sum(axis=0), mistakes.sum())
    return np.vstack([np.column_stack([table, mistakes.sum(axis=1)]), last])


def class_accuracy_chart(shares: NDArray[np.float64], classes: Sequence[str], color: str) -> Spec:
    """The accuracy per class, best first; `shares` float64 (classes,), NaN for classes without images."""
    order = [index for index in np.argsort(-shares, kind="stable").tolist() if not np.isnan(shares[index])]
    return with_data(
        cached_spec("mistake_chart_specs.class_accuracy", color),
        name=[classes[index] for index in order],
        share=shares[order],
        label=[percent(shares[index]) for index in order],
    )


def calibration_chart(curves: Mapping[str, Calibration], colors: Sequence[str]) -> Spec:
    """Accuracy against confidence, without empty bins; `curves`: by title what `metrics.calibration` returns."""
    rows = [
        (name, confidence, accuracy, count)
        for name, curve in curves.items()
        for confidence, accuracy, count in zip(*curve, strict=True)
        if count
    ]
    names, confidence, accuracy, count = zip(*rows, strict=True)
    return with_data(
        cached_spec("mistake_chart_specs.calibration", tuple(curves), tuple(colors)),
        run=names,
        confidence=confidence,
        accuracy=accuracy,
        count=count,
    )


def outcome_chart(groups: PairedOutcomes, truth: NDArray[np.int64], classes: Sequence[str]) -> Spec:
    """The images of each class that are now correct (bars to the right) and now wrong (to the left)."""
    now_correct = np.bincount(truth[groups.now_correct], minlength=len(classes))
    now_wrong = np.bincount(truth[groups.now_wrong], minlength=len(classes))
    order = np.argsort(now_wrong - now_correct, kind="stable")
    return with_data(
        cached_spec("mistake_chart_specs.outcomes"),
        name=[classes[index] for index in order],
        now_correct=now_correct[order],
        now_wrong=-now_wrong[order],
        net=[f"{now_correct[index] - now_wrong[index]:+,}" for index in order],
    )


def regularizer_colors(regularizers: Sequence[str]) -> list[str]:
    """The color of each run, by its regularizer."""
    return [REGULARIZER_COLORS[name] for name in regularizers]
