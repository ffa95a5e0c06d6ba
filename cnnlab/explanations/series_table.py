"""The eight models over their seeds as text: the cells of the grid, a table for download, the sentence that sums up."""

from collections.abc import Mapping, Sequence

from cnnlab.analysis.statistics import Estimate
from cnnlab.comparison import Comparison
from cnnlab.explanations.intervals import format_margin
from cnnlab.formatting import csv_text, percent, pluralize, points
from cnnlab.series_results import SeriesResult

PLAIN = "no regularizer: what the others are compared with"
MOVING_AVERAGES = "Batch normalization with Keras's moving averages, which lag behind the weights."


def describe_accuracy_of(result: SeriesResult) -> str:
    """'75.0 % ± 0.9'."""
    return f"{percent(result.accuracy.value, 1)} {format_margin(result.accuracy)}"


def describe_gap_of(result: SeriesResult) -> str:
    """'3.8 points ± 1.2'."""
    return f"{points(result.gap.value)} {format_margin(result.gap)}"


def describe_difference(comparison: Comparison | None, beyond_chance: bool) -> str:
    """'+4.1 ± 1.0 points, beyond chance' against the plain network of the same depth; '' for that network itself.

    'beyond chance of the images' where there are too few seeds for an interval over them. An interval that leaves out 0
    although the difference is not beyond chance, because it is one of several comparisons, gets a word of its own.
    """
    if comparison is None:
        return ""
    if is_lost_by_adjustment(comparison, beyond_chance):
        verdict = "not beyond chance as one of several comparisons"
    else:
        verdict = f"beyond chance{chance_of_images(comparison)}" if beyond_chance else "not beyond chance"
    return f"{100 * comparison.estimate.value:+.1f} {format_margin(comparison.estimate)} points, {verdict}"


def is_lost_by_adjustment(comparison: Comparison, beyond_chance: bool) -> bool:
    """Whether a difference is beyond chance by itself, but not as one of all comparisons (Holm)."""
    return not beyond_chance and comparison.estimate.is_significant and comparison.is_steady


def chance_of_images(comparison: Comparison) -> str:
    """' of the images' where the interval says nothing about other seeds, else ''."""
    return " of the images" if comparison.estimate.chance == "images" else ""


def regularizer_label(result: SeriesResult, results: Sequence[SeriesResult]) -> str:
    """'dropout 0.1'; 'batch norm, moving averages' and 'batch norm, re-estimated' where a model has both."""
    title = result.model.experiment.regularizer_title
    measure = statistics_label(result, results)
    return f"{title}, {measure}" if measure else title


def statistics_label(result: SeriesResult, results: Sequence[SeriesResult]) -> str:
    """'moving averages' or 're-estimated' where a model has both results, else ''."""
    if sum(other.model == result.model for other in results) == 1:
        return ""
    return "re-estimated" if result.reestimated else "moving averages"


def series_markdown(results: Sequence[SeriesResult]) -> str:
    """One row a model and measure in Markdown: seeds, accuracy, gap, and both against the plain network."""
    heads = ["network", "seeds", "validation", "against no regularizer", "gap", "against no regularizer"]
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    for result in results:
        depth = result.model.experiment.depth
        cells = [
            f"{depth}-conv, {regularizer_label(result, results)}",
            str(len(result.seeds)),
            describe_accuracy_of(result),
        ]
        cells += [describe_difference(result.accuracy_difference, result.accuracy_differs), describe_gap_of(result)]
        lines.append(f"| {' | '.join([*cells, describe_difference(result.gap_difference, result.gap_differs)])} |")
    return "\n".join(lines)


def describe_averages(results: Sequence[SeriesResult]) -> str:
    """That batch normalization is shown with moving averages, and its re-estimated accuracies; "" without it."""
    anew = [
        f"{percent(result.accuracy.value, 1)} at {result.model.experiment.depth} layers"
        for result in results
        if result.reestimated
    ]
    return f"{MOVING_AVERAGES} Re-estimated, its accuracy is {' and '.join(anew)}." if anew else ""


def series_csv(results: Sequence[SeriesResult]) -> str:
    """One row a model and measure: fractions, with the ends of their 95 % intervals."""
    heads = ["network", "depth", "regularizer", "batch_norm_statistics", "seeds"]
    figures = ("accuracy", "gap", "accuracy_difference", "gap_difference")
    heads += [f"{figure}{end}" for figure in figures for end in ("", "_low", "_high")]
    heads += ["accuracy_beyond_chance", "gap_beyond_chance"]
    rows: list[list[object]] = []
    for result in results:
        experiment = result.model.experiment
        row = [result.model.name, experiment.depth, experiment.regularizer, statistics_label(result, results)]
        cells = [" ".join(map(str, result.seeds)), *estimate_ends(result.accuracy), *estimate_ends(result.gap)]
        for difference in (result.accuracy_difference, result.gap_difference):
            cells += estimate_ends(difference.estimate) if difference else [""] * 3
        rows.append([*row, *cells, result.accuracy_differs, result.gap_differs])
    return csv_text([heads, *rows])


