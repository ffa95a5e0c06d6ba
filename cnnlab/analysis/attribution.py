"""Which parts of the image a prediction depends on: occlusion and Grad-CAM.

Occlusion treats the network as a black box: cover a patch of the image and measure how far the class probability
drops (Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014). Its limit: a gray patch is
itself something the network was not trained on.

Grad-CAM looks inside: which maps of a layer increase the class's logit, and where are they active? (Selvaraju et al.,
"Grad-CAM: Visual explanations from deep networks via gradient-based localization", 2017.) One forward and one backward
pass. It can find no positive evidence for the class, which `GradCam.has_evidence` reports.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.analysis.receptive_field import Box, receptive_field_centers
from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer
from cnnlab.models.numpy_backward import gradient
from cnnlab.models.numpy_forward import compute_activations, logits, softmax


@dataclass(frozen=True, kw_only=True, eq=False)
class Occlusion:
    """How much covering a patch of the image lowers the probability of one class.

    probability: of the class with nothing covered; drop: float32 (rows, columns), by how much it falls (negative: it
    rises) with the patch's corner at (tops[row], lefts[column]); heatmap: float32 (h, w) of the image, for each pixel
    the mean drop over all patches that cover it; worst_patch: the patch with the largest drop.
    """

    target: int
    probability: float
    drop: Array
    tops: Array
    lefts: Array
    patch: int
    heatmap: Array
    worst_patch: Box


@dataclass(frozen=True, kw_only=True, eq=False)
class GradCam:
    """Where a layer increases the logit of a class.

    importance: float32 (f,), the mean gradient of the class's logit with respect to each map; signed: float32 (h, w),
    the maps summed with these weights; coarse: the same with negative values set to zero, the map of the paper;
    heatmap: float32, coarse upsampled to the image. has_evidence: False where coarse is zero everywhere.
    """

    target: int
    layer_name: str
    importance: Array
    signed: Array
    coarse: Array
    heatmap: Array
    has_evidence: bool


def occlusion(
    layers: Sequence[Layer],
    weights: Weights,
    image: Array,
    target: int,
    patch: int = 8,
    stride: int = 2,
    gray: int = 128,
) -> Occlusion:
    """Cover the image (h, w, 3), uint8, with a gray square of `patch` pixels at every position, `stride` pixels apart.

    The last row and column of positions touch the border, also where the stride does not divide the image, so every
    pixel is covered at least once. Raises ValueError for a patch that does not fit, a stride that leaves gaps, a gray
    value outside 0..255 or a class that does not exist.
    """
    height, width = image.shape[:2]
    _check_patch(patch, stride, gray, min(height, width))
    tops, lefts = _patch_positions(height, patch, stride), _patch_positions(width, patch, stride)
    boxes = [Box(top, left, top + patch, left + patch) for top in tops for left in lefts]
    images = np.concatenate([image[None], _cover(image, boxes, gray)])
    probabilities = softmax(logits(layers, weights, images))[:, _check_class(layers, target)]
    drop = probabilities[0] - probabilities[1:]
    return Occlusion(
        target=target,
        probability=float(probabilities[0]),
        drop=drop.reshape(len(tops), len(lefts)),
        tops=np.array(tops),
        lefts=np.array(lefts),
        patch=patch,
        heatmap=_mean_over_patches(drop, boxes, (height, width)),
        worst_patch=boxes[int(drop.argmax())],
    )


def grad_cam(layers: Sequence[Layer], weights: Weights, image: Array, target: int, layer_name: str) -> GradCam:
    """Grad-CAM of one image (32, 32, 3), uint8, for the logit of class `target` at a layer with feature maps.

    The paper's own code reads the maps after ReLU: "relu3" rather than "conv3". The paper stretches the coarse map over
    the image; without padding that would shift it towards the border, so here every value is placed at the center of
    its pixel's receptive field, with linear interpolation between.

    Raises ValueError for a layer without feature maps or a class that does not exist.
    """
    activations = compute_activations(layers, weights, image[None])
    grad = gradient(layers, weights, activations, _check_class(layers, target), layer_name)
    if grad.ndim != 4:
        raise ValueError(
            f"Expected a layer with feature maps, such as relu1. Received: {layer_name=}, shape={grad.shape[1:]}"
        )
    importance = grad[0].mean(axis=(0, 1))
    signed = activations[layer_name][0] @ importance
    coarse = np.maximum(signed, 0)
    return GradCam(
        target=target,
        layer_name=layer_name,
        importance=importance,
        signed=signed,
        coarse=coarse,
        heatmap=upsample_to_image(layers, layer_name, coarse),
        has_evidence=bool(coarse.max() > 0),
    )


def upsample_to_image(layers: Sequence[Layer], layer_name: str, coarse: Array) -> Array:
    """One map of a layer in the image's size: coarse (h, w) -> float32 (32, 32).

    Linear between the centers of the receptive fields; beyond the outermost centers the value is constant.
    """
    height, width = layers[0].output_shape[:2]
    columns = receptive_field_centers(layers, layer_name, coarse.shape[1])
    rows = receptive_field_centers(layers, layer_name, coarse.shape[0])
    wide = np.array([np.interp(np.arange(width), columns, line) for line in coarse])
    return np.array([np.interp(np.arange(height), rows, line) for line in wide.T], np.float32).T


def _check_patch(patch: int, stride: int, gray: int, size: int) -> None:
    if not 1 <= patch <= size:
        raise ValueError(f"Expected a patch of 1 to {size} pixels. Received: patch={patch}")
    if not 1 <= stride <= patch:
        raise ValueError(f"Expected a stride of 1 to {patch} pixels, the patch, to leave no gaps. Received: {stride=}")
    if not 0 <= gray <= 255:
        raise ValueError(f"Expected a gray value from 0 to 255. Received: gray={gray}")


def _check_class(layers: Sequence[Layer], target: int) -> int:
    count = layers[-1].output_shape[-1]
    if not 0 <= target < count:
        raise ValueError(f"Expected a class from 0 to {count - 1}. Received: target={target}")
    return target


def _patch_positions(size: int, patch: int, stride: int) -> list[int]:
    last = size - patch
    return sorted({*range(0, last + 1, stride), last})


def _cover(image: Array, boxes: Sequence[Box], gray: int) -> Array:
    """A copy of the image (h, w, 3) for each box, which is gray in it: (boxes, h, w, 3)."""
    covered = np.repeat(image[None], len(boxes), axis=0)
    for copy, box in zip(covered, boxes, strict=True):
        copy[box.top : box.bottom, box.left : box.right] = gray
    return covered


def _mean_over_patches(drop: Array, boxes: Sequence[Box], size: tuple[int, int]) -> Array:
    total, count = np.zeros(size, np.float32), np.zeros(size, np.float32)
    for value, box in zip(drop, boxes, strict=True):
        total[box.top : box.bottom, box.left : box.right] += value
        count[box.top : box.bottom, box.left : box.right] += 1
    return np.asarray(total / count)
