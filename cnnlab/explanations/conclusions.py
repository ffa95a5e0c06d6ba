"""Sentences about the report's conclusions (`cnnlab.claims`), and about the uncertainty of the results."""

from collections.abc import Mapping, Sequence

import numpy as np

from cnnlab.analysis.statistics import Estimate, accuracy_interval, generalization_gap, unpaired_difference
from cnnlab.claims import (
    AGREEMENT_CLAIM,
    AGREEMENT_TOLERANCE,
    DEPTH_CLAIM,
    ClaimResult,
)
from cnnlab.comparison import ACCURACY, MIN_AGREEING_EPOCHS, MIN_SEEDS, Comparison, compare
from cnnlab.explanations.intervals import format_margin, format_signed_interval
from cnnlab.formatting import percent, pluralize, points
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.report import LAST_EPOCHS, ReportRow
from cnnlab.report_models import REPORT, ReportModel

WHAT_THE_REPORT_IS = (
    "*The report* is a lab report on CIFAR-10 whose ten networks are trained again here; eight also on Shapes."
)
DECISION_RULE = (
    "A comparison is beyond chance where its p value, adjusted for the number of comparisons of the claim (Holm), is"
    f" below 5 %, so an interval that just excludes 0 can be chance; with fewer than {MIN_SEEDS} seeds the sign must"
    f" also be the same in {MIN_AGREEING_EPOCHS} of the last {LAST_EPOCHS} epochs."
)


def describe_verdict(result: ClaimResult) -> str:
    """'holds in all seeds (2 seeds)': the verdict with the number of seeds that it is based on."""
    return result.verdict.value if result.missing else f"{result.verdict.value} ({describe_seeds(result)})"


def describe_measures(result: ClaimResult) -> str:
    """'gap in inference mode: does not hold; gap as Keras reports it: holds in all seeds', or what is missing.

    Where there is one measure with one comparison, its effect and interval.
    """
    if result.missing:
        return f"waits for {', '.join(map(model_label, result.missing))}"
    if len(result.judgments) == 1 and len(result.judgments[0].comparisons) == 1:
        judgment, estimate = result.judgments[0], result.judgments[0].comparisons[0].estimate
        return f"{judgment.measure}: {points(estimate.value, sign=True)}, {format_signed_interval(estimate)}"
    return "; ".join(f"{judgment.measure}: {judgment.verdict.value}" for judgment in result.judgments)


def describe_notes(result: ClaimResult) -> str:
    """What the intervals of a claim vary over, and what else to know about its comparisons."""
    if result.missing:
        return f"It waits for {', '.join(map(model_label, result.missing))}."
    sentences = describe_chance(result)
    if result.claim != AGREEMENT_CLAIM:
        sentences.append(DECISION_RULE)
    if result.claim == DEPTH_CLAIM:
        sentences.append(f"{describe_depth_confounds()}.")
    elif result.claim == AGREEMENT_CLAIM:
        sentences.append(
            f"They agree where the whole interval lies within {points(AGREEMENT_TOLERANCE)} of 0, and do not agree"
            " where it reaches beyond that and excludes 0; else it is too wide to decide."
        )
    return " ".join(sentences)


def describe_report_lead(tested: Sequence[ReportModel]) -> str:
    """By how much the first of these models of the report leads the second on the test set, and whether by chance."""
    first, second = tested[:2]
    images = first.experiment.validation_images
    lead = unpaired_difference(first.validation_accuracy, images, second.validation_accuracy, images)
    beyond = "beyond chance" if lead.is_significant else "not beyond chance"
    return (
        f"{percent(first.validation_accuracy, 2)} of the test images correct in the report, {points(lead.value)} more"
        f" than {model_label(second.name)} ({format_signed_interval(lead)}, 95 %: {beyond})."
    )


def describe_depth_confounds() -> str:
    """The other differences between 2-conv and 3-conv networks: number of parameters and of dense layers."""
    plain = {depth: network_layers(REPORT[f"{depth}conv-none"].experiment) for depth in (2, 3)}
    parts = [
        f"{depth}-conv has {parameter_count(network):,} parameters and"
        f" {sum(layer.kind == 'dense' for layer in network)} dense layers"
        for depth, network in plain.items()
    ]
    return f"Depth is not all that differs: {', '.join(parts)}"


