"""Filters switched off: what would the network say without them?

A filter is switched off by setting its map to zero after ReLU, where zero means "not found"; everything behind it is
computed anew. If the answer hardly changes, others carry the same information or nobody listens to this filter; a
single filter whose loss changes the class is rarely found in a network trained with dropout. Nothing is saved: the
weights stay as they are.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from cnnlab.analysis.activation_stats import rank_feature_maps
from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer
from cnnlab.models.numpy_forward import Activations, compute_activations, layer_index


def ablate_filters(
    layers: Sequence[Layer], weights: Weights, images: Array, ablated: Mapping[str, Collection[int]]
) -> Activations:
    """The stages of images (n, 32, 32, 3), as `forward.stages` gives them, with some filters silenced.

    off: filters by convolution layer, {"conv2": [17, 40]}; their maps are zero from that block's ReLU on.
    Raises ValueError for a layer that is not a convolution or a filter that is not there.
    """
    silenced = {relu_after(layers, conv): _filter_mask(layers, conv, filters) for conv, filters in ablated.items()}

    def silence(layer: Layer, values: Array) -> Array:
        return values * silenced[layer.name] if layer.name in silenced else values

    return compute_activations(layers, weights, images, hook=silence)


def relu_after(layers: Sequence[Layer], conv: str) -> str:
    """The name of the ReLU that follows a convolution: "conv2" -> "relu2"."""
    start = layer_index(layers, conv)
    if start >= 0 and layers[start].kind == "conv":
        for layer in layers[start:]:
            if layer.kind == "relu":
                return layer.name
    named = ", ".join(layer.name for layer in layers if layer.kind == "conv")
    raise ValueError(f"Expected a convolution: {named}. Received: {conv!r}")


def top_filters(maps: Array, count: int, by: str = "mean") -> list[int]:
    """The `count` strongest filters of one image's maps (h, w, f), strongest first; `by` is "mean" or "max"."""
    return [int(number) for number in rank_feature_maps(maps, by)[: max(count, 0)]]


def all_filters_except(filters: int, kept: Collection[int]) -> list[int]:
    """Every filter of a layer of `filters` except those `kept`."""
    return [number for number in range(filters) if number not in kept]


def _filter_mask(layers: Sequence[Layer], conv: str, filters: Collection[int]) -> Array:
    """A factor for each map of the layer: 0 where the filter is switched off, 1 elsewhere; float32 (f,)."""
    count = layers[layer_index(layers, conv)].output_shape[-1]
    unknown = [number for number in filters if not 0 <= number < count]
    if unknown:
        raise ValueError(f"Expected filters of {conv} from 0 to {count - 1}. Received: {unknown}")
    factor = np.ones(count, np.float32)
    factor[list(filters)] = 0
    return factor
