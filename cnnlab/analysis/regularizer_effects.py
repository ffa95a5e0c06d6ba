"""The effect of the regularizers inside a trained network.

Dropout: predictions with random masks, as in training. The spread over many masks is a measure of uncertainty (Gal and
Ghahramani, "Dropout as a Bayesian approximation", 2016).
L2: norm and histogram of the weights, beside those of the same network without a regularizer.
Batch normalization: spread and quantiles of every channel before and after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer
from cnnlab.models.numpy_forward import compute_activations, input_name, logits, softmax

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, kw_only=True, eq=False)
class DropoutSamples:
    """Predictions for one image with `count` random dropout masks.

    full_network: float32 (classes,), the probabilities without dropout; probabilities: float32 (count, classes), with
    each mask; masks: bool (count, ...), the values that each dropout layer keeps; activations: float32 (count, ...),
    its output, scaled by 1 / (1 - rate) as in training; both by layer name.
    """

    full_network: Array
    probabilities: Array
    masks: dict[str, Array]
    activations: dict[str, Array]

    @property
    def mean(self) -> Array:
        """The mean probability of each class over the masks, (classes,)."""
        return np.asarray(self.probabilities.mean(axis=0))

    @property
    def agreement(self) -> float:
        """The share of masks with which the network predicts the same class as without dropout, 0 to 1."""
        return float((self.probabilities.argmax(axis=1) == self.full_network.argmax()).mean())


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightStats:
    """The kernel of one layer (biases are left out: L2 does not penalize them).

    norm: the square root of the sum of squares, so norm ** 2 times the strength is the layer's L2 penalty; std: the
    standard deviation; largest: the largest magnitude; counts: int (bins,), edges: (bins + 1,), a histogram symmetric
    around zero.
    """

    layer: str
    count: int
    norm: float
    std: float
    largest: float
    counts: Array
    edges: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchNormStats:
    """The values before and after one batch normalization, for each channel. Arrays are (channels,) or end with it.

    std_before, quantiles_before (5, channels; at QUANTILES), and the same after; learned: gamma, beta,
    moving_mean, moving_variance; negative_after: the share of each channel's values below zero, which a ReLU behind it
    sets to zero.
    """

    layer: str
    input_name: str
    std_before: Array
    quantiles_before: Array
    std_after: Array
    quantiles_after: Array
    negative_after: Array
    learned: dict[str, Array]


def dropout_samples(
    layers: Sequence[Layer], weights: Weights, image: Array, count: int = 30, seed: int = 0
) -> DropoutSamples:
    """Predict one image (32, 32, 3), uint8, with `count` random dropout masks, in one batch.

    Every dropout layer drops each value independently at its rate, as in training. The same seed gives the same masks.
    Raises ValueError where the network has no dropout, or for a count below 1.
    """
    dropout = {layer.name: layer for layer in layers if layer.kind == "dropout"}
    if not dropout or count < 1:
        raise ValueError(
            f"Expected a network with dropout layers and a count of at least 1. "
            f"Received: {len(dropout)} dropout layers, count={count}. Open a run trained with dropout."
        )
    rng = np.random.default_rng(seed)
    masks = {name: rng.random((count, *layer.output_shape)) >= layer.rate for name, layer in dropout.items()}

    def apply_mask(layer: Layer, values: Array) -> Array:
        return values * masks[layer.name] / np.float32(1 - layer.rate) if layer.name in masks else values

    activations = compute_activations(layers, weights, np.repeat(image[None], count, axis=0), hook=apply_mask)
    return DropoutSamples(
        full_network=softmax(logits(layers, weights, image[None]))[0],
        probabilities=softmax(activations["logits"]),
        masks=masks,
        activations={name: activations[name] for name in masks},
    )


def weight_stats(weights: Weights, beside: Weights | None = None, bins: int = 61) -> list[WeightStats]:
    """Norm and histogram of every kernel, in the order of the weights.

    With `beside`, the weights of another run, the histograms of both calls (this one, and the one with the two
    exchanged) have the same edges wherever both have the layer, so that they can share an axis.
    """
    return [
        _layer_weight_stats(name.removesuffix("/kernel"), kernel, (beside or {}).get(name, kernel), bins)
        for name, kernel in weights.items()
        if name.endswith("/kernel")
    ]


def _layer_weight_stats(layer: str, kernel: Array, other: Array, bins: int) -> WeightStats:
    limit = float(max(np.abs(kernel).max(), np.abs(other).max())) or 1.0
    values = kernel.astype(np.float64).ravel()
    counts, edges = np.histogram(values, bins=bins, range=(-limit, limit))
    return WeightStats(
        layer=layer,
        count=values.size,
        norm=float(np.sqrt((values**2).sum())),
        std=float(values.std()),
        largest=float(np.abs(values).max()),
        counts=counts,
        edges=edges,
    )


def batchnorm_stats(
    layers: Sequence[Layer], weights: Weights, activations: Mapping[str, Array]
) -> list[BatchNormStats]:
    """Every batch normalization of the network, before and after; empty where there is none.

    activations: the result of `compute_activations`, for one image or more.
    """
    return [_layer_batchnorm_stats(layers, weights, activations, layer) for layer in layers if layer.kind == "bn"]


def _layer_batchnorm_stats(
    layers: Sequence[Layer], weights: Weights, activations: Mapping[str, Array], layer: Layer
) -> BatchNormStats:
    source = input_name(layers, activations, layer)
    before, after = (activations[name].reshape(-1, layer.output_shape[-1]) for name in (source, layer.name))
    return BatchNormStats(
        layer=layer.name,
        input_name=source,
        std_before=before.std(axis=0),
        quantiles_before=np.quantile(before, QUANTILES, axis=0),
        std_after=after.std(axis=0),
        quantiles_after=np.quantile(after, QUANTILES, axis=0),
        negative_after=(after < 0).mean(axis=0),
        learned={role: weights[f"{layer.name}/{role}"] for role in layer.variables},
    )
