"""What the regularizers did, seen from inside.

Dropout: the network was trained to answer with parts of itself missing; throw the dice again and watch it (reading
many masks as a measure of doubt is from Gal and Ghahramani, "Dropout as a Bayesian approximation", 2016).
L2: large weights were made to pay, so the weights' histogram is narrower than the plain network's, if the price was
high enough to notice.
Batch normalization: whatever spread a channel has when it arrives, it leaves with the spread and the mean it learned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.analysis.pixel_trace import input_activation_name
from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer
from cnnlab.models.numpy_forward import compute_activations, logits, softmax

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, kw_only=True, eq=False)
class DropoutSamples:
    """One image through `count` thinned networks.

    plain: float32 (10,), the probabilities of the whole network; probabilities: float32 (count, 10), of each thinned
    one; masks: bool (count, ...), what each dropout layer kept; maps: float32 (count, ...), what it let through,
    scaled up by 1 / (1 - rate) as in training; both by layer name.
    """

    full_network: Array
    probabilities: Array
    masks: dict[str, Array]
    activations: dict[str, Array]

    @property
    def mean(self) -> Array:
        """The mean probability of each class over the masks, (10,)."""
        return np.asarray(self.probabilities.mean(axis=0))

    @property
    def spread(self) -> Array:
        """The standard deviation of each class's probability over the masks, (10,)."""
        return np.asarray(self.probabilities.std(axis=0))

    @property
    def agreement(self) -> float:
        """The share of thinned networks that choose the class the whole network chooses, 0 to 1."""
        return float((self.probabilities.argmax(axis=1) == self.full_network.argmax()).mean())


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightStats:
    """The kernel of one layer in figures (biases are not counted, and L2 does not touch them).

    norm: the root of the sum of squares, so norm ** 2 times the strength is the layer's L2 penalty; deviation: the
    standard deviation; largest: the largest magnitude; counts: int (bins,), edges: (bins + 1,), a histogram
    symmetric around zero.
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
    """What one batch normalization did with each channel of these images. All arrays are (channels,) or have it last.

    mean_before, deviation_before, quantiles_before (5, channels; at QUANTILES), and the same after; learned: gamma,
    beta, moving_mean, moving_variance; negative_after: the share of each channel's pixels below zero, which a ReLU
    behind it silences.
    """

    layer: str
    input_name: str
    mean_before: Array
    std_before: Array
    quantiles_before: Array
    mean_after: Array
    std_after: Array
    quantiles_after: Array
    negative_after: Array
    learned: dict[str, Array]


def dropout_samples(
    layers: Sequence[Layer], weights: Weights, image: Array, count: int = 30, seed: int = 0
) -> DropoutSamples:
    """Send one image (32, 32, 3), uint8, through `count` thinned networks, all in one batch.

    Every dropout layer drops each number by itself with its rate, as in training. The same seed draws the same masks.
    Raises ValueError where the network has no dropout, or for a count below 1.
    """
    dropping = {layer.name: layer for layer in layers if layer.kind == "dropout"}
    if not dropping or count < 1:
        raise ValueError(
            f"Expected a network with dropout layers and a count of at least 1. "
            f"Received: {len(dropping)} dropout layers, count={count}. Open a run trained with dropout."
        )
    dice = np.random.default_rng(seed)
    masks = {name: dice.random((count, *layer.output_shape)) >= layer.rate for name, layer in dropping.items()}

    def thin(layer: Layer, values: Array) -> Array:
        return values * masks[layer.name] / np.float32(1 - layer.rate) if layer.name in masks else values

    found = compute_activations(layers, weights, np.repeat(image[None], count, axis=0), hook=thin)
    return DropoutSamples(
        full_network=softmax(logits(layers, weights, image[None]))[0],
        probabilities=softmax(found["logits"]),
        masks=masks,
        activations={name: found[name] for name in masks},
    )


def weight_stats(weights: Weights, beside: Weights | None = None, bins: int = 61) -> list[WeightStats]:
    """Norm and histogram of every kernel, first layer to last as the weights name them.

    With `beside`, the weights of another run, the histograms of both calls (this one, and the one with the two
    exchanged) have the same edges wherever both have the layer, so that they can be drawn over each other.
    """
    found = []
    for key, kernel in weights.items():
        if key.endswith("/kernel"):
            other = (beside or {}).get(key, kernel)
            found.append(_layer_weight_stats(key.removesuffix("/kernel"), kernel, other, bins))
    return found


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
    """Every batch normalization of the network, before and after, on the images whose stages are given.

    maps: what `forward.stages` gave, for one image or more. Without batch normalization the list is empty.
    """
    return [_layer_batchnorm_stats(layers, weights, activations, layer.name) for layer in layers if layer.kind == "bn"]


def _layer_batchnorm_stats(
    layers: Sequence[Layer], weights: Weights, maps: Mapping[str, Array], name: str
) -> BatchNormStats:
    source = input_activation_name(layers, maps, name)
    before, after = (maps[stage].reshape(-1, maps[stage].shape[-1]) for stage in (source, name))
    return BatchNormStats(
        layer=name,
        input_name=source,
        mean_before=before.mean(axis=0),
        std_before=before.std(axis=0),
        quantiles_before=np.quantile(before, QUANTILES, axis=0),
        mean_after=after.mean(axis=0),
        std_after=after.std(axis=0),
        quantiles_after=np.quantile(after, QUANTILES, axis=0),
        negative_after=(after < 0).mean(axis=0),
        learned={r: weights[f"{name}/{r}"] for r in ("gamma", "beta", "moving_mean", "moving_variance")},
    )
