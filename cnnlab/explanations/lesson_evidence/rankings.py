"""Evidence that orders the four networks of a depth: by accuracy or gap over their seeds, or by what they cost."""

import statistics
from collections.abc import Sequence
from itertools import pairwise

from cnnlab.claims import ComparisonVerdict, judge
from cnnlab.comparison import ACCURACY, INFERENCE_GAP, MIN_SEEDS, REPORTED_GAP, Results, compare
from cnnlab.explanations.lesson_evidence.result import Evidence, Table
from cnnlab.explanations.series_table import MOVING_AVERAGES, describe_accuracy_of, describe_gap_of
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.report_models import REPORT, ReportModel
from cnnlab.series_results import SeriesResult, series_results
from cnnlab.storage.epoch_times import load_epoch_times

FIGURES = {"validation": ACCURACY, "gap": INFERENCE_GAP, "reported_gap": REPORTED_GAP}  # what is measured of a network
COSTS = ("parameters", "seconds")  # what is counted, or measured by `bench epochs` under equal conditions
MEASURES = (*FIGURES, *COSTS)
WORDS = {
    "validation": "validation accuracy, highest first",
    "gap": "gap (training accuracy after the epoch, dropout off), smallest first",
    "reported_gap": "gap (Keras's training accuracy), smallest first",
    "parameters": "parameters, fewest first",
    "seconds": "seconds of an epoch under equal conditions, fewest first",
}


def ranking(table: Table, measure: str, depth: str) -> Evidence:
    """The four networks of a depth ordered by one of MEASURES. Raises KeyError where one is not trained."""
    models = [model for model in REPORT.values() if _is_of_depth(model, int(depth))]
    order = _cost_order(models, measure) if measure in COSTS else _figure_order(table, models, measure)
    titles, listed, notes, undecided = order
    sentence = f"With {depth} convolution layers, {WORDS[measure]}: {', '.join(listed)}. {' '.join(notes)}"
    return Evidence(sentence.strip(), ranking=tuple(titles), undecided=tuple(undecided))


def _is_of_depth(model: ReportModel, depth: int) -> bool:
    return model.experiment.depth == depth and model.experiment.split == "validation"


Pairs = list[tuple[str, str]]
# titles in order, the same with their figures, sentences about them, neighbours that chance may exchange
Order = tuple[list[str], list[str], list[str], Pairs]


def _figure_order(table: Table, models: Sequence[ReportModel], measure: str) -> Order:
    """By the mean over the seeds, with its interval; which neighbours may have changed places by chance."""
    is_accuracy = measure == "validation"
    found = {
        result.model.name: result
        for result in series_results(table, reported=measure == "reported_gap")
        if result.model in models and not result.reestimated
    }
    ordered = [found[model.name] for model in models]
    ordered.sort(key=lambda result: -result.accuracy.value if is_accuracy else result.gap.value)
    titles = [result.model.experiment.regularizer_title for result in ordered]
    describe = describe_accuracy_of if is_accuracy else describe_gap_of
    listed = [f"{title} {describe(result)}" for title, result in zip(titles, ordered, strict=True)]
    results: Results = {row.model.name: row.by_seed for row in table}
    undecided = _undecided_neighbours([result.model.name for result in ordered], measure, results)
    return titles, listed, [_describe_seeds(ordered), _describe_chance(undecided), MOVING_AVERAGES], undecided


def _describe_seeds(found: Sequence[SeriesResult]) -> str:
    counts = sorted({len(result.seeds) for result in found})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    chance = "chance of the seed" if counts[0] >= MIN_SEEDS else "chance of the images of seed 0"
    if counts[0] < MIN_SEEDS <= counts[-1]:
        chance = f"from {MIN_SEEDS} seeds on chance of the seed, with fewer of the images of seed 0"
    return f"After the last epoch, n = {seeds} seeds; ± is half the 95 % interval, {chance}."


def _undecided_neighbours(names: Sequence[str], measure: str, results: Results) -> Pairs:
    """The titles of neighbours in the order that differ by no more than chance, adjusted for their number."""
    neighbours = list(pairwise(names))
    pairs = neighbours if measure == "validation" else [pair[::-1] for pair in neighbours]  # the larger figure first
    findings = judge(FIGURES[measure].name, [compare(*pair, FIGURES[measure], results) for pair in pairs]).findings
    titles = {name: REPORT[name].experiment.regularizer_title for name in names}
    return [
        (titles[first], titles[second])
        for (first, second), finding in zip(neighbours, findings, strict=True)
        if finding is not ComparisonVerdict.AS_CLAIMED
    ]


def _describe_chance(undecided: Pairs) -> str:
    if not undecided:
        return "Each differs from the next beyond chance."
    listed = "; ".join(map(" and ".join, undecided))
    return f"Not beyond chance, so these may change places with other seeds or images: {listed}."


def _cost_order(models: Sequence[ReportModel], measure: str) -> Order:
    """By what is counted, or by the median of what was measured under equal conditions. Raises KeyError."""
    titles = {model.name: model.experiment.regularizer_title for model in models}
    if measure == "parameters":
        counts = {model.name: parameter_count(network_layers(model.experiment)) for model in models}
        names = sorted(counts, key=lambda name: counts[name])
        return [titles[name] for name in names], [f"{titles[name]} {counts[name]:,}" for name in names], [], []
    times = load_epoch_times()
    if times is None:
        raise KeyError(measure)
    medians = {model.name: statistics.median(times.seconds[model.name]) for model in models}
    names = sorted(medians, key=lambda name: medians[name])
    listed = [f"{titles[name]} {medians[name]:.1f} s" for name in names]
    note = f"Medians of n = {times.rounds}, one thread; the networks took turns."
    return [titles[name] for name in names], listed, [note], []
