"""The table of the eight models over their seeds, in Markdown, and the sentence that sums it up."""

from collections.abc import Mapping, Sequence

from cnnlab.analysis.statistics import Estimate
from cnnlab.comparison import Comparison
from cnnlab.formatting import percent, points
from cnnlab.series_results import SeriesResult

HEADS = ("Network", "Seeds", "Validation accuracy", "against no regularizer", "Gap", "against no regularizer")


def series_table(results: Sequence[SeriesResult]) -> str:
    """One row a model: mean and 95 % interval; differences beyond chance are bold."""
    lines = [f"| {' | '.join(HEADS)} |", f"| --- |{' ---: |' * (len(HEADS) - 1)}"]
    for one in results:
        cells = [
            f"{one.model.experiment.depth}-conv, {regularizer_label(one, results)}",
            str(len(one.seeds)),
            f"{percent(one.accuracy.value, 1)} {interval(one.accuracy)}",
            difference(one.accuracy_difference, one.accuracy_differs),
            f"{points(one.gap.value)} {interval(one.gap)}",
            difference(one.gap_difference, one.gap_differs),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def interval(estimate: Estimate) -> str:
    """'± 0.9'."""
    return f"± {100 * estimate.margin:.1f}"


def difference(one: Comparison | None, beyond_chance: bool) -> str:
    """'**+4.1 points ± 1.0**', bold where it is beyond chance; empty where there is nothing to compare with."""
    if one is None:
        return ""
    text = f"{points(one.estimate.value, sign=True)} {interval(one.estimate)}"
    return f"**{text}**" if beyond_chance else text


def regularizer_label(one: SeriesResult, results: Sequence[SeriesResult]) -> str:
    """'dropout 0.1'; 'batch norm, moving averages' and 'batch norm, re-estimated' where a model has both."""
    title = one.model.experiment.regularizer_title
    if sum(other.model == one.model for other in results) == 1:
        return title
    return f"{title}, {'re-estimated' if one.reestimated else 'moving averages'}"


def describe_series(results: Sequence[SeriesResult]) -> str:
    """Which regularizers raise the validation accuracy, and which lower the gap, beyond chance, at which depth.

    A model with two measures is named where both agree; where they do not, a sentence says so.
    """
    higher = {_key(one): one.accuracy_differs and _sign(one.accuracy_difference) > 0 for one in results}
    smaller = {_key(one): one.gap_differs and _sign(one.gap_difference) < 0 for one in results}
    sentence = (
        f"Beyond chance, the validation accuracy is higher with {_named(results, higher)}, and the gap is smaller with"
        f" {_named(results, smaller)}."
    )
    return " ".join(
        [sentence, *_undecided(results, higher, "validation accuracy"), *_undecided(results, smaller, "gap")]
    )


def describe_intervals(results: Sequence[SeriesResult]) -> str:
    """What the intervals of the table are, and what bold means."""
    seeds = sorted({len(one.seeds) for one in results})
    comparisons = sum(one.accuracy_difference is not None for one in results)
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"After the last epoch, {count} seed{'' if seeds[-1] == 1 else 's'} a network. ± is half the 95 % interval:"
        " from three seeds on by chance of the seed, with fewer by chance of the images of the first seed. Bold: beyond"
        f" chance (5 %, adjusted for {comparisons} comparisons; with fewer than three seeds also of that sign in nine"
        " of the last ten epochs, where those are known). The gap is training minus validation accuracy, both after the"
        " epoch with dropout off."
    )


def _sign(one: Comparison | None) -> float:
    return one.estimate.value if one else 0.0


def _key(one: SeriesResult) -> tuple[str, bool]:
    return one.model.name, one.reestimated


def _verdicts(results: Sequence[SeriesResult], flags: Mapping[tuple[str, bool], bool]) -> dict[str, list[bool]]:
    """By 'dropout 0.1 at 2 layers': the flags of all measures of that model."""
    verdicts: dict[str, list[bool]] = {}
    for one in results:
        experiment = one.model.experiment
        name = f"{experiment.regularizer_title} at {experiment.depth} layers"
        verdicts.setdefault(name, []).append(flags[_key(one)])
    return verdicts


def _named(results: Sequence[SeriesResult], flags: Mapping[tuple[str, bool], bool]) -> str:
    names = [name for name, verdicts in _verdicts(results, flags).items() if all(verdicts)]
    return ", ".join(names) if names else "none of them"


def _undecided(results: Sequence[SeriesResult], flags: Mapping[tuple[str, bool], bool], figure: str) -> list[str]:
    names = [name for name, verdicts in _verdicts(results, flags).items() if len(set(verdicts)) > 1]
    if not names:
        return []
    return [f"Whether the {figure} of {', '.join(names)} differs depends on the measure: see both of its rows."]
