"""What if the picture were a little different? Changes to one image that a person would hardly mind.

A cat turned left is a cat. Whether the network thinks so says what it has learned: a convolution does not care where
something stands, the dense layers behind it do; nothing in the network knows about turning.

Everything takes a uint8 image (h, w, 3) and returns a new one of the same shape. Places that nothing is known about
(the border after a shift or a turn) repeat the nearest known pixel: a black border would be a hint of its own.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from cnnlab.array_types import PixelArray


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """A change, made in this order: mirrored, shifted, turned, brighter, noise.

    down, right: whole pixels; degrees: counter-clockwise; brighter: added to every value, -255..255; noise: standard
    deviation in pixel values, 0 or more, drawn from `seed`.
    """

    flipped: bool = False
    down: int = 0
    right: int = 0
    degrees: float = 0.0
    brightness: int = 0
    noise: float = 0.0
    seed: int = 0

    def __call__(self, image: PixelArray) -> PixelArray:
        """The changed image, uint8 (h, w, 3). With the defaults: an equal one."""
        image = flip(image) if self.flipped else image
        image = shift(image, self.down, self.right)
        image = rotate(image, self.degrees)
        return add_noise(brighten(image, self.brightness), self.noise, self.seed)


def flip(image: PixelArray) -> PixelArray:
    """Left becomes right."""
    return image[:, ::-1].copy()


def shift(image: PixelArray, down: int, right: int) -> PixelArray:
    """Move the picture by whole pixels; negative numbers move it up and left."""
    height, width = image.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return image[rows][:, columns]


def rotate(image: PixelArray, degrees: float) -> PixelArray:
    """Turn the picture counter-clockwise about its middle, bilinear between pixels."""
    if degrees % 360 == 0:
        return image.copy()
    height, width = image.shape[:2]
    framed = np.pad(image, ((height, height), (width, width), (0, 0)), mode="edge")
    turned = np.asarray(Image.fromarray(framed).rotate(degrees, Image.Resampling.BILINEAR))
    return turned[height : 2 * height, width : 2 * width].copy()


def brighten(image: PixelArray, by: int) -> PixelArray:
    """Add the same number to every value (negative: darker); values stay within 0..255."""
    return np.clip(image.astype(np.int16) + by, 0, 255).astype(np.uint8)


def add_noise(image: PixelArray, std: float, seed: int = 0) -> PixelArray:
    """Add normal noise of this standard deviation, in pixel values, to every value by itself.

    Raises ValueError for a negative deviation.
    """
    if std < 0:
        raise ValueError(f"Expected a standard deviation of 0 or more, in pixel values. Received: {std=}")
    noise = np.random.default_rng(seed).normal(0, std, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
