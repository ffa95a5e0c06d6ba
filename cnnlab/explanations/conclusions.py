"""Sentences about the report's conclusions (`cnnlab.claims`), and about the chance in its figures and in ours."""

from collections.abc import Sequence

import numpy as np

from cnnlab.analysis.statistics import accuracy_interval, generalization_gap, unpaired_difference
from cnnlab.claims import (
    AGREEMENT_CLAIM,
    AGREEMENT_TOLERANCE,
    DEPTH_CLAIM,
    ClaimResult,
    Judgment,
)
from cnnlab.comparison import ACCURACY, Comparison, compare
from cnnlab.formatting import percent, points
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.report import LAST_EPOCHS, ReportRow
from cnnlab.report_models import REPORT


def describe_verdict(result: ClaimResult) -> str:
    """'holds (1 seed)': the verdict with the number of seeds that it rests on."""
    return result.verdict.value if result.missing else f"{result.verdict.value} ({describe_seeds(result)})"


def describe_claim(result: ClaimResult) -> str:
    """The evidence of a claim: by each measure the verdict and its effects with 95 % intervals; then the report's."""
    if result.missing:
        return f"waits for {', '.join(result.missing)}"
    sentences = [describe_judgment(judgment, result) for judgment in result.judgments]
    sentences.append(f"95 % intervals: {describe_chance(result)}")
    sentences += [describe_depth_confounds()] if result.claim == DEPTH_CLAIM else []
    return "; ".join([*sentences, f"the report's own figures: {result.report.verdict.value}"])


def describe_judgment(judgment: Judgment, result: ClaimResult) -> str:
    """One measure: its verdict and the comparisons that decide it."""
    if result.claim == AGREEMENT_CLAIM:
        effect = describe_estimate(judgment.comparisons[0])
        return f"{judgment.measure}: {effect}; to agree, the interval must lie within {points(AGREEMENT_TOLERANCE)}"
    effects = ", ".join(describe_comparison(one) for one in closest_comparisons(judgment.comparisons))
    return f"{judgment.measure}: {judgment.verdict.value}, {effects}"


def describe_depth_confounds() -> str:
    """What else differs between the networks of two and of three convolution layers: parameters and dense layers."""
    plain = {depth: network_layers(REPORT[f"{depth}conv-none"].experiment) for depth in (2, 3)}
    parts = [
        f"{depth}-conv has {parameter_count(network):,} parameters and"
        f" {sum(layer.kind == 'dense' for layer in network)} dense layers"
        for depth, network in plain.items()
    ]
    return f"depth is not all that differs: {', '.join(parts)}"


