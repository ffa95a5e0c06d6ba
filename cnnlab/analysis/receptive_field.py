"""Which part of the image a pixel of a map can see: its receptive field.

Nothing has to be computed from weights: the list of layers is enough. Start with the pixel and walk back to the image.
A convolution with a kernel of k makes the window k - 1 wider, a 2x2 pooling makes it twice as large, every other layer
looks at one place only. At the border of a map the window is cut off, because there is nothing more to see.

This is the field a pixel *can* see. How much each place in it counts is another question; the middle usually counts
most (Luo et al., "Understanding the effective receptive field in deep convolutional neural networks", 2016).
"""

from collections.abc import Sequence
from typing import NamedTuple

from cnnlab.models.architecture import Layer
from cnnlab.models.numpy_forward import layer_index


class Box(NamedTuple):
    """A rectangle of whole pixels, `image[top:bottom, left:right]`: bottom and right are not part of it."""

    top: int
    left: int
    bottom: int
    right: int


def layer_shape(layers: Sequence[Layer], layer_name: str) -> tuple[int, ...]:
    """The shape of a stage for one image: (h, w, channels) or (units,). Raises ValueError for an unknown stage."""
    return layers[max(layer_index(layers, layer_name), 0)].output_shape


def receptive_field(layers: Sequence[Layer], layer_name: str, row: int = 0, column: int = 0) -> Box:
    """The pixels of the input image that can change the pixel (row, column) of any map of `stage`.

    For a stage without rows and columns (flatten, dense, logits): the pixels that can change anything in it at all.
    Raises ValueError for an unknown stage or a pixel outside it.
    """
    passed = list(layers[: layer_index(layers, layer_name) + 1])
    while passed and len(passed[-1].output_shape) == 1:
        passed.pop()
    if len(layer_shape(layers, layer_name)) == 1:
        height, width, _ = passed[-1].output_shape
        box = Box(0, 0, height, width)
    else:
        box = pixel_box(layers, layer_name, row, column)
    for index in reversed(range(len(passed))):
        box = input_region(passed[index], box, passed[max(index - 1, 0)].output_shape)
    return box


def pixel_box(layers: Sequence[Layer], layer_name: str, row: int, column: int) -> Box:
    """The box around one pixel of a stage of maps. Raises ValueError for a pixel that is not there."""
    shape = layer_shape(layers, layer_name)
    if len(shape) != 3 or not (0 <= row < shape[0] and 0 <= column < shape[1]):
        raise ValueError(
            f"Expected a pixel inside the maps of {layer_name}, {shape}. Received: row={row}, column={column}"
        )
    return Box(row, column, row + 1, column + 1)


def input_region(layer: Layer, box: Box, input_shape: tuple[int, ...]) -> Box:
    """The part of a layer's input that a box of its output is made from; `source` is the input's shape (h, w, c)."""
    top, left, bottom, right = box
    if layer.kind == "pool":
        top, left, bottom, right = 2 * top, 2 * left, 2 * bottom, 2 * right
    if layer.kind == "conv":
        shift = layer.kernel // 2 if layer.padding == "same" else 0
        wider = layer.kernel - 1 - shift
        top, left, bottom, right = top - shift, left - shift, bottom + wider, right + wider
    return Box(max(top, 0), max(left, 0), min(bottom, input_shape[0]), min(right, input_shape[1]))


def receptive_field_centers(layers: Sequence[Layer], layer_name: str, count: int) -> list[float]:
    """Where the middles of the fields of pixels 0..count - 1 of a row (or column) lie on the image, in pixels.

    The image's first pixel has its middle at 0.0. Fields are not cut off here, so the steps are all equal.
    """
    first, step = 0.0, 1.0
    for layer in reversed(layers[: layer_index(layers, layer_name) + 1]):
        if layer.kind == "pool":
            first, step = 2 * first + 0.5, 2 * step
        if layer.kind == "conv" and layer.padding == "valid":
            first += (layer.kernel - 1) / 2
    return [first + step * index for index in range(count)]
