"""The verdict on one network: whether it learns or overfits, by which measure, and how sure that is."""

import math

from cnnlab.analysis.curve_summary import TREND_EPOCHS, CurveSummary
from cnnlab.analysis.statistics import Estimate, accuracy_interval, generalization_gap
from cnnlab.experiment import Experiment
from cnnlab.explanations.intervals import format_margin
from cnnlab.formatting import percent, points
from cnnlab.regularizers import REGULARIZERS

WEAK_OVERFITTING, STRONG_OVERFITTING = 1 / 3, 2 / 3  # of the plain network's gap: weak below the first, strong above
LAGGING_GAP = (
    0.10  # training accuracy with batch statistics minus that with moving averages, above which the averages lag
)
EARLY_SHARE = 1 / 2  # of what the finished series gained over chance level, below which a network is still learning
STILL_LEARNING = "still learning"
WEAK_FACTOR = 3  # an accuracy below so many times chance level is called low


def verdict(
    summary: CurveSummary,
    experiment: Experiment,
    plain: CurveSummary | None = None,
    series_accuracy: float | None = None,
    reestimated: CurveSummary | None = None,
) -> str:
    """Whether the network learns or overfits, in one sentence with its accuracies and gap.

    `plain` is the finished network of the same experiment without a regularizer, or None: the strength of overfitting
    is relative to its gap. Overfitting is stated only where the gap's 95 % interval excludes 0. `series_accuracy` is
    the mean validation accuracy that finished networks of the series reached, None where none has finished: below half
    of the way there from chance level the network is still learning. `reestimated` are the figures of the same epoch
    with re-estimated batch normalization, None where unknown: with them the verdict is that of both measures.
    """
    if summary.epoch == 0:
        return f"It has not been trained yet: {describe_figures(summary)}."
    if reestimated is None and averages_lag(summary, experiment):
        return describe_lag(summary)
    judged = reestimated or summary
    if is_early(judged, chance_accuracy(experiment), series_accuracy):
        reached = percent(series_accuracy or 0)
        return f"It is {STILL_LEARNING}: {describe_figures(judged)}; finished, this network reached {reached}."
    if reestimated is not None:
        return describe_both_measures(summary, reestimated, experiment, plain)
    gap = gap_estimate(summary, experiment)
    return f"{describe_learning(summary, experiment, gap, plain)}: {describe_figures(summary)}, {describe_margin(gap)}."


def describe_figures(summary: CurveSummary) -> str:
    """'correct on 95 % of the training images and on 71 % of new ones'."""
    return (
        f"correct on {percent(summary.training)} of the training images and on {percent(summary.validation)} of new"
        " ones"
    )


def describe_margin(gap: Estimate) -> str:
    """'gap 24.2 points ± 1.1'."""
    return f"gap {points(gap.value)} {format_margin(gap)}"


def describe_both_measures(
    summary: CurveSummary, reestimated: CurveSummary, experiment: Experiment, plain: CurveSummary | None
) -> str:
    """The verdict on a network with batch normalization: by Keras's moving averages and re-estimated.

    Where the moving averages lag behind the weights, the re-estimated figures show what was learned.
    """
    gaps = [gap_estimate(measured, experiment) for measured in (summary, reestimated)]
    averages, anew = (
        f"{describe_figures(measured)}, {describe_margin(gap)}"
        for measured, gap in zip((summary, reestimated), gaps, strict=True)
    )
    first, second = (
        describe_learning(measured, experiment, gap, plain, with_share=False)
        for measured, gap in zip((summary, reestimated), gaps, strict=True)
    )
    if averages_lag(summary, experiment):
        return (
            f"{second}, judged with batch normalization's mean and variance re-estimated: {anew}. With Keras's moving"
            f" averages, which lag behind the weights, it is {averages}."
        )
    if first == second:
        return (
            f"{first}, by both measures of batch normalization. With Keras's moving averages {averages};"
            f" re-estimated {anew}."
        )
    return (
        "The verdict depends on the measure of batch normalization. With Keras's moving averages:"
        f" {first[0].lower()}{first[1:]}, {averages}. Re-estimated: {second[0].lower()}{second[1:]}, {anew}."
    )


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


def describe_interval(experiment: Experiment, has_margin: bool = True) -> str:
    """What the interval of the gap counts: how many images, and that the seed is not in it; noisy training labels.

    Without a margin in the verdict only how many images were measured.
    """
    evaluated = "test" if experiment.split == "test" else "validation"
    noise = (
        f" Training accuracy: labels as they were trained with, {percent(experiment.label_noise)} of them replaced."
        if experiment.label_noise
        else ""
    )
    images = f"{experiment.train_eval_images:,} training and {experiment.validation_images:,} {evaluated} images"
    if not has_margin:
        return f"Measured on {images}.{noise}"
    return (
        f"± is half the 95 % interval: chance of the {images} that were measured. One seed; another one is not in it."
        f"{noise}"
    )