def closest_comparisons(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """For each network and depth, the comparison with the smallest difference."""
    groups: dict[tuple[str, ...], list[Comparison]] = {}
    for comparison in comparisons:
        same_depth = comparison.name[0] == comparison.other[0]
        groups.setdefault((comparison.name[0],) if same_depth else (comparison.name, comparison.other), []).append(
            comparison
        )
    return [min(group, key=lambda comparison: comparison.estimate.value) for group in groups.values()]


def describe_comparison(comparison: Comparison) -> str:
    """'2-conv dropout 0.1 against 2-conv batch norm'; unless in all, in how many seeds or epochs it is so."""
    seeds = f", with this sign in {len(comparison.agreeing_seeds)} of {len(comparison.seeds)} seeds"
    epochs = f", with this sign in only {comparison.agreeing_epochs} of the last {comparison.epochs} epochs"
    disagreement = seeds if comparison.agreeing_seeds != comparison.seeds else "" if comparison.is_steady else epochs
    if comparison.other == "test":
        return f"{model_label(comparison.name)}: validation against test"
    return f"{model_label(comparison.name)} against {model_label(comparison.other)}{disagreement}"


def describe_seeds(result: ClaimResult) -> str:
    """'1 seed', '1 to 3 seeds': the number of common seeds of the networks compared."""
    counts = [len(comparison.seeds) for judgment in result.judgments for comparison in judgment.comparisons]
    few, many = min(counts), max(counts)
    return pluralize(few, "seed") if few == many else f"{few} to {many} seeds"


def describe_chance(result: ClaimResult) -> list[str]:
    """What the intervals of a claim vary over, a sentence each: images with few seeds, else seeds."""
    estimates = [comparison.estimate for judgment in result.judgments for comparison in judgment.comparisons]
    kinds = {estimate.chance for estimate in estimates}
    images = max(estimate.n[-1] for estimate in estimates if estimate.chance == "images") if "images" in kinds else 0
    if result.claim == AGREEMENT_CLAIM:  # two sets of images: more seeds do not make them more
        return [f"The 95 % interval of validation against test: chance of both sets of {images:,} images."]
    names = {
        "images": f"With fewer than {MIN_SEEDS} seeds, effect and 95 % interval are those of the first seed: chance of"
        f" the {images:,} images, not of the seed.",
        "seeds": f"With {MIN_SEEDS} seeds or more, the effect is the mean over the seeds, the 95 % interval chance of"
        " the seed.",
    }
    return [names[kind] for kind in sorted(kinds) if kind in names]


def describe_uncertainty(table: Sequence[ReportRow]) -> str:
    """The uncertainty of the results: from the number of images, and from the epoch at which training ends."""
    ours = [(row, row.ours, row.ours.recent_range) for row in table if row.ours and row.ours.recent_range is not None]
    if not ours:
        return ""
    smallest, largest = (choose(ours, key=lambda named: named[2]) for choose in (min, max))
    return (
        f"Uncertainty from the number of images: {describe_margins([row for row, _, _ in ours])} Uncertainty from the"
        f" choice of the last epoch: over the last {LAST_EPOCHS} epochs the accuracy of {largest[0].title} ranges over"
        f" {points(largest[2])} (the most), that of {smallest[0].title} over {points(smallest[2])} (the least)."
    )


def describe_margins(table: Sequence[ReportRow]) -> str:
    """The margins (half of the 95 % interval) of an accuracy, of differences and of a gap, at the median accuracies."""
    images = table[0].model.experiment.validation_images
    train_images = table[0].model.experiment.train_eval_images
    results = [row.ours for row in table if row.ours]
    validation = float(np.median([result.validation for result in results]))
    training = float(
        np.median([result.train if result.train_eval is None else result.train_eval for result in results])
    )
    differences = [f"of two of ours {points(paired)}"] if (paired := _paired_margin(table)) else []
    if table[0].model.is_in_report:
        unpaired = unpaired_difference(validation, images, validation, images).margin
        differences.append(f"of ours and the report's {points(unpaired)}")
    comparisons = f" a difference {', '.join(differences)};" if differences else ""
    return (
        f"{images:,} images give an accuracy to within {points(accuracy_interval(validation, images).margin)} (95 %);"
        f"{comparisons} a gap"
        f" {points(generalization_gap(training, train_images, validation, images).margin)}."
        " Differences between seeds are not included."
    )


def _paired_margin(table: Sequence[ReportRow]) -> float | None:
    """The median margin of the paired differences between the first network and the others; None without pairs."""
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
    names: Sequence[str], estimates: Sequence[Estimate], report: Mapping[str, float] | None, *, as_points: bool
) -> str:
    """The best network in ours and in the report: highest accuracy or, with `as_points`, smallest gap (fractions).

    `report` has the report's figures by name; None where it does not state this measure, empty where it has nothing
    about these networks.
    """
    choose = min if as_points else max
    ours = choose(range(len(names)), key=lambda index: estimates[index].value)
    rank = "smallest gap" if as_points else "highest accuracy"
    best = f"**{names[ours]}** has the {rank}, {_with_margin(estimates[ours], as_points)}"
    if report is None:
        return f"{best}; the report has no figure of this measure."
    if not report:
        return f"{best}."
    report_best = choose(report, key=lambda name: report[name])
    in_report = _ranked_value(report[report_best], as_points)
    if report_best == names[ours]:
        return f"{best}; it leads in the report too, with {in_report}."
    return f"{best}; in the report it is {report_best}, with {in_report}."


def _with_margin(estimate: Estimate, as_points: bool) -> str:
    """'74.9 % ± 0.5 (3 seeds)'."""
    seeds = estimate.n[0] if estimate.chance == "seeds" else 1
    value = points(estimate.value) if as_points else percent(estimate.value, 1)
    return f"{value} {format_margin(estimate)} ({pluralize(seeds, 'seed')})"


def _ranked_value(value: float, as_points: bool) -> str:
    return points(value) if as_points else percent(value, 2)


def model_label(name: str) -> str:
    """'3-conv dropout 0.1'."""
    experiment = REPORT[name].experiment
    return f"{experiment.depth}-conv {experiment.regularizer_title}"
