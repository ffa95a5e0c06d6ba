"""The sentence above each view of Look inside: what to notice, computed from what the view shows.

Sentences are Markdown; results are bold. Each names its measure.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cnnlab.analysis.activation_maximization import MaximizedActivation
from cnnlab.analysis.adversarial import AdversarialStep
from cnnlab.analysis.attribution import GradCam, Occlusion
from cnnlab.analysis.diagram_blocks import DiagramBlock
from cnnlab.analysis.effective_receptive_field import SHARE, EffectiveReceptiveField
from cnnlab.analysis.heatmap_sanity import RandomizedCam
from cnnlab.analysis.statistics import accuracy_interval
from cnnlab.array_types import Array
from cnnlab.explanations.inspection import describe_prediction_change
from cnnlab.formatting import format_value, percent


def feature_maps_notice(
    names: Sequence[str], sizes: Sequence[int], fields: Sequence[int], zeros: Sequence[float]
) -> str:
    """How map size and receptive field change from the first convolution to the last, and the share of zeros of each.

    names: of the convolutions; sizes, fields: the side of a map and of a receptive field, in pixels; zeros: the share
    of zeros after ReLU, 0 to 1.
    """
    if len(names) == 1:
        return (
            f"a map of {names[0]} has {sizes[0]}x{sizes[0]} pixels, each reads {fields[0]}x{fields[0]} pixels of the "
            f"image, and **{percent(zeros[0])}** of the numbers after ReLU are zero."
        )
    shares = [f"**{percent(share)}**" for share in zeros]
    return (
        f"from {names[0]} to {names[-1]} the maps shrink from {sizes[0]}x{sizes[0]} to {sizes[-1]}x{sizes[-1]} pixels, "
        f"a pixel reads {fields[0]}x{fields[0]} and then **{fields[-1]}x{fields[-1]}** pixels of the image. The share "
        f"of zeros after ReLU is {', '.join(shares[:-1])} and {shares[-1]}, layer by layer."
    )


def network_notice(blocks: Sequence[DiagramBlock]) -> str:
    """Where most parameters are, and how many numbers the image becomes at the most and before the dense layers."""
    total = sum(block.parameters for block in blocks)
    largest = max(blocks, key=lambda block: block.parameters)
    widest = max(blocks, key=lambda block: math.prod(block.shape))
    last = [block for block in blocks if len(block.shape) == 3][-1]
    return (
        f"{largest.name} has **{percent(largest.parameters / total)}** of the {total:,} parameters. The image's "
        f"{math.prod(blocks[0].shape):,} numbers become {math.prod(widest.shape):,} after {widest.name} and "
        f"**{math.prod(last.shape):,}** before the dense layers."
    )


def block_notice(relu: str, relu_zeros: float, pool: str, pool_zeros: float) -> str:
    """The shares of zeros after the ReLU and after the pooling of a block; `pool` "" where there is none."""
    first = f"after {relu} **{percent(relu_zeros)}** of the numbers are zero"
    if not pool:
        return f"{first}."
    return f"{first}, after {pool} **{percent(pool_zeros)}**: pooling keeps the largest number of each 2x2 square."


def kernels_notice(kernel: Array) -> str:
    """The kernels (h, w, c, f) with the largest and the smallest norm, and by how much they differ."""
    norms = np.sqrt((np.nan_to_num(kernel).astype(np.float64) ** 2).sum(axis=(0, 1, 2)))
    low, high = int(norms.argmin()), int(norms.argmax())
    if not norms[low] > 0:
        return f"kernel {high} has the largest norm ({format_value(float(norms[high]))}); kernel {low} is zero."
    return (
        f"kernel {high} has the largest norm ({format_value(float(norms[high]))}), **{norms[high] / norms[low]:.1f} "
        f"times** the smallest (kernel {low}, {format_value(float(norms[low]))})."
    )


def attribution_notice(occlusion: Occlusion, cam: GradCam) -> str:
    """Whether the strongest pixel of Grad-CAM lies in the patch that costs most when it is covered."""
    if not cam.has_evidence:
        return f"Grad-CAM finds **no positive evidence** for the class in {cam.layer_name}."
    row, column = np.unravel_index(int(cam.heatmap.argmax()), cam.heatmap.shape)
    box = occlusion.worst_patch
    inside = box.top <= row < box.bottom and box.left <= column < box.right
    place = "inside" if inside else "outside"
    return (
        f"the strongest pixel of Grad-CAM (row {row}, column {column}) lies **{place}** the patch whose "
        "covering lowers the probability most."
    )


def ablation_notice(conv: str, filter: int, before: Array, after: Array, classes: Sequence[str]) -> str:
    """The effect of switching off the strongest filter of a layer alone; probabilities (classes,) before and after."""
    sentence = describe_prediction_change(before, after, classes)
    effect = f"{sentence[0].lower()}{sentence[1:]}"
    return f"map {filter} of {conv} is the strongest on this image. If only its filter is off, {effect}"


def comparison_notice(conv: str, titles: tuple[str, str], inactive: tuple[int, int], filters: tuple[int, int]) -> str:
    """How many maps of a layer are inactive on the image in each of two runs."""
    parts = [
        f"**{count} of {total}** in {title}" for title, count, total in zip(titles, inactive, filters, strict=True)
    ]
    return f"inactive maps of {conv} on this image: {parts[0]}, {parts[1]}."


def receptive_field_notice(before: EffectiveReceptiveField | None, after: EffectiveReceptiveField) -> str:
    """The size of the effective receptive field of the last layer before and after training, beside the theoretical.

    before: None for a network that was trained elsewhere.
    """
    whole = after.theoretical_pixel_count
    found = (
        f"**{after.pixel_count}** of them."
        if before is None
        else f"**{before.pixel_count}** of them before training and on **{after.pixel_count}** at this epoch."
    )
    return (
        f"a pixel of {after.layer_name} reads {whole} pixels of the image, but {percent(SHARE)} of the squared "
        f"gradient falls on {found}"
    )


def purity_notice(names: tuple[str, str], purities: tuple[float, float], counts: tuple[int, int], chance: float) -> str:
    """How many of a filter's top images show one class, on average over the filters of the first and the last layer.

    purities: mean count of the most frequent class; counts: images of a filter, and those they were chosen from;
    chance: the mean for random images of equally frequent classes.
    """
    if names[0] == names[1]:
        layers = f"**{purities[0]:.1f}** for the filters of {names[0]}"
    else:
        layers = f"**{purities[0]:.1f}** for the filters of {names[0]}, **{purities[1]:.1f}** for those of {names[1]}"
    return (
        f"of the {counts[0]} images that activate a filter most, of {counts[1]:,} test images, this many show its most "
        f"frequent class, on average: {layers}; {chance:.1f} for {counts[0]} random images."
    )


def few_samples_notice(labels: Array) -> str:
    """That the samples (classes (n,)) are too few to say which class a filter responds to."""
    most = int(np.bincount(labels).max())
    return (
        f"only {len(labels)} sample images are here, at most {most} of one class: too few to say to which class a "
        "filter responds. All test images are needed for that."
    )


def sanity_sentence(results: Sequence[RandomizedCam], pixels: int) -> str:
    """The rank correlation with the trained map when only the last layer, and when all layers, have random weights.

    results: of `randomized_cams`, from the last layer to the first; pixels: of the map.
    """
    named = ((f"only {results[0].layer_name} random", results[0]), ("all layers random", results[-1]))
    parts = [f"**{correlation_text(randomized.correlation)}** with {name}" for name, randomized in named]
    return f"Rank correlation with the heat map of the trained network, over its {pixels} pixels: {', '.join(parts)}."


def correlation_text(value: float) -> str:
    """A correlation with two decimals; 'no correlation, constant map' for NaN."""
    return "none (a constant map)" if np.isnan(value) else f"{value:+.2f}"


def heat_inside_text(share: float) -> str:
    """'62 % of the heat inside the shape'."""
    return f"{percent(share)} of the heat inside the shape"


def shape_size_sentence(share: float) -> str:
    """The share of the image that the shape covers, with which the heat inside it is compared."""
    return f"The shape covers {percent(share)} of the image: heat spread evenly would have this share inside."


def probe_notice(trained: Mapping[str, float], untrained: Mapping[str, float], images: int) -> str:
    """The layer with the most accurate probe, beside the same layer untrained and the pixels; measured on `images`.

    Layers whose accuracy lies within its interval are named, since they may be as good. trained, untrained: the
    accuracy of the probe, 0 to 1, by layer; "rescale" are the pixels.
    """
    best = max(trained, key=lambda name: trained[name])
    interval = accuracy_interval(trained[best], images)
    controls = [f"**{percent(untrained[best])}** from the same layer before training"] if untrained else []
    if "rescale" in trained and best != "rescale":
        controls.append(f"**{percent(trained['rescale'])}** from the pixels")
    compared = f"; {' and '.join(controls)}" if controls else ""
    close = [name for name, accuracy in trained.items() if accuracy >= interval.low and name not in (best, "rescale")]
    undecided = f". Within that interval, so perhaps as good: {', '.join(close)}" if close else ""
    return (
        f"a linear classifier reads the class best from {best}: **{percent(trained[best])}** of {images:,} images "
        f"correct (95 % interval {percent(interval.low)} to {percent(interval.high)}){compared}{undecided}."
    )


def adversarial_notice(step: AdversarialStep, before: Array, classes: Sequence[str], strength: int) -> str:
    """The prediction after an adversarial step, and under random changes of the same size; `before`: (classes,)."""
    if strength == 0:
        return "The strength is 0, so nothing is changed."
    change = describe_prediction_change(before, step.probabilities, classes)
    return (
        f"Each value changes by at most {strength} of 255. {change} Random changes of the same size keep the "
        f"prediction "
        f"in **{step.control_agreement} of {step.controls}** images."
    )


def maximization_sentence(found: MaximizedActivation, on_image: float) -> str:
    """The mean activation before ReLU that gradient ascent reached, beside that of the image that is shown."""
    return (
        f"Mean of the map before ReLU: **{format_value(found.end)}** for this image, {format_value(on_image)} for the "
        f"selected image, {format_value(found.start)} for the noise at the start."
    )
