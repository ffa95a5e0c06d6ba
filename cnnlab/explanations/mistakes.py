"""Sentences about a network's mistakes on the test set, and about two networks' predictions compared."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cnnlab.analysis.metrics import PairedOutcomes, Predictions, class_accuracy
from cnnlab.analysis.statistics import accuracy_interval
from cnnlab.experiment import Experiment
from cnnlab.formatting import percent, points

HIGH_CONFIDENCE = 0.9  # a mistake made with at least this confidence was a sure one


def pluralize(number: int, one: str, many: str = "") -> str:
    """'1 picture', '2,639 pictures'."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def with_article(noun: str) -> str:
    """'a cat', 'an airplane'."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def error_headline(title: str, answers: Predictions) -> str:
    """How many it gets wrong."""
    wrong, every = int((~answers.correct).sum()), len(answers.true_class)
    return f"{title} gets {wrong:,} of {pluralize(every, 'test picture')} wrong ({100 * wrong / every:.1f} %)"


def error_details(answers: Predictions, table: NDArray[np.int64], classes: Sequence[str]) -> str:
    """What it mixes up most, how many of its mistakes it was sure of, what it recognizes best and worst."""
    known = best_and_worst(class_accuracy(table), classes)
    if answers.correct.all():
        return known
    truth, taken = most_confused_pair(table)
    sure = int((~answers.correct & (answers.confidence >= HIGH_CONFIDENCE)).sum())
    count = f"{sure:,}" if sure else "none"
    return (
        f"Most often it takes {with_article(classes[truth])} for {with_article(classes[taken])}:"
        f" {pluralize(int(table[truth, taken]), 'time')}. It was at least {percent(HIGH_CONFIDENCE)} sure of {count} of"
        f" its mistakes. {known}"
    )


def most_confused_pair(table: NDArray[np.int64]) -> tuple[int, int]:
    """The (truth, answer) off the diagonal that happened most often."""
    mistakes = table.copy()
    np.fill_diagonal(mistakes, -1)
    truth, said = np.unravel_index(int(np.argmax(mistakes)), mistakes.shape)
    return int(truth), int(said)


def best_and_worst(shares: NDArray[np.float64], classes: Sequence[str]) -> str:
    """Which class is recognized best and which worst; classes without pictures are left out."""
    known = [index for index in np.argsort(-shares, kind="stable").tolist() if not np.isnan(shares[index])]
    best, worst = known[0], known[-1]
    return (
        f"It recognizes {with_article(classes[best])} best ({percent(shares[best])} of them) and "
        f"{with_article(classes[worst])} worst ({percent(shares[worst])})."
    )


def describe_calibration(name: str, answers: Predictions, calibration_error: float) -> str:
    """Mean confidence against accuracy, and the expected calibration error (a fraction) over the bins of confidence.

    Overconfident or underconfident is said only where the mean confidence lies outside the accuracy's 95 % interval.
    """
    confidence, right = float(answers.confidence.mean()), float(answers.correct.mean())
    interval = accuracy_interval(right, len(answers.correct))
    figures = f"{name}: mean confidence {percent(confidence, 1)}, accuracy {percent(right, 1)}"
    error = f"Expected calibration error (ECE): {points(calibration_error)}."
    if interval.low <= confidence <= interval.high:
        return f"{figures}: no difference beyond chance. {error}"
    direction = "overconfident" if confidence > right else "underconfident"
    return f"{figures}: {direction} by {points(abs(confidence - right))} ± {100 * interval.margin:.1f}. {error}"


def describe_selected_images(count: int, truth: str, said: str) -> str:
    """What the gallery shows; `truth` and `said` are class names, or "" for any that makes the answer wrong."""
    if truth and truth == said:
        return (
            f"{pluralize(count, f'picture of {with_article(truth)}', f'pictures of {with_article(truth)}')} that it"
            " recognized"
        )
    whose = f"picture of {with_article(truth)}" if truth else "picture"
    many = f"pictures of {with_article(truth)}" if truth else "pictures"
    taken = f"that it took for {with_article(said)}" if said else "that it took for something else"
    return f"{pluralize(count, whose, many)} {taken}"


def comparison_headline(mine: str, other: str, groups: PairedOutcomes) -> str:
    """What one network fixed and broke against another, and whether that can be chance."""
    fixed, broke = int(groups.now_correct.sum()), int(groups.now_wrong.sum())
    said = f"Against {other}, {mine} fixed {pluralize(fixed, 'picture')} and broke {broke:,}"
    if groups.within_chance:
        return f"{said}. So small a difference may be chance."
    better, worse = (mine, other) if fixed > broke else (other, mine)
    return f"{said}: {better} gets {pluralize(abs(fixed - broke), 'picture')} more right than {worse}."


def describe_class_changes(groups: PairedOutcomes, truth: NDArray[np.int64], classes: Sequence[str]) -> str:
    """The classes that gained and lost most."""
    fixed, broke = (
        np.bincount(truth[which], minlength=len(classes)) for which in (groups.now_correct, groups.now_wrong)
    )
    gain = fixed - broke
    top, low = int(np.argmax(gain)), int(np.argmin(gain))
    said = [f"The {classes[top]} gained most ({gain[top]:+,})"] if gain[top] > 0 else ["No class gained"]
    said += [f"the {classes[low]} lost most ({gain[low]:+,})"] if gain[low] < 0 else ["no class lost"]
    return f"{said[0]}, {said[1]}."


def describe_agreement(groups: PairedOutcomes) -> str:
    """How many pictures both get right, and both wrong."""
    return (
        f"Both are right about {groups.both_correct.sum():,} pictures, and both wrong about"
        f" {groups.both_wrong.sum():,}."
    )


def outcome_options(groups: PairedOutcomes) -> dict[str, str]:
    """The three groups that hold a mistake, with their counts, as a row of options."""
    named = {"fixed": "fixed", "broke": "broken", "both_wrong": "both wrong"}
    return {group: f"{name}: {groups.mask(group).sum():,}" for group, name in named.items()}


def describe_outcome_images(count: int, group: str, truth: str, names: tuple[str, str]) -> str:
    """What the gallery shows when two networks are compared."""
    mine, other = names
    what = pluralize(
        count, *([f"picture of {with_article(truth)}", f"pictures of {with_article(truth)}"] if truth else ["picture"])
    )
    ends = {
        "fixed": f"that {other} got wrong and {mine} gets right",
        "broke": f"that {other} got right and {mine} gets wrong",
        "both_wrong": "that both get wrong",
    }
    return f"{what} {ends[group]}"


def image_caption(answers: Predictions, number: int, classes: Sequence[str]) -> tuple[list[str], str]:
    """The lines under a picture, and what it shows in a sentence."""
    truth, said, sure = _prediction_parts(answers, number, classes)
    lines = [f"{said} {sure}", "right" if said == truth else f"it is {with_article(truth)}"]
    taken = "recognized" if said == truth else f"taken for {with_article(said)}"
    return lines, f"Test picture {number:,}, {with_article(truth)}, {taken}, {sure} sure"


def comparison_caption(
    both: tuple[Predictions, Predictions], names: tuple[str, str], number: int, classes: Sequence[str]
) -> tuple[list[str], str]:
    """The same where two networks have answered: the first one's answer, the other's, the truth if both miss it."""
    truth = classes[both[0].true_class[number]]
    told = [" ".join(_prediction_parts(one, number, classes)[1:]) for one in both]
    missed = [] if both[0].correct[number] or both[1].correct[number] else [f"it is {with_article(truth)}"]
    said = "; ".join(f"{name} says {answer}" for name, answer in zip(names, told, strict=True))
    return [*told, *missed], f"Test picture {number:,}, {with_article(truth)}: {said}"


def _prediction_parts(answers: Predictions, number: int, classes: Sequence[str]) -> tuple[str, str, str]:
    """Truth, answer, and how sure it was."""
    return (
        classes[answers.true_class[number]],
        classes[answers.predicted[number]],
        percent(float(answers.confidence[number])),
    )


def distinguishing_titles(mine: Experiment, other: Experiment) -> tuple[str, str]:
    """Short names for two runs: of their titles, the parts in which they differ."""
    parts = mine.title.split(", "), other.title.split(", ")
    short = [", ".join(part for part in parts[i] if part not in parts[1 - i]) for i in (0, 1)]
    if short[0] and short[1]:
        return short[0], short[1]
    return mine.title, other.title if other.title != mine.title else f"{other.title} ({other.key[:4]})"
