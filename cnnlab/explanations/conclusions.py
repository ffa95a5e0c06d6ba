"""Sentences about the report's conclusions, tested on the report's figures and on those of our runs."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.experiment import REPORT
from cnnlab.formatting import percent, points
from cnnlab.report import EVALUATION_IMAGES, LAST_EPOCHS, ModelResults, ReportRow

AGREEMENT_TOLERANCE = 0.02  # validation and test accuracy agree when they differ by at most two points

Judge = Callable[[dict[str, ModelResults]], tuple[bool, str]]


@dataclass(frozen=True)
class Conclusion:
    """One thing the report concludes: do its own figures and ours say so? `ours` is None while runs are missing."""

    claim: str
    report: bool
    ours: bool | None
    evidence: str


def check_conclusions(table: Sequence[ReportRow], inference_mode: bool = False) -> list[Conclusion]:
    """The report's four conclusions, each tested on the report's figures and on ours.

    `inference_mode`: take our training accuracies as they are measured like validation, and not as Keras reports them.
    """
    report = {row.model.name: row.report for row in table}
    ours = {row.model.name: row.ours for row in table if row.ours}
    eight = [name for name in REPORT if not name.startswith("final")]
    return [
        _check_conclusion(
            "dropout has the smallest gap at either depth",
            eight,
            report,
            ours,
            dropout_has_smallest_inference_gap if inference_mode else dropout_has_smallest_gap,
        ),
        _check_conclusion(
            "batch normalization has the highest validation accuracy at either depth",
            eight,
            report,
            ours,
            batchnorm_is_best,
        ),
        _check_conclusion("three layers beat two with every regularizer", eight, report, ours, three_beat_two),
        _check_conclusion(
            "validation and test agree for model 7 (3-conv, dropout)",
            ["3conv-dropout", "final-3conv-dropout"],
            report,
            ours,
            validation_agrees_with_test,
        ),
    ]


def _check_conclusion(
    claim: str, needed: Sequence[str], report: dict[str, ModelResults], ours: dict[str, ModelResults], judge: Judge
) -> Conclusion:
    """Ask one question of the report's figures and, where all are there, of ours."""
    holds, _ = judge(report)
    if absent := [name for name in needed if name not in ours]:
        return Conclusion(claim, holds, None, f"waits for {', '.join(absent)}")
    mine, evidence = judge(ours)
    return Conclusion(claim, holds, mine, evidence)


def dropout_has_smallest_gap(table: dict[str, ModelResults]) -> tuple[bool, str]:
    """Whether dropout has the smallest training minus validation accuracy among the four models of each depth.

    Keras counts right answers while it trains, with dropout on, which makes dropout's gap look smaller than that of a
    network as it is used. So the other measure is told where there is one.
    """
    holds, said = _smallest_gaps(table, {name: one.gap for name, one in table.items()})
    fair, told = _smallest_gaps(table, {name: one.inference_gap for name, one in table.items()})
    if told == said:
        return holds, said
    return (
        holds,
        f"{said}; measured like validation, with dropout off, it {'holds too' if fair else 'does not'}: {told}",
    )


def dropout_has_smallest_inference_gap(table: dict[str, ModelResults]) -> tuple[bool, str]:
    """The same with training accuracy measured like validation, where there is such a figure."""
    return _smallest_gaps(table, {name: one.inference_gap for name, one in table.items()})


def _smallest_gaps(table: dict[str, ModelResults], gaps: Mapping[str, float]) -> tuple[bool, str]:
    winners = [min(_names_at_depth(table, depth), key=gaps.__getitem__) for depth in (2, 3)]
    said = ", ".join(
        f"smallest gap at {name[0]} layers: {_model_label(name)}, {points(gaps[name])}" for name in winners
    )
    return all("dropout" in name for name in winners), said


