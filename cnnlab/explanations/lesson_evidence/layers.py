"""What differs between the layers of a network: maps, receptive fields and zeros, probes, and filters switched off."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cnnlab.analysis.activation_stats import dead_filters
from cnnlab.analysis.batched_activations import reduce_activations
from cnnlab.analysis.filter_ablation import ablate_filters
from cnnlab.analysis.receptive_field import receptive_field
from cnnlab.analysis.statistics import accuracy_interval, unpaired_difference
from cnnlab.array_types import Array, PixelArray
from cnnlab.data import cifar10
from cnnlab.data.samples import sample_images
from cnnlab.explanations.lesson_evidence.result import Evidence, Table, find
from cnnlab.formatting import percent, pluralize, points
from cnnlab.jobs import probe_job
from cnnlab.models.architecture import Layer, find_layer, network_layers, relu_after
from cnnlab.models.numpy_forward import compute_activations, softmax
from cnnlab.storage.runs import Run

FIRST_CONVOLUTION = "conv1"
SMALLEST_CHANGE = 0.0005  # of a probability that is shown as changed
BATCH = 20  # images whose activations are held at once


def layers(table: Table, model: str) -> Evidence:
    """Size of the maps, receptive field and share of zeros after ReLU of each convolution layer; ranked by the size."""
    run = find(model)
    images, _ = sample_images()
    described = "; ".join(describe_layer(run, figures) for figures in layer_figures(run, images))
    sizes = {f"conv{layer.block}": layer.output_shape[0] for layer in run.layers if layer.kind == "relu"}
    sentence = f"{run.title}, {len(images)} sample images: {described}."
    return Evidence(sentence, ranking=tuple(sorted(sizes, key=lambda name: -sizes[name])))


@dataclass(frozen=True)
class LayerFigures:
    """A ReLU over several images: the share of its values that are zero, and its maps that are zero on every image."""

    relu: Layer
    zeros: float
    dead_maps: int


def layer_figures(run: Run, images: PixelArray) -> list[LayerFigures]:
    """The figures of each ReLU of a convolution with the last weights. images: uint8 (n, 32, 32, 3)."""
    relus = {layer.name: layer for layer in run.layers if layer.kind == "relu"}
    weights = run.weights(run.snapshot_epochs()[-1])
    found = reduce_activations(run.layers, weights, images, list(relus), _zeros_and_maxima, batch=BATCH)
    return [
        LayerFigures(
            relus[name],
            float(np.concatenate([zeros for zeros, _ in parts]).mean()),
            int(dead_filters(np.concatenate([maxima for _, maxima in parts])).sum()),
        )
        for name, parts in found.items()
    ]


def _zeros_and_maxima(maps: Array) -> tuple[Array, Array]:
    """Of maps (n, h, w, f): the share of zeros of each image (n,), and the largest value of each map (n, f)."""
    return (maps == 0).mean(axis=(1, 2, 3)), maps.max(axis=(1, 2))


def describe_layer(run: Run, figures: LayerFigures) -> str:
    """'conv1: maps of 30x30, each value sees 3x3 pixels, 61 % of the values are zero after ReLU'."""
    relu = figures.relu
    box = receptive_field(run.layers, relu.name, *(size // 2 for size in relu.output_shape[:2]))
    return (
        f"conv{relu.block}: maps of {'x'.join(map(str, relu.output_shape[:2]))}, each value sees"
        f" {box.bottom - box.top}x{box.right - box.left} pixels, {percent(figures.zeros)} of the values are zero after"
        " ReLU"
    )


def filters(table: Table, model: str) -> Evidence:
    """What each filter of the first convolution, switched off alone, does to the prediction for the first sample."""
    run = find(model)
    images, labels = sample_images()
    changed, changes, sentence = filters_off(run, images[0], f"test image 0 ({cifar10.CLASSES[labels[0]]})")
    return Evidence(
        f"{run.title}, {sentence}", answer=ablation_answer(changed / len(changes), float(np.median(changes)))
    )


def filters_off(run: Run, image: PixelArray, name: str) -> tuple[int, Array, str]:
    """Every filter of the first convolution switched off alone, for one image, uint8 (32, 32, 3), called `name`.

    With how many the class changes; the change of the probability of the predicted class by each, float (filters,);
    and both in words.
    """
    weights, classes = run.weights(run.snapshot_epochs()[-1]), run.dataset_info.classes
    before = softmax(compute_activations(run.layers, weights, image[None])["logits"])[0]
    predicted, count = int(before.argmax()), find_layer(run.layers, FIRST_CONVOLUTION).output_shape[-1]
    after = np.array(
        [
            softmax(ablate_filters(run.layers, weights, image[None], {FIRST_CONVOLUTION: [number]})["logits"])[0]
            for number in range(count)
        ]
    )
    changed = int(np.sum(after.argmax(axis=1) != predicted))
    changes = np.abs(after[:, predicted] - before[predicted])
    largest = int(changes.argmax())
    sentence = (
        f"{name}, {pluralize(count, 'filter')} of {FIRST_CONVOLUTION} switched off one at a time: with {changed} of"
        f" them the class changes. The probability of {classes[predicted]}, {percent(float(before[predicted]), 1)},"
        f" changes by {points(float(np.median(changes)))} for the median filter and by"
        f" {points(float(changes[largest]))} for filter {largest}, the most (one image, one seed)."
    )
    return changed, changes, sentence


def ablation_answer(share_changed: float, median_change: float) -> str:
    """What switching off one filter does, for most filters, as an option of the shipped sheet."""
    if share_changed > 0.5:
        return "The class changes with almost every filter"
    if median_change < SMALLEST_CHANGE:
        return "Nothing changes at all"
    return "The confidence changes a little, the class stays"


def probes(table: Table, model: str) -> Evidence:
    """How well a linear classifier reads the class from each convolution layer, from the pixels, and before training.

    The layers are ranked by that accuracy. Two are undecided where the interval of their difference, for different
    images and so too wide, contains 0. Raises KeyError where the probes of this run are not computed.
    """
    run = find(model)
    found = probe_job.load(run)
    if found is None:
        raise KeyError(model)
    network = network_layers(run.experiment)
    convolutions = {layer.name: relu_after(network, layer.name) for layer in network if layer.kind == "conv"}
    trained = ", ".join(f"{percent(found.trained[relu])} from {conv}" for conv, relu in convolutions.items())
    untrained = ", ".join(percent(found.untrained[relu]) for relu in convolutions.values() if found.untrained)
    intervals = [accuracy_interval(found.trained[relu], found.test_images) for relu in convolutions.values()]
    half = max((interval.high - interval.low) / 2 for interval in intervals)
    controls = f"from the same layers before training {untrained}; " if untrained else ""
    sentence = (
        f"{run.title}: a linear classifier reads the correct class of {trained}; {controls}from the pixels"
        f" {percent(found.trained['rescale'])} (95 % interval \N{PLUS-MINUS SIGN}{points(half)},"
        f" {found.test_images:,} test images)."
    )
    return _ranked(sentence, {conv: found.trained[relu] for conv, relu in convolutions.items()}, found.test_images)


def _ranked(sentence: str, accuracies: Mapping[str, float], images: int) -> Evidence:
    """The names by their accuracies on this number of images, the highest first."""
    ranking = tuple(sorted(accuracies, key=lambda name: -accuracies[name]))
    undecided = tuple(
        (first, second)
        for first, second in combinations(ranking, 2)
        if unpaired_difference(accuracies[first], images, accuracies[second], images).low <= 0
    )
    return Evidence(sentence, ranking=ranking, undecided=undecided)
