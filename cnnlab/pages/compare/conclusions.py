"""The report's conclusions, each with its verdict and the evidence for it."""

from collections.abc import Sequence

import streamlit as st

from cnnlab.claims import ClaimResult, Verdict, check_claims
from cnnlab.explanations.conclusions import describe_measures, describe_notes, describe_verdict
from cnnlab.explanations.verdict_table import comparison_table, count_comparisons, evidence_table
from cnnlab.report import ReportRow
from cnnlab.ui.scrolling_table import scrolling_table

VERDICT_ICONS = {
    Verdict.HOLDS: "check_circle",
    Verdict.MOSTLY: "check",
    Verdict.UNDECIDED: "help",
    Verdict.TOO_WIDE: "help",
    Verdict.DEPENDS: "balance",
    Verdict.FAILS: "cancel",
    Verdict.MISSING: "hourglass_empty",
}


def conclusions(table: Sequence[ReportRow], *, with_test: bool = True) -> None:
    """One line a conclusion, which opens to the comparisons that its verdict is based on.

    with_test: also those that are about accuracies on the test images.
    """
    where = "in our runs" if all(row.model.is_in_report for row in table) else "on Shapes"
    st.header(f"What the report concludes, and whether it holds {where}", anchor=False)
    for number, result in enumerate(check_claims(table)):
        if with_test or not result.is_about_test:
            conclusion(number, result)


def conclusion(number: int, result: ClaimResult) -> None:
    """The verdict in the first words, the claim, and below them measure, n, effect and interval."""
    verdict = describe_verdict(result)
    icon = f":material/{VERDICT_ICONS[result.verdict]}:"
    label = f"**{verdict[0].upper()}{verdict[1:]}**: {result.claim} ({describe_measures(result)})."
    with st.expander(label, icon=icon):
        scrolling_table(evidence_table(result), f"claim{number}")
        st.caption(describe_notes(result))
        with st.expander(f"All {count_comparisons(result)} comparisons that these verdicts are based on"):
            scrolling_table(comparison_table(result), f"comparisons{number}")
