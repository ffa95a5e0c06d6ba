"""Why this class? Two answers that agree when one is lucky.

Occlusion asks from outside: cover a piece of the picture, see how much less sure the network is; where it loses most,
it was looking. (Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014.) It believes nothing
about the inside, but what covers the piece, a grey square, is something the network has never seen either.

Grad-CAM asks from inside: which maps of a layer push the class's logit up, and where are they active? (Selvaraju et
al., "Grad-CAM: Visual explanations from deep networks via gradient-based localization", 2017.) It is one pass forward
and one back. It can find that nothing in the picture speaks *for* the class, and then says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.analysis.receptive_field import Box, receptive_field_centers
from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer
from cnnlab.models.numpy_forward import compute_activations, gradient, logits, softmax


@dataclass(frozen=True, kw_only=True, eq=False)
class Occlusion:
    """What covering a piece of the picture costs one class.

    probability: of the class, with nothing covered; drop: float32 (rows, columns), how much of it is lost (negative:
    gained) with the patch's corner at (tops[row], lefts[column]); heat: float32 (h, w) of the image, for each pixel the
    mean drop over all patches that covered it; worst: the patch that costs most.
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
    """Where a layer speaks for a class.

    importance: float32 (f,), how much each map counts for the class's logit (the mean of its gradient); signed:
    float32 (h, w), the maps added up with these weights; coarse: the same with negative values set to zero, which is
    Grad-CAM's map; heat: float32, coarse enlarged to the image. has_evidence: False where coarse is zero everywhere,
    so that an empty picture can be explained instead of shown.
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
    grey: int = 128,
) -> Occlusion:
    """Cover the image (h, w, 3), uint8, with a grey square of `patch` pixels, `stride` pixels apart, at every position.

    The last row and column of positions touch the border, also where the stride does not fit, so every pixel is
    covered at least once. Raises ValueError for a patch that does not fit, a stride that leaves gaps, a grey outside
    0..255 or a class that is not there.
    """
    height, width = image.shape[:2]
    _check_patch(patch, stride, grey, min(height, width))
    tops, lefts = _patch_positions(height, patch, stride), _patch_positions(width, patch, stride)
    covered = np.repeat(image[None], len(tops) * len(lefts) + 1, axis=0)  # the last one stays uncovered
    boxes = [Box(top, left, top + patch, left + patch) for top in tops for left in lefts]
    for one, box in zip(covered, boxes, strict=False):
        one[box.top : box.bottom, box.left : box.right] = grey
    sure = softmax(logits(layers, weights, covered))[:, _check_class(layers, target)]
    drop = sure[-1] - sure[:-1]
    return Occlusion(
        target=target,
        probability=float(sure[-1]),
        drop=drop.reshape(len(tops), len(lefts)),
        tops=np.array(tops),
        lefts=np.array(lefts),
        patch=patch,
        heatmap=_mean_over_patches(drop, boxes, (height, width)),
        worst_patch=boxes[int(drop.argmax())],
    )


def grad_cam(layers: Sequence[Layer], weights: Weights, image: Array, target: int, layer_name: str) -> GradCam:
    """Grad-CAM of one image (32, 32, 3), uint8, for the logit of class `target` at the stage `at`.

    `at` is any stage of maps. The paper's own code reads the maps after ReLU: "relu3" rather than "conv3".
    Enlarging: the paper stretches the coarse map over the image. Without padding, that would move the evidence towards
    the border; here every value is put in the middle of its pixel's receptive field, with straight lines between.

    Raises ValueError for a stage without rows and columns or a class that is not there.
    """
    found = compute_activations(layers, weights, image[None])
    slope = gradient(layers, weights, found, _check_class(layers, target), layer_name)
    if slope.ndim != 4:
        raise ValueError(
            f"Expected a stage of maps, such as relu1. Received: at={layer_name!r}, shape={slope.shape[1:]}"
        )
    importance = slope[0].mean(axis=(0, 1))
    signed = found[layer_name][0] @ importance
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


def _check_patch(patch: int, stride: int, grey: int, size: int) -> None:
    if not 1 <= patch <= size:
        raise ValueError(f"Expected a patch of 1 to {size} pixels. Received: patch={patch}")
    if not 1 <= stride <= patch:
        raise ValueError(f"Expected a stride of 1 to {patch} pixels, the patch, to leave no gaps. Received: {stride=}")
    if not 0 <= grey <= 255:
        raise ValueError(f"Expected a grey value from 0 to 255. Received: grey={grey}")


def _check_class(layers: Sequence[Layer], target: int) -> int:
    count = layers[-1].output_shape[-1]
    if not 0 <= target < count:
        raise ValueError(f"Expected a class from 0 to {count - 1}. Received: target={target}")
    return target


def _patch_positions(size: int, patch: int, stride: int) -> list[int]:
    last = size - patch
    return sorted({*range(0, last + 1, stride), last})


def _mean_over_patches(drop: Array, boxes: Sequence[Box], size: tuple[int, int]) -> Array:
    total, count = np.zeros(size, np.float32), np.zeros(size, np.float32)
    for lost, box in zip(drop, boxes, strict=True):
        total[box.top : box.bottom, box.left : box.right] += lost
        count[box.top : box.bottom, box.left : box.right] += 1
    return np.asarray(total / count)


def upsample_to_image(layers: Sequence[Layer], layer_name: str, coarse: Array) -> Array:
    """One map of a stage as large as the image: coarse (h, w) -> float32 (32, 32).

    Linear between the middles of the receptive fields; beyond the outermost middles the value stays as it is.
    """
    height, width = layers[0].output_shape[:2]
    columns = receptive_field_centers(layers, layer_name, coarse.shape[1])
    rows = receptive_field_centers(layers, layer_name, coarse.shape[0])
    wide = np.array([np.interp(np.arange(width), columns, line) for line in coarse])
    return np.array([np.interp(np.arange(height), rows, line) for line in wide.T], np.float32).T