def estimate_ends(estimate: Estimate) -> list[str]:
    """The value and the ends of its interval, for a file: fractions with four decimals."""
    return [f"{value:.4f}" for value in (estimate.value, estimate.low, estimate.high)]


def describe_series(results: Sequence[SeriesResult]) -> str:
    """Which regularizers raise the validation accuracy, and which lower the gap, beyond chance, at which depth.

    A model with two measures is named where both agree; where they do not, a sentence says so. A model with too few
    seeds is named with their number: its chance is that of the images.
    """
    higher = {_key(result): result.accuracy_differs and _sign(result.accuracy_difference) > 0 for result in results}
    smaller = {_key(result): result.gap_differs and _sign(result.gap_difference) < 0 for result in results}
    lost = [
        sum(comparison is not None and is_lost_by_adjustment(comparison, differs) for comparison, differs in pairs)
        for pairs in (
            [(result.accuracy_difference, result.accuracy_differs) for result in results],
            [(result.gap_difference, result.gap_differs) for result in results],
        )
    ]
    compared = sum(result.gap_difference is not None for result in results)
    parts = [
        _beyond_chance(_named(results, higher), "The validation accuracy is higher", lost[0], compared),
        _beyond_chance(_named(results, smaller), "The gap is smaller", lost[1], compared),
        *_undecided(results, higher, "validation accuracy"),
        *_undecided(results, smaller, "gap"),
    ]
    return " ".join(parts)


def _beyond_chance(names: Sequence[str], what: str, lost: int, compared: int) -> str:
    """With which networks `what` is so, and how many of `compared` differences are beyond chance by themselves only."""
    where = " and ".join(names) if names else "none of the regularizers"
    alone = f" ({lost} of {compared} differences would be, as the only comparison)" if lost else ""
    return f"{what} beyond chance with {where}{alone}."


def describe_intervals(results: Sequence[SeriesResult]) -> str:
    """What the intervals are, and what "beyond chance" means."""
    seeds = sorted({len(result.seeds) for result in results})
    comparisons = sum(result.accuracy_difference is not None for result in results)
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"After the last epoch, {count} seed{'' if seeds[-1] == 1 else 's'} a network. ± is half the 95 % interval:"
        " from three seeds on by chance of the seed, with fewer by chance of the images of the first seed. Beyond"
        f" chance: at the level of 5 %, adjusted for {pluralize(comparisons, 'comparison')} (Holm), since one of many"
        " seems large by chance; with fewer than three seeds also of that sign in nine of the last ten epochs, where"
        " those are known."
    )


def _sign(comparison: Comparison | None) -> float:
    return comparison.estimate.value if comparison else 0.0


def _key(result: SeriesResult) -> tuple[str, bool]:
    return result.model.name, result.reestimated


def _name(result: SeriesResult) -> str:
    """'dropout 0.1 at 2 layers'."""
    return f"{result.model.experiment.regularizer_title} at {result.model.experiment.depth} layers"


def _verdicts(results: Sequence[SeriesResult], flags: Mapping[tuple[str, bool], bool]) -> dict[str, list[bool]]:
    """By `_name`: the flags of all measures of that model."""
    verdicts: dict[str, list[bool]] = {}
    for result in results:
        verdicts.setdefault(_name(result), []).append(flags[_key(result)])
    return verdicts


def _named(results: Sequence[SeriesResult], flags: Mapping[tuple[str, bool], bool]) -> list[str]:
    few = {_name(result): _few_seeds(result.accuracy_difference) for result in results}
    return [f"{name}{few[name]}" for name, verdicts in _verdicts(results, flags).items() if all(verdicts)]


def _few_seeds(comparison: Comparison | None) -> str:
    """' (2 seeds, chance of the images only)' where the interval is not over seeds, else ''."""
    if comparison is None or comparison.estimate.chance != "images":
        return ""
    return f" ({pluralize(len(comparison.seeds), 'seed')}, chance of the images only)"


def _undecided(results: Sequence[SeriesResult], flags: Mapping[tuple[str, bool], bool], figure: str) -> list[str]:
    names = [name for name, verdicts in _verdicts(results, flags).items() if len(set(verdicts)) > 1]
    if not names:
        return []
    return [f"Whether the {figure} of {', '.join(names)} differs depends on the measure: see both of its rows."]
