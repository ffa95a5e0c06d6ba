"""What the stored predictions of the report's eight networks say together: agreement, their average, temperature.

All figures are on the test images, which no network was trained or chosen on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.analysis import metrics
from cnnlab.analysis.statistics import (
    Estimate,
    TemperatureScaling,
    accuracy_interval,
    agreement,
    ensemble_logits,
    paired_difference,
    temperature_scaling,
)
from cnnlab.report_models import REPORT, models_on
from cnnlab.storage.runs import DamagedRun, Run

TEMPERATURE_MODELS = ("3conv-none", "3conv-dropout")
Logits = NDArray[Any]


@dataclass(frozen=True)
class EnsembleResult:
    """The mean probabilities of several networks on the test images, beside the best single one of them.

    `accuracies` are those of the networks by name; `difference` is the ensemble minus the best one, paired by image.
    The best is chosen on the same images, so its accuracy is slightly too high.
    """

    accuracy: Estimate
    accuracies: Mapping[str, float]
    best: str
    difference: Estimate


@dataclass(frozen=True)
class SetSizeResult:
    """A model trained on 40,000 images and the same one trained on all 50,000, both on the same test images.

    `difference` is the second minus the first, paired by image.
    """

    model: str
    seed: int
    accuracy: Estimate
    final_accuracy: Estimate
    difference: Estimate


@dataclass(frozen=True)
class PredictionResults:
    """All of it. `names` are the networks of the first seed; `agreements` float (n, n), 1 on the diagonal.

    `seed_agreements` are, by name, the agreements of the seeds of one network with each other. None: not enough runs.
    """

    names: tuple[str, ...]
    agreements: NDArray[np.float64]
    seed_agreements: Mapping[str, tuple[float, ...]]
    ensemble: EnsembleResult | None
    temperatures: Mapping[str, TemperatureScaling]
    set_sizes: tuple[SetSizeResult, ...]


def prediction_results(known: Sequence[Run], dataset: str = "cifar10") -> PredictionResults:
    """The results from the finished runs of the report's models on this data set among `known`, all seeds included.

    A run whose predictions are missing or damaged is left out, and so is one on other images than the first.
    """
    stored = load_predictions(known, dataset)
    test = {name: by_seed[seed]["test"] for name, by_seed in stored.items() for seed in (REPORT[name].experiment.seed,)
            if seed in by_seed and not name.startswith("final")}  # fmt: skip
    labels = next(
        (predictions["test_labels"] for by_seed in stored.values() for predictions in by_seed.values()),
        np.empty(0, np.int64),
    )
    return PredictionResults(
        names=tuple(test),
        agreements=agreement_matrix(list(test.values())),
        seed_agreements=seed_agreements(stored),
        ensemble=ensemble_result(test, labels) if len(test) > 1 else None,
        temperatures=temperatures(stored),
        set_sizes=tuple(set_size_results(stored, labels)),
    )


def load_predictions(known: Sequence[Run], dataset: str = "cifar10") -> dict[str, dict[int, dict[str, Logits]]]:
    """The stored logits and labels by model and seed, in the report's order."""
    found: dict[str, dict[int, dict[str, Logits]]] = {}
    labels: Logits | None = None
    for name, model in models_on(dataset).items():
        series = {**model.experiment.to_dict(), "seed": None}
        for run in known:
            if {**run.experiment.to_dict(), "seed": None} != series or run.state != "done":
                continue
            kept = _predictions(run)
            if "test" not in kept or (labels is not None and not np.array_equal(labels, kept["test_labels"])):
                continue
            labels = kept["test_labels"]
            found.setdefault(name, {}).setdefault(run.experiment.seed, kept)
    return found


def _predictions(run: Run) -> dict[str, Logits]:
    """The stored arrays, the logits as float32: NumPy is ten times slower with float16."""
    try:
        stored = run.predictions()
    except DamagedRun:
        return {}
    return {name: values.astype(np.float32) if values.ndim > 1 else values for name, values in stored.items()}


def agreement_matrix(all_logits: Sequence[Logits]) -> NDArray[np.float64]:
    """The share of images on which each two networks predict the same class, float64 (n, n)."""
    result = np.eye(len(all_logits))
    for first, second in combinations(range(len(all_logits)), 2):
        result[first, second] = result[second, first] = agreement(all_logits[first], all_logits[second]).value
    return result


def seed_agreements(stored: Mapping[str, Mapping[int, Mapping[str, Logits]]]) -> dict[str, tuple[float, ...]]:
    """For each model with several seeds the agreement of every two of them."""
    return {
        name: tuple(agreement(a["test"], b["test"]).value for a, b in combinations(by_seed.values(), 2))
        for name, by_seed in stored.items()
        if len(by_seed) > 1
    }


def ensemble_result(logits: Mapping[str, Logits], labels: Logits) -> EnsembleResult:
    """The average of these networks' probabilities, compared with the best of them."""
    average = ensemble_logits(list(logits.values())).argmax(axis=1) == labels
    correct = {name: scores.argmax(axis=1) == labels for name, scores in logits.items()}
    accuracies = {name: float(is_correct.mean()) for name, is_correct in correct.items()}
    best = max(accuracies, key=lambda name: accuracies[name])
    return EnsembleResult(
        accuracy_interval(float(average.mean()), len(labels)),
        accuracies,
        best,
        paired_difference(average, correct[best]),
    )


def temperatures(stored: Mapping[str, Mapping[int, Mapping[str, Logits]]]) -> dict[str, TemperatureScaling]:
    """Temperature scaling of TEMPERATURE_MODELS: fitted on the validation images, measured on the test images."""
    found = {}
    for name in TEMPERATURE_MODELS:
        kept = stored.get(name, {}).get(REPORT[name].experiment.seed)
        if kept and "validation" in kept:
            validation = kept["validation"], kept["validation_labels"]
            found[name] = temperature_scaling(*validation, kept["test"], kept["test_labels"])
    return found


def set_size_results(stored: Mapping[str, Mapping[int, Mapping[str, Logits]]], labels: Logits) -> list[SetSizeResult]:
    """For each final model with a run: it minus the model that was trained on 40,000 images, for the same seed."""
    results = []
    for final in (name for name in stored if name.startswith("final")):
        model = final.removeprefix("final-")
        for seed in sorted(set(stored[final]) & set(stored.get(model, {}))):
            pair = [stored[name][seed]["test"] for name in (model, final)]
            small, large = (logits.argmax(axis=1) == labels for logits in pair)
            before, after = (accuracy_interval(metrics.accuracy(logits, labels), len(labels)) for logits in pair)
            results.append(SetSizeResult(model, seed, before, after, paired_difference(large, small)))
    return results
