"""The report's four conclusions as claims about figures, tested on the report's figures and on those of our runs.

A claim is a set of comparisons of two networks each; it holds where every comparison goes its way beyond chance. With
at least three seeds of both, chance is which seed was used. With fewer it is which images were drawn and at which epoch
the training ended: the difference must also have its sign in nine of the last ten epochs. The p values of one claim are
adjusted for their number (Holm). The intervals and tests are those of `analysis.statistics`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cnnlab.analysis.statistics import (
    Estimate,
    adjust_for_multiple_comparisons,
    generalization_gap,
    paired_difference,
    seed_difference,
    unpaired_difference,
)
from cnnlab.analysis.statistics.distributions import normal_quantile, two_sided_normal_p
from cnnlab.experiment import REPORT
from cnnlab.regularizers import REGULARIZERS
from cnnlab.report import LAST_EPOCHS, ModelResults, ReportRow

AGREEMENT_TOLERANCE = 0.02  # validation and test agree where the interval of their difference lies within two points
MIN_SEEDS = 3  # from so many common seeds on, chance is which seed was used
MIN_AGREEING_EPOCHS = 9  # of the last ten: a difference without sign has nine or ten alike in 2 % of cases
TRAINED = [name for name in REPORT if not name.startswith("final")]

Results = Mapping[str, Mapping[int, ModelResults]]  # by model and seed


class Verdict(StrEnum):
    """What the comparisons of a claim say together."""

    HOLDS = "holds"
    MOSTLY = "holds in most seeds"
    UNDECIDED = "not beyond chance"
    FAILS = "does not hold"
    TOO_WIDE = "undecided, the interval is too wide"
    DEPENDS = "depends on the measure"
    MISSING = "cannot be said yet"


@dataclass(frozen=True)
class Comparison:
    """`name` against `other`: the estimate is above 0 where the two are as the claim says.

    `seeds` are those that both were trained with, `agreeing_seeds` those in which the difference has the estimate's
    sign. `epochs` and `agreeing_epochs` count the same over the last epochs of the first seed; 0 where unknown.
    """

    name: str
    other: str
    estimate: Estimate
    seeds: tuple[int, ...]
    agreeing_seeds: tuple[int, ...]
    epochs: int = 0
    agreeing_epochs: int = 0

    @property
    def is_steady(self) -> bool:
        """Whether the epoch at which training ended does not decide the sign; over several seeds it is averaged."""
        return len(self.seeds) >= MIN_SEEDS or self.epochs - self.agreeing_epochs <= LAST_EPOCHS - MIN_AGREEING_EPOCHS


@dataclass(frozen=True)
class Judgment:
    """The verdict by one measure, and the comparisons that it rests on."""

    measure: str
    verdict: Verdict
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class ClaimResult:
    """A claim, its judgments on our runs by each measure (the default one first), and on the report's own figures.

    `missing` names the models that are not trained yet; there are no judgments then.
    """

    claim: str
    judgments: tuple[Judgment, ...]
    report: Judgment
    missing: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict that all measures share; DEPENDS where they differ."""
        if not self.judgments:
            return Verdict.MISSING
        verdicts = {judgment.verdict for judgment in self.judgments}
        return verdicts.pop() if len(verdicts) == 1 else Verdict.DEPENDS


@dataclass(frozen=True)
class Measure:
    """A figure of a network, and the interval of the difference of two of them by chance of the images.

    `difference(a, b, name_a, name_b)` is a - b. `restate` gives the results that the figure is read from.
    """

    name: str
    value: Callable[[ModelResults], float]
    difference: Callable[[ModelResults, ModelResults, str, str], Estimate]
    restate: Callable[[ModelResults], ModelResults] = lambda results: results


def accuracy_difference(first: ModelResults, second: ModelResults, name: str, other: str) -> Estimate:
    """The difference of two validation accuracies: paired by image where the predictions are known."""
    if first.correct is not None and second.correct is not None:
        return paired_difference(first.correct, second.correct)
    images = REPORT[name].experiment.validation_images
    return unpaired_difference(first.validation, images, second.validation, images)


def inference_gap_difference(first: ModelResults, second: ModelResults, name: str, other: str) -> Estimate:
    """The difference of two gaps, training accuracy in inference mode."""
    return _gap_difference(gap_estimate(first, name, reported=False), gap_estimate(second, other, reported=False))


