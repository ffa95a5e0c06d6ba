"""An image that a filter responds to strongly, found by gradient ascent on the pixels.

Erhan, Bengio, Courville and Vincent, "Visualizing higher-layer features of a deep network", 2009. Without a constraint
the result is high-frequency noise. Here the image is shifted by a few random pixels before each step (jitter), as in
Mordvintsev, Olah and Tyka, "Inceptionism", 2015: detail finer than the shifts is averaged away, so the result is
blurred.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.array_types import Array, PixelArray, Weights
from cnnlab.models.architecture import Layer, find_layer
from cnnlab.models.numpy_backward import activations_up_to, backpropagate

STEPS = 60
STEP_SIZE = 12.0  # root mean square change of a value in one step, in pixel values, at the first step; falls to zero
JITTER = 2  # pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class MaximizedActivation:
    """The result: image, uint8 (h, w, 3); start, end: the mean of the filter's map for the first image and the last."""

    image: PixelArray
    start: float
    end: float


def maximize_activation(
    layers: Sequence[Layer], weights: Weights, layer_name: str, filter: int, steps: int = STEPS, seed: int = 0
) -> MaximizedActivation:
    """Gradient ascent on the mean of one filter's map of a convolution or batch normalization, such as "conv2".

    It starts at gray noise drawn from `seed`; values stay within 0..255. Raises ValueError for a layer without feature
    maps, a filter that does not exist, or a number of steps below 1.
    """
    shape = find_layer(layers, layer_name).output_shape
    if len(shape) != 3 or not 0 <= filter < shape[-1]:
        raise ValueError(f"Expected a filter of a layer with feature maps. Received: {layer_name=}, filter={filter}")
    if steps < 1:
        raise ValueError(f"Expected at least one step. Received: steps={steps}")
    random = np.random.default_rng(seed)
    image: Array = random.normal(128, 10, (1, *layers[0].output_shape)).astype(np.float32)
    start = 0.0
    for step in range(steps):
        down, right = random.integers(-JITTER, JITTER + 1, 2)
        shifted = np.roll(image, (down, right), axis=(1, 2))
        value, grad = mean_activation_gradient(layers, weights, shifted, layer_name, filter)
        start = value if step == 0 else start
        length = max(float(np.sqrt((grad**2).mean())), 1e-12)
        shifted = shifted + grad / length * STEP_SIZE * (1 - step / steps)
        image = np.clip(np.roll(shifted, (-down, -right), axis=(1, 2)), 0, 255)
    pixels = np.rint(image).astype(np.uint8)
    end, _ = mean_activation_gradient(layers, weights, pixels, layer_name, filter)
    return MaximizedActivation(image=pixels[0], start=start, end=end)


def mean_activation_gradient(
    layers: Sequence[Layer], weights: Weights, images: Array, layer_name: str, filter: int
) -> tuple[float, Array]:
    """The mean of one filter's map over the images (n, h, w, 3), and its gradient, float32 (n, h, w, 3)."""
    layers, activations = activations_up_to(layers, weights, images, layer_name)
    maps = activations[layer_name]
    output_grad = np.zeros(maps.shape, np.float32)
    output_grad[..., filter] = 1 / maps[..., filter].size
    return float(maps[..., filter].mean()), backpropagate(layers, weights, activations, {layer_name: output_grad})
