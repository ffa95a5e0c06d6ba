"""The report's conclusions, each with its verdict and the evidence for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from cnnlab.claims import ClaimResult, Verdict
from cnnlab.explanations.conclusions import describe_measures, describe_notes, describe_verdict
from cnnlab.explanations.verdict_table import comparison_table, count_comparisons, evidence_table
from cnnlab.pages.compare.results import Results
from cnnlab.ui.scrolling_table import scrolling_table
from cnnlab.ui.state import session_key

OPENED, OPENED_ALL = session_key("compare.conclusion"), session_key("compare.conclusion.all")  # and the number

VERDICT_ICONS = {
    Verdict.HOLDS: "check_circle",
    Verdict.MOSTLY: "check",
    Verdict.UNDECIDED: "help",
    Verdict.TOO_WIDE: "help",
    Verdict.DEPENDS: "balance",
    Verdict.FAILS: "cancel",
    Verdict.MISSING: "hourglass_empty",
}


@dataclass(frozen=True)
class Conclusion:
    """A conclusion in words: `title` begins with the verdict; two tables in Markdown, the second of all comparisons."""

    title: str
    icon: str
    evidence: str
    notes: str
    comparisons: str
    count: int
    is_about_test: bool


def conclusions(results: Results, *, with_test: bool = True) -> None:
    """One line a conclusion, which opens to the comparisons that its verdict is based on.

    with_test: also those that are about accuracies on the test images.
    """
    where = "in our runs" if results.is_report else "on Shapes"
    st.header(f"What the report concludes, and whether it holds {where}", anchor=False)
    shown = results.cached("conclusions", lambda: list(map(describe, results.claims)))
    draw_conclusions([conclusion for conclusion in shown if with_test or not conclusion.is_about_test])


def describe(result: ClaimResult) -> Conclusion:
    """A judged claim in words and tables."""
    verdict = describe_verdict(result)
    return Conclusion(
        title=f"**{verdict[0].upper()}{verdict[1:]}**: {result.claim} ({describe_measures(result)}).",
        icon=f":material/{VERDICT_ICONS[result.verdict]}:",
        evidence=evidence_table(result),
        notes=describe_notes(result),
        comparisons=comparison_table(result),
        count=count_comparisons(result),
        is_about_test=result.is_about_test,
    )


@st.fragment
def draw_conclusions(shown: Sequence[Conclusion]) -> None:
    """A line for each: the verdict in the first words, and the claim. What a line opens to is drawn when it is open."""
    for number, conclusion in enumerate(shown):
        line = st.expander(conclusion.title, icon=conclusion.icon, key=f"{OPENED}{number}", on_change="rerun")
        if line.open:
            with line:
                draw_comparisons(number, conclusion)


def draw_comparisons(number: int, conclusion: Conclusion) -> None:
    """Measure, n, effect and interval of the closest comparisons, and in another line those of all."""
    scrolling_table(conclusion.evidence, f"claim{number}")
    st.caption(conclusion.notes)
    title = f"All {conclusion.count} comparisons that these verdicts are based on"
    line = st.expander(title, key=f"{OPENED_ALL}{number}", on_change="rerun")
    if line.open:
        with line:
            scrolling_table(conclusion.comparisons, f"comparisons{number}")
