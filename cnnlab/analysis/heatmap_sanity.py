"""Sanity checks of a heat map: does it depend on what the network has learned?

The model parameter randomization test of Adebayo, Gilmer, Muelly, Goodfellow, Hardt and Kim, "Sanity checks for
saliency maps", 2018: replace the weights of the layers, from the last one to the first, by random ones, and compare the
heat map with that of the trained network. One that hardly changes does not show what was learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.analysis.attribution import GradCam, grad_cam
from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer

BATCHNORM_START = {"gamma": 1.0, "beta": 0.0, "moving_mean": 0.0, "moving_variance": 1.0}


@dataclass(frozen=True, kw_only=True, eq=False)
class RandomizedCam:
    """Grad-CAM of a network whose last layers have random weights.

    layer_name: the first of the randomized layers; all behind it are randomized too. correlation: of Spearman, between
    its map and that of the trained network, over the pixels of the map; NaN where one of them is constant.
    """

    layer_name: str
    cam: GradCam
    correlation: float


def randomize_weights(layers: Sequence[Layer], weights: Weights, layer_name: str, seed: int = 0) -> dict[str, Array]:
    """A copy of the weights with fresh ones for the layer of this name and all behind it.

    Kernels are drawn as Keras initializes them (Glorot and Bengio, 2010: uniform, by the number of inputs and outputs),
    biases are zero, batch normalization is the identity. Raises ValueError for an unknown layer.
    """
    names = [layer.name for layer in layers]
    if layer_name not in names:
        raise ValueError(f"Expected one of the layers {', '.join(names)}. Received: {layer_name=}")
    random, changed = np.random.default_rng(seed), dict(weights)
    for layer in reversed(layers[names.index(layer_name) :]):
        for name, variable in zip(layer.weight_names, layer.variables, strict=True):
            values = weights[name]
            if variable == "kernel":
                window = int(np.prod(values.shape[:-2]))
                limit = np.sqrt(6 / (window * (values.shape[-2] + values.shape[-1])))
                changed[name] = random.uniform(-limit, limit, values.shape).astype(np.float32)
            else:
                changed[name] = np.full(values.shape, BATCHNORM_START.get(variable, 0.0), np.float32)
    return changed


def randomized_cams(
    layers: Sequence[Layer], weights: Weights, image: Array, target: int, layer_name: str, seed: int = 0
) -> list[RandomizedCam]:
    """Grad-CAM at a layer with the weights randomized from the last layer on, one layer further in each entry.

    image: uint8 (32, 32, 3). Layers without kernels are randomized with the layer before them. Raises ValueError as
    `grad_cam` does.
    """
    trained = grad_cam(layers, weights, image, target, layer_name)
    found = []
    for layer in reversed([layer for layer in layers if "kernel" in layer.variables]):
        cam = grad_cam(layers, randomize_weights(layers, weights, layer.name, seed), image, target, layer_name)
        correlation = rank_correlation(trained.coarse, cam.coarse)
        found.append(RandomizedCam(layer_name=layer.name, cam=cam, correlation=correlation))
    return found


def rank_correlation(first: Array, second: Array) -> float:
    """Spearman's correlation of two arrays of one size, -1 to 1, ties with their mean rank; NaN for a constant one."""
    ranks = [_ranks(np.asarray(values, np.float64).ravel()) for values in (first, second)]
    centered = [values - values.mean() for values in ranks]
    lengths = [float(np.sqrt(values @ values)) for values in centered]
    return float(centered[0] @ centered[1] / (lengths[0] * lengths[1])) if min(lengths) > 0 else float("nan")


def _ranks(values: Array) -> Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    return np.asarray((ends - (counts - 1) / 2)[inverse], np.float64)


def share_inside(heatmap: Array, mask: Array) -> float:
    """The share of the positive heat inside a mask: heatmap (h, w), mask (h, w), 0 to 1; NaN where there is no heat."""
    positive = np.maximum(np.asarray(heatmap, np.float64), 0)
    total = float(positive.sum())
    return float((positive * mask).sum() / total) if total > 0 else float("nan")
