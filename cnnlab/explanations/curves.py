"""Sentences about learning curves: whether a network learns or memorizes, the size of the penalty, alt texts."""

import numpy as np

from cnnlab.analysis.curve_summary import CurveSummary, evaluated_epochs, summarize_curves
from cnnlab.analysis.statistics import Estimate, accuracy_interval, generalization_gap
from cnnlab.array_types import History
from cnnlab.experiment import Experiment
from cnnlab.formatting import percent, points
from cnnlab.models.architecture import CLASS_COUNT
from cnnlab.regularizers import REGULARIZERS

WEAK_OVERFITTING, STRONG_OVERFITTING = 1 / 3, 2 / 3  # of the plain network's gap: weak below the first, strong above
LAGGING_GAP = 0.10  # how far the moving averages' training accuracy lies below the batches' own before they are blamed
WEAK_FACTOR = 3  # times as good as guessing is still little


def verdict(summary: CurveSummary, experiment: Experiment, plain: CurveSummary | None = None) -> str:
    """Whether the network learns or overfits, in one sentence with its figures.

    `plain` is the finished network of the same experiment without a regularizer, None where there is none: how strong
    overfitting is, is said relative to its gap. No claim is made where the gap's 95 % interval includes 0.
    """
    figures = f"right on {percent(summary.training)} of the training images and on {percent(summary.validation)} of new"
    if summary.epoch == 0:
        return f"It has not been trained yet: {figures} ones."
    if averages_lag(summary, experiment):
        return describe_lag(summary)
    gap = gap_estimate(summary, experiment)
    margin = f"gap {points(gap.value)} ± {100 * gap.margin:.1f}"
    return f"{describe_learning(summary, experiment, gap, plain)}: {figures} ones, {margin}."


def gap_estimate(summary: CurveSummary, experiment: Experiment) -> Estimate:
    """The generalization gap with its 95 % interval, both accuracies in inference mode."""
    return generalization_gap(
        summary.training, experiment.train_eval_images, summary.validation, experiment.validation_images
    )


def averages_lag(summary: CurveSummary, experiment: Experiment) -> bool:
    """Whether batch normalization's moving averages lag so far behind that the accuracies say little of the weights.

    Keras's own training accuracy is counted with each batch's own mean and variance, the others with the moving
    averages of both, which start at 0 and 1 and follow with momentum 0.99: after few batches the two differ widely.
    """
    uses_averages = REGULARIZERS[experiment.regularizer].layer_kind == "bn"
    return uses_averages and summary.reported is not None and summary.reported - summary.training > LAGGING_GAP


def describe_lag(summary: CurveSummary) -> str:
    """What the accuracies of a network with lagging moving averages mean."""
    return (
        f"Not to be judged yet: with each batch's own mean and variance it is right on {percent(summary.reported or 0)}"
        f" of the training images, with the moving averages on {percent(summary.training)}, and on"
        f" {percent(summary.validation)} of new ones. The moving averages lag behind the weights."
    )


def describe_learning(summary: CurveSummary, experiment: Experiment, gap: Estimate, plain: CurveSummary | None) -> str:
    """The verdict without its figures: what it has learned, and how strongly it overfits."""
    overfits = gap.is_significant and gap.value > 0
    new = accuracy_interval(summary.validation, experiment.validation_images)
    if new.low <= 1 / CLASS_COUNT:
        return "It knows its training images only" if overfits else "It guesses"
    if not overfits:
        little = summary.validation < WEAK_FACTOR / CLASS_COUNT
        return "It has learned a little" if little else f"It {learning_verb(summary)} without overfitting"
    return f"It {learning_verb(summary)}, with {describe_overfitting(gap, experiment, plain)}"


def learning_verb(summary: CurveSummary) -> str:
    """'is still learning' while the validation accuracy rises beyond chance, else 'learns'."""
    return "is still learning" if summary.validation_trend == "rising" else "learns"


def describe_overfitting(gap: Estimate, experiment: Experiment, plain: CurveSummary | None) -> str:
    """'weak overfitting (24 % of the plain network's gap)'; without a plain network only that it overfits."""
    if plain is None or plain.gap <= 0 or experiment == experiment.without_regularizer():
        return "overfitting"
    share = gap.value / plain.gap
    strength = "weak" if share < WEAK_OVERFITTING else "strong" if share > STRONG_OVERFITTING else "some"
    return f"{strength} overfitting ({percent(share)} of the gap without a regularizer)"


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


def describe_accuracy(history: History, title: str, split: str = "validation") -> str:
    """What the accuracy chart shows; `split` is what it is measured on: "validation" or "test" images."""
    reading = summarize_curves(history)
    if reading is None:
        return f"Accuracy of {title}: no epoch is measured yet."
    trend = f" and {reading.trend}" if reading.trend else ""
    return (
        f"Accuracy of {title} over epochs 0 to {reading.epoch}. At the end training is {percent(reading.training, 1)}, "
        f"{split} {percent(reading.validation, 1)}, the gap {points(reading.gap)}{trend}; "
        f"{split} was highest, {percent(reading.best, 1)}, after epoch {reading.best_epoch}."
    )


def describe_loss(history: History, title: str, split: str = "validation") -> str:
    """What the loss chart shows; `split` as in `describe_accuracy`."""
    history = evaluated_epochs(history)
    if not len(history["epoch"]):
        return f"Loss of {title}: no epoch is measured yet."
    lowest = int(np.argmin(history["val_loss"]))
    return (
        f"Loss of {title} over epochs 0 to {history['epoch'][-1]:.0f}, without the L2 penalty. At the end training is "
        f"{history['train_eval_loss'][-1]:.2f}, {split} {history['val_loss'][-1]:.2f}; {split} was lowest, "
        f"{history['val_loss'][lowest]:.2f}, after epoch {history['epoch'][lowest]:.0f}."
    )
