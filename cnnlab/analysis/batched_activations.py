"""Reduces the activations of many images, a batch at a time, to what a computation needs of them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer
from cnnlab.models.numpy_forward import iter_activations

Result = TypeVar("Result")
ProgressCallback = Callable[[int, int], None]


def reduce_activations(
    layers: Sequence[Layer],
    weights: Weights,
    images: Array,
    layer_names: Sequence[str],
    reduce: Callable[[Array], Result],
    batch: int,
    progress: ProgressCallback | None = None,
) -> dict[str, list[Result]]:
    """`reduce` of the activation of each layer in `layer_names`, a list with one result a batch, by layer name.

    images: uint8 (n, 32, 32, 3), possibly memory-mapped: `batch` of them are read at a time. progress(done, total) is
    called after every batch; an exception from it ends the computation.
    """
    parts: dict[str, list[Result]] = {name: [] for name in layer_names}
    for first in range(0, len(images), batch):
        for layer, values in iter_activations(layers, weights, np.asarray(images[first : first + batch])):
            if layer.name in parts:
                parts[layer.name].append(reduce(values))
        if progress is not None:
            progress(min(first + batch, len(images)), len(images))
    return parts
