"""The table of the eight models over their seeds, in Markdown, and the sentence that sums it up."""

from collections.abc import Sequence

from cnnlab.analysis.statistics import Estimate
from cnnlab.claims import Comparison
from cnnlab.formatting import percent, points
from cnnlab.series_results import SeriesResult

HEADS = ("Network", "Seeds", "Validation accuracy", "against no regularizer", "Gap", "against no regularizer")


def series_table(results: Sequence[SeriesResult]) -> str:
    """One row a model: mean and 95 % interval; differences beyond chance are bold."""
    lines = [f"| {' | '.join(HEADS)} |", f"| --- |{' ---: |' * (len(HEADS) - 1)}"]
    for one in results:
        experiment = one.model.experiment
        cells = [
            f"{experiment.depth}-conv, {experiment.regularizer_title}",
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


def describe_series(results: Sequence[SeriesResult]) -> str:
    """Which regularizers raise the validation accuracy, and which lower the gap, beyond chance, at which depth."""
    accuracy = _named([one for one in results if one.accuracy_differs and _sign(one.accuracy_difference) > 0])
    gap = _named([one for one in results if one.gap_differs and _sign(one.gap_difference) < 0])
    return f"Beyond chance, the validation accuracy is higher with {accuracy}, and the gap is smaller with {gap}."


def describe_intervals(results: Sequence[SeriesResult]) -> str:
    """What the intervals of the table are, and what bold means."""
    seeds = sorted({len(one.seeds) for one in results})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"After the last epoch, {count} seed{'' if seeds[-1] == 1 else 's'} a network. ± is half the 95 % interval:"
        " from three seeds on by chance of the seed, with fewer by chance of the images of the first seed. Bold: beyond"
        " chance (5 %, adjusted for the six comparisons; with fewer than three seeds also of that sign in nine of the"
        " last ten epochs). The gap is training minus validation accuracy, both after the epoch with dropout off."
    )


def _sign(one: Comparison | None) -> float:
    return one.estimate.value if one else 0.0


def _named(results: Sequence[SeriesResult]) -> str:
    names = [f"{one.model.experiment.regularizer_title} at {one.model.experiment.depth} layers" for one in results]
    return ", ".join(names) if names else "none of them"