def reported_gap_difference(first: ModelResults, second: ModelResults, name: str, other: str) -> Estimate:
    """The difference of two gaps, training accuracy as Keras reports it: a running mean over all training images."""
    return _gap_difference(gap_estimate(first, name, reported=True), gap_estimate(second, other, reported=True))


def gap_estimate(results: ModelResults, name: str, reported: bool) -> Estimate:
    """The gap of one run of model `name`, with the training accuracy as Keras reports it or in inference mode."""
    experiment = REPORT[name].experiment
    if reported or results.train_eval is None:
        train, images = results.train, int(experiment.train_images or 0)
    else:
        train, images = results.train_eval, experiment.train_eval_images
    return generalization_gap(train, images, results.validation, experiment.validation_images)


def _gap_difference(first: Estimate, second: Estimate) -> Estimate:
    """The difference of two gaps as if they were measured on different images: too wide for the same ones."""
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    error = (high - low) / (2 * normal_quantile(0.975))
    return Estimate(
        value=value,
        low=low,
        high=high,
        n=first.n,
        chance="images",
        method="newcombe",
        p_value=two_sided_normal_p(value / error),
    )


ACCURACY = Measure("validation accuracy", lambda results: results.validation, accuracy_difference)
REESTIMATED_ACCURACY = Measure(
    "validation accuracy, batch norm re-estimated",
    lambda results: results.validation,
    accuracy_difference,
    ModelResults.reestimated,
)
INFERENCE_GAP = Measure("gap in inference mode", lambda results: results.inference_gap, inference_gap_difference)
REESTIMATED_GAP = Measure(
    "gap in inference mode, batch norm re-estimated",
    lambda results: results.inference_gap,
    inference_gap_difference,
    ModelResults.reestimated,
)
REPORTED_GAP = Measure("gap as Keras reports it", lambda results: results.gap, reported_gap_difference)


def compare(name: str, other: str, measure: Measure, results: Results) -> Comparison:
    """`name` minus `other` by this measure: over common seeds where there are MIN_SEEDS, else on the first of them."""
    seeds = tuple(sorted(set(results[name]) & set(results[other])))
    ours = {seed: measure.restate(results[name][seed]) for seed in seeds}
    others = {seed: measure.restate(results[other][seed]) for seed in seeds}
    first = {seed: measure.value(one) for seed, one in ours.items()}
    second = {seed: measure.value(one) for seed, one in others.items()}
    start = seeds[0]
    if len(seeds) >= MIN_SEEDS:
        estimate = seed_difference(first, second)
    else:
        estimate = measure.difference(ours[start], others[start], name, other)
    positive = estimate.value > 0
    pairs = list(zip(ours[start].recent_epochs, others[start].recent_epochs, strict=False))
    return Comparison(
        name,
        other,
        estimate,
        seeds,
        agreeing_seeds=tuple(seed for seed in seeds if (first[seed] > second[seed]) == positive),
        epochs=len(pairs),
        agreeing_epochs=sum((measure.value(a) > measure.value(b)) == positive for a, b in pairs),
    )


def judge(measure: str, comparisons: Sequence[Comparison]) -> Judgment:
    """One verdict over all comparisons, whose p values are adjusted for their number."""
    adjusted = adjust_for_multiple_comparisons([comparison.estimate for comparison in comparisons])
    beyond_chance = [
        estimate.is_significant and comparison.is_steady
        for estimate, comparison in zip(adjusted, comparisons, strict=True)
    ]
    if any(beyond and one.value < 0 for beyond, one in zip(beyond_chance, adjusted, strict=True)):
        verdict = Verdict.FAILS
    elif not all(beyond_chance):
        verdict = Verdict.UNDECIDED
    elif all(comparison.agreeing_seeds == comparison.seeds for comparison in comparisons):
        verdict = Verdict.HOLDS
    else:
        verdict = Verdict.MOSTLY
    return Judgment(measure, verdict, tuple(comparisons))


