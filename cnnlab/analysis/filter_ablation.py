"""Filters switched off: what would the network predict without them?

A filter is ablated by setting its feature map to zero after ReLU, where zero means "not detected"; everything behind it
is computed again. If the prediction hardly changes, other filters carry the same information or no later layer uses
this one. A single filter whose loss changes the class is rare in a network trained with dropout (Morcos et al., "On the
importance of single directions for generalization", 2018). The weights themselves are not changed.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from cnnlab.analysis.activation_stats import rank_feature_maps
from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer, find_layer, relu_after
from cnnlab.models.numpy_forward import Activations, compute_activations


def ablate_filters(
    layers: Sequence[Layer], weights: Weights, images: Array, ablated: Mapping[str, Collection[int]]
) -> Activations:
    """The activations for images (n, 32, 32, 3), as `compute_activations` gives them, with some filters at zero.

    ablated: filters by convolution layer, {"conv2": [17, 40]}; their maps are zero from that block's ReLU on.
    Raises ValueError for a layer that is not a convolution or a filter that does not exist.
    """
    masks = {relu_after(layers, conv): _filter_mask(layers, conv, filters) for conv, filters in ablated.items()}

    def apply_mask(layer: Layer, values: Array) -> Array:
        return values * masks[layer.name] if layer.name in masks else values

    return compute_activations(layers, weights, images, hook=apply_mask)


def top_filters(maps: Array, count: int, by: str = "mean") -> list[int]:
    """The `count` strongest filters of one image's maps (h, w, f), strongest first; `by` is "mean" or "max"."""
    return [int(index) for index in rank_feature_maps(maps, by)[: max(count, 0)]]


def all_filters_except(filters: int, kept: Collection[int]) -> list[int]:
    """Every filter of a layer of `filters` except those `kept`."""
    return [index for index in range(filters) if index not in kept]


def _filter_mask(layers: Sequence[Layer], conv: str, filters: Collection[int]) -> Array:
    """A factor for each map of the layer: 0 where the filter is ablated, 1 elsewhere; float32 (f,)."""
    count = find_layer(layers, conv).output_shape[-1]
    unknown = [index for index in filters if not 0 <= index < count]
    if unknown:
        raise ValueError(f"Expected filters of {conv} from 0 to {count - 1}. Received: {unknown}")
    mask = np.ones(count, np.float32)
    mask[list(filters)] = 0
    return mask
