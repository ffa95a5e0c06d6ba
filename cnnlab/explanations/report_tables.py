"""Markdown tables of the report's figures beside ours, and the conclusions, as `cnnlab reproduce` prints them."""

from collections.abc import Iterable, Sequence

from cnnlab.claims import ClaimResult, check_claims
from cnnlab.explanations.conclusions import describe_claim, describe_uncertainty, describe_verdict
from cnnlab.formatting import exact_duration, percent, points
from cnnlab.report import ReportRow


def format_report(table: Sequence[ReportRow]) -> str:
    """Both tables in Markdown, our results beside the report's, then the conclusions and the uncertainty."""
    first = [row for row in table if row.model.experiment.split == "validation"]
    final = [row for row in table if row.model.experiment.split == "test"]
    parts = [
        "Table 1: trained on 40,000 images, validated on 10,000.",
        markdown_table(first, "validation"),
        "Table 2: trained on 50,000 images, tested on the 10,000 test images.",
        markdown_table(final, "test"),
        "What the report concludes, and what these runs say:",
        "\n".join(_format_claim(result) for result in check_claims(table)),
        describe_uncertainty(table),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


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


def _format_claim(result: ClaimResult) -> str:
    return f"- {result.claim}: **{describe_verdict(result)}** ({describe_claim(result)})."
