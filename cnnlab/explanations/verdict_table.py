"""The report's conclusions as a table in Markdown: claim, measure, verdict, n, effect, interval."""

from collections.abc import Sequence

from cnnlab.claims import ClaimResult, Judgment
from cnnlab.comparison import Comparison
from cnnlab.explanations.conclusions import (
    closest_comparisons,
    describe_comparison,
    describe_notes,
    describe_verdict,
)
from cnnlab.explanations.intervals import format_signed_interval
from cnnlab.formatting import points

HEADS = ("measure", "verdict", "closest comparison", "seeds", "effect", "95 % interval", "this comparison")
COMPARISON_HEADS = ("measure", "comparison", "seeds", "effect", "95 % interval", "adjusted p", "this comparison")
NUMERIC_HEADS = {"seeds", "effect", "95 % interval", "adjusted p"}
REPORT_FIGURES = "the report's own figures"


def verdict_table(results: Sequence[ClaimResult]) -> str:
    """Every claim with every measure: the comparisons that decide it, the closest one of each depth or pair."""
    rows = [
        [claim if first else "", *cells]
        for result in results
        for claim in [f"{result.claim}: **{describe_verdict(result)}**"]
        for first, cells in zip([True, *[False] * 99], evidence_rows(result), strict=False)
    ]
    return _table(("claim", *HEADS), rows)


def evidence_table(result: ClaimResult) -> str:
    """One claim: its rows without the claim."""
    return _table(HEADS, evidence_rows(result))


def evidence_rows(result: ClaimResult) -> list[list[str]]:
    """The cells under HEADS; the last row is the verdict on the report's own figures."""
    rows = [row for judgment in result.judgments for row in _judgment_rows(judgment)]
    report = result.report.verdict.value.removesuffix(" in all seeds")
    return [*rows, [REPORT_FIGURES, report, "", "1", "", "", ""]]


def comparison_table(result: ClaimResult) -> str:
    """Every comparison that the verdicts of a claim are based on, by each measure and on the report's own figures."""
    rows = [row for judgment in result.judgments for row in _comparison_rows(judgment, judgment.measure)]
    return _table(COMPARISON_HEADS, [*rows, *_comparison_rows(result.report, REPORT_FIGURES)])


def count_comparisons(result: ClaimResult) -> int:
    """The rows of `comparison_table`."""
    return sum(len(judgment.comparisons) for judgment in (*result.judgments, result.report))


def p_value_text(p_value: float | None) -> str:
    """'0.041', '<0.001'; '' where there is no test."""
    if p_value is None:
        return ""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def describe_claim_notes(results: Sequence[ClaimResult]) -> str:
    """The notes of all claims, each sentence once, and what the rows are."""
    notes = dict.fromkeys(f"{sentence}." for result in results for sentence in _sentences(describe_notes(result)))
    closest = "Each row is the closest of the comparisons of one depth, or of one pair of networks."
    return " ".join([closest, *notes])


def _sentences(text: str) -> list[str]:
    return [sentence.removesuffix(".") for sentence in text.split(". ")]


def _judgment_rows(judgment: Judgment) -> list[list[str]]:
    """The measure and its verdict stand in the first row only: they are those of all its comparisons."""
    findings = dict(zip(judgment.comparisons, judgment.findings, strict=False))
    heads = [[judgment.measure, judgment.verdict.value], *[["", ""] for _ in judgment.comparisons]]
    return [
        [*head, *_comparison_cells(comparison), findings[comparison].value if comparison in findings else ""]
        for head, comparison in zip(heads, closest_comparisons(judgment.comparisons), strict=False)
    ]


def _comparison_rows(judgment: Judgment, measure: str) -> list[list[str]]:
    """All comparisons of a judgment, under COMPARISON_HEADS."""
    findings = judgment.findings or (None,) * len(judgment.comparisons)
    p_values = judgment.p_values or tuple(comparison.estimate.p_value for comparison in judgment.comparisons)
    return [
        [measure, *_comparison_cells(comparison), p_value_text(p_value), finding.value if finding else ""]
        for comparison, p_value, finding in zip(judgment.comparisons, p_values, findings, strict=True)
    ]


def _comparison_cells(comparison: Comparison) -> list[str]:
    """The comparison in words, seeds, effect, interval."""
    effect, interval = points(comparison.estimate.value, sign=True), format_signed_interval(comparison.estimate)
    return [describe_comparison(comparison), str(len(comparison.seeds)), effect, interval]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; columns of numbers are aligned to the right."""
    dashes = ["---:" if head in NUMERIC_HEADS else "---" for head in heads]
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join(dashes)} |"]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in rows)])
