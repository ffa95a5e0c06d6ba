"""Which part of the image a pixel of a feature map depends on: its receptive field.

The list of layers is enough, no weights are needed. Start with the pixel and walk back to the image: a convolution with
a kernel of size k makes the window k - 1 wider, a 2x2 pooling makes it twice as large, as every stride of 2 does, every
other layer reads the same position. At the border of a map the window is clipped.

This is the theoretical receptive field. How much each position in it counts is another question; the center usually
counts most (Luo et al., "Understanding the effective receptive field in deep convolutional neural networks", 2016).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cnnlab.models.architecture import INPUT, Layer, find_layer
from cnnlab.models.windows import window_padding

WINDOW_KINDS = ("conv", "pool")  # layers of which a pixel reads a window of their input


class Box(NamedTuple):
    """A rectangle of whole pixels, `image[top:bottom, left:right]`: bottom and right are exclusive."""

    top: int
    left: int
    bottom: int
    right: int


def layer_shape(layers: Sequence[Layer], layer_name: str) -> tuple[int, ...]:
    """The shape of an activation for one image: (h, w, channels) or (units,). Raises ValueError for an unknown one."""
    return layers[0].output_shape if layer_name == INPUT else find_layer(layers, layer_name).output_shape


def receptive_field(layers: Sequence[Layer], layer_name: str, row: int = 0, column: int = 0) -> Box:
    """The pixels of the input image that can change the pixel (row, column) of any map of a layer.

    For a layer without rows and columns (flatten, dense, logits): the pixels that can change anything in it at all.
    Raises ValueError for an unknown layer or a pixel outside it.
    """
    path = list(_path_to_input(layers, layer_name))
    if len(layer_shape(layers, layer_name)) == 1:
        path = [layer for layer in path if layer.has_feature_maps]
        height, width, _ = path[0].output_shape
        box = Box(0, 0, height, width)
    else:
        box = pixel_box(layers, layer_name, row, column)
    for layer in path:
        box = input_region(layer, box, layer_shape(layers, layer.inputs[0]))
    return box


def _path_to_input(layers: Sequence[Layer], layer_name: str) -> Iterator[Layer]:
    """The layer of this name, the one it reads first, and so on to the image."""
    while layer_name != INPUT:
        layer = find_layer(layers, layer_name)
        yield layer
        layer_name = layer.inputs[0]


def pixel_box(layers: Sequence[Layer], layer_name: str, row: int, column: int) -> Box:
    """The box around one pixel of a layer's maps. Raises ValueError for a pixel that does not exist."""
    shape = layer_shape(layers, layer_name)
    if len(shape) != 3 or not (0 <= row < shape[0] and 0 <= column < shape[1]):
        raise ValueError(
            f"Expected a pixel inside the maps of {layer_name}, {shape}. Received: row={row}, column={column}"
        )
    return Box(row, column, row + 1, column + 1)


def input_region(layer: Layer, box: Box, input_shape: tuple[int, ...]) -> Box:
    """The part of a layer's input, of shape `input_shape` (h, w, c), that a box of its output is computed from."""
    if layer.kind not in WINDOW_KINDS:
        return box
    (top, bottom), (left, right) = (
        _input_range(layer, first, end, size)
        for first, end, size in ((box.top, box.bottom, input_shape[0]), (box.left, box.right, input_shape[1]))
    )
    return Box(top, left, bottom, right)


def _input_range(layer: Layer, first: int, end: int, size: int) -> tuple[int, int]:
    """The rows (or columns) of an input of `size` that the rows first..end - 1 of the output are computed from."""
    before, _ = window_padding(size, layer.kernel, layer.stride, layer.padding)
    return max(first * layer.stride - before, 0), min((end - 1) * layer.stride - before + layer.kernel, size)


def receptive_field_centers(layers: Sequence[Layer], layer_name: str, count: int) -> list[float]:
    """The centers of the receptive fields of pixels 0..count - 1 of a row (or column), in image pixels.

    The center of the image's first pixel is 0.0. Fields are not clipped here, so the steps are equal.
    """
    first, step = 0.0, 1.0
    for layer in _path_to_input(layers, layer_name):
        if layer.kind in WINDOW_KINDS:
            size = layer_shape(layers, layer.inputs[0])[0]
            before, _ = window_padding(size, layer.kernel, layer.stride, layer.padding)
            first = layer.stride * first - before + (layer.kernel - 1) / 2
            step *= layer.stride
    return [first + step * index for index in range(count)]
