"""The report's four conclusions as claims, tested on the report's results and on those of our runs.

A claim is a set of comparisons of two networks (`cnnlab.comparison`). It holds where every difference has the claimed
sign and is significant. A difference over images (fewer than MIN_SEEDS seeds) must also have its sign in nine of the
last ten epochs. The p values of the comparisons of one claim are adjusted for their number (Holm).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cnnlab.analysis.statistics import Estimate, adjust_for_multiple_comparisons, unpaired_difference
from cnnlab.comparison import (
    ACCURACY,
    INFERENCE_GAP,
    REESTIMATED_ACCURACY,
    REESTIMATED_GAP,
    REPORTED_GAP,
    Comparison,
    Measure,
    Results,
    compare,
)
from cnnlab.regularizers import REGULARIZERS
from cnnlab.report import ModelResults, ReportRow, report_results
from cnnlab.report_models import REPORT

AGREEMENT_TOLERANCE = 0.02  # validation and test agree where the interval of their difference lies within two points
TRAINED = [name for name in REPORT if not name.startswith("final")]


class Verdict(StrEnum):
    """The verdict on a claim, from all its comparisons."""

    HOLDS = "holds in all seeds"
    MOSTLY = "holds in most seeds"
    UNDECIDED = "not beyond chance"
    FAILS = "does not hold"
    TOO_WIDE = "undecided, the interval is too wide"
    DEPENDS = "depends on the measure"
    MISSING = "cannot be said yet"


class ComparisonVerdict(StrEnum):
    """What one comparison of a claim says, with its p value adjusted for the number of comparisons of the claim."""

    AS_CLAIMED = "as claimed"
    OPPOSITE = "the opposite"
    CHANCE = "not beyond chance"


@dataclass(frozen=True)
class Judgment:
    """The verdict by one measure, and the comparisons that it is based on.

    Of a claim with several: `findings`, and `p_values` adjusted by Holm (None without a test), one a comparison.
    """

    measure: str
    verdict: Verdict
    comparisons: tuple[Comparison, ...]
    findings: tuple[ComparisonVerdict, ...] = ()
    p_values: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class ClaimResult:
    """A claim, its judgments on our runs by each measure (the default one first), and on the report's own results.

    `missing` names the models that are not trained; `judgments` is empty then.
    """

    claim: str
    judgments: tuple[Judgment, ...]
    report: Judgment
    missing: tuple[str, ...] = ()
    is_about_test: bool = False  # whether it needs accuracies on the test images

    @property
    def verdict(self) -> Verdict:
        """The verdict that all measures share; DEPENDS where they differ."""
        if not self.judgments:
            return Verdict.MISSING
        verdicts = {judgment.verdict for judgment in self.judgments}
        return verdicts.pop() if len(verdicts) == 1 else Verdict.DEPENDS


def judge(measure: str, comparisons: Sequence[Comparison]) -> Judgment:
    """One verdict over all comparisons, whose p values are adjusted for their number."""
    adjusted = adjust_for_multiple_comparisons([comparison.estimate for comparison in comparisons])
    findings = tuple(
        _finding(estimate, comparison.is_steady) for estimate, comparison in zip(adjusted, comparisons, strict=True)
    )
    if ComparisonVerdict.OPPOSITE in findings:
        verdict = Verdict.FAILS
    elif ComparisonVerdict.CHANCE in findings:
        verdict = Verdict.UNDECIDED
    elif all(comparison.agreeing_seeds == comparison.seeds for comparison in comparisons):
        verdict = Verdict.HOLDS
    else:
        verdict = Verdict.MOSTLY
    return Judgment(measure, verdict, tuple(comparisons), findings, tuple(estimate.p_value for estimate in adjusted))


def _finding(adjusted: Estimate, is_steady: bool) -> ComparisonVerdict:
    if not (adjusted.is_significant and is_steady):
        return ComparisonVerdict.CHANCE
    return ComparisonVerdict.AS_CLAIMED if adjusted.value > 0 else ComparisonVerdict.OPPOSITE


@dataclass(frozen=True)
class Claim:
    """A conclusion of the report: each pair is (the better network, the worse one), by each of the measures."""

    text: str
    pairs: tuple[tuple[str, str], ...]
    measures: tuple[Measure, ...]
    report_measure: Measure

    def check(self, ours: Results, report: Results) -> ClaimResult:
        """Judge the claim on our results and on the report's; models without a common seed are missing."""
        report_judgment = self._judge(self.report_measure, report)
        needed = sorted({name for pair in self.pairs for name in pair})
        if missing := tuple(name for name in needed if not _has_common_seed(name, needed, ours)):
            return ClaimResult(self.text, (), report_judgment, missing)
        judgments = [
            self._judge(measure, ours) for measure in self.measures if measure.restate is not ModelResults.reestimated
        ]
        reestimated = only_reestimated(ours)
        if all(reestimated.get(name) for name in needed):
            restated = [measure for measure in self.measures if measure.restate is ModelResults.reestimated]
            judgments[1:1] = [self._judge(measure, reestimated) for measure in restated]
        return ClaimResult(self.text, tuple(judgments), report_judgment)

    def _judge(self, measure: Measure, results: Results) -> Judgment:
        return judge(measure.name, [compare(*pair, measure, results) for pair in self.pairs])


