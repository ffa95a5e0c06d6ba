"""A whole test set through the network: what excites each filter most, and what excites it half as much.

The nine images that excite a filter most make it look cleverer than it is: one sees nine bird heads and says "bird
head". So nine more stand beside them, from the middle of the filter's range: a filter that really finds bird heads
finds them there as well.

Ten thousand images do not fit into memory as maps, and need not: of every map only the maximum is kept, and its place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.analysis.activation_stats import dead_filters
from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer
from cnnlab.models.numpy_forward import iter_activations

ProgressCallback = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class MaxActivations:
    """The strongest pixel of every map of a stage: values float32 (n, f), rows and columns uint8 (n, f)."""

    values: Array
    rows: Array
    columns: Array


@dataclass(frozen=True, eq=False)
class SelectedImages:
    """Some images for each filter.

    images: their numbers, int64 (f, count); values, rows, columns: of the strongest pixel in each, same shape.
    `receptive_field(layers, stage, row, column)` is the crop to show.
    """

    images: Array
    values: Array
    rows: Array
    columns: Array


@dataclass(frozen=True, eq=False)
class FilterExamples:
    """What to show of a stage: the images at the top of each filter's range, and those in its middle.

    low, high: float32 (f,), the range; dead: bool (f,), filters that answer none of the images.
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
    """The strongest pixel of every map for every image, by stage.

    images: uint8 (n, 32, 32, 3), possibly memory-mapped: only `batch` of them are read at a time. at: stages of maps;
    every ReLU unless said. progress(done, of) is called after every batch; an exception it raises ends the work.
    """
    kept = [layer.name for layer in layers if layer.kind == "relu"] if layer_names is None else list(layer_names)
    parts: dict[str, list[MaxActivations]] = {name: [] for name in kept}
    for first in range(0, len(images), batch):
        for layer, values in iter_activations(layers, weights, np.asarray(images[first : first + batch])):
            if layer.name in parts:
                parts[layer.name].append(_max_pixels(values))
        if progress is not None:
            progress(min(first + batch, len(images)), len(images))
    return {name: _concatenated(found) for name, found in parts.items()}


def select_examples(responses: MaxActivations, count: int = 9) -> FilterExamples:
    """Choose the images to show: `count` with the largest values, and `count` nearest to the middle of the range.

    The middle is half-way between the filter's smallest and largest value over the images. Where fewer images than
    `count` were asked, all are given.
    """
    values = responses.values
    low, high = values.min(axis=0), values.max(axis=0)
    from_middle = np.abs(values - (low + high) / 2)
    return FilterExamples(
        top=_select_images(responses, np.argsort(-values, axis=0, kind="stable")[:count]),
        middle=_select_images(responses, np.argsort(from_middle, axis=0, kind="stable")[:count]),
        minimum=low,
        maximum=high,
        dead=dead_filters(values),
    )


def _max_pixels(maps: Array) -> MaxActivations:
    """maps (n, h, w, f): the largest of each, and where (the first one, where several are equal)."""
    n, height, width, filters = maps.shape
    flat = maps.reshape(n, height * width, filters)
    places = flat.argmax(axis=1)
    values = np.take_along_axis(flat, places[:, None], axis=1)[:, 0]
    return MaxActivations(values, (places // width).astype(np.uint8), (places % width).astype(np.uint8))


def _concatenated(parts: Sequence[MaxActivations]) -> MaxActivations:
    return MaxActivations(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.columns for part in parts]),
    )


def _select_images(responses: MaxActivations, order: Array) -> SelectedImages:
    """order: image numbers (count, f)."""
    found = [
        np.take_along_axis(part, order, axis=0).T for part in (responses.values, responses.rows, responses.columns)
    ]
    return SelectedImages(order.T, *found)
