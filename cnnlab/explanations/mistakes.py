"""Sentences about a network's mistakes on the test set, and about two networks' predictions compared."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cnnlab.analysis.metrics import PairedOutcomes, Predictions, class_accuracy
from cnnlab.analysis.statistics import (
    Estimate,
    accuracy_interval,
    adjust_for_multiple_comparisons,
    confidence_difference,
    paired_difference_from_counts,
    unpaired_difference,
)
from cnnlab.experiment import Experiment
from cnnlab.explanations.intervals import format_margin, format_signed_interval
from cnnlab.formatting import percent, pluralize, points

HIGH_CONFIDENCE = 0.9  # mistakes with at least this confidence are counted
MAX_NAMED = 3  # classes that may be as good as the best; more are counted


def with_article(noun: str) -> str:
    """'a cat', 'an airplane'."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def error_headline(title: str, predictions: Predictions) -> str:
    """The number and share of misclassified test images."""
    wrong, total = int((~predictions.correct).sum()), len(predictions.true_class)
    return f"{title} misclassifies {wrong:,} of {pluralize(total, 'test image')} ({100 * wrong / total:.1f} %)"


def error_details(predictions: Predictions, table: NDArray[np.int64], classes: Sequence[str]) -> str:
    """The most frequent confusion, the number of mistakes with high confidence, the best and the worst class.

    `table` is the confusion matrix of `predictions`, (classes, classes).
    """
    extremes = best_and_worst(table, classes)
    if predictions.correct.all():
        return extremes
    truth, predicted = most_confused_pair(table)
    confident = int((~predictions.correct & (predictions.confidence >= HIGH_CONFIDENCE)).sum())
    count = f"{confident:,}" if confident else "none"
    return (
        f"Most often it predicts {with_article(classes[predicted])} for {with_article(classes[truth])}:"
        f" {pluralize(int(table[truth, predicted]), 'time')}. Its confidence was at least {percent(HIGH_CONFIDENCE)} in"
        f" {count} of its mistakes. {extremes}"
    )


def most_confused_pair(table: NDArray[np.int64]) -> tuple[int, int]:
    """The largest entry off the diagonal of a confusion matrix, as (true class, predicted class)."""
    mistakes = table.copy()
    np.fill_diagonal(mistakes, -1)
    truth, predicted = np.unravel_index(int(np.argmax(mistakes)), mistakes.shape)
    return int(truth), int(predicted)


def best_and_worst(table: NDArray[np.int64], classes: Sequence[str]) -> str:
    """The classes with the highest and the lowest accuracy, each with those that differ from it by chance.

    `table` is the confusion matrix, (classes, classes); a class without images is left out.
    """
    shares, counts = class_accuracy(table), table.sum(axis=1)
    ranked = [index for index in np.argsort(-shares, kind="stable").tolist() if counts[index]]
    ends = []
    for end, first, others in (("high", ranked[0], ranked[1:]), ("low", ranked[-1], ranked[-2::-1])):
        equal = [classes[index] for index in others if not differ(shares, counts, first, index)]
        named = ", ".join(equal) if len(equal) <= MAX_NAMED else f"{len(equal)} others"
        perhaps = f"; perhaps as {end}: {named}" if equal else ""
        ends.append(f"{end}est for {classes[first]} ({percent(shares[first])}{perhaps})")
    return f"Its accuracy is {' and '.join(ends)}."


def differ(shares: NDArray[np.float64], counts: NDArray[np.int64], first: int, second: int) -> bool:
    """Whether the accuracies (classes,) of two classes differ beyond chance of their `counts` of images."""
    return unpaired_difference(
        float(shares[first]), int(counts[first]), float(shares[second]), int(counts[second])
    ).is_significant


def describe_class_interval(accuracies: NDArray[np.float64], table: NDArray[np.int64]) -> str:
    """How far the accuracy of one class may be chance: the widest 95 % interval of the classes that have images.

    `table` is the confusion matrix; `accuracies` are those of its rows.
    """
    counts = table.sum(axis=1)
    margins = [
        accuracy_interval(float(share), int(count)).margin
        for share, count in zip(accuracies, counts, strict=True)
        if count
    ]
    few, many = int(counts[counts > 0].min()), int(counts.max())
    images = f"{few:,}" if few == many else f"{few:,} to {many:,}"
    return f"{images} test images a class: an accuracy is known to within ±{100 * max(margins):.1f} points (95 %)."


def describe_calibration(name: str, predictions: Predictions, calibration_error: float) -> str:
    """Mean confidence against accuracy, and the expected calibration error (a fraction) over the bins of confidence.

    "overconfident" or "underconfident" is stated only where the two differ beyond chance of the images.
    """
    confidence, accuracy = float(predictions.confidence.mean()), float(predictions.correct.mean())
    excess = confidence_difference(predictions.confidence, predictions.correct)
    averages = f"{name}: mean confidence {percent(confidence, 1)}, accuracy {percent(accuracy, 1)}"
    error = f"Expected calibration error (ECE): {points(calibration_error)}."
    if not excess.is_significant:
        return f"{averages}: no difference beyond chance. {error}"
    direction = "overconfident" if excess.value > 0 else "underconfident"
    return f"{averages}: {direction} by {points(abs(excess.value))} {format_margin(excess)}. {error}"


def describe_selected_images(count: int, truth: str, predicted: str) -> str:
    """The heading of the image grid; class names, or "" for any class that makes the prediction wrong."""
    images = count_images(count, truth)
    if truth and truth == predicted:
        return f"{images}, predicted correctly"
    return f"{images}, predicted as {with_article(predicted) if predicted else 'another class'}"


def count_images(count: int, truth: str) -> str:
    """'3 images of a cat'; '3 images' where `truth` is ""."""
    kind = f" of {with_article(truth)}" if truth else ""
    return pluralize(count, f"image{kind}", f"images{kind}")