def only_reestimated(results: Results) -> Results:
    """The same without the runs with batch normalization whose re-estimated accuracies are not known."""
    return {
        name: {seed: result for seed, result in by_seed.items() if result.is_reestimated or not _has_batchnorm(name)}
        for name, by_seed in results.items()
    }


def _has_batchnorm(name: str) -> bool:
    return REGULARIZERS[REPORT[name].experiment.regularizer].layer_kind == "bn"


def _has_common_seed(name: str, needed: Sequence[str], results: Results) -> bool:
    return bool(results.get(name)) and all(
        not results.get(other) or set(results[name]) & set(results[other]) for other in needed
    )


def _against_same_depth(regularizer: str, is_better: bool) -> tuple[tuple[str, str], ...]:
    """Pairs of the network with this regularizer and each other one of the same depth, for depths 2 and 3.

    With `is_better` the network with this regularizer is first, else second.
    """
    pairs = [
        (f"{depth}conv-{regularizer}", name)
        for depth in (2, 3)
        for name in TRAINED
        if name.startswith(f"{depth}conv") and name != f"{depth}conv-{regularizer}"
    ]
    return tuple(pair if is_better else pair[::-1] for pair in pairs)


DEPTH_CLAIM = "three layers beat two with every regularizer"
CLAIMS = (
    Claim(
        "dropout has the smallest gap at either depth",
        _against_same_depth("dropout", is_better=False),
        (INFERENCE_GAP, REESTIMATED_GAP, REPORTED_GAP),
        REPORTED_GAP,
    ),
    Claim(
        "batch normalization has the highest validation accuracy at either depth",
        _against_same_depth("batchnorm", is_better=True),
        (ACCURACY, REESTIMATED_ACCURACY),
        ACCURACY,
    ),
    Claim(
        DEPTH_CLAIM,
        tuple((name, "2" + name[1:]) for name in TRAINED if name.startswith("3")),
        (ACCURACY, REESTIMATED_ACCURACY),
        ACCURACY,
    ),
)
AGREEMENT_CLAIM = "validation and test agree for model 7 (3-conv, dropout)"


def check_claims(table: Sequence[ReportRow]) -> list[ClaimResult]:
    """The report's four conclusions, judged on its own figures and on ours."""
    ours: Results = {row.model.name: row.by_seed for row in table}
    report: Results = {name: {0: report_results(model)} for name, model in REPORT.items()}
    return [*(claim.check(ours, report) for claim in CLAIMS), check_agreement(ours, report)]


def check_agreement(ours: Results, report: Results) -> ClaimResult:
    """Whether validation and test accuracy of model 7 agree.

    The report tested only a network trained on 10,000 more images, which by itself raises its accuracy. Our runs test
    the weights that were validated, so these are judged. HOLDS where the whole interval lies within
    AGREEMENT_TOLERANCE, FAILS where it excludes 0, else TOO_WIDE.
    """
    report_final = {0: report["final-3conv-dropout"][0].validation}
    report_judgment = _judge_agreement(
        report["3conv-dropout"], report_final, "validation, test after training on all images"
    )
    model_7 = ours.get("3conv-dropout", {})
    tested = {seed: result.test for seed, result in model_7.items() if result.test is not None}
    if not tested:
        return ClaimResult(AGREEMENT_CLAIM, (), report_judgment, ("3conv-dropout",), is_about_test=True)
    judgment = _judge_agreement({seed: model_7[seed] for seed in tested}, tested, "validation and test, same weights")
    return ClaimResult(AGREEMENT_CLAIM, (judgment,), report_judgment, is_about_test=True)


def _judge_agreement(validated: Mapping[int, ModelResults], tested: Mapping[int, float], measure: str) -> Judgment:
    """The mean difference over the seeds, with an interval over images, since all seeds use the same images."""
    seeds = tuple(sorted(tested))
    images = validated[seeds[0]].images.validation
    validation = sum(validated[seed].validation for seed in seeds) / len(seeds)
    test = sum(tested[seed] for seed in seeds) / len(seeds)
    estimate = unpaired_difference(validation, images, test, images)
    within = estimate.low >= -AGREEMENT_TOLERANCE and estimate.high <= AGREEMENT_TOLERANCE
    verdict = Verdict.HOLDS if within else Verdict.FAILS if estimate.is_significant else Verdict.TOO_WIDE
    comparison = Comparison("3conv-dropout", "test", estimate, seeds, seeds)
    return Judgment(measure, verdict, (comparison,))
