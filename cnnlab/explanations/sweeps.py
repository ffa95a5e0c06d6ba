"""Sentences about the results of a sweep. Each names its measure, its interval and how many images or seeds it has."""

from collections.abc import Sequence

from cnnlab.analysis.statistics import Estimate, accuracy_interval
from cnnlab.comparison import MIN_SEEDS
from cnnlab.explanations.intervals import difference_with_interval, format_interval, share_with_interval
from cnnlab.explanations.series_table import MOVING_AVERAGES, estimate_ends
from cnnlab.formatting import csv_text, percent, points
from cnnlab.storage.run import Run
from cnnlab.sweep_results import (
    EarlyStopping,
    LabelNoiseResult,
    PointResult,
    Predictions,
    accuracy_difference,
    gap_change,
    label_noise_result,
)
from cnnlab.sweeps import Sweep, Value, describe_value

MEMORIZED = 0.5  # of the changed labels: where the whole interval is above this share they are called memorized


def describe_change(estimate: Estimate) -> str:
    """'+2.1 points (+0.3 to +3.9)', and that it is not beyond chance where it is not."""
    return difference_with_interval(estimate) + ("" if estimate.is_significant else ", not beyond chance")


def describe_intervals(sweep: Sweep, results: Sequence[PointResult]) -> str:
    """What the figures and the intervals of a sweep are."""
    if not results:
        return ""
    experiment = results[0].first.run.experiment
    seeds = sorted({len(result.by_seed) for result in results})
    images = (
        f"chance of the {experiment.validation_images:,} {sweep.measured_on} images of the first seed, not of the seed"
    )
    by_chance = f"chance of the seed ({seeds[0]} seeds)" if seeds[0] >= MIN_SEEDS else images
    if seeds[0] < MIN_SEEDS <= seeds[-1]:
        by_chance = f"of points with {MIN_SEEDS} seeds or more chance of the seed, of the others {images}"
    noisy = " (labels as they were trained with)" if sweep.kind == "label_noise" else ""
    averages = f" {MOVING_AVERAGES}" if sweep.base.regularizer == "batchnorm" else ""
    return (
        f"After the last epoch. Training accuracy in inference mode on at most 5,000 training images{noisy}; the gap is"
        f" training minus {sweep.measured_on} accuracy. 95 % intervals: {by_chance}.{averages}"
    )