@dataclass(frozen=True)
class Claim:
    """A conclusion of the report: each pair is (the network that is ahead, the one behind), by every measure."""

    text: str
    pairs: tuple[tuple[str, str], ...]
    measures: tuple[Measure, ...]
    report_measure: Measure

    def check(self, ours: Results, report: Results) -> ClaimResult:
        """Judge the claim on our results and on the report's."""
        of_report = self._judge(self.report_measure, report)
        needed = sorted({name for pair in self.pairs for name in pair})
        if missing := tuple(name for name in needed if not _has_common_seed(name, needed, ours)):
            return ClaimResult(self.text, (), of_report, missing)
        judgments = [self._judge(one, ours) for one in self.measures if one.restate is not ModelResults.reestimated]
        renewed = only_reestimated(ours)
        if all(renewed.get(name) for name in needed):
            of_renewed = [self._judge(one, renewed) for one in self.measures if one.restate is ModelResults.reestimated]
            judgments[1:1] = of_renewed
        return ClaimResult(self.text, tuple(judgments), of_report)

    def _judge(self, measure: Measure, results: Results) -> Judgment:
        return judge(measure.name, [compare(*pair, measure, results) for pair in self.pairs])


def only_reestimated(results: Results) -> Results:
    """The same without the runs with batch normalization whose re-estimated accuracies are not known."""
    return {
        name: {seed: one for seed, one in by_seed.items() if one.is_reestimated or not _has_batchnorm(name)}
        for name, by_seed in results.items()
    }


def _has_batchnorm(name: str) -> bool:
    return REGULARIZERS[REPORT[name].experiment.regularizer].layer_kind == "bn"


def _has_common_seed(name: str, needed: Sequence[str], results: Results) -> bool:
    return bool(results.get(name)) and all(
        not results.get(other) or set(results[name]) & set(results[other]) for other in needed
    )


def _against_same_depth(regularizer: str, ahead: bool) -> tuple[tuple[str, str], ...]:
    """The network with this regularizer against each other one of its depth, at 2 and 3 layers."""
    pairs = [
        (f"{depth}conv-{regularizer}", name)
        for depth in (2, 3)
        for name in TRAINED
        if name.startswith(f"{depth}conv") and name != f"{depth}conv-{regularizer}"
    ]
    return tuple(pair if ahead else pair[::-1] for pair in pairs)


DEPTH_CLAIM = "three layers beat two with every regularizer"
CLAIMS = (
    Claim(
        "dropout has the smallest gap at either depth",
        _against_same_depth("dropout", ahead=False),
        (INFERENCE_GAP, REESTIMATED_GAP, REPORTED_GAP),
        REPORTED_GAP,
    ),
    Claim(
        "batch normalization has the highest validation accuracy at either depth",
        _against_same_depth("batchnorm", ahead=True),
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
    report: Results = {row.model.name: {0: row.report} for row in table}
    return [*(claim.check(ours, report) for claim in CLAIMS), check_agreement(ours, report)]


def check_agreement(ours: Results, report: Results) -> ClaimResult:
    """Whether validation and test accuracy of model 7 agree.

    The report tested only the network that it trained again on 10,000 more images, which alone makes it better. Ours
    tested the same weights, so they are what is judged. HOLDS where the whole interval lies within AGREEMENT_TOLERANCE,
    FAILS where it excludes 0, else TOO_WIDE.
    """
    report_final = {0: report["final-3conv-dropout"][0].validation}
    of_report = _judge_agreement(report["3conv-dropout"], report_final, "validation, test after training on all images")
    seven = ours.get("3conv-dropout", {})
    tested = {seed: one.test for seed, one in seven.items() if one.test is not None}
    if not tested:
        return ClaimResult(AGREEMENT_CLAIM, (), of_report, ("3conv-dropout",))
    judged = _judge_agreement({seed: seven[seed] for seed in tested}, tested, "validation and test, same weights")
    return ClaimResult(AGREEMENT_CLAIM, (judged,), of_report)


def _judge_agreement(validated: Mapping[int, ModelResults], tested: Mapping[int, float], measure: str) -> Judgment:
    """The mean difference over the seeds, by chance of the images: every seed is measured on the same ones."""
    images = REPORT["3conv-dropout"].experiment.validation_images
    seeds = tuple(sorted(tested))
    validation = sum(validated[seed].validation for seed in seeds) / len(seeds)
    test = sum(tested[seed] for seed in seeds) / len(seeds)
    estimate = unpaired_difference(validation, images, test, images)
    within = estimate.low >= -AGREEMENT_TOLERANCE and estimate.high <= AGREEMENT_TOLERANCE
    verdict = Verdict.HOLDS if within else Verdict.FAILS if estimate.is_significant else Verdict.TOO_WIDE
    comparison = Comparison("3conv-dropout", "test", estimate, seeds, seeds)
    return Judgment(measure, verdict, (comparison,))