def batchnorm_is_best(table: dict[str, ModelResults]) -> tuple[bool, str]:
    """Whether batch normalization has the highest validation accuracy after the last epoch at each depth."""
    winners = [max(_names_at_depth(table, depth), key=lambda name: table[name].validation) for depth in (2, 3)]
    said = ", ".join(
        f"highest at {name[0]} layers: {_model_label(name)}, {percent(table[name].validation, 2)}" for name in winners
    )
    return all("batchnorm" in name for name in winners), said


def three_beat_two(table: dict[str, ModelResults]) -> tuple[bool, str]:
    """Whether the 3-conv network has the higher validation accuracy after the last epoch with each regularizer."""
    pairs = [(name, "2" + name[1:]) for name in _names_at_depth(table, 3)]
    ahead = [table[deep].validation - table[shallow].validation for deep, shallow in pairs]
    said = ", ".join(
        f"{_model_label(deep)[7:]} {points(gain, sign=True)}" for (deep, _), gain in zip(pairs, ahead, strict=True)
    )
    return all(gain > 0 for gain in ahead), said


def validation_agrees_with_test(table: dict[str, ModelResults]) -> tuple[bool, str]:
    """Whether model 7's validation and test accuracy differ by at most AGREEMENT_TOLERANCE.

    The report tested only the network that it trained again on 10,000 more images, which alone makes it better. Ours
    tested the same weights too, so they are what is judged; the other figure stands beside them.
    """
    seven, final = table["3conv-dropout"], table["final-3conv-dropout"].validation
    test = final if seven.test is None else seven.test
    said = f"validation {percent(seven.validation, 2)}"
    said += f", test {percent(seven.test, 2)}" if seven.test is not None else ""
    said += f", test after training on all 50,000 images {percent(final, 2)}"
    return abs(seven.validation - test) <= AGREEMENT_TOLERANCE + 1e-9, said


def describe_uncertainty(table: Sequence[ReportRow]) -> str:
    """How much a figure of ours may be off: by the count of images, and by the epoch at which training ends."""
    ours = [
        (row.title, row.ours, row.ours.recent_range) for row in table if row.ours and row.ours.recent_range is not None
    ]
    if not ours:
        return ""
    middle = float(np.median([found.validation for _, found, _ in ours]))
    error = 2 * math.sqrt(middle * (1 - middle) / EVALUATION_IMAGES)  # two standard errors of a share (binomial)
    steady, restless = (choose(ours, key=lambda one: one[2]) for choose in (min, max))
    return (
        f"How sure is a figure? {EVALUATION_IMAGES:,} images give it to about {points(error)}. And it is that of one"
        f" epoch: over the last {LAST_EPOCHS} epochs {restless[0]} moved most, by {points(restless[2])}, and"
        f" {steady[0]} least, by {points(steady[2])}."
    )


def _names_at_depth(table: dict[str, ModelResults], depth: int) -> list[str]:
    return [name for name in table if name.startswith(f"{depth}conv")]


def _model_label(name: str) -> str:
    experiment = REPORT[name].experiment
    return f"{experiment.depth}-conv {experiment.regularizer_title}"


def best_sentence(names: Sequence[str], values: Sequence[float], report: Sequence[float], *, as_points: bool) -> str:
    """Who leads in ours and in the report: the highest accuracy, or (`as_points`) the smallest gap."""
    choose = min if as_points else max
    first = choose(range(len(names)), key=lambda index: values[index])
    theirs = choose(range(len(names)), key=lambda index: report[index])
    rank = "smallest gap" if as_points else "highest accuracy"
    leader = f"**{names[first]}** has the {rank}, {_ranked_value(values[first], as_points)}"
    in_report = _ranked_value(report[theirs], as_points)
    if theirs == first:
        return f"{leader}; it leads in the report too, with {in_report}."
    return f"{leader}; in the report it is {names[theirs]}, with {in_report}."


def _ranked_value(value: float, as_points: bool) -> str:
    return points(value) if as_points else percent(value, 2)