def sweep_table(sweep: Sweep, results: Sequence[PointResult]) -> str:
    """One row a point, in Markdown: accuracies and gap with their intervals."""
    heads = ["Network", "Seeds", "Training accuracy", f"{sweep.measured_on.capitalize()} accuracy", "Gap"]
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    for result in results:
        cells = [
            result.first.run.experiment.title,
            str(len(result.by_seed)),
            percent(result.training.value, 1),
            share_with_interval(result.accuracy),
            f"{points(result.gap.value)} ({format_interval(result.gap)})",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def sweep_csv(sweep: Sweep, results: Sequence[PointResult]) -> str:
    """One row a point: its coordinates, and the figures as fractions with the ends of their 95 % intervals."""
    fields = [field for field, _ in sweep.axes if field != "seed"]
    heads = [*fields, "seeds", "measured_on"]
    heads += [f"{figure}{end}" for figure in ("training", "accuracy", "gap") for end in ("", "_low", "_high")]
    rows = [
        [
            *(result.value(field) for field in fields),
            " ".join(map(str, sorted(result.by_seed))),
            sweep.measured_on,
            *(cell for figure in (result.training, result.accuracy, result.gap) for cell in estimate_ends(figure)),
        ]
        for result in results
    ]
    return csv_text([heads, *rows])


# -- size of the training set and augmentation -------------------------------------------------------------------------


def describe_sizes(
    sweep: Sweep, results: Sequence[PointResult], predictions: Predictions = Run.predictions
) -> list[str]:
    """What more training images do, what augmentation does, and which of the two does more."""
    plain, augmented = (by_size(results, augment) for augment in ("none", "flip_shift"))
    line = plain or augmented
    sentences = [describe_growth(sweep, line, predictions), describe_updates(line)] if len(line) > 1 else []
    both = [size for size in plain if size in augmented]
    if both:
        size = both[-1]
        change = accuracy_difference(augmented[size], plain[size], sweep.measured_on, predictions)
        gap = gap_change(augmented[size], plain[size])
        sentences.append(
            f"**Augmentation** (flip and shift) with {size:,.0f} training images: {sweep.measured_on} accuracy"
            f" {describe_change(change)}; gap {describe_change(gap)}."
        )
    if len(both) > 1:
        sentences.append(compare_size_and_augmentation(sweep, plain, augmented, both[-2], both[-1], predictions))
    return sentences


def by_size(results: Sequence[PointResult], augment: str) -> dict[float, PointResult]:
    """The points with this augmentation by the number of training images, ascending."""
    return {
        float(result.value("train_images")): result
        for result in results
        if dict(result.coordinates).get("augment", result.first.run.experiment.augment) == augment
    }


def describe_growth(sweep: Sweep, line: dict[float, PointResult], predictions: Predictions) -> str:
    """From the smallest to the largest training set: accuracy and gap."""
    small, large = min(line), max(line)
    change = accuracy_difference(line[large], line[small], sweep.measured_on, predictions)
    first, last = line[small], line[large]
    return (
        f"**More images**: from {small:,.0f} to {large:,.0f} training images the {sweep.measured_on} accuracy goes from"
        f" {percent(first.accuracy.value, 1)} to {percent(last.accuracy.value, 1)}, {describe_change(change)}; the gap"
        f" goes from {points(first.gap.value)} to {points(last.gap.value)}."
    )


def describe_updates(line: dict[float, PointResult]) -> str:
    """How many weight updates the smallest and the largest training set get in the same number of epochs."""
    small, large = line[min(line)], line[max(line)]
    return (
        f"All are trained for {large.first.run.experiment.epochs} epochs, so fewer images also mean fewer weight"
        f" updates: {weight_updates(small):,} with {min(line):,.0f} images,"
        f" {weight_updates(large):,} with {max(line):,.0f}."
    )


def weight_updates(point: PointResult) -> int:
    """How many batches the network of this point is trained on."""
    experiment = point.first.run.experiment
    return experiment.epochs * -(-int(experiment.train_images or 0) // experiment.batch)


def compare_size_and_augmentation(
    sweep: Sweep,
    plain: dict[float, PointResult],
    augmented: dict[float, PointResult],
    small: float,
    large: float,
    predictions: Predictions,
) -> str:
    """`large` images without augmentation against `small` ones with it, on the same images."""
    change = accuracy_difference(plain[large], augmented[small], sweep.measured_on, predictions)
    verdict = "no difference beyond chance"
    if change.is_significant:
        verdict = "more images do more" if change.value > 0 else "augmentation does more"
    updates = [weight_updates(point) for point in (plain[large], augmented[small])]
    return (
        f"**More images or augmentation?** {large:,.0f} images without it ({updates[0]:,} updates) against {small:,.0f}"
        f" images with it ({updates[1]:,}),"
        f" {sweep.measured_on} accuracy {difference_with_interval(change)}: {verdict}. The two differ:"
        " more images add new ones, augmentation changes those that are there."
    )


def describe_axis_value(field: str, value: Value, depth_unit: str = " conv") -> str:
    """A value on an axis of a heat map: '3 conv', '0.1'."""
    return f"{value:.0f}{depth_unit}" if field == "depth" else describe_value(field, value)


# -- noisy labels ------------------------------------------------------------------------------------------------------


def describe_label_noise(result: LabelNoiseResult, classes: int, split: str = "validation") -> str:
    """Whether the network has memorized the changed labels, and what that costs; `classes` of its data set.

    `split` is what its accuracy on new images is measured on: "validation" or "test".
    """
    if not result.changed_images:
        return f"No label is changed: {split} accuracy {percent(result.validation, 1)} after epoch {result.epoch}."
    interval = accuracy_interval(result.changed, result.changed_images)
    ends = f"95 % interval {format_interval(interval)}"
    images = result.images - result.changed_images
    clean = f"correct on {percent(result.clean, 1)} of {images:,} clean labels and on" if images else "correct on"
    return (
        f"{describe_memorized(interval)}: after epoch {result.epoch} it is {clean} {percent(result.changed, 1)} of"
        f" {result.changed_images:,} changed labels ({ends}), which nothing in the image tells; by chance it would be"
        f" {percent(1 / classes)}. It predicts the true class of {percent(result.true, 1)} of these images."
        f" {split.capitalize()} accuracy, with true labels: {percent(result.validation, 1)}."
    )


def describe_memorized(interval: Estimate) -> str:
    """Whether most of the changed labels are memorized; "about half" where the interval contains half."""
    if interval.low > MEMORIZED:
        return "It has memorized most of the changed labels"
    if interval.high < MEMORIZED:
        return "It has not memorized most of the changed labels"
    return "It has memorized about half of the changed labels"


def describe_noise_levels(sweep: Sweep, results: Sequence[PointResult]) -> list[str]:
    """What the network of each share of replaced labels ends with: '20 % replaced: It has memorized ...'."""
    sentences = []
    for run in (result.first.run for result in results):
        level = label_noise_result(run.history(), run.experiment.train_eval_images)
        told = describe_label_noise(level, run.dataset_info.class_count, run.experiment.split)
        sentences.append(f"{percent(run.experiment.label_noise)} replaced: {told}")
    return sentences


def describe_early_stopping(stop: EarlyStopping, images: int) -> str:
    """The epoch to stop at, what it gains, and why the gain is overstated."""
    if stop.best_epoch == stop.last_epoch:
        return "Early stopping would change nothing: the validation accuracy is highest after the last epoch."
    gain = points(stop.best - stop.last, sign=True)
    return (
        f"**Early stopping** after epoch {stop.best_epoch} would give a validation accuracy of {percent(stop.best, 1)}"
        f" instead of {percent(stop.last, 1)} after epoch {stop.last_epoch}, {gain}. This gain is too high: the"
        f" epoch is the best of {stop.last_epoch + 1}, chosen on the {images:,} validation images that measure it."
        " An unbiased figure needs images on which nothing was chosen: the test set."
    )
