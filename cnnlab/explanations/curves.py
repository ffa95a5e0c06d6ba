"""Sentences about learning curves: the size of the L2 penalty, the alt texts of charts."""

from collections.abc import Mapping, Sequence

import numpy as np

from cnnlab.analysis.curve_summary import evaluated_epochs, summarize_curves
from cnnlab.analysis.seed_curves import seed_curve
from cnnlab.array_types import History
from cnnlab.formatting import percent, pluralize, points


def describe_penalty(history: History) -> str | None:
    """The size of the L2 penalty relative to the loss; None without a penalty."""
    history = evaluated_epochs(history)
    penalty, loss = history["penalty"], history["loss"]
    if not len(penalty) or not np.any(penalty > 0):
        return None
    sentence = f"The L2 penalty is {penalty[-1]:.2g} after epoch {history['epoch'][-1]:.0f}"
    if np.isnan(loss[-1]) or loss[-1] <= 0:
        return f"{sentence}."
    share = float(penalty[-1] / (penalty[-1] + loss[-1]))
    remark = " So small a part changes little" if share < 0.02 else ""
    return f"{sentence}: {percent(share, 1)} of what training makes small.{remark}{'.' if remark else ''}"


def describe_accuracy(history: History, title: str, split: str = "validation") -> str:
    """The alt text of the accuracy chart; `split` is "validation" or "test"."""
    summary = summarize_curves(history)
    if summary is None:
        return f"Accuracy of {title}: no epoch is measured yet."
    trend = f", {summary.trend}" if summary.trend else ""
    return (
        f"Accuracy of {title} over epochs 0 to {summary.epoch}. At the end training is {percent(summary.training, 1)}, "
        f"{split} {percent(summary.validation, 1)}, the gap {points(summary.gap)}{trend}; "
        f"{split} was highest, {percent(summary.best, 1)}, after epoch {summary.best_epoch}."
    )


def describe_loss(history: History, title: str, split: str = "validation") -> str:
    """The alt text of the loss chart; `split` is "validation" or "test"."""
    history = evaluated_epochs(history)
    if not len(history["epoch"]):
        return f"Loss of {title}: no epoch is measured yet."
    lowest = int(np.argmin(history["val_loss"]))
    return (
        f"Loss of {title} over epochs 0 to {history['epoch'][-1]:.0f}, without the L2 penalty. At the end training is "
        f"{history['train_eval_loss'][-1]:.2f}, {split} {history['val_loss'][-1]:.2f}; {split} was lowest, "
        f"{history['val_loss'][lowest]:.2f}, after epoch {history['epoch'][lowest]:.0f}."
    )


def describe_seed_panels(named: Mapping[str, Sequence[History]], what: str, split: str = "validation") -> str:
    """The alt text of the panels of learning curves: for each network the mean at the end and at its best epoch."""
    smallest = what == "loss"
    parts = []
    for title, histories in named.items():
        curve = seed_curve(histories, what)
        if not len(curve.epoch):
            continue
        best = curve.best(smallest)
        end, highest = (
            f"{value:.2f}" if smallest else percent(value, 1) for value in (curve.mean[-1], curve.mean[best])
        )
        seeds = pluralize(curve.seeds, "seed")
        rank = "lowest" if smallest else "highest"
        parts.append(f"{title}, {seeds}: {end} at the end, {rank} {highest} after epoch {curve.epoch[best]:.0f}")
    return f"Curves of the {split} {what}. {'; '.join(parts)}."
