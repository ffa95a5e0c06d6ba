"""Sentences about learning curves: whether a network learns or memorizes, the size of the penalty, alt texts."""

import numpy as np

from cnnlab.analysis.curve_summary import CurveSummary, evaluated_epochs, summarize_curves
from cnnlab.array_types import History
from cnnlab.formatting import percent, points

LARGE_GAP, SMALL_GAP = 0.10, 0.05  # a gap above the first, or below the second
CHANCE_MARGIN = 0.05  # a validation accuracy this close to guessing has learned hardly anything
WEAK_FACTOR = 3  # times as good as guessing is still little


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