def describe_rounding(summary: CurveSummary) -> str:
    """That the gap is rounded by itself, where the shown accuracies have another difference; else ""."""
    shown = round(100 * summary.training, 1) - round(100 * summary.validation, 1)
    return "" if f"{shown:.1f}" == f"{100 * summary.gap:.1f}" else "The gap is computed before rounding."


def describe_thresholds(experiment: Experiment, plain: CurveSummary | None) -> str:
    """When overfitting is called weak, some or strong; "" where there is no other network to compare with."""
    if not is_comparable(experiment, plain):
        return ""
    return (
        f"Overfitting is called weak below {percent(WEAK_OVERFITTING)} of the gap of the same network without a"
        f" regularizer, strong above {percent(STRONG_OVERFITTING)}, where the whole interval of this share lies there."
    )


def describe_early_limit(words: str, experiment: Experiment, series_accuracy: float | None) -> str:
    """When a network is called still learning, below the verdict `words` that call it so; "" below any other one."""
    if STILL_LEARNING not in words:
        return ""
    rising = f"while the validation accuracy of the last {TREND_EPOCHS} epochs rises beyond chance"
    chance = chance_accuracy(experiment)
    if series_accuracy is None or series_accuracy <= chance:
        return f"A network is called still learning {rising}."
    limit = chance + EARLY_SHARE * (series_accuracy - chance)
    return (
        f"A network is called still learning below {percent(limit)}, half of the way from a guess ({percent(chance)})"
        f" to what finished ones of any seed reached ({percent(series_accuracy)}), and {rising}."
    )


def describe_reestimated(train: float, validation: float, experiment: Experiment) -> str:
    """The accuracies after the last epoch with re-estimated batch normalization, beside those that Keras evaluates."""
    gap = generalization_gap(train, experiment.train_eval_images, validation, experiment.validation_images)
    evaluated = "test" if experiment.split == "test" else "validation"
    return (
        f"With batch normalization's mean and variance re-estimated from training images: training {percent(train, 1)},"
        f" {evaluated} {percent(validation, 1)}, gap {points(gap.value)} {format_margin(gap)}."
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


def describe_learning(
    summary: CurveSummary, experiment: Experiment, gap: Estimate, plain: CurveSummary | None, with_share: bool = True
) -> str:
    """How well it has learned, and how strongly it overfits; its accuracies are not in it."""
    overfits = gap.is_significant and gap.value > 0
    interval = accuracy_interval(summary.validation, experiment.validation_images)
    if interval.low <= chance_accuracy(experiment):
        return "It knows its training images only" if overfits else "It guesses"
    if not overfits:
        if summary.validation < WEAK_FACTOR * chance_accuracy(experiment):
            return "It has learned a little"
        return f"It {learning_verb(summary, experiment)}, with no overfitting beyond chance"
    return f"It {learning_verb(summary, experiment)}, with {describe_overfitting(gap, experiment, plain, with_share)}"


def learning_verb(summary: CurveSummary, experiment: Experiment) -> str:
    """'is still learning' while the validation accuracy rises significantly, else 'learns'.

    After the experiment's last epoch 'was still learning at the end'.
    """
    if summary.validation_trend != "rising":
        return "learns"
    return f"is {STILL_LEARNING}" if summary.epoch < experiment.epochs else f"was {STILL_LEARNING} at the end"


def describe_overfitting(gap: Estimate, experiment: Experiment, plain: CurveSummary | None, with_share: bool) -> str:
    """'weak overfitting (24 % of the gap without a regularizer)'; without a plain network 'overfitting'.

    Without 'weak', 'some' or 'strong' where the interval of the share reaches from one of them to another.
    """
    if plain is None or not is_comparable(experiment, plain):
        return "overfitting"
    share, margin = gap.value / plain.gap, share_margin(gap, gap_estimate(plain, experiment))
    strengths = {overfitting_strength(end) for end in (share - margin, share + margin)}
    words = f"{strengths.pop()} overfitting" if len(strengths) == 1 else "overfitting"
    return f"{words} ({percent(share)} of the gap without a regularizer)" if with_share else words


def share_margin(gap: Estimate, plain: Estimate) -> float:
    """Half of the 95 % interval of `gap` / `plain`, from the relative errors of both, which are squared and added.

    To first order (delta method), as if their images were different ones: too wide where they are the same.
    """
    return abs(gap.value / plain.value) * math.hypot(gap.margin / gap.value, plain.margin / plain.value)


def is_comparable(experiment: Experiment, plain: CurveSummary | None) -> bool:
    """Whether the gap can be expressed as a share of that of `plain`, the network without a regularizer."""
    return plain is not None and plain.gap > 0 and experiment != experiment.without_regularizer()


def overfitting_strength(share: float) -> str:
    """'weak', 'some' or 'strong', for a share of the gap without a regularizer."""
    return "weak" if share < WEAK_OVERFITTING else "strong" if share > STRONG_OVERFITTING else "some"
