"""Does regularization help? Every model over its seeds, the rankings, and the report's conclusions with a verdict."""

from collections.abc import Sequence

import streamlit as st

from cnnlab.claims import Verdict, check_claims
from cnnlab.explanations.conclusions import best_sentence, describe_claim, describe_uncertainty, describe_verdict
from cnnlab.explanations.series_table import describe_intervals, describe_series, series_table
from cnnlab.pages.compare.measures import (
    MEASURE_EXPLANATION,
    SESSION_MEASURE,
    TRAINING_MEASURES,
    is_reported,
    selected_gap,
)
from cnnlab.rendering import charts
from cnnlab.report import ReportRow
from cnnlab.series_results import series_results

VERDICT_ICONS = {
    Verdict.HOLDS: "check_circle",
    Verdict.MOSTLY: "check",
    Verdict.UNDECIDED: "help",
    Verdict.TOO_WIDE: "help",
    Verdict.DEPENDS: "balance",
    Verdict.FAILS: "cancel",
    Verdict.MISSING: "hourglass_empty",
}


def evidence(table: Sequence[ReportRow]) -> None:
    """Every model's mean over its seeds and its difference from the plain network, with intervals."""
    results = series_results(table)
    if not results:
        return
    st.header("Does regularization help?", anchor=False)
    st.write(describe_series(results))
    with st.container(key="table_series"):
        st.markdown(series_table(results))
    st.caption(describe_intervals(results))


def rankings(eight: Sequence[ReportRow]) -> None:
    """The eight by validation accuracy and by gap, each with the sentence that the bars amount to."""
    trained = [row for row in eight if row.ours]
    if len(trained) < len(eight):
        st.info(f"{len(trained)} of the report's eight networks are trained here; the others join as they finish.")
    if not trained:
        return
    left, right = st.columns(2, gap="large")
    with left:
        values = [row.ours.validation for row in trained if row.ours]
        ranking("By validation accuracy", trained, values, [row.report.validation for row in trained], as_points=False)
    with right:
        values = [selected_gap(row.ours) for row in trained if row.ours]
        report = [row.report.gap for row in trained] if is_reported() else None
        ranking("By gap, in points", trained, values, report, as_points=True)
    st.caption(
        "Bars are ours after the last epoch, the line across a bar is the report's figure of the same measure. The gap"
        f" is training accuracy, {TRAINING_MEASURES[str(st.session_state[SESSION_MEASURE])]}, minus validation."
        f" {MEASURE_EXPLANATION}"
    )
    st.caption(describe_uncertainty(trained))


def ranking(
    title: str, rows: Sequence[ReportRow], values: list[float], report: list[float] | None, *, as_points: bool
) -> None:
    """One of the two: a heading, a sentence, bars."""
    names = [row.title for row in rows]
    kinds = [row.model.experiment.regularizer for row in rows]
    st.header(title, anchor=False)
    st.write(best_sentence(names, values, report, as_points=as_points))
    words = charts.describe_ranking(names, values, as_points)
    spec = charts.ranking_chart(names, values, kinds, report, as_points)
    st.vega_lite_chart(spec=spec, alt=words, key=f"ranking {title}")


def conclusions(table: Sequence[ReportRow]) -> None:
    """What the report concludes, each with the verdict of our runs and its evidence."""
    lines = []
    for result in check_claims(table):
        claim = result.claim[0].upper() + result.claim[1:]
        icon = f":material/{VERDICT_ICONS[result.verdict]}:"
        lines.append(f"- {icon} **{describe_verdict(result)}**: {claim}. :gray[{describe_claim(result)}]")
    with st.expander("What the report concludes, and whether it holds in our runs", expanded=True):
        st.markdown("\n".join(lines))
