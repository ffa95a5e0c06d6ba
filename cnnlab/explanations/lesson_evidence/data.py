"""Evidence about seeds, the number of images, and time."""

import numpy as np

from cnnlab.analysis.statistics import agreement, paired_difference
from cnnlab.explanations.lesson_evidence.result import Evidence, Table, find
from cnnlab.formatting import duration, percent, points
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.report_models import REPORT
from cnnlab.storage import runs
from cnnlab.storage.series import find_series


def seeds(table: Table, model: str) -> Evidence:
    """Two seeds of one experiment: their accuracies, and on how many test images they agree."""
    series = find_series(REPORT[model].experiment, [*runs.list_runs(), *runs.shipped_seeds()])
    numbers = sorted(series.runs)
    if len(numbers) < 2:
        return Evidence("One seed of this network is trained here: two are needed to see what the seed changes.")
    first, second = (series.runs[number] for number in numbers[:2])
    same = agreement(first.predictions()["test"], second.predictions()["test"])
    accuracies = ", ".join(
        f"seed {number} {percent(float(series.runs[number].history()['val_accuracy'][-1]), 1)}" for number in numbers
    )
    sentence = (
        f"{first.title}, validation accuracy after the last epoch: {accuracies}. The networks of seeds {numbers[0]} and"
        f" {numbers[1]} give the same class for {percent(same.value, 1)} of {same.n[0]:,} test images (95 % interval"
        f" {percent(same.low, 1)} to {percent(same.high, 1)})."
    )
    return Evidence(sentence)


def more_images(table: Table, regularizer: str) -> Evidence:
    """Training on 40,000 and on 50,000 images, both measured on the same test images."""
    small, large = find(f"3conv-{regularizer}"), find(f"final-3conv-{regularizer}")
    correct = [one.predictions()["test"].argmax(axis=1) == one.predictions()["test_labels"] for one in (large, small)]
    estimate = paired_difference(*correct)
    sentence = (
        f"{small.title}: trained on {large.experiment.train_images:,} instead of {small.experiment.train_images:,}"
        f" images, the accuracy on the same {estimate.n[0]:,} test images changes by"
        f" {points(estimate.value, sign=True)}"
        f" (95 % interval {100 * estimate.low:+.1f} to {100 * estimate.high:+.1f}; chance of the images, one seed)."
        " More images are more data; augmentation would change the images that are there."
    )
    return Evidence(sentence)


def time(table: Table) -> Evidence:
    """Parameters, multiplications and recorded seconds of the two depths without a regularizer."""
    parts = []
    for depth in (2, 3):
        row = next(row for row in table if row.model.name == f"{depth}conv-none")
        layers = network_layers(row.model.experiment)
        seconds = f", {duration(row.ours.seconds)} here" if row.ours else ""
        parts.append(
            f"{depth} convolution layers: {parameter_count(layers):,} parameters,"
            f" {multiplications(depth) / 1e6:.1f} million multiplications an image, {duration(row.report.seconds)} in"
            f" the report{seconds}"
        )
    return Evidence(
        f"{'; '.join(parts)}. The recorded times are wall times of machines that may have had other work: they do not"
        " rank the networks (n = 1 run each)."
    )


def multiplications(depth: int) -> float:
    """The multiplications of one forward pass of the plain network of this depth."""
    layers = network_layers(REPORT[f"{depth}conv-none"].experiment)
    total = 0.0
    for layer in layers:
        weights = layer.parameters - (layer.filters or layer.output_shape[-1]) if layer.parameters else 0
        positions = np.prod(layer.output_shape[:2]) if layer.kind == "conv" else 1
        total += weights * float(positions)
    return total
