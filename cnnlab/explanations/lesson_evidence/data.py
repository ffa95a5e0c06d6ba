"""Evidence about seeds, the number of images, and time."""

import statistics

from cnnlab.analysis.statistics import agreement, paired_difference
from cnnlab.explanations.intervals import format_signed_interval
from cnnlab.explanations.lesson_evidence.result import Evidence, Table, find
from cnnlab.formatting import exact_duration, percent, points
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.models.network_cost import multiply_adds
from cnnlab.report_models import REPORT
from cnnlab.storage import runs
from cnnlab.storage.epoch_times import load_epoch_times
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
    correct = [run.predictions()["test"].argmax(axis=1) == run.predictions()["test_labels"] for run in (large, small)]
    estimate = paired_difference(*correct)
    sentence = (
        f"{small.title}: trained on {large.experiment.train_images:,} instead of {small.experiment.train_images:,}"
        f" images, the accuracy on the same {estimate.n[0]:,} test images changes by"
        f" {points(estimate.value, sign=True)}"
        f" (95 % interval {format_signed_interval(estimate)}; chance of the images, one seed)."
        " More images are more data; augmentation would change the images that are there."
    )
    return Evidence(sentence)


def time(table: Table) -> Evidence:
    """Parameters, multiply-adds and seconds of an epoch of the two depths without a regularizer.

    The seconds are those that `bench epochs` measured under equal conditions; wall times are named and not compared.
    """
    parts = []
    for depth in (2, 3):
        layers = network_layers(REPORT[f"{depth}conv-none"].experiment)
        parts.append(
            f"{depth} convolution layers: {parameter_count(layers):,} parameters,"
            f" {multiply_adds(layers) / 1e6:.1f} million multiply-adds an image"
        )
    told = [f"{'; '.join(parts)}.", *_measured_times()]
    walls = [exact_duration(REPORT[f"{depth}conv-none"].seconds) for depth in (2, 3)]
    told.append(
        f"The report's trainings took {' and '.join(walls)}: wall times of a shared machine, one run each, which do not"
        " rank the networks."
    )
    return Evidence(" ".join(told))


def _measured_times() -> list[str]:
    """A sentence about an epoch of both depths, measured in turns; none without a measurement of both."""
    times = load_epoch_times()
    if times is None or not {"2conv-none", "3conv-none"} <= times.seconds.keys():
        return []
    shallow, deep = times.seconds["2conv-none"], times.seconds["3conv-none"]
    ratios = [three / two for two, three in zip(shallow, deep, strict=False)]
    return [
        f"Measured under equal conditions, an epoch takes {statistics.median(shallow):.1f} s and"
        f" {statistics.median(deep):.1f} s: with three layers {statistics.median(ratios):.2f} times as long"
        f" ({min(ratios):.2f} to {max(ratios):.2f} in n = {len(ratios)} rounds; one thread, in turns)."
    ]
