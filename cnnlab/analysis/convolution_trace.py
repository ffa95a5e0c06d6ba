"""The arithmetic of a whole map of a convolution: what each incoming channel adds to every pixel.

A map is the sum of one convolution for each incoming channel, plus the filter's bias. With 64 incoming channels the
strongest are kept one by one and the others as one sum, so that the parts still add up to the map.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.analysis.pixel_trace import batchnorm_parameters, pointwise_layers
from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer, find_layer
from cnnlab.models.numpy_forward import extract_patches, input_name
from cnnlab.models.windows import pad_border


@dataclass(frozen=True, kw_only=True)
class PointwiseStep:
    """A layer behind the convolution (bn or relu) that changes each pixel by itself; parameters: those of bn."""

    name: str
    kind: str
    parameters: dict[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvolutionTrace:
    """The parts of map `filter` of the convolution `layer`.

    input_name: the activation that it reads; channels: the numbers of the incoming channels that are kept one by one;
    inputs: float32 (channels, h, w), those channels; kernels: float32 (channels, k, k), their part of the kernel;
    channel_sums: float64 (channels, height, width), what each adds to every pixel; other_sum: float64 (height, width),
    what the `other_count` channels that are not kept add together; padding: the zeros around the input, 0 for 'valid';
    steps: batch normalization and ReLU behind the convolution, in order.
    """

    layer: str
    input_name: str
    filter: int
    channels: tuple[int, ...]
    inputs: Array
    kernels: Array
    channel_sums: Array
    other_count: int
    other_sum: Array
    bias: float
    padding: int
    steps: tuple[PointwiseStep, ...]

    @property
    def total(self) -> Array:
        """The map itself, float64 (height, width): all parts and the bias."""
        return np.asarray(self.channel_sums.sum(axis=0) + self.other_sum + self.bias)

    @property
    def finite(self) -> bool:
        """Whether every number is one; after a training that diverged they may not be."""
        numbers = [value for step in self.steps for value in step.parameters.values()]
        return bool(np.isfinite(self.total).all() and np.isfinite(self.inputs).all() and np.isfinite(numbers).all())


def trace_convolution(
    layers: Sequence[Layer],
    weights: Weights,
    activations: Mapping[str, Array],
    layer_name: str,
    filter: int,
    pixel: tuple[int, int],
    shown: int = 4,
    image: int = 0,
) -> ConvolutionTrace:
    """The parts of one map, with the `shown` channels that add or take most at `pixel` (row, column), strongest first.

    Where there are no more channels than that, all of them, in their own order. activations: the result of
    `compute_activations`; `image` is an index into its batch. Only stride 1 and centered padding are covered. Raises
    ValueError for a layer that is no convolution.
    """
    layer = find_layer(layers, layer_name, "conv")
    source = input_name(layers, activations, layer)
    maps = activations[source][image]
    kernel = weights[f"{layer_name}/kernel"][..., filter]
    padding = layer.kernel // 2 if layer.padding == "same" else 0
    sums = channel_sums(maps, kernel, padding)
    channels = strongest_channels(sums[pixel], shown)
    others = np.setdiff1d(np.arange(sums.shape[-1]), channels)
    return ConvolutionTrace(
        layer=layer_name,
        input_name=source,
        filter=filter,
        channels=tuple(channels.tolist()),
        inputs=maps[..., channels].transpose(2, 0, 1),
        kernels=kernel[..., channels].transpose(2, 0, 1),
        channel_sums=sums[..., channels].transpose(2, 0, 1),
        other_count=len(others),
        other_sum=sums[..., others].sum(axis=-1),
        bias=float(weights[f"{layer_name}/bias"][filter]),
        padding=padding,
        steps=tuple(_step(weights, pointwise, filter) for pointwise in pointwise_layers(layers, layer_name)),
    )


def channel_sums(maps: Array, kernel: Array, padding: int) -> Array:
    """What each channel of maps (h, w, c) adds through a kernel (k, k, c): float64 (height, width, c)."""
    border = (padding, padding)
    padded = pad_border(maps[None].astype(np.float64), border, border)
    patches = extract_patches(padded, *kernel.shape[:2])[0]
    return np.asarray(np.einsum("hwijc,ijc->hwc", patches, kernel.astype(np.float64)))


def strongest_channels(sums: Array, count: int) -> Array:
    """The `count` channels with the largest magnitude of sums (c,); where there are no more, 0 to c - 1."""
    if len(sums) <= count:
        return np.arange(len(sums))
    return np.argsort(-np.abs(sums), kind="stable")[:count]


def _step(weights: Weights, layer: Layer, filter: int) -> PointwiseStep:
    parameters = batchnorm_parameters(weights, layer, filter) if layer.kind == "bn" else {}
    return PointwiseStep(name=layer.name, kind=layer.kind, parameters=parameters)
