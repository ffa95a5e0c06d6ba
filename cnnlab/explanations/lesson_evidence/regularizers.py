"""Evidence about regularizers: differences from the plain network, the report's conclusions."""

from collections.abc import Sequence

from cnnlab.claims import check_claims
from cnnlab.comparison import MIN_SEEDS
from cnnlab.explanations.conclusions import describe_measures, describe_notes, describe_verdict
from cnnlab.explanations.intervals import difference_with_interval
from cnnlab.explanations.lesson_evidence.result import NOT_TRAINED, Evidence, Table
from cnnlab.explanations.series_table import statistics_label
from cnnlab.formatting import pluralize
from cnnlab.series_results import SeriesResult, series_results


def differences(table: Table, regularizer: str) -> Evidence:
    """The validation accuracy of a regularizer minus that of the plain network, at both depths."""
    results = series_results(table)
    found = [result for result in results if result.model.experiment.regularizer == regularizer]
    if not found:
        return Evidence(NOT_TRAINED)
    return Evidence(" ".join(difference_sentence(result, results) for result in found))


def difference_sentence(result: SeriesResult, results: Sequence[SeriesResult]) -> str:
    """One regularizer at one depth: accuracy and gap against the plain network, with intervals and seeds.

    "Beyond chance" is adjusted for the number of comparisons of all `results`.
    """
    experiment, accuracy, gap = result.model.experiment, result.accuracy_difference, result.gap_difference
    if accuracy is None or gap is None:
        return ""
    measure = f", {label}" if (label := statistics_label(result, results)) else ""
    comparisons = sum(other.accuracy_difference is not None for other in results)
    beyond = "beyond chance" if result.accuracy_differs else "not beyond chance"
    return (
        f"**{experiment.regularizer_title}, {experiment.depth} convolution layers{measure}**: validation accuracy minus"
        f" that without a regularizer {difference_with_interval(accuracy.estimate)}, {beyond} (adjusted for"
        f" {comparisons} comparisons); gap {difference_with_interval(gap.estimate)}"
        f" ({chance_words(len(accuracy.seeds))})."
    )


def chance_words(seeds: int) -> str:
    """What an interval counts: 'n = 2 seeds; interval: chance of the images of the first seed'."""
    source = "chance of the seed" if seeds >= MIN_SEEDS else "chance of the images, first seed"
    return f"n = {pluralize(seeds, 'seed')}; 95 % interval: {source}"


def helping(table: Table, depth: str) -> Evidence:
    """How many of the three regularizers raise the validation accuracy beyond chance at this depth."""
    found = [
        result
        for result in series_results(table)
        if result.model.experiment.depth == int(depth) and result.accuracy_difference
    ]
    by_name: dict[str, list[bool]] = {}
    for result in found:
        raised = (
            result.accuracy_differs
            and result.accuracy_difference is not None
            and result.accuracy_difference.estimate.value > 0
        )
        by_name.setdefault(result.model.experiment.regularizer_title, []).append(raised)
    names = [name for name, verdicts in by_name.items() if all(verdicts)]
    some = [name for name, verdicts in by_name.items() if any(verdicts) and not all(verdicts)]
    depends = f" For {', '.join(some)} it depends on the measure." if some else ""
    sentence = (
        f"With {depth} convolution layers, {len(names)} of {len(by_name)} regularizers raise the validation accuracy"
        f" beyond chance{': ' + ', '.join(names) if names else ''}.{depends}"
    )
    return Evidence(sentence, answer=str(len(names)))


def claim(table: Table, number: str) -> Evidence:
    """One of the report's conclusions with its verdict on our runs."""
    result = check_claims(table)[int(number) - 1]
    measures = describe_measures(result)
    sentence = (
        f"The report: {result.claim}. Our runs: **{describe_verdict(result)}**. {measures[0].upper()}{measures[1:]}."
        f" {describe_notes(result)}"
    )
    return Evidence(sentence, answer=result.verdict.value)
