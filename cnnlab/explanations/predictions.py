"""Sentences about the stored predictions of the eight networks (`cnnlab.prediction_results`)."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from cnnlab.analysis.statistics import TemperatureScaling
from cnnlab.claims import Judgment
from cnnlab.explanations.conclusions import model_label
from cnnlab.explanations.intervals import format_signed_interval
from cnnlab.formatting import percent, pluralize, points
from cnnlab.prediction_results import EnsembleResult, PredictionResults, SetSizeResult
from cnnlab.report import ModelResults


def describe_agreements(results: PredictionResults) -> str:
    """How often two of the networks predict the same class, at least and at most, and two seeds of one network."""
    pairs = list(combinations(range(len(results.names)), 2))
    shares = {pair: float(results.agreements[pair]) for pair in pairs}
    if not shares:
        return ""
    least, most = (choose(shares, key=lambda pair: shares[pair]) for choose in (min, max))
    sentences = [
        f"Two of the {len(results.names)} networks predict the same class, right or wrong, for"
        f" {percent(shares[least])} ({_pair(results, least)}) to {percent(shares[most])} ({_pair(results, most)}) of"
        " the test images."
    ]
    if results.seed_agreements:
        sentences.append(_describe_seed_agreements(results))
    return " ".join(sentences)


def _pair(results: PredictionResults, pair: tuple[int, int]) -> str:
    return " and ".join(model_label(results.names[index]) for index in pair)


def _describe_seed_agreements(results: PredictionResults) -> str:
    means = {name: float(np.mean(shares)) for name, shares in results.seed_agreements.items()}
    least, most = (choose(means, key=lambda name: means[name]) for choose in (min, max))
    different = float(results.agreements[~np.eye(len(results.names), dtype=bool)].mean())
    return (
        f"Two seeds of one network agree on {percent(means[least])} ({model_label(least)}) to {percent(means[most])}"
        f" ({model_label(most)}), {percent(float(np.mean(list(means.values()))))} on average; two different networks on"
        f" {percent(different)} on average."
    )


def describe_agreement_chart(results: PredictionResults) -> str:
    """The alt text: every network with the one that it agrees with most."""
    parts = []
    for row, name in enumerate(results.names):
        others = [index for index in range(len(results.names)) if index != row]
        closest = max(others, key=lambda index: float(results.agreements[row, index]))
        share = percent(float(results.agreements[row, closest]))
        parts.append(f"{model_label(name)} agrees most with {model_label(results.names[closest])}, {share}")
    return f"How often two networks predict the same class on the test images: {'; '.join(parts)}."


def describe_ensemble(ensemble: EnsembleResult) -> str:
    """The accuracy of the average beside that of the best network, with the interval of the difference."""
    accuracies = ensemble.accuracies
    gains = ensemble.difference.is_significant and ensemble.difference.value > 0
    cause = "The networks make different mistakes, and averaging removes a part of them."
    verdict = f"beyond chance. {cause}" if gains else "no gain beyond chance."
    return (
        f"The average of the {len(accuracies)} networks' probabilities is correct on"
        f" **{percent(ensemble.accuracy.value, 1)}** of the {ensemble.accuracy.n[0]:,} test images, the best single"
        f" network, {model_label(ensemble.best)}, on"
        f" {percent(accuracies[ensemble.best], 1)}: {points(ensemble.difference.value, sign=True)}"
        f" ({format_signed_interval(ensemble.difference)}, 95 %, paired by image; seed 0 of each), {verdict} The best"
        " one is chosen on these images, so its accuracy is slightly too high."
    )


def temperature_table(found: Mapping[str, TemperatureScaling]) -> str:
    """Temperature, calibration error and loss before and after, as Markdown."""
    heads = ["network", "temperature", "ECE as trained", "ECE scaled", "loss as trained", "loss scaled"]
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    for name, scaling in found.items():
        cells = [model_label(name), f"{scaling.temperature:.2f}", points(scaling.ece_before), points(scaling.ece_after)]
        lines.append(f"| {' | '.join([*cells, f'{scaling.loss_before:.2f}', f'{scaling.loss_after:.2f}'])} |")
    return "\n".join(lines)


def describe_temperatures(found: Mapping[str, TemperatureScaling]) -> str:
    """What temperature scaling is and what it leaves alone."""
    gains = {
        name: scaling.loss_change.is_significant and scaling.loss_change.value < 0 for name, scaling in found.items()
    }
    groups = {
        "overconfident beyond chance of the images (a temperature above 1, and the loss falls)": [
            model_label(name) for name, scaling in found.items() if gains[name] and scaling.temperature > 1
        ],
        "the loss does not fall beyond chance of the images": [model_label(name) for name in found if not gains[name]],
    }
    verdicts = "".join(f" {' and '.join(names)}: {words}." for words, names in groups.items() if names)
    images = max(scaling.n for scaling in found.values())
    return (
        "Temperature scaling divides all logits by one number, fitted on the validation images and measured on the"
        f" {images:,} test images. No prediction changes, only its confidence.{verdicts} ECE, the expected calibration"
        " error: the mean absolute difference of confidence and accuracy over ten groups of similar confidence,"
        " weighted by their images (no interval); seed 0 of each network."
    )


def describe_validation_and_test(judgment: Judgment, by_seed: Mapping[int, ModelResults]) -> str:
    """Model 7 on both sets of images with the same weights: the means over the seeds, and the verdict."""
    comparison = judgment.comparisons[0]
    difference = comparison.estimate
    validation = float(np.mean([by_seed[seed].validation for seed in comparison.seeds]))
    seeds = pluralize(len(comparison.seeds), "seed")
    return (
        f"**Same weights, two sets of images.** {model_label(comparison.name)}: validation"
        f" {percent(validation, 1)}, test {percent(validation - difference.value, 1)}, difference"
        f" {points(difference.value, sign=True)} ({format_signed_interval(difference)}, 95 %,"
        f" chance of the images; mean of {seeds}). That validation and test agree: {judgment.verdict.value}."
    )


def describe_set_size(set_size: SetSizeResult) -> str:
    """50,000 against 40,000 training images, both on the test images."""
    verdict = "beyond chance" if set_size.difference.is_significant else "not beyond chance"
    return (
        f"**Same test images, two sizes of the training set.** {model_label(set_size.model)}: 40,000 images"
        f" {percent(set_size.accuracy.value, 1)}, 50,000 images {percent(set_size.final_accuracy.value, 1)}, difference"
        f" {points(set_size.difference.value, sign=True)} ({format_signed_interval(set_size.difference)}, 95 %, paired"
        f" by image; seed {set_size.seed}): {verdict}."
    )
