"""Filters switched off: what would the network say without them?

A filter is switched off by setting its map to zero after ReLU, where zero means "not found"; everything behind it is
computed anew. If the answer hardly changes, others carry the same information or nobody listens to this filter; a
single filter whose loss changes the class is rarely found in a network trained with dropout. Nothing is saved: the
weights stay as they are.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from cnnlab.architecture import Layer
from cnnlab.forward import Array, Stages, Weights, position, stages
from cnnlab.lens.maps import rank


def switched_off(
    layers: Sequence[Layer], weights: Weights, images: Array, off: Mapping[str, Collection[int]]
) -> Stages:
    """The stages of images (n, 32, 32, 3), as `forward.stages` gives them, with some filters silenced.

    off: filters by convolution layer, {"conv2": [17, 40]}; their maps are zero from that block's ReLU on.
    Raises ValueError for a layer that is not a convolution or a filter that is not there.
    """
    silenced = {activation_of(layers, conv): _known(layers, conv, filters) for conv, filters in off.items()}

    def silence(layer: Layer, values: Array) -> Array:
        return values * silenced[layer.name] if layer.name in silenced else values

    return stages(layers, weights, images, edit=silence)


def activation_of(layers: Sequence[Layer], conv: str) -> str:
    """The name of the ReLU that follows a convolution: "conv2" -> "relu2"."""
    start = position(layers, conv)
    if start >= 0 and layers[start].kind == "conv":
        for layer in layers[start:]:
            if layer.kind == "relu":
                return layer.name
    named = ", ".join(layer.name for layer in layers if layer.kind == "conv")
    raise ValueError(f"Expected a convolution: {named}. Received: {conv!r}")


def strongest(maps: Array, count: int, by: str = "mean") -> list[int]:
    """The `count` strongest filters of one image's maps (h, w, f), strongest first; `by` is "mean" or "max"."""
    return [int(number) for number in rank(maps, by)[: max(count, 0)]]


def all_but(filters: int, kept: Collection[int]) -> list[int]:
    """Every filter of a layer of `filters` except those `kept`."""
    return [number for number in range(filters) if number not in kept]


def _known(layers: Sequence[Layer], conv: str, filters: Collection[int]) -> Array:
    """A factor for each map of the layer: 0 where the filter is switched off, 1 elsewhere; float32 (f,)."""
    count = layers[position(layers, conv)].output_shape[-1]
    unknown = [number for number in filters if not 0 <= number < count]
    if unknown:
        raise ValueError(f"Expected filters of {conv} from 0 to {count - 1}. Received: {unknown}")
    factor = np.ones(count, np.float32)
    factor[list(filters)] = 0
    return factor