def closest_comparisons(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Of the comparisons that one network has at one depth, the one that speaks least for the claim."""
    groups: dict[tuple[str, ...], list[Comparison]] = {}
    for one in comparisons:
        same_depth = one.name[0] == one.other[0]
        groups.setdefault((one.name[0],) if same_depth else (one.name, one.other), []).append(one)
    return [min(group, key=lambda one: one.estimate.value) for group in groups.values()]


def describe_comparison(one: Comparison) -> str:
    """'2-conv dropout 0.1 against 2-conv batch norm +3.1 points (+1.9 to +4.2)', and what is not steady about it."""
    unsteady = (
        "" if one.is_steady else f", with this sign in only {one.agreeing_epochs} of the last {one.epochs} epochs"
    )
    return f"{model_label(one.name)} against {model_label(one.other)} {describe_estimate(one)}{unsteady}"


def describe_estimate(one: Comparison) -> str:
    """'+3.1 points (+1.9 to +4.2)'."""
    low, high = (f"{100 * end:+.1f}" for end in (one.estimate.low, one.estimate.high))
    return f"{points(one.estimate.value, sign=True)} ({low} to {high})"


def describe_seeds(result: ClaimResult) -> str:
    """'1 seed', '1 to 3 seeds': with how many seeds both networks of a comparison were trained."""
    counts = [len(one.seeds) for judgment in result.judgments for one in judgment.comparisons]
    few, many = min(counts), max(counts)
    return f"{few} seed{'s' if few > 1 else ''}" if few == many else f"{few} to {many} seeds"


def describe_chance(result: ClaimResult) -> str:
    """Which chance the intervals of a claim describe."""
    kinds = {one.estimate.chance for judgment in result.judgments for one in judgment.comparisons}
    names = {"images": "chance of the images, not of the seed", "seeds": "chance of the seed"}
    return " or ".join(names[kind] for kind in sorted(kinds) if kind in names)


def describe_uncertainty(table: Sequence[ReportRow]) -> str:
    """How far a figure may be off: by the images that it is measured on, and by the epoch at which training ends."""
    ours = [(row, row.ours, row.ours.recent_range) for row in table if row.ours and row.ours.recent_range is not None]
    if not ours:
        return ""
    steady, restless = (choose(ours, key=lambda one: one[2]) for choose in (min, max))
    return (
        f"How sure is a figure? {describe_margins([row for row, _, _ in ours])} And it is that of one epoch: over the"
        f" last {LAST_EPOCHS} epochs {restless[0].title} moved most, by {points(restless[2])}, and {steady[0].title}"
        f" least, by {points(steady[2])}."
    )


def describe_margins(table: Sequence[ReportRow]) -> str:
    """Half the 95 % interval of an accuracy, of differences and of a gap, at the median accuracies of these rows."""
    images = table[0].model.experiment.validation_images
    known = table[0].model.experiment.train_eval_images
    results = [row.ours for row in table if row.ours]
    validation = float(np.median([one.validation for one in results]))
    training = float(np.median([one.train if one.train_eval is None else one.train_eval for one in results]))
    ours = f"of two of ours {points(paired)}, " if (paired := _paired_margin(table)) else ""
    return (
        f"{images:,} images give an accuracy to within {points(accuracy_interval(validation, images).margin)} (95 %);"
        f" a difference {ours}of ours and the report's"
        f" {points(unpaired_difference(validation, images, validation, images).margin)}; a gap"
        f" {points(generalization_gap(training, known, validation, images).margin)}. Another seed is not in these."
    )


def _paired_margin(table: Sequence[ReportRow]) -> float | None:
    """The median margin of the differences between the first network and the others, on the same images."""
    results = {
        row.model.name: {0: row.ours}
        for row in table
        if row.ours and row.ours.correct is not None and row.model.experiment.split == "validation"
    }
    if len(results) < 2:
        return None
    first, *others = results
    return float(np.median([compare(first, name, ACCURACY, results).estimate.margin for name in others]))


def best_sentence(
    names: Sequence[str], values: Sequence[float], report: Sequence[float] | None, *, as_points: bool
) -> str:
    """Who leads in ours and in the report: the highest accuracy, or (`as_points`) the smallest gap.

    `report` is None where the report has no figure of this measure.
    """
    choose = min if as_points else max
    first = choose(range(len(names)), key=lambda index: values[index])
    rank = "smallest gap" if as_points else "highest accuracy"
    leader = f"**{names[first]}** has the {rank}, {_ranked_value(values[first], as_points)}"
    if report is None:
        return f"{leader}; the report has no figure of this measure."
    theirs = choose(range(len(names)), key=lambda index: report[index])
    in_report = _ranked_value(report[theirs], as_points)
    if theirs == first:
        return f"{leader}; it leads in the report too, with {in_report}."
    return f"{leader}; in the report it is {names[theirs]}, with {in_report}."


def _ranked_value(value: float, as_points: bool) -> str:
    return points(value) if as_points else percent(value, 2)


def model_label(name: str) -> str:
    """'3-conv dropout 0.1'."""
    experiment = REPORT[name].experiment
    return f"{experiment.depth}-conv {experiment.regularizer_title}"
