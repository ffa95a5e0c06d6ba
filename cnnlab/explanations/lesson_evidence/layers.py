"""What differs between the layers of a network: maps, receptive fields and zeros, probes, and filters switched off."""

import numpy as np

from cnnlab.analysis.filter_ablation import ablate_filters
from cnnlab.analysis.receptive_field import receptive_field
from cnnlab.analysis.statistics import accuracy_interval
from cnnlab.data import cifar10
from cnnlab.data.samples import sample_images
from cnnlab.explanations.lesson_evidence.result import Evidence, Table, find
from cnnlab.formatting import percent, pluralize, points
from cnnlab.jobs import probe_job
from cnnlab.models.architecture import find_layer, network_layers, relu_after
from cnnlab.models.numpy_forward import compute_activations, softmax

FIRST_CONVOLUTION = "conv1"
SMALLEST_CHANGE = 0.0005  # of a probability that is shown as changed


def layers(table: Table, model: str) -> Evidence:
    """Size of the maps, receptive field and share of zeros after ReLU of each convolution layer; ranked by the size."""
    run = find(model)
    network = network_layers(run.experiment)
    images, _ = sample_images()
    found = compute_activations(network, run.weights(run.snapshot_epochs()[-1]), images)
    parts, sides = [], {}
    for layer in network:
        if layer.kind == "relu":
            box = receptive_field(network, layer.name, *(size // 2 for size in layer.output_shape[:2]))
            zeros = float(np.mean(found[layer.name] == 0))
            sides[f"conv{layer.block}"] = layer.output_shape[0]
            size = "x".join(map(str, layer.output_shape[:2]))
            parts.append(
                f"conv{layer.block}: maps of {size}, each value sees {box.bottom - box.top}x{box.right - box.left}"
                f" pixels, {percent(zeros)} of the values are zero after ReLU"
            )
    sentence = f"{run.title}, {len(images)} sample images: {'; '.join(parts)}."
    return Evidence(sentence, ranking=tuple(sorted(sides, key=lambda name: -sides[name])))


def filters(table: Table, model: str) -> Evidence:
    """What each filter of the first convolution, switched off alone, does to the prediction for the first sample."""
    run = find(model)
    network, weights = network_layers(run.experiment), run.weights(run.snapshot_epochs()[-1])
    images, labels = sample_images()
    before = softmax(compute_activations(network, weights, images[:1])["logits"])[0]
    predicted, count = int(before.argmax()), find_layer(network, FIRST_CONVOLUTION).output_shape[-1]
    after = np.array(
        [
            softmax(ablate_filters(network, weights, images[:1], {FIRST_CONVOLUTION: [number]})["logits"])[0]
            for number in range(count)
        ]
    )
    changed = int(np.sum(after.argmax(axis=1) != predicted))
    changes = np.abs(after[:, predicted] - before[predicted])
    middle, largest = float(np.median(changes)), int(changes.argmax())
    sentence = (
        f"{run.title}, test image 0 ({cifar10.CLASSES[labels[0]]}), {pluralize(count, 'filter')} of"
        f" {FIRST_CONVOLUTION} switched off one at a time: with {changed} of them the class changes. The probability of"
        f" {cifar10.CLASSES[predicted]}, {percent(float(before[predicted]), 1)}, changes by {points(middle)} for the"
        f" median filter and by {points(float(changes[largest]))} for filter {largest}, the most (one image, one seed)."
    )
    return Evidence(sentence, answer=ablation_answer(changed / count, middle))


def ablation_answer(share_changed: float, median_change: float) -> str:
    """What switching off one filter does, for most filters, as an option of the shipped sheet."""
    if share_changed > 0.5:
        return "The class changes with almost every filter"
    if median_change < SMALLEST_CHANGE:
        return "Nothing changes at all"
    return "The confidence changes a little, the class stays"


def probes(table: Table, model: str) -> Evidence:
    """How well a linear classifier reads the class from each convolution layer, from the pixels, and before training.

    Raises KeyError where the probes of this run are not computed.
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
    return Evidence(sentence)
