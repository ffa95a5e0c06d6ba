"""Summary of learning curves: accuracies after the last epoch, the gap, its trend, the best epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.analysis import statistics
from cnnlab.array_types import History

TREND_EPOCHS = 8  # the trend of a curve is estimated from so many last epochs
MIN_TREND_EPOCHS = 4  # with fewer there is no trend
MIN_SLOPE = 0.002  # per epoch; a smaller slope is neither rising nor falling, whatever its interval
STEADY_RANGE = 0.005  # per epoch; a curve is steady where the whole interval of its slope lies within this of 0


@dataclass(frozen=True)
class CurveSummary:
    """A training history after its last epoch. Accuracies are fractions 0..1 in inference mode.

    `reported` is the training accuracy as Keras reports it, None without one. `gap` is training minus validation
    accuracy; `trend` is that of the gap and `validation_trend` that of the validation accuracy: "rising", "falling",
    "steady", "no clear trend", or "" after too few epochs.
    `best` is the highest validation accuracy of any epoch, `best_epoch` the first epoch that had it.
    """

    epoch: int
    training: float
    validation: float
    gap: float
    trend: str
    validation_trend: str
    best: float
    best_epoch: int
    reported: float | None


def summarize_curves(history: History) -> CurveSummary | None:
    """The summary after the last epoch, or None where the history has no epoch yet."""
    history = evaluated_epochs(history)
    if not len(history["epoch"]):
        return None
    training, validation = history["train_eval_accuracy"], history["val_accuracy"]
    top = int(np.argmax(validation))
    reported = float(history["accuracy"][-1])
    return CurveSummary(
        epoch=int(history["epoch"][-1]),
        training=float(training[-1]),
        validation=float(validation[-1]),
        gap=float(training[-1] - validation[-1]),
        trend=trend_word(training - validation),
        validation_trend=trend_word(validation),
        best=float(validation[top]),
        best_epoch=int(history["epoch"][top]),
        reported=None if np.isnan(reported) else reported,
    )


def reestimated_summary(summary: CurveSummary, training: float, validation: float) -> CurveSummary:
    """The same epoch by its accuracies with re-estimated batch normalization, fractions.

    The trend of the validation accuracy stays that of the recorded curve, of which all epochs are known.
    """
    return replace(summary, training=training, validation=validation, gap=training - validation, trend="")


def evaluated_epochs(history: History) -> History:
    """The epochs with a validation accuracy: all but the running one."""
    is_evaluated = np.isfinite(history["val_accuracy"])
    return {name: values[is_evaluated] for name, values in history.items()}


def trend_word(values: NDArray[np.float64]) -> str:
    """ "rising" or "falling" where the slope of the last epochs differs significantly from 0; "" for few epochs.

    Else "steady" where the interval of the slope shows that it is small, "no clear trend" where the curve jumps too
    much to show that. The slope is that of `statistics.trend`, with a 95 % interval, over TREND_EPOCHS epochs.
    """
    recent = values[-TREND_EPOCHS:]
    if len(recent) < MIN_TREND_EPOCHS:
        return ""
    slope = statistics.trend(recent)
    if slope.is_significant and abs(slope.value) >= MIN_SLOPE:
        return "rising" if slope.value > 0 else "falling"
    return "steady" if max(-slope.low, slope.high) <= STEADY_RANGE else "no clear trend"


def append_progress(history: History, progress: Mapping[str, Any]) -> History:
    """The history with one more row for the running epoch: Keras's accuracy and loss so far, NaN for the rest."""
    batches = progress.get("batches")
    if progress.get("phase") != "training" or not batches or not len(history["epoch"]):
        return history
    position = float(progress["epoch"]) - 1 + float(progress.get("batch") or 0) / float(batches)
    if position <= history["epoch"][-1]:
        return history
    known = {"epoch": position, "accuracy": progress.get("accuracy"), "loss": progress.get("loss")}
    row = {name: float("nan") if known.get(name) is None else float(known[name] or 0) for name in history}
    return {name: np.append(values, row[name]) for name, values in history.items()}
