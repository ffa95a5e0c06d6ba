"""Evidence about regularizers: differences from the plain network, rankings, the report's conclusions."""

from cnnlab.claims import check_claims
from cnnlab.comparison import MIN_SEEDS, Comparison
from cnnlab.explanations.conclusions import describe_ends, describe_measures, describe_notes, describe_verdict
from cnnlab.explanations.lesson_evidence.result import NOT_TRAINED, Evidence, Table
from cnnlab.formatting import duration, percent, pluralize, points
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.report import ReportRow
from cnnlab.series_results import SeriesResult, series_results

MEASURES = ("validation", "gap", "reported_gap", "parameters", "seconds")


def differences(table: Table, regularizer: str) -> Evidence:
    """The validation accuracy of a regularizer minus that of the plain network, at both depths."""
    found = [one for one in series_results(table) if one.model.experiment.regularizer == regularizer]
    if not found:
        return Evidence(NOT_TRAINED)
    return Evidence(" ".join(difference_sentence(one) for one in found))


def difference_sentence(one: SeriesResult) -> str:
    """One regularizer at one depth: accuracy and gap against the plain network, with intervals and seeds."""
    experiment, accuracy, gap = one.model.experiment, one.accuracy_difference, one.gap_difference
    if accuracy is None or gap is None:
        return ""
    measure = ", batch norm re-estimated" if one.reestimated else ""
    beyond = "beyond chance" if one.accuracy_differs else "not beyond chance"
    return (
        f"**{experiment.regularizer_title}, {experiment.depth} convolution layers{measure}**: validation accuracy minus"
        f" that without a regularizer {estimate_words(accuracy)}, {beyond}; gap {estimate_words(gap)}"
        f" ({chance_words(len(accuracy.seeds))})."
    )


def estimate_words(one: Comparison) -> str:
    """'+3.1 points (+1.9 to +4.2)'."""
    return f"{points(one.estimate.value, sign=True)} ({describe_ends(one.estimate)})"


def chance_words(seeds: int) -> str:
    """What an interval counts: 'n = 2 seeds; interval: chance of the images of the first seed'."""
    source = "chance of the seed" if seeds >= MIN_SEEDS else "chance of the images, first seed"
    return f"n = {pluralize(seeds, 'seed')}; 95 % interval: {source}"


def helping(table: Table, depth: str) -> Evidence:
    """How many of the three regularizers raise the validation accuracy beyond chance at this depth."""
    found = [
        one for one in series_results(table) if one.model.experiment.depth == int(depth) and one.accuracy_difference
    ]
    by_name: dict[str, list[bool]] = {}
    for one in found:
        raised = (
            one.accuracy_differs and one.accuracy_difference is not None and one.accuracy_difference.estimate.value > 0
        )
        by_name.setdefault(one.model.experiment.regularizer_title, []).append(raised)
    names = [name for name, verdicts in by_name.items() if all(verdicts)]
    some = [name for name, verdicts in by_name.items() if any(verdicts) and not all(verdicts)]
    depends = f" For {', '.join(some)} it depends on the measure." if some else ""
    sentence = (
        f"With {depth} convolution layers, {len(names)} of {len(by_name)} regularizers raise the validation accuracy"
        f" beyond chance{': ' + ', '.join(names) if names else ''}.{depends}"
    )
    return Evidence(sentence, answer=str(len(names)))


def ranking(table: Table, measure: str, depth: str) -> Evidence:
    """The four networks of a depth ordered by a measure."""
    rows = [row for row in table if row.ours and row.model.experiment.split == "validation"]
    rows = [row for row in rows if row.model.experiment.depth == int(depth)]
    values = {row.model.experiment.regularizer_title: measure_value(row, measure) for row in rows}
    order = sorted(values, key=lambda name: values[name], reverse=measure == "validation")
    listed = ", ".join(f"{name} {format_measure(values[name], measure)}" for name in order)
    first = {"validation": "highest", "gap": "smallest", "reported_gap": "smallest"}.get(measure, "lowest")
    words = {
        "gap": "gap (training accuracy after the epoch, dropout off)",
        "reported_gap": "gap (Keras's training accuracy)",
    }
    sentence = (
        f"With {depth} convolution layers, {words.get(measure, measure)}, {first} first: {listed}"
        " (seed 0, after the last epoch)."
    )
    return Evidence(sentence, ranking=tuple(order))


def measure_value(row: ReportRow, measure: str) -> float:
    """The value of one of MEASURES for a trained model. Raises KeyError where it is not trained."""
    if row.ours is None:
        raise KeyError(row.model.name)
    match measure:
        case "validation":
            return row.ours.validation
        case "gap":
            return row.ours.inference_gap
        case "reported_gap":
            return row.ours.gap
        case "seconds":
            return row.ours.seconds
        case _:
            return float(parameter_count(network_layers(row.model.experiment)))


def format_measure(value: float, measure: str) -> str:
    """A value of one of MEASURES with its unit."""
    match measure:
        case "validation":
            return percent(value, 1)
        case "gap" | "reported_gap":
            return points(value)
        case "seconds":
            return duration(value)
        case _:
            return f"{value:,.0f} parameters"


def claim(table: Table, number: str) -> Evidence:
    """One of the report's conclusions with its verdict on our runs."""
    result = check_claims(table)[int(number) - 1]
    sentence = (
        f"The report: {result.claim}. Our runs: **{describe_verdict(result)}**. {describe_measures(result)}."
        f" {describe_notes(result)}"
    )
    return Evidence(sentence, answer=result.verdict.value)
