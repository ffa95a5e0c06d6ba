"""The report's conclusions as a table in Markdown: claim, measure, verdict, n, effect, interval."""

from collections.abc import Sequence

from cnnlab.claims import ClaimResult, Judgment
from cnnlab.explanations.conclusions import (
    closest_comparisons,
    describe_comparison,
    describe_ends,
    describe_notes,
    describe_verdict,
)
from cnnlab.formatting import points

HEADS = ("measure", "verdict", "closest comparison", "seeds", "effect", "95 % interval", "this comparison")


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
    return [*rows, ["the report's own figures", report, "", "", "", "", ""]]


def describe_all_notes(results: Sequence[ClaimResult]) -> str:
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
        [
            *head,
            describe_comparison(one),
            str(len(one.seeds)),
            points(one.estimate.value, sign=True),
            describe_ends(one.estimate),
            findings[one].value if one in findings else "",
        ]
        for head, one in zip(heads, closest_comparisons(judgment.comparisons), strict=False)
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in rows)])
