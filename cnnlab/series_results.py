"""Each of the report's eight models over its seeds, beside the plain network of the same depth.

A series is an experiment but for its seed. Its figures have a t interval over the seeds from three seeds on; with fewer
the interval is that of the images of the first seed (`analysis.statistics`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cnnlab.analysis.statistics import Estimate, accuracy_interval, adjust_for_multiple_comparisons, seed_mean
from cnnlab.comparison import (
    ACCURACY,
    INFERENCE_GAP,
    MIN_SEEDS,
    REPORTED_GAP,
    Comparison,
    Measure,
    Results,
    compare,
    gap_estimate,
)
from cnnlab.report import ReportRow
from cnnlab.report_models import ReportModel


@dataclass(frozen=True)
class SeriesResult:
    """Validation accuracy and gap of one model after the last epoch, and their differences from the plain network.

    The differences are None for the plain network itself and where the two have no seed in common; their p values are
    adjusted for all of the table. Fractions. A model with batch normalization has two results: with Keras's moving
    averages, and `reestimated`, with mean and variance estimated anew. `accuracies` and `gaps` are those of each seed.
    """

    model: ReportModel
    reestimated: bool
    seeds: tuple[int, ...]
    accuracy: Estimate
    gap: Estimate
    accuracy_difference: Comparison | None
    gap_difference: Comparison | None
    accuracy_differs: bool
    gap_differs: bool
    accuracies: tuple[float, ...] = ()
    gaps: tuple[float, ...] = ()


def series_results(table: Sequence[ReportRow], reported: bool = False) -> list[SeriesResult]:
    """The trained ones of the eight models, in the report's order; those with batch normalization by both measures.

    With `reported` the gap is that of the training accuracy that Keras reports, else of the one in inference mode. The
    former exists with Keras's moving averages only.
    """
    rows = [row for row in table if row.model.experiment.split == "validation" and row.by_seed]
    measured: Results = {row.model.name: row.by_seed for row in rows}
    variants = [variant for row in rows for variant in model_variants(row, measured) if not (reported and variant[2])]
    gap_measure = REPORTED_GAP if reported else INFERENCE_GAP
    differences = {
        measure: [difference_from_plain(model, measure, results) for model, results, _ in variants]
        for measure in (ACCURACY, gap_measure)
    }
    beyond = {measure: beyond_chance(found) for measure, found in differences.items()}
    return [
        SeriesResult(
            model,
            reestimated,
            tuple(sorted(results[model.name])),
            mean_accuracy(model, results),
            mean_gap(model, results, gap_measure),
            differences[ACCURACY][index],
            differences[gap_measure][index],
            beyond[ACCURACY][index],
            beyond[gap_measure][index],
            seed_figures(model, ACCURACY, results),
            seed_figures(model, gap_measure, results),
        )
        for index, (model, results, reestimated) in enumerate(variants)
    ]


def seed_figures(model: ReportModel, measure: Measure, results: Results) -> tuple[float, ...]:
    """The figure of each seed of a model, by seed."""
    return tuple(measure.value(result) for _, result in sorted(results[model.name].items()))


def model_variants(row: ReportRow, measured: Results) -> list[tuple[ReportModel, Results, bool]]:
    """(model, results of all models, whether its own are re-estimated), once or twice."""
    reestimated = {seed: result.reestimated() for seed, result in row.by_seed.items() if result.is_reestimated}
    variants: list[tuple[ReportModel, Results, bool]] = [(row.model, measured, False)]
    return variants + ([(row.model, {**measured, row.model.name: reestimated}, True)] if reestimated else [])


def plain_model(model: ReportModel) -> str:
    """The name of the model of the same depth without a regularizer."""
    return f"{model.experiment.depth}conv-none"


def difference_from_plain(model: ReportModel, measure: Measure, results: Results) -> Comparison | None:
    """This model minus the plain one of its depth, None for the plain one and where they share no seed."""
    plain = plain_model(model)
    if plain == model.name or not set(results[model.name]) & set(results.get(plain, {})):
        return None
    return compare(model.name, plain, measure, results)


def beyond_chance(comparisons: Sequence[Comparison | None]) -> list[bool]:
    """Which of these differ beyond chance, their p values adjusted for the number of comparisons."""
    present = [comparison for comparison in comparisons if comparison is not None]
    adjusted = iter(adjust_for_multiple_comparisons([comparison.estimate for comparison in present]))
    return [
        comparison is not None and next(adjusted).is_significant and comparison.is_steady for comparison in comparisons
    ]


def mean_accuracy(model: ReportModel, results: Results) -> Estimate:
    """The mean validation accuracy over the seeds; with fewer than MIN_SEEDS that of the first."""
    figures = {seed: result.validation for seed, result in results[model.name].items()}
    if len(figures) >= MIN_SEEDS:
        return seed_mean(figures)
    return accuracy_interval(figures[min(figures)], model.experiment.validation_images)


def mean_gap(model: ReportModel, results: Results, measure: Measure = INFERENCE_GAP) -> Estimate:
    """The mean gap over the seeds; with fewer than MIN_SEEDS that of the first."""
    figures = {seed: measure.value(result) for seed, result in results[model.name].items()}
    if len(figures) >= MIN_SEEDS:
        return seed_mean(figures)
    return gap_estimate(results[model.name][min(figures)], reported=measure is REPORTED_GAP)
