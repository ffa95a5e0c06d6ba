"""Two networks compared by one measure: the difference with a 95 % interval, and the seeds and epochs that agree.

With at least MIN_SEEDS seeds of both networks the interval is over seeds. With fewer it is over images, and the
`Comparison` also counts in how many of the last epochs the difference has the same sign. The intervals are those of
`analysis.statistics`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cnnlab.analysis.statistics import (
    Estimate,
    gap_difference,
    generalization_gap,
    paired_difference,
    seed_difference,
    unpaired_difference,
)
from cnnlab.report import LAST_EPOCHS, ModelResults

MIN_SEEDS = 3  # from so many common seeds on, the interval is over seeds
MIN_AGREEING_EPOCHS = 9  # of the last ten: by chance nine or ten signs agree with probability 2 %

Results = Mapping[str, Mapping[int, ModelResults]]  # by model and seed


@dataclass(frozen=True)
class Comparison:
    """`name` minus `other`: the difference as an estimate with its interval.

    `seeds` are the seeds of both networks, `agreeing_seeds` those in which the difference has the estimate's sign.
    `epochs` is the number of last epochs of the first seed that were compared, `agreeing_epochs` those with that sign;
    0 where unknown.
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
        """Whether at least MIN_AGREEING_EPOCHS of the last epochs have the same sign, or there are MIN_SEEDS seeds."""
        if len(self.seeds) < MIN_SEEDS and self.agreeing_seeds != self.seeds:
            return False
        return len(self.seeds) >= MIN_SEEDS or self.epochs - self.agreeing_epochs <= LAST_EPOCHS - MIN_AGREEING_EPOCHS


@dataclass(frozen=True)
class Measure:
    """A number that describes a network, and the difference of two networks with its interval over images.

    `difference(a, b)` is a - b. `restate` maps a model's results to those that `value` is read from.
    """

    name: str
    value: Callable[[ModelResults], float]
    difference: Callable[[ModelResults, ModelResults], Estimate]
    restate: Callable[[ModelResults], ModelResults] = lambda results: results


def accuracy_difference(first: ModelResults, second: ModelResults) -> Estimate:
    """The difference of two validation accuracies: paired by image where the predictions are known."""
    if first.correct is not None and second.correct is not None:
        return paired_difference(first.correct, second.correct)
    return unpaired_difference(first.validation, first.images.validation, second.validation, second.images.validation)


def inference_gap_difference(first: ModelResults, second: ModelResults) -> Estimate:
    """The difference of two gaps with the training accuracy in inference mode."""
    return gap_difference(gap_estimate(first, reported=False), gap_estimate(second, reported=False))


def reported_gap_difference(first: ModelResults, second: ModelResults) -> Estimate:
    """The difference of two gaps with Keras's training accuracy: a running mean over all training images."""
    return gap_difference(gap_estimate(first, reported=True), gap_estimate(second, reported=True))


def gap_estimate(results: ModelResults, reported: bool) -> Estimate:
    """The gap of one run, with the training accuracy as Keras reports it or in inference mode."""
    counts = results.images
    if reported or results.train_eval is None:
        train, images = results.train, counts.training
    else:
        train, images = results.train_eval, counts.evaluated
    return generalization_gap(train, images, results.validation, counts.validation)


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
    """`name` minus `other` by this measure: over the common seeds from MIN_SEEDS on, else for the first common seed."""
    seeds = tuple(sorted(set(results[name]) & set(results[other])))
    ours = {seed: measure.restate(results[name][seed]) for seed in seeds}
    others = {seed: measure.restate(results[other][seed]) for seed in seeds}
    first = {seed: measure.value(result) for seed, result in ours.items()}
    second = {seed: measure.value(result) for seed, result in others.items()}
    first_seed = seeds[0]
    if len(seeds) >= MIN_SEEDS:
        estimate = seed_difference(first, second)
    else:
        estimate = measure.difference(ours[first_seed], others[first_seed])
    positive = estimate.value > 0
    pairs = list(zip(ours[first_seed].recent_epochs, others[first_seed].recent_epochs, strict=False))
    return Comparison(
        name,
        other,
        estimate,
        seeds,
        agreeing_seeds=tuple(seed for seed in seeds if (first[seed] > second[seed]) == positive),
        epochs=len(pairs),
        agreeing_epochs=sum((measure.value(a) > measure.value(b)) == positive for a, b in pairs),
    )
