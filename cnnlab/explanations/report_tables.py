"""Markdown tables of the report's figures beside ours, and the conclusions, as `cnnlab reproduce` prints them."""

from collections.abc import Iterable, Sequence

from cnnlab.claims import check_claims
from cnnlab.explanations.conclusions import describe_uncertainty
from cnnlab.explanations.series_table import describe_intervals, series_markdown
from cnnlab.explanations.verdict_table import describe_claim_notes, verdict_table
from cnnlab.formatting import csv_text, exact_duration, percent, points
from cnnlab.report import ReportRow
from cnnlab.series_results import series_results

CSV_HEADS = [
    "number", "model", "report_train", "report_validation", "report_seconds", "train", "best_train", "validation",
    "best_validation", "wall_seconds",
]  # fmt: skip


def format_report(table: Sequence[ReportRow]) -> str:
    """Both tables in Markdown, our results beside the report's, then the conclusions and the uncertainty."""
    first = [row for row in table if row.model.experiment.split == "validation"]
    final = [row for row in table if row.model.experiment.split == "test"]
    judged = check_claims(table)
    parts = [
        "Table 1: trained on 40,000 images, validated on 10,000.",
        markdown_table(first, "validation"),
        "Table 2: trained on 50,000 images, tested on the 10,000 test images.",
        markdown_table(final, "test"),
        "What the report concludes, and what these runs say:",
        verdict_table(judged),
        describe_claim_notes(judged),
        describe_uncertainty(table),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def format_series_report(table: Sequence[ReportRow]) -> str:
    """The report's models on another data set, over their seeds, and its conclusions judged there; in Markdown."""
    results, judged = series_results(table), check_claims(table)
    if not results:
        return "None of the report's networks is trained on this data set.\n"
    parts = [
        series_markdown(results),
        describe_intervals(results),
        "What the report concludes, and what these runs say:",
        verdict_table(judged),
        describe_claim_notes(judged),
    ]
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Iterable[ReportRow], measured: str) -> str:
    """One table. 'ours' is the accuracy after the last epoch, 'best' the highest of any epoch, on the same images.

    The report calls its columns "Best ... Accuracy" and does not define them, so both differences are printed.
    """
    headers = ["#", "model", "training: report", "ours", "best", f"{measured}: report", "ours", "difference"]
    headers += ["best", "difference", "wall time: report", "ours"]
    lines = ["| " + " | ".join(headers) + " |", "| " + " | ".join(["---"] * len(headers)) + " |"]
    for row in table:
        report, ours = row.report, row.ours
        cells = [row.model.number, row.title, percent(report.train, 2)]
        cells += [percent(ours.train, 2), percent(ours.best_train, 2)] if ours else ["not trained yet", ""]
        cells.append(percent(report.validation, 2))
        for accuracy in (ours.validation, ours.best_validation) if ours else ():
            cells += [percent(accuracy, 2), points(accuracy - report.validation, sign=True)]
        cells += [] if ours else [""] * 4
        cells += [exact_duration(report.seconds), exact_duration(ours.seconds) if ours else ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def report_csv(table: Iterable[ReportRow]) -> str:
    """The tables as CSV: accuracies as fractions, durations in seconds; empty where a model is not trained."""
    rows: list[list[object]] = []
    for row in table:
        report, ours = row.report, row.ours
        figures = (ours.train, ours.best_train, ours.validation, ours.best_validation) if ours else ()
        cells = [f"{value:.4f}" for value in figures] or [""] * 4
        seconds = f"{ours.seconds:.0f}" if ours else ""
        rows.append(
            [row.model.number, row.model.name, report.train, report.validation, report.seconds, *cells, seconds]
        )
    return csv_text([CSV_HEADS, *rows])
