"""The arithmetic of one pixel of a feature map.

A pixel of a convolution's map is one sum: the patch of the incoming maps under the kernel, times the kernel, number by
number, plus the filter's bias. In the first layer that is 3 x 3 x 3 products; in deeper layers 3 x 3 x 64, so the
products are summed for each incoming channel. The parts add up to the value of the pixel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile

import numpy as np

from cnnlab.analysis.receptive_field import Box, input_region, pixel_box
from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer, find_layer
from cnnlab.models.numpy_forward import input_name, layer_index
from cnnlab.models.windows import pad_windows


@dataclass(frozen=True, kw_only=True)
class LayerStep:
    """The effect of a layer after the convolution (bn or relu) on the pixel.

    parameters: those of batch normalization: mean, variance, epsilon, gamma, beta; empty for ReLU.
    """

    name: str
    kind: str
    before: float
    after: float
    parameters: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelTrace:
    """The parts of one pixel of a convolution's map.

    input_name: the activation that it is computed from; input_box: the part of it under the kernel, clipped at the
    border; patch, kernel: float64 (kh, kw, channels), the patch zero where it lies outside the map ('same' padding);
    value: the pixel itself, equal to `total` up to float32 rounding; steps: batch normalization and ReLU behind the
    convolution, in order.
    """

    layer: str
    input_name: str
    row: int
    column: int
    filter: int
    input_box: Box
    patch: Array
    kernel: Array
    bias: float
    value: float
    steps: tuple[LayerStep, ...]

    @cached_property
    def products(self) -> Array:
        """Patch times kernel, number by number: float64 (kh, kw, channels)."""
        return self.patch * self.kernel

    @cached_property
    def channel_sums(self) -> Array:
        """The products summed for each incoming channel: float64 (channels,)."""
        return np.asarray(self.products.sum(axis=(0, 1)))

    @property
    def total(self) -> float:
        """The sum of all products and the bias."""
        return float(self.channel_sums.sum()) + self.bias

    @property
    def padded_positions(self) -> int:
        """How many positions of the kernel lie outside the map, where 'same' padding puts zeros."""
        inside = (self.input_box.bottom - self.input_box.top) * (self.input_box.right - self.input_box.left)
        return int(self.kernel.shape[0] * self.kernel.shape[1]) - inside

    def top_channels(self, count: int) -> tuple[tuple[tuple[int, float], ...], float]:
        """The channels with the largest contributions by magnitude, as (channel, sum), and the sum of all others."""
        order = np.argsort(-np.abs(self.channel_sums), kind="stable")
        top = tuple((int(channel), float(self.channel_sums[channel])) for channel in order[:count])
        return top, float(self.channel_sums[order[count:]].sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class PoolTrace:
    """The window, mostly a 2x2 square, that a pooled pixel was taken from.

    input_box: its position in the activation `input_name`; values: float32 (h, w); winner: row and column in
    `input_name` of the largest (the first one, where several are equal); value: the largest.
    """

    layer: str
    input_name: str
    input_box: Box
    values: Array
    winner: tuple[int, int]
    value: float


def trace_pixel(
    layers: Sequence[Layer],
    weights: Weights,
    activations: Mapping[str, Array],
    layer_name: str,
    row: int,
    column: int,
    filter: int,
    image: int = 0,
) -> PixelTrace:
    """The parts of the pixel (row, column) of map `filter` of the convolution `layer_name`.

    activations: the result of `compute_activations`; `image` is an index into its batch. Raises ValueError where the
    layer is not a convolution, or the pixel or the filter does not exist.
    """
    layer = _check_layer(layers, layer_name, "conv", filter)
    source = input_name(layers, activations, layer)
    position = pixel_box(layers, layer_name, row, column)
    return PixelTrace(
        layer=layer_name,
        input_name=source,
        row=row,
        column=column,
        filter=filter,
        input_box=input_region(layer, position, activations[source].shape[1:]),
        patch=_patch(layer, activations[source][image], position),
        kernel=weights[f"{layer_name}/kernel"][..., filter].astype(np.float64),
        bias=float(weights[f"{layer_name}/bias"][filter]),
        value=float(activations[layer_name][image, row, column, filter]),
        steps=_steps(layers, weights, activations, layer_name, (image, row, column, filter)),
    )


def trace_pool(
    layers: Sequence[Layer],
    activations: Mapping[str, Array],
    layer_name: str,
    row: int,
    column: int,
    filter: int,
    image: int = 0,
) -> PoolTrace:
    """The square behind the pixel (row, column) of map `filter` of the pooling layer; arguments as in `trace_pixel`."""
    layer = _check_layer(layers, layer_name, "pool", filter)
    source = input_name(layers, activations, layer)
    box = input_region(layer, pixel_box(layers, layer_name, row, column), activations[source].shape[1:])
    values = activations[source][image, box.top : box.bottom, box.left : box.right, filter]
    down, right = divmod(int(values.argmax()), values.shape[1])
    return PoolTrace(
        layer=layer_name,
        input_name=source,
        input_box=box,
        values=values,
        winner=(box.top + down, box.left + right),
        value=float(activations[layer_name][image, row, column, filter]),
    )


def _check_layer(layers: Sequence[Layer], name: str, kind: str, filter: int) -> Layer:
    layer = find_layer(layers, name, kind)
    if not 0 <= filter < layer.output_shape[-1]:
        raise ValueError(f"Expected a filter from 0 to {layer.output_shape[-1] - 1}. Received: filter={filter}")
    return layer


def _patch(layer: Layer, source: Array, position: Box) -> Array:
    """The values under the kernel, float64 (k, k, channels), with the zeros of 'same' padding."""
    padded = pad_windows(source[None], (layer.kernel, layer.kernel), layer.stride, layer.padding)[0]
    top, left = position.top * layer.stride, position.left * layer.stride
    return np.asarray(padded[top : top + layer.kernel, left : left + layer.kernel], np.float64)


def _steps(
    layers: Sequence[Layer], weights: Weights, activations: Mapping[str, Array], name: str, index: tuple[int, ...]
) -> tuple[LayerStep, ...]:
    """Batch normalization and ReLU after a convolution."""
    steps, before = [], float(activations[name][index])
    for layer in pointwise_layers(layers, name):
        after = float(activations[layer.name][index])
        parameters = batchnorm_parameters(weights, layer, index[-1]) if layer.kind == "bn" else {}
        steps.append(LayerStep(name=layer.name, kind=layer.kind, before=before, after=after, parameters=parameters))
        before = after
    return tuple(steps)


def pointwise_layers(layers: Sequence[Layer], name: str) -> list[Layer]:
    """The batch normalization and the ReLU behind a convolution, in order, up to the first layer that is neither."""
    behind = layers[layer_index(layers, name) + 1 :]
    return list(takewhile(lambda layer: layer.kind in ("bn", "relu"), behind))


def batchnorm_parameters(weights: Weights, layer: Layer, filter: int) -> dict[str, float]:
    """What a batch normalization does to one channel: gamma, beta, mean, variance and epsilon."""
    values = {role.removeprefix("moving_"): float(weights[f"{layer.name}/{role}"][filter]) for role in layer.variables}
    return values | {"epsilon": layer.epsilon}