def comparison_headline(mine: str, other: str, groups: PairedOutcomes) -> str:
    """How many images one network classifies correctly and another does not, and the reverse; whether by chance.

    Beyond chance: McNemar's test, p at most 0.05.
    """
    now_correct, now_wrong = int(groups.now_correct.sum()), int(groups.now_wrong.sum())
    counts = f"{mine} instead of {other}: now correct: {now_correct:,}; now wrong: {now_wrong:,}"
    if not accuracy_difference(groups).is_significant:
        return f"{counts}. So small a difference may be chance."
    better, worse = (mine, other) if now_correct > now_wrong else (other, mine)
    more = pluralize(abs(now_correct - now_wrong), "more image")
    return f"{counts}. {better} classifies {more} correctly than {worse}."


def accuracy_difference(groups: PairedOutcomes) -> Estimate:
    """The difference of the two accuracies on these images, with its interval."""
    return paired_difference_from_counts(
        int(groups.now_correct.sum()), int(groups.now_wrong.sum()), len(groups.now_correct)
    )


def describe_accuracy_difference(groups: PairedOutcomes) -> str:
    """The difference of the accuracies with its interval, and what the interval leaves out."""
    difference = accuracy_difference(groups)
    return (
        f"Difference in accuracy: {points(difference.value, sign=True)} ({format_signed_interval(difference)}, 95 %,"
        f" paired over {pluralize(difference.n[0], 'image')}). One training of each: what another seed would change is"
        " not in it."
    )


def describe_class_changes(groups: PairedOutcomes, truth: NDArray[np.int64], classes: Sequence[str]) -> str:
    """The classes whose number of correct predictions rose or fell beyond chance, p values adjusted for all classes."""
    counts = [
        (int(groups.now_correct[truth == label].sum()), int(groups.now_wrong[truth == label].sum()))
        for label in range(len(classes))
    ]
    sizes = [max(1, int((truth == label).sum())) for label in range(len(classes))]
    estimates = [paired_difference_from_counts(*count, size) for count, size in zip(counts, sizes, strict=True)]
    changes = {
        name: better - worse
        for name, (better, worse), estimate in zip(
            classes, counts, adjust_for_multiple_comparisons(estimates), strict=True
        )
        if estimate.is_significant
    }
    gained = [f"{name} ({change:+,})" for name, change in changes.items() if change > 0]
    lost = [f"{name} ({change:+,})" for name, change in changes.items() if change < 0]
    return (
        f"Beyond chance (adjusted for {len(classes)} classes), these classes gained: {', '.join(gained) or 'none'};"
        f" these lost: {', '.join(lost) or 'none'}."
    )


def describe_agreement(groups: PairedOutcomes) -> str:
    """The number of images that both networks classify correctly, and of those that both misclassify."""
    return f"Both are correct on {groups.both_correct.sum():,} images, and both wrong on {groups.both_wrong.sum():,}."


def outcome_options(groups: PairedOutcomes) -> dict[str, str]:
    """The labels, with counts, of the three groups that contain a mistake, by the group's name in the URL."""
    labels = {"now_correct": "now correct", "now_wrong": "now wrong", "both_wrong": "both wrong"}
    return {group: f"{label}: {groups.mask(group).sum():,}" for group, label in labels.items()}


def describe_outcome_images(count: int, group: str, truth: str, names: tuple[str, str]) -> str:
    """The heading of the image grid of one group, where two networks are compared."""
    mine, other = names
    clauses = {
        "now_correct": f"that {other} misclassifies and {mine} classifies correctly",
        "now_wrong": f"that {other} classifies correctly and {mine} misclassifies",
        "both_wrong": "that both misclassify",
    }
    return f"{count_images(count, truth)} {clauses[group]}"


def image_caption(predictions: Predictions, number: int, classes: Sequence[str]) -> tuple[list[str], str]:
    """The lines under image `number`, and its alt text."""
    truth, predicted, confidence = _prediction_parts(predictions, number, classes)
    lines = [f"{predicted} {confidence}", "correct" if predicted == truth else f"true class: {truth}"]
    return lines, f"Test image {number:,}, true class {truth}, predicted {predicted}, confidence {confidence}"


def comparison_caption(
    both: tuple[Predictions, Predictions], names: tuple[str, str], number: int, classes: Sequence[str]
) -> tuple[list[str], str]:
    """The lines under image `number` and its alt text for two networks; the true class is a line if both miss it."""
    truth = classes[both[0].true_class[number]]
    lines = [" ".join(_prediction_parts(predictions, number, classes)[1:]) for predictions in both]
    is_missed = not (both[0].correct[number] or both[1].correct[number])
    sentence = "; ".join(f"{name} predicts {line}" for name, line in zip(names, lines, strict=True))
    alt = f"Test image {number:,}, true class {truth}: {sentence}"
    return [*lines, *([f"true class: {truth}"] if is_missed else [])], alt


def _prediction_parts(predictions: Predictions, number: int, classes: Sequence[str]) -> tuple[str, str, str]:
    """True class, predicted class and confidence of one image."""
    return (
        classes[predictions.true_class[number]],
        classes[predictions.predicted[number]],
        percent(float(predictions.confidence[number])),
    )


def distinguishing_titles(mine: Experiment, other: Experiment) -> tuple[str, str]:
    """Short names of two runs: the parts of their titles in which they differ."""
    parts = mine.title.split(", "), other.title.split(", ")
    short = [", ".join(part for part in parts[i] if part not in parts[1 - i]) for i in (0, 1)]
    if short[0] and short[1]:
        return short[0], short[1]
    return mine.title, other.title if other.title != mine.title else f"{other.title} ({other.key[:4]})"
