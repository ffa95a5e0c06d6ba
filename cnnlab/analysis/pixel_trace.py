"""The arithmetic of one pixel of a map, to the last number.

A pixel of a convolution's map is one sum: the patch of the incoming maps under the kernel, times the kernel, number by
number, plus the filter's bias. In the first layer that is 3 x 3 x 3 products and fits on a page; in the deeper ones
3 x 3 x 64, so the products are added up for each incoming channel, the strongest shown one by one and the rest as
"all others". Nothing is lost: the parts add up to the value on the screen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cnnlab.analysis.receptive_field import Box, input_region, pixel_box
from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer
from cnnlab.models.numpy_forward import EPSILON, layer_index, zero_pad


@dataclass(frozen=True, kw_only=True)
class LayerStep:
    """What a layer after the convolution (bn or relu) did with the pixel.

    `numbers` holds what batch normalization did it with: mean, variance, epsilon, gamma, beta.
    """

    name: str
    kind: str
    before: float
    after: float
    parameters: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelTrace:
    """One pixel of a convolution's map taken apart.

    source: the stage it was made from; box: the part of it under the kernel, cut off at the border; patch, kernel,
    products: float64 (kh, kw, channels), with zeros where the patch lies outside ('same' padding); channels: float64
    (channels,), the products added up for each incoming channel; bias; total: channels.sum() + bias; value: the number
    on the screen, equal to the total up to float32 rounding; steps: batch normalization and ReLU, as they follow.
    """

    layer: str
    input_name: str
    row: int
    column: int
    filter: int
    input_box: Box
    patch: Array
    kernel: Array
    products: Array
    channel_sums: Array
    bias: float
    total: float
    value: float
    steps: tuple[LayerStep, ...]

    @property
    def padded_positions(self) -> int:
        """How many places of the kernel lie outside the map, where 'same' padding puts zeros."""
        inside = (self.input_box.bottom - self.input_box.top) * (self.input_box.right - self.input_box.left)
        return int(self.kernel.shape[0] * self.kernel.shape[1]) - inside

    def top_channels(self, count: int) -> tuple[tuple[tuple[int, float], ...], float]:
        """The channels that count most, up or down, as (channel, contribution), and the sum of all others."""
        order = np.argsort(-np.abs(self.channel_sums), kind="stable")
        shown = tuple((int(channel), float(self.channel_sums[channel])) for channel in order[:count])
        return shown, float(self.channel_sums[order[count:]].sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class PoolTrace:
    """The 2x2 square that a pooled pixel was chosen from.

    box: its place in the stage `source`; values: float32 (2, 2); winner: row and column in `source` of the largest
    (the first one, where several are equal); value: the largest.
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
    """Take apart the pixel (row, column) of map `filter` of the convolution `layer`.

    maps: what `forward.stages` gave; `image` picks one of the batch. Raises ValueError where `layer` is not a
    convolution or the pixel or the filter does not exist.
    """
    here = _layer(layers, layer_name, "conv", filter)
    source = input_activation_name(layers, activations, layer_name)
    spot = pixel_box(layers, layer_name, row, column)
    kernel = weights[f"{layer_name}/kernel"][..., filter].astype(np.float64)
    patch = _patch(here, activations[source][image], spot)
    products = patch * kernel
    channels = products.sum(axis=(0, 1))
    bias = float(weights[f"{layer_name}/bias"][filter])
    return PixelTrace(
        layer=layer_name,
        input_name=source,
        row=row,
        column=column,
        filter=filter,
        input_box=input_region(here, spot, activations[source].shape[1:]),
        patch=patch,
        kernel=kernel,
        products=products,
        channel_sums=channels,
        bias=bias,
        total=float(channels.sum()) + bias,
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
    """The square behind the pixel (row, column) of map `filter` of the pooling `layer`; otherwise as `pixel_sum`."""
    here = _layer(layers, layer_name, "pool", filter)
    source = input_activation_name(layers, activations, layer_name)
    box = input_region(here, pixel_box(layers, layer_name, row, column), activations[source].shape[1:])
    values = activations[source][image, box.top : box.bottom, box.left : box.right, filter]
    down, right = divmod(int(values.argmax()), 2)
    value = float(activations[layer_name][image, row, column, filter])
    winner = (box.top + down, box.left + right)
    return PoolTrace(layer=layer_name, input_name=source, input_box=box, values=values, winner=winner, value=value)


def input_activation_name(layers: Sequence[Layer], activations: Mapping[str, Array], layer: str) -> str:
    """The stage that a layer reads: the nearest one before it that `maps` holds."""
    before = ["input", *(other.name for other in layers[: layer_index(layers, layer)])]
    return next(name for name in reversed(before) if name in activations)


def _layer(layers: Sequence[Layer], name: str, kind: str, filter: int) -> Layer:
    found = layers[layer_index(layers, name)]
    if found.kind != kind or name == "input":
        named = ", ".join(layer.name for layer in layers if layer.kind == kind)
        raise ValueError(f"Expected a layer of kind {kind}: {named}. Received: layer={name!r}")
    if not 0 <= filter < found.output_shape[-1]:
        raise ValueError(f"Expected a filter from 0 to {found.output_shape[-1] - 1}. Received: filter={filter}")
    return found


def _patch(layer: Layer, source: Array, spot: Box) -> Array:
    """What lies under the kernel, float64 (k, k, channels), with the zeros that 'same' padding put there."""
    border = layer.kernel // 2 if layer.padding == "same" else 0
    framed = zero_pad(source[None], border, border)[0]
    patch = framed[spot.top : spot.top + layer.kernel, spot.left : spot.left + layer.kernel]
    return np.asarray(patch, np.float64)


def _steps(
    layers: Sequence[Layer], weights: Weights, maps: Mapping[str, Array], name: str, spot: tuple[int, ...]
) -> tuple[LayerStep, ...]:
    """Batch normalization and ReLU after a convolution, up to the first layer that is neither."""
    steps, before = [], float(maps[name][spot])
    for layer in layers[layer_index(layers, name) + 1 :]:
        if layer.kind not in ("bn", "relu"):
            break
        after = float(maps[layer.name][spot])
        numbers = _bn_numbers(weights, layer.name, spot[-1]) if layer.kind == "bn" else {}
        steps.append(LayerStep(name=layer.name, kind=layer.kind, before=before, after=after, parameters=numbers))
        before = after
    return tuple(steps)


def _bn_numbers(weights: Weights, name: str, filter: int) -> dict[str, float]:
    roles = {"mean": "moving_mean", "variance": "moving_variance", "gamma": "gamma", "beta": "beta"}
    found = {short: float(weights[f"{name}/{role}"][filter]) for short, role in roles.items()}
    return found | {"epsilon": float(EPSILON)}
