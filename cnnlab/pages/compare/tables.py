"""Tables 1 and 2: our results beside the report's."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from cnnlab.explanations.report_tables import report_csv
from cnnlab.formatting import exact_duration, percent, points
from cnnlab.pages.compare.results import Results
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.report import ReportRow
from cnnlab.ui import cache
from cnnlab.ui.scrolling_table import csv_button, table_container

MISSING, DAMAGED = "not trained yet", "damaged"


@dataclass(frozen=True)
class ResultsTable:
    """Ours beside the report's: in Markdown, as CSV, and the note on what the columns are."""

    markdown: str
    csv: str
    note: str


def report_tables(results: Results, *, with_test: bool = True) -> None:
    """Table 1 and, `with_test`, Table 2 of the report's networks; nothing for another data set."""
    titles = {
        "validation": ("Table 1: eight networks, 40,000 images to learn from", "Validation"),
        "test": ("Table 2: the final two, 50,000 images, measured on the test set", "Test"),
    }
    for split, (title, measured) in titles.items():
        rows = [row for row in results.rows if row.model.is_in_report and row.model.experiment.split == split]
        if rows and (with_test or split != "test"):
            draw_table(title, load_table(results, rows, split, measured), f"table{len(rows)}")


def load_table(results: Results, rows: Sequence[ReportRow], split: str, measured: str) -> ResultsTable:
    """The table of these networks, computed anew where one is missing: it may be damaged."""
    if not all(row.ours for row in rows):
        return results_table(rows, measured)
    return results.cached(("table", split), lambda: results_table(rows, measured))


def draw_table(title: str, table: ResultsTable, key: str) -> None:
    """The table, which scrolls by itself on a phone, and the same as a file."""
    st.header(title, anchor=False)
    name = title.partition(":")[0]
    with table_container(key):
        st.markdown(table.markdown)
        # Inside: with the focus here the arrow keys scroll the table.
        csv_button(f"Save {name} (CSV)", table.csv, f"{name.lower().replace(' ', '_')}.csv")
    st.caption(table.note)


def results_table(rows: Sequence[ReportRow], measured: str) -> ResultsTable:
    """The table of these networks; `measured`: what the second accuracy is measured on."""
    note = (
        'Training accuracy as Keras reports it. The report heads its columns "Best Training Accuracy" and "Best'
        ' Validation Accuracy" without saying whether of the last epoch or of any: both readings are shown, each with'
        f" its difference, ours (seed 0) minus the report's. {best_epoch_note(measured)} {time_note(rows)}"
    )
    return ResultsTable(markdown_table(rows, measured), report_csv(rows), note)


def markdown_table(rows: Sequence[ReportRow], measured: str) -> str:
    """The cells of the table, a row a network."""
    columns: dict[str, list[str]] = {
        "#": [row.model.number.removeprefix("final ") for row in rows],
        "Network": [row.title for row in rows],
        "Training: report": [percent(row.report.train, 2) for row in rows],
        "ours": [percent(row.ours.train, 2) if row.ours else missing_result(row) for row in rows],
        f"{measured}: report": [percent(row.report.validation, 2) for row in rows],
        "ours, last epoch": [percent(row.ours.validation, 2) if row.ours else missing_result(row) for row in rows],
        "difference": [difference(row) for row in rows],
        "ours, best epoch": [percent(row.ours.best_validation, 2) if row.ours else "" for row in rows],
        "difference ": [best_difference(row) for row in rows],
        "Wall time: report": [exact_duration(row.report.seconds) for row in rows],
        "ours ": [exact_duration(row.ours.seconds) if row.ours else "" for row in rows],
    }
    heads = list(columns)
    lines = [f"| {' | '.join(heads)} |", f"| ---: | --- |{' ---: |' * (len(heads) - 2)}"]
    lines += [f"| {' | '.join(cells)} |" for cells in zip(*columns.values(), strict=True)]
    return "\n".join(lines)


def best_epoch_note(measured: str) -> str:
    """Why the accuracy of the best epoch is too high."""
    chosen = "the test images, which are for the end only" if measured == "Test" else "the same validation images"
    return f"The best epoch was chosen on {chosen}, so its accuracy is too high."


def missing_result(row: ReportRow) -> str:
    """Why there is no figure of ours: 'not trained yet' or 'damaged'."""
    run = cache.find_run(row.model.experiment)
    return DAMAGED if run and run.state == "damaged" else MISSING


def difference(row: ReportRow) -> str:
    """Our accuracy after the last epoch minus the report's."""
    return points(row.ours.validation - row.report.validation, sign=True) if row.ours else ""


def best_difference(row: ReportRow) -> str:
    """Our accuracy of the best epoch minus the report's."""
    return points(row.ours.best_validation - row.report.validation, sign=True) if row.ours else ""


def time_note(rows: Sequence[ReportRow]) -> str:
    """On what machines ours were trained, and that their times are not to be compared."""
    found = [cache.find_run(row.model.experiment) for row in rows if row.ours]
    names = sorted({run.record.device for run in found if run and run.record.device})
    if not names:
        return ""
    return (
        f"The report's times are on a Colab GPU, ours on {escape_markdown('; '.join(names))}, where other work may have"
        " run beside them: they say how long it took, not which network is faster. The section on time compares epochs"
        " under equal conditions."
    )
