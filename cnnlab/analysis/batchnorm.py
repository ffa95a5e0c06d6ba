"""Batch normalization with the mean and variance that belong to the weights, instead of Keras's moving averages.

While training, batch normalization uses the mean and variance of each batch; for inference Keras keeps moving averages
(momentum 0.99), which lag behind the weights: after k batches the initial values still count for 0.99^k, and the rest
is an average over earlier weights. Where the weights change fast or the batches of an epoch are few, inference then
computes another function than the one that was trained. `reestimate` replaces the averages by the population's mean and
variance, taken over training images with the final weights (the inference of Ioffe and Szegedy, 2015, algorithm 2; Wu
and Johnson, "Rethinking 'Batch' in BatchNorm", 2021, call it precise batch norm).
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from cnnlab.analysis.batched_activations import ProgressCallback
from cnnlab.array_types import Array, Float64Array, Weights
from cnnlab.models.architecture import INPUT, Layer, layer_names
from cnnlab.models.numpy_forward import BATCH_SIZE, iter_activations, last_activation, layer_index

IMAGES = 2_000  # mean and variance are then known to about 2 % of a standard deviation


def reestimate(
    layers: Sequence[Layer], weights: Weights, images: Array, progress: ProgressCallback = lambda done, total: None
) -> dict[str, Array]:
    """New weights with each batch normalization's mean and variance over `images`; the given ones stay as they are.

    images: training images, uint8 (n, 32, 32, 3). Layer by layer, first to last, since the input of the second depends
    on the mean and variance of the first. The variance is the population's (divided by its count), as Keras's is. Every
    other weight is the same array as in `weights`. `progress(done, total)` is called after each layer. Raises
    ValueError for no image.
    """
    if len(images) == 0:
        raise ValueError(f"Expected at least one training image. Received: shape={images.shape}")
    renewed, names = dict(weights), layer_names(layers, "bn")
    for done, name in enumerate(names, start=1):
        mean, variance = channel_moments(layer_inputs(layers, renewed, images, name))
        renewed[f"{name}/moving_mean"] = mean.astype(np.float32)
        renewed[f"{name}/moving_variance"] = variance.astype(np.float32)
        progress(done, len(names))
    return renewed


def layer_inputs(layers: Sequence[Layer], weights: Weights, images: Array, name: str) -> Iterator[Array]:
    """What the layer of this name reads, (n, h, w, channels), for BATCH_SIZE images at a time."""
    source = layers[layer_index(layers, name)].inputs[0]
    needed = layers[: layer_index(layers, source) + 1]
    for first in range(0, len(images), BATCH_SIZE):
        batch = images[first : first + BATCH_SIZE]
        yield batch if source == INPUT else last_activation(iter_activations(needed, weights, batch))


def channel_moments(batches: Iterable[Array]) -> tuple[Float64Array, Float64Array]:
    """Mean and variance of each channel (the last axis) over all values of all batches: float64 (channels,) each.

    Sums of deviations from the first batch's mean, so that a variance much smaller than the mean loses no digits;
    within a batch in float32, over the batches in float64. Raises ValueError for no batch.
    """
    count, shift, total, squares = 0, np.zeros(0), np.zeros(0), np.zeros(0)
    for batch in batches:
        values = np.asarray(batch.reshape(-1, batch.shape[-1]), np.float32)
        if not count:
            shift = values.mean(axis=0)
            total, squares = np.zeros(len(shift)), np.zeros(len(shift))
        deviations = values - shift
        count += len(values)
        total += np.ones(len(values), np.float32) @ deviations
        squares += np.einsum("ij,ij->j", deviations, deviations)
    if not count:
        raise ValueError("Expected at least one batch of values. Received: none")
    offset = total / count
    return np.asarray(offset + shift), np.maximum(squares / count - offset**2, 0)


def moving_mean_lag(layers: Sequence[Layer], weights: Weights, reestimated: Weights) -> dict[str, Float64Array]:
    """How far each stored moving mean is from the population's, in population standard deviations, by layer.

    `reestimated` is the result of `reestimate` for `weights`. Float64 (channels,), signed: stored minus population.
    0 where the two are equal, infinite where they differ in a channel that is constant.
    """
    return {name: _lag(weights, reestimated, name) for name in layer_names(layers, "bn")}


def _lag(weights: Weights, reestimated: Weights, name: str) -> Float64Array:
    mean, variance = (reestimated[f"{name}/{role}"].astype(np.float64) for role in ("moving_mean", "moving_variance"))
    difference = weights[f"{name}/moving_mean"].astype(np.float64) - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(difference == 0, 0.0, difference / np.sqrt(variance)))
