"""Small changes to one image that leave its class the same for a person: flip, shift, rotation, brightness, noise.

Convolutions respond alike wherever an object stands, the dense layers behind them do not, and no layer is invariant to
rotation. Every function takes a uint8 image (h, w, 3) and returns a new one of the same shape. Pixels that become
unknown (at the border after a shift or a rotation) repeat the nearest known pixel, since a black border would be a cue.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from cnnlab.array_types import PixelArray


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """A change to an image, applied in this order: flip, shift, rotation, brightness, noise.

    down, right: whole pixels; degrees: counter-clockwise; brightness: added to every value, -255..255; noise: standard
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
        """The changed image, uint8 (h, w, 3). The defaults change nothing."""
        image = flip(image) if self.flipped else image
        image = shift(image, self.down, self.right)
        image = rotate(image, self.degrees)
        return add_noise(brighten(image, self.brightness), self.noise, self.seed)


def flip(image: PixelArray) -> PixelArray:
    """Mirror the image: left becomes right."""
    return image[:, ::-1].copy()


def shift(image: PixelArray, down: int, right: int) -> PixelArray:
    """Move the image by whole pixels; negative numbers move it up and left."""
    height, width = image.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return image[rows][:, columns]


def rotate(image: PixelArray, degrees: float) -> PixelArray:
    """Rotate the image counter-clockwise about its center, with bilinear interpolation."""
    if degrees % 360 == 0:
        return image.copy()
    height, width = image.shape[:2]
    padded = np.pad(image, ((height, height), (width, width), (0, 0)), mode="edge")
    rotated = np.asarray(Image.fromarray(padded).rotate(degrees, Image.Resampling.BILINEAR))
    return rotated[height : 2 * height, width : 2 * width].copy()


def brighten(image: PixelArray, by: int) -> PixelArray:
    """Add the same number to every value (negative: darker); values are clipped to 0..255."""
    return np.clip(image.astype(np.int16) + by, 0, 255).astype(np.uint8)


def add_noise(image: PixelArray, std: float, seed: int = 0) -> PixelArray:
    """Add independent normal noise of this standard deviation, in pixel values, to every value.

    Raises ValueError for a negative deviation.
    """
    if std < 0:
        raise ValueError(f"Expected a standard deviation of 0 or more, in pixel values. Received: {std=}")
    noise = np.random.default_rng(seed).normal(0, std, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
