"""The effective receptive field: how much each pixel of the image changes one pixel of a layer.

The theoretical receptive field (`receptive_field`) says which pixels can have an effect. The effective one measures the
effect as a gradient, averaged over images. Most of it falls on the pixels near the center, and training changes it:
Luo, Li, Urtasun and Zemel, "Understanding the effective receptive field in deep convolutional neural networks", 2016.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.analysis.receptive_field import Box, layer_shape, receptive_field
from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer
from cnnlab.models.numpy_backward import activations_up_to, backpropagate
from cnnlab.models.numpy_forward import layer_index

SHARE = 0.9  # of the squared gradient, by which the size is measured
BATCH = 10  # images in one backward pass


@dataclass(frozen=True, kw_only=True, eq=False)
class EffectiveReceptiveField:
    """The gradient of the middle pixel of a layer with respect to the image.

    energy: float32 (h, w) of the image, with sum 1: the squared gradient, summed over images, filters and colors;
    theoretical: the box outside which it is zero; pixel_count: the smallest number of pixels that hold SHARE of it;
    images: how many were averaged.
    """

    layer_name: str
    energy: Array
    theoretical: Box
    pixel_count: int
    images: int

    @property
    def theoretical_pixel_count(self) -> int:
        """The number of pixels of the theoretical receptive field."""
        box = self.theoretical
        return (box.bottom - box.top) * (box.right - box.left)


def center_pixel(layers: Sequence[Layer], layer_name: str) -> tuple[int, int]:
    """Row and column of the pixel in the middle of a layer's maps. Raises ValueError for a layer without maps."""
    shape = layer_shape(layers, layer_name)
    if len(shape) != 3:
        raise ValueError(f"Expected a layer with feature maps. Received: {layer_name=}")
    return shape[0] // 2, shape[1] // 2


def input_gradient(
    layers: Sequence[Layer], weights: Weights, images: Array, layer_name: str, filter_weights: Array
) -> Array:
    """The gradient of a weighted sum of the middle pixel's filters with respect to the images.

    images: uint8 (n, 32, 32, 3); filter_weights: float32 (n, f), the factor of each filter. Returns float32
    (n, 32, 32, 3). Without padded layers only the receptive field is computed, which is several times faster. Raises
    ValueError for a layer without feature maps.
    """
    row, column = center_pixel(layers, layer_name)
    box = receptive_field(layers, layer_name, row, column)
    if any(layer.padding == "same" for layer in layers[: layer_index(layers, layer_name) + 1]):
        box = Box(0, 0, *images.shape[1:3])
    else:
        row = column = 0
    cropped = images[:, box.top : box.bottom, box.left : box.right]
    known, activations = activations_up_to(layers, weights, cropped, layer_name)
    output_grad = np.zeros(activations[layer_name].shape, np.float32)
    output_grad[:, row, column] = filter_weights
    gradient = np.zeros(images.shape, np.float32)
    gradient[:, box.top : box.bottom, box.left : box.right] = backpropagate(
        known, weights, activations, {layer_name: output_grad}
    )
    return gradient


def effective_receptive_field(
    layers: Sequence[Layer], weights: Weights, images: Array, layer_name: str, seed: int = 0
) -> EffectiveReceptiveField:
    """The effective receptive field of the middle pixel of a layer, such as "conv2", over all its filters.

    images: uint8 (n, 32, 32, 3). The filters are added with random signs, drawn from `seed`: the expected square of
    that gradient is the sum of the squared gradients of all filters (Hutchinson, "A stochastic estimator of the trace
    of the influence matrix", 1989), for one backward pass an image. Raises ValueError for a layer without feature maps.
    """
    signs = np.random.default_rng(seed).choice(
        np.array([-1, 1], np.float32), (len(images), layer_shape(layers, layer_name)[-1])
    )
    energy = np.zeros(images.shape[1:3], np.float64)
    for first in range(0, len(images), BATCH):
        part = slice(first, first + BATCH)
        energy += (input_gradient(layers, weights, images[part], layer_name, signs[part]) ** 2).sum(axis=(0, 3))
    energy = np.nan_to_num(energy, posinf=0)  # weights of a training that diverged
    energy = energy / max(float(energy.sum()), np.finfo(np.float64).tiny)
    return EffectiveReceptiveField(
        layer_name=layer_name,
        energy=energy.astype(np.float32),
        theoretical=receptive_field(layers, layer_name, *center_pixel(layers, layer_name)),
        pixel_count=pixels_holding(energy, SHARE),
        images=len(images),
    )


def pixels_holding(energy: Array, share: float) -> int:
    """The smallest number of pixels whose sum is at least `share` of the whole; 0 where all are zero."""
    ordered = np.sort(energy.ravel())[::-1].cumsum()
    return int(np.searchsorted(ordered, share * ordered[-1] * (1 - 1e-9)) + 1) if ordered[-1] > 0 else 0
