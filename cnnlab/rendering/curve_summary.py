"""What the curves say, in figures and in words: the gap and its trend, and whether a network learns or memorizes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.array_types import History

TREND_EPOCHS = 5  # the gap's direction is read from so many last epochs
STEADY_SLOPE = 0.002  # a gap that changes by less than so much an epoch is steady
LARGE_GAP, SMALL_GAP = 0.10, 0.05  # a gap above the first, or below the second
CHANCE_MARGIN = 0.05  # a validation accuracy this close to guessing has learned hardly anything
WEAK_FACTOR = 3  # times as good as guessing is still little


@dataclass(frozen=True)
class CurveSummary:
    """What a history says after its last epoch. Accuracies are fractions; all of them measured in inference mode.

    `gap` is training minus validation accuracy, both measured alike; `trend` is "rising", "falling" or "steady".
    `best` is the highest validation accuracy of any epoch, `best_epoch` the first epoch that had it.
    """

    epoch: int
    training: float
    validation: float
    gap: float
    trend: str
    best: float
    best_epoch: int
    reported: float | None


def summarize_curves(history: History) -> CurveSummary | None:
    """The figures after the last epoch, or None where no epoch is written yet."""
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
        trend=trend(training - validation),
        best=float(validation[top]),
        best_epoch=int(history["epoch"][top]),
        reported=None if np.isnan(reported) else reported,
    )


def evaluated_epochs(history: History) -> History:
    """The epochs that were measured: all but the one at work."""
    there = np.isfinite(history["val_accuracy"])
    return {name: values[there] for name, values in history.items()}


def trend(values: NDArray[np.float64]) -> str:
    """Where the last five values are going, by the slope of the line through them: rising, falling or steady."""
    last = values[-TREND_EPOCHS:]
    if len(last) < 2:
        return "steady"
    slope = float(np.polyfit(np.arange(len(last)), last, 1)[0])
    return "steady" if abs(slope) < STEADY_SLOPE else "rising" if slope > 0 else "falling"


def verdict(summary: CurveSummary, classes: int = 10) -> str:
    """The page's question, answered from the figures: does it learn, or does it memorize?"""
    known, new = percent(summary.training), percent(summary.validation)
    figures = f"right on {known} of the pictures it learned from, and on {new} of new ones"
    if summary.epoch == 0:
        return f"It has not learned yet: it is {figures}."
    if summary.validation < 1 / classes + CHANCE_MARGIN:
        said = (
            "It has hardly learned anything that helps with new pictures" if summary.gap > SMALL_GAP else "It guesses"
        )
        return f"{said}: it is {figures}."
    if summary.gap > LARGE_GAP:
        return f"It memorizes: it is {figures}."
    if summary.gap > SMALL_GAP:
        return f"It learns, and begins to memorize: it is {figures}."
    if summary.validation < WEAK_FACTOR / classes:
        return f"It has learned a little: it is {figures}."
    return f"It learns: it is {figures}."


def describe_penalty(history: History) -> str | None:
    """How large the L2 penalty is beside the loss; None where there is none."""
    history = evaluated_epochs(history)
    penalty, loss = history["penalty"], history["loss"]
    if not len(penalty) or not np.any(penalty > 0):
        return None
    said = f"The L2 penalty is {penalty[-1]:.2g} after epoch {history['epoch'][-1]:.0f}"
    if np.isnan(loss[-1]) or loss[-1] <= 0:
        return f"{said}."
    share = float(penalty[-1] / (penalty[-1] + loss[-1]))
    small = " So small a part changes little" if share < 0.02 else ""
    return f"{said}: {percent(share, 1)} of what training makes small.{small}{'.' if small else ''}"


def percent(share: float, digits: int = 0) -> str:
    """0.7361 as '74 %', or '73.6 %'."""
    return f"{100 * share:.{digits}f} %"


def points(difference: float) -> str:
    """0.024 as '2.4 points'."""
    return f"{100 * difference:.1f} points"


def append_progress(history: History, progress: Mapping[str, Any]) -> History:
    """The history with one more point for the epoch at work: what Keras reports of it so far, and nothing measured."""
    batches = progress.get("batches")
    if progress.get("phase") != "training" or not batches or not len(history["epoch"]):
        return history
    moment = float(progress["epoch"]) - 1 + float(progress.get("batch") or 0) / float(batches)
    if moment <= history["epoch"][-1]:
        return history
    known = {"epoch": moment, "accuracy": progress.get("accuracy"), "loss": progress.get("loss")}
    row = {name: float("nan") if known.get(name) is None else float(known[name] or 0) for name in history}
    return {name: np.append(values, row[name]) for name, values in history.items()}


def describe_accuracy(history: History, title: str) -> str:
    """What the accuracy chart shows."""
    reading = summarize_curves(history)
    if reading is None:
        return f"Accuracy of {title}: no epoch is measured yet."
    return (
        f"Accuracy of {title} over epochs 0 to {reading.epoch}. At the end training is {percent(reading.training, 1)}, "
        f"validation {percent(reading.validation, 1)}, the gap {points(reading.gap)} and {reading.trend}; "
        f"validation was best, {percent(reading.best, 1)}, after epoch {reading.best_epoch}."
    )


def describe_loss(history: History, title: str) -> str:
    """What the loss chart shows."""
    history = evaluated_epochs(history)
    if not len(history["epoch"]):
        return f"Loss of {title}: no epoch is measured yet."
    lowest = int(np.argmin(history["val_loss"]))
    return (
        f"Loss of {title} over epochs 0 to {history['epoch'][-1]:.0f}, without the L2 penalty. At the end training is "
        f"{history['train_eval_loss'][-1]:.2f}, validation {history['val_loss'][-1]:.2f}; validation was lowest, "
        f"{history['val_loss'][lowest]:.2f}, after epoch {history['epoch'][lowest]:.0f}."
    )
