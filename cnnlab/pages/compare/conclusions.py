"""The report's conclusions, each with its verdict and the evidence for it."""

from collections.abc import Sequence

import streamlit as st

from cnnlab.claims import ClaimResult, Verdict
from cnnlab.explanations.conclusions import describe_measures, describe_notes, describe_verdict
from cnnlab.explanations.verdict_table import evidence_table
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


def conclusions(claims: Sequence[ClaimResult]) -> None:
    """One line a conclusion, which opens to the comparisons that its verdict is based on."""
    st.header("What the report concludes, and whether it holds in our runs", anchor=False)
    for number, result in enumerate(claims):
        conclusion(number, result)


def conclusion(number: int, result: ClaimResult) -> None:
    """The verdict in the first words, the claim, and below them measure, n, effect and interval."""
    verdict = describe_verdict(result)
    icon = f":material/{VERDICT_ICONS[result.verdict]}:"
    label = f"**{verdict[0].upper()}{verdict[1:]}**: {result.claim} ({describe_measures(result)})."
    with st.expander(label, icon=icon):
        scrolling_table(evidence_table(result), f"claim{number}")
        st.caption(describe_notes(result))
