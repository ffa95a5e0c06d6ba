"""Augmentation of training images: a random flip and a random shift, drawn anew for each image in each epoch.

The standard augmentation for CIFAR-10: an image is mirrored with probability 1/2, padded by 4 black pixels and cropped
to its size at a random place (Lee et al., "Deeply-supervised nets", 2015; He et al., "Deep residual learning", 2016).
What an image becomes depends on the seed, the epoch, its index and the number of images, so a resumed training sees the
same ones.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from cnnlab.array_types import PixelArray

MAX_SHIFT = 4  # pixels, in both directions of both axes
STREAM = zlib.crc32(b"augmentation")  # keeps these random numbers apart from those of the order of the images


def draw_transforms(count: int, seed: int, epoch: int) -> NDArray[np.int32]:
    """The random transforms of `count` images in this epoch, int32 (count, 3): flip (0 or 1), shift down, shift right.

    Shifts are -MAX_SHIFT to MAX_SHIFT pixels, each equally likely.
    """
    rng = np.random.default_rng([seed, STREAM, epoch])
    flips = rng.integers(2, size=(count, 1), dtype=np.int32)
    shifts = rng.integers(-MAX_SHIFT, MAX_SHIFT + 1, size=(count, 2), dtype=np.int32)
    return np.concatenate([flips, shifts], axis=1)


def source_indices(
    transforms: NDArray[np.int32], height: int, width: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Where each pixel of the result comes from in the padded image: rows (n, height) and columns (n, width), int32."""
    flips, down, right = (transforms[:, column, None] for column in range(3))
    rows = np.arange(height, dtype=np.int32) - down
    columns = np.arange(width, dtype=np.int32) - right
    return rows + MAX_SHIFT, np.where(flips == 1, width - 1 - columns, columns) + MAX_SHIFT


def augment(images: PixelArray, transforms: NDArray[np.int32]) -> PixelArray:
    """The images, uint8 (n, height, width, channels), each flipped and then shifted as its row of `transforms` says.

    Pixels that are shifted in from outside are 0.
    """
    rows, columns = source_indices(transforms, *images.shape[1:3])
    room = (MAX_SHIFT, MAX_SHIFT)
    padded = np.pad(images, ((0, 0), room, room, (0, 0)))
    return padded[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
