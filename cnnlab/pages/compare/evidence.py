"""Does regularization help? A grid of depth and regularizer, each cell with its difference from the plain network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from cnnlab.comparison import Comparison
from cnnlab.explanations.chart_descriptions import describe_ranking
from cnnlab.explanations.conclusions import best_sentence, describe_uncertainty
from cnnlab.explanations.series_table import (
    PLAIN,
    describe_accuracy_of,
    describe_difference,
    describe_gap_of,
    describe_intervals,
    describe_series,
    series_csv,
    statistics_label,
)
from cnnlab.formatting import keep_figures_whole, percent, points
from cnnlab.pages.compare.measures import describe_gap_measure, is_reported
from cnnlab.pages.compare.results import Results
from cnnlab.pages.compare.tables import missing_result
from cnnlab.rendering import palette
from cnnlab.rendering.charts import Spec
from cnnlab.rendering.compare_charts import ranked_network, ranking_chart
from cnnlab.report import ReportRow
from cnnlab.series_results import SeriesResult
from cnnlab.ui import app_shell
from cnnlab.ui.chart_download import chart_with_download
from cnnlab.ui.network_links import result_params
from cnnlab.ui.scrolling_table import csv_button

CELL_WIDTH = 235  # pixels at least: four regularizers side by side at 1280
CELL_STYLE = """<style>.effect { display: grid; grid-template-columns: auto 1fr; gap: 0 0.7rem; font-size: 0.95rem; }
.effect b { font-size: 1.15rem; } .effect .note { grid-column: 1 / 3; font-size: 0.85rem; margin-bottom: 0.35rem; }
.effect .color { grid-column: 1 / 3; height: 5px; border-radius: 3px; margin-bottom: 0.3rem; }</style>"""


@dataclass(frozen=True)
class Ranking:
    """The networks by one measure: a heading, what the chart amounts to, the chart, its alternative text."""

    title: str
    sentence: str
    chart: Spec
    words: str
    file: str


@dataclass(frozen=True)
class Evidence:
    """The section in words, HTML and charts; `cells` has the trained networks by name."""

    summary: str
    cells: Mapping[str, str]
    intervals: str
    rankings: Sequence[Ranking]
    marks: str
    uncertainty: str
    csv: str


def evidence(results: Results) -> None:
    """The grid, the sentence that sums it up, and both measures as charts of means and intervals."""
    rows = [row for row in results.rows if row.model.experiment.split == "validation"]
    reported = is_reported()
    found = results.cached(("evidence", reported), lambda: describe(rows, results.series(reported), reported))
    trained = sum(bool(row.by_seed) for row in rows)
    st.header("Does regularization help?", anchor=False)
    if trained < len(rows):
        st.info(f"{trained} of the report's eight networks are trained here; the others join as they finish.")
    if found:
        st.write(found.summary)
    st.html(CELL_STYLE)
    with st.grid(4, min_column_width=CELL_WIDTH):
        for row in rows:
            with st.container(border=True):
                cell(row, found.cells.get(row.model.name, "") if found else "")
    if not found:
        return
    st.caption(keep_figures_whole(f"{found.intervals} {describe_gap_measure()}"))
    rankings(found)
    csv_button("Save the figures (CSV)", found.csv, "regularizers.csv")


def describe(rows: Sequence[ReportRow], results: Sequence[SeriesResult], reported: bool) -> Evidence | None:
    """The section of these results; None without any."""
    if not results:
        return None
    by_model = {row.model.name: [result for result in results if result.model == row.model] for row in rows}
    reports = {row.model.name: row.report for row in rows if row.model.is_in_report}
    accuracies = {name: report.validation for name, report in reports.items()}
    gaps = {name: report.gap for name, report in reports.items()} if reported or not reports else None
    return Evidence(
        summary=describe_series(results),
        cells={
            row.model.name: cell_html(row, found, results, reported)
            for row in rows
            if (found := by_model[row.model.name])
        },
        intervals=describe_intervals(results),
        rankings=[
            ranking("By validation accuracy", results, accuracies, as_points=False),
            ranking("By gap, in points", results, gaps, as_points=True),
        ],
        marks=describe_mark(reported) if reports else "",
        uncertainty=describe_uncertainty([row for row in rows if row.ours]),
        csv=series_csv(results),
    )


def cell(row: ReportRow, figures: str) -> None:
    """One network: a link to its run, and its figures as HTML; where there are none, a link that trains it."""
    experiment = row.model.experiment
    label = row.title if figures else f"{missing_result(row).capitalize()}: train it"
    app_shell.page_link("train", label, result_params(experiment), icon=":material/open_in_new:" if figures else None)
    if figures:
        st.html(figures)
    else:
        report = f"; the report has {percent(row.report.validation, 1)}" if row.model.is_in_report else ""
        st.caption(f"{row.title}{report}.")


def cell_html(row: ReportRow, found: Sequence[SeriesResult], results: Sequence[SeriesResult], reported: bool) -> str:
    """The figures of a network by each of its measures, the report's beside the same measure."""
    color = palette.REGULARIZER_COLORS[row.model.experiment.regularizer]
    parts = [f'<span class="color" style="background: {color}"></span>']
    for result in found:
        measure = statistics_label(result, results)
        parts += [f'<span class="note"><i>{measure}</i></span>'] if measure else []
        parts += effect_html(
            "Validation", describe_accuracy_of(result), result.accuracy_difference, result.accuracy_differs
        )
        parts += effect_html("Gap", describe_gap_of(result), result.gap_difference, result.gap_differs)
    if row.model.is_in_report:
        parts.append(f'<span class="note">Report: {report_figures(row, reported)}</span>')
    return f'<div class="effect">{"".join(parts)}</div>'


