"""The images of a test set that activate each filter most, and images from the middle of its range.

The nine images with the largest activation alone overstate how selective a filter is. Nine images from the middle of
its range beside them show what else it responds to.

Feature maps of ten thousand images do not fit into memory; of every map only the maximum and its position are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.analysis.activation_stats import dead_filters
from cnnlab.analysis.batched_activations import ProgressCallback, reduce_activations
from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer


@dataclass(frozen=True, eq=False)
class MaxActivations:
    """The largest pixel of every map of a layer: values float32 (n, f), its position rows and columns, uint8 (n, f)."""

    values: Array
    rows: Array
    columns: Array


@dataclass(frozen=True, eq=False)
class SelectedImages:
    """Images chosen for each filter.

    images: their indices, int64 (f, count); values, rows, columns: of the largest pixel in each, same shape.
    `receptive_field(layers, layer_name, row, column)` is the part of the image that pixel depends on.
    """

    images: Array
    values: Array
    rows: Array
    columns: Array


@dataclass(frozen=True, eq=False)
class FilterExamples:
    """Example images for each filter of a layer: from the top of its range (`top`) and from its middle (`middle`).

    minimum, maximum: float32 (f,), the range of its largest pixel over the images; dead: bool (f,), filters whose map
    is zero for every image.
    """

    top: SelectedImages
    middle: SelectedImages
    minimum: Array
    maximum: Array
    dead: Array


def max_activations(
    layers: Sequence[Layer],
    weights: Weights,
    images: Array,
    layer_names: Sequence[str] | None = None,
    progress: ProgressCallback | None = None,
    batch: int = 16,
) -> dict[str, MaxActivations]:
    """The largest pixel of every map for every image, by layer name.

    images: uint8 (n, 32, 32, 3), possibly memory-mapped: `batch` of them are read at a time. layer_names: layers with
    feature maps; every ReLU by default. progress(done, total) is called after every batch; an exception from it ends
    the computation.
    """
    relus = [layer.name for layer in layers if layer.kind == "relu" and layer.has_feature_maps]
    names = relus if layer_names is None else list(layer_names)
    parts = reduce_activations(layers, weights, images, names, _max_pixels, batch, progress)
    return {name: concatenate(batches) for name, batches in parts.items()}


def select_examples(maxima: MaxActivations, count: int = 9) -> FilterExamples:
    """Choose example images: `count` with the largest values, and `count` nearest to the middle of the range.

    The middle is half-way between the filter's smallest and largest value over the images. With fewer images than
    `count`, all are chosen.
    """
    values = maxima.values
    minimum, maximum = values.min(axis=0), values.max(axis=0)
    from_middle = np.abs(values - (minimum + maximum) / 2)
    return FilterExamples(
        top=_select_images(maxima, np.argsort(-values, axis=0, kind="stable")[:count]),
        middle=_select_images(maxima, np.argsort(from_middle, axis=0, kind="stable")[:count]),
        minimum=minimum,
        maximum=maximum,
        dead=dead_filters(values),
    )


def _max_pixels(maps: Array) -> MaxActivations:
    """The largest pixel of each of the maps (n, h, w, f), and its position (the first one, where several are equal)."""
    n, height, width, filters = maps.shape
    flat = maps.reshape(n, height * width, filters)
    positions = flat.argmax(axis=1)
    values = np.take_along_axis(flat, positions[:, None], axis=1)[:, 0]
    return MaxActivations(values, (positions // width).astype(np.uint8), (positions % width).astype(np.uint8))


def concatenate(parts: Sequence[MaxActivations]) -> MaxActivations:
    """The maxima of consecutive batches of images as one."""
    return MaxActivations(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.columns for part in parts]),
    )


def _select_images(maxima: MaxActivations, order: Array) -> SelectedImages:
    """`order`: image indices (count, f)."""
    values, rows, columns = (
        np.take_along_axis(part, order, axis=0).T for part in (maxima.values, maxima.rows, maxima.columns)
    )
    return SelectedImages(order.T, values, rows, columns)
