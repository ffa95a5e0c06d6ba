"""Sentences about learning curves: learning or overfitting, the size of the L2 penalty, alt texts of charts."""

from collections.abc import Mapping, Sequence

import numpy as np

from cnnlab.analysis.curve_summary import CurveSummary, evaluated_epochs, summarize_curves
from cnnlab.analysis.seed_curves import seed_curve
from cnnlab.analysis.statistics import Estimate, accuracy_interval, generalization_gap
from cnnlab.array_types import History
from cnnlab.experiment import Experiment
from cnnlab.formatting import percent, points
from cnnlab.regularizers import REGULARIZERS

WEAK_OVERFITTING, STRONG_OVERFITTING = 1 / 3, 2 / 3  # of the plain network's gap: weak below the first, strong above
LAGGING_GAP = (
    0.10  # training accuracy with batch statistics minus that with moving averages, above which the averages lag
)
EARLY_SHARE = 1 / 2  # of what the finished series gained over chance level, below which a network is still learning
WEAK_FACTOR = 3  # an accuracy below so many times chance level is called low


def verdict(
    summary: CurveSummary,
    experiment: Experiment,
    plain: CurveSummary | None = None,
    series_accuracy: float | None = None,
) -> str:
    """Whether the network learns or overfits, in one sentence with its accuracies and gap.

    `plain` is the finished network of the same experiment without a regularizer, or None: the strength of overfitting
    is relative to its gap. Overfitting is stated only where the gap's 95 % interval excludes 0. `series_accuracy` is
    the mean validation accuracy that finished networks of the series reached, None where none has finished: below half
    of the way there from chance level the network is still learning.
    """
    figures = (
        f"correct on {percent(summary.training)} of the training images and on {percent(summary.validation)} of new"
    )
    if summary.epoch == 0:
        return f"It has not been trained yet: {figures} ones."
    if averages_lag(summary, experiment):
        return describe_lag(summary)
    gap = gap_estimate(summary, experiment)
    margin = f"gap {points(gap.value)} ± {100 * gap.margin:.1f}"
    if is_early(summary, chance_accuracy(experiment), series_accuracy):
        return f"It is still learning: {figures} ones; finished, this network reached {percent(series_accuracy or 0)}."
    return f"{describe_learning(summary, experiment, gap, plain)}: {figures} ones, {margin}."


def chance_accuracy(experiment: Experiment) -> float:
    """The accuracy of a guess: one class of the data set's."""
    return 1 / experiment.dataset_info.class_count


def is_early(summary: CurveSummary, chance: float, series_accuracy: float | None) -> bool:
    """Whether the validation accuracy is less than half of the way from chance level to that of its finished series."""
    if series_accuracy is None or series_accuracy <= chance:
        return False
    return summary.validation - chance < EARLY_SHARE * (series_accuracy - chance)


def gap_estimate(summary: CurveSummary, experiment: Experiment) -> Estimate:
    """The generalization gap with its 95 % interval, both accuracies in inference mode."""
    return generalization_gap(
        summary.training, experiment.train_eval_images, summary.validation, experiment.validation_images
    )


def describe_interval(experiment: Experiment) -> str:
    """What the interval of the gap counts: how many images, and that the seed is not in it."""
    evaluated = "test" if experiment.split == "test" else "validation"
    return (
        f"± is half the 95 % interval: chance of the {experiment.train_eval_images:,} training and"
        f" {experiment.validation_images:,} {evaluated} images that were measured. One seed; another one is not in it."
    )


def describe_reestimated(train: float, validation: float, experiment: Experiment) -> str:
    """The accuracies after the last epoch with re-estimated batch normalization, beside those that Keras evaluates."""
    gap = generalization_gap(train, experiment.train_eval_images, validation, experiment.validation_images)
    evaluated = "test" if experiment.split == "test" else "validation"
    return (
        f"With batch normalization's mean and variance re-estimated from training images: training {percent(train, 1)},"
        f" {evaluated} {percent(validation, 1)}, gap {points(gap.value)} ± {100 * gap.margin:.1f}."
        " The figures above use Keras's moving averages, which lag behind the weights: neither alone is the verdict."
    )


def averages_lag(summary: CurveSummary, experiment: Experiment) -> bool:
    """Whether batch normalization's moving averages lag so far behind the weights that accuracies mean little.

    Keras's training accuracy uses the mean and variance of each batch, the other accuracies use the moving averages,
    which start at 0 and 1 and have momentum 0.99: after few batches the two differ by more than LAGGING_GAP.
    """
    uses_averages = REGULARIZERS[experiment.regularizer].layer_kind == "bn"
    return uses_averages and summary.reported is not None and summary.reported - summary.training > LAGGING_GAP


def describe_lag(summary: CurveSummary) -> str:
    """The sentence for a network whose moving averages lag behind its weights."""
    return (
        f"Not to be judged yet: with each batch's own mean and variance it is correct on"
        f" {percent(summary.reported or 0)} of the training images, with the moving averages on"
        f" {percent(summary.training)}, and on {percent(summary.validation)} of new ones. The moving averages lag"
        " behind the weights."
    )


def describe_learning(summary: CurveSummary, experiment: Experiment, gap: Estimate, plain: CurveSummary | None) -> str:
    """The verdict without numbers: how well it has learned, and how strongly it overfits."""
    overfits = gap.is_significant and gap.value > 0
    interval = accuracy_interval(summary.validation, experiment.validation_images)
    if interval.low <= chance_accuracy(experiment):
        return "It knows its training images only" if overfits else "It guesses"
    if not overfits:
        is_low = summary.validation < WEAK_FACTOR * chance_accuracy(experiment)
        return "It has learned a little" if is_low else f"It {learning_verb(summary)} without overfitting"
    return f"It {learning_verb(summary)}, with {describe_overfitting(gap, experiment, plain)}"


def learning_verb(summary: CurveSummary) -> str:
    """'is still learning' while the validation accuracy rises significantly, else 'learns'."""
    return "is still learning" if summary.validation_trend == "rising" else "learns"


def describe_overfitting(gap: Estimate, experiment: Experiment, plain: CurveSummary | None) -> str:
    """'weak overfitting (24 % of the gap without a regularizer)'; without a plain network 'overfitting'."""
    if plain is None or plain.gap <= 0 or experiment == experiment.without_regularizer():
        return "overfitting"
    share = gap.value / plain.gap
    strength = "weak" if share < WEAK_OVERFITTING else "strong" if share > STRONG_OVERFITTING else "some"
    return f"{strength} overfitting ({percent(share)} of the gap without a regularizer)"


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
    trend = f" and {summary.trend}" if summary.trend else ""
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
        seeds = f"{curve.seeds} seeds" if curve.seeds > 1 else "1 seed"
        rank = "lowest" if smallest else "highest"
        parts.append(f"{title}, {seeds}: {end} at the end, {rank} {highest} after epoch {curve.epoch[best]:.0f}")
    return f"Curves of the {split} {what}. {'; '.join(parts)}."