def effect_html(name: str, figure: str, difference: Comparison | None, beyond_chance: bool) -> list[str]:
    """A figure and, below it, its difference from the plain network of the same depth."""
    note = describe_difference(difference, beyond_chance)
    note = f"against none {note}" if note else PLAIN if name == "Validation" else ""
    return [f"<span>{name}</span><b>{figure}</b>", f'<span class="note">{note}</span>' if note else ""]


def report_figures(row: ReportRow, reported: bool) -> str:
    """The report's figures of the measures that are shown; it has no gap in inference mode."""
    gap = f", gap {points(row.report.gap)}" if reported else ""
    return f"validation {percent(row.report.validation, 1)}{gap}"


def rankings(found: Evidence) -> None:
    """The networks by validation accuracy and by gap, side by side."""
    for column, ranked in zip(st.columns(2, gap="large"), found.rankings, strict=True):
        with column:
            st.subheader(ranked.title, anchor=False)
            st.write(keep_figures_whole(ranked.sentence))
            title = f"{ranked.title}: dot, mean; line, 95 % interval"
            chart_with_download(
                ranked.chart, alt=ranked.words, key=f"ranking {ranked.title}", name=ranked.file, title=title
            )
    st.caption(
        "Dot: mean over the seeds (seed 0 with fewer than three), horizontal line: its 95 % interval, rings: the seeds"
        f"{found.marks}."
    )
    st.caption(keep_figures_whole(found.uncertainty))


def describe_mark(reported: bool) -> str:
    """What the mark of the report is, the end of a sentence."""
    marked = "figure of the same measure" if reported else "validation accuracy; it has no gap of this measure"
    return f", vertical line: the report's {marked}"


def ranking(
    title: str, results: Sequence[SeriesResult], report: Mapping[str, float] | None, *, as_points: bool
) -> Ranking:
    """One of the two. `report` has the report's figures by model.

    The report measured batch normalization with Keras's moving averages, so the re-estimated results have no mark.
    """
    networks = [ranked_network(result, results, report, as_points) for result in results]
    values = [network.value for network in networks]
    titles = {
        result.model.name: network.title
        for result, network in zip(results, networks, strict=True)
        if not result.reestimated
    }
    by_title = {titles[name]: value for name, value in report.items() if name in titles} if report is not None else None
    names = [network.title for network in networks]
    estimates = [result.gap if as_points else result.accuracy for result in results]
    return Ranking(
        title=title,
        sentence=best_sentence(names, estimates, by_title, as_points=as_points),
        chart=ranking_chart(networks, as_points),
        words=describe_ranking(names, values, as_points),
        file="gaps" if as_points else "validation accuracies",
    )
