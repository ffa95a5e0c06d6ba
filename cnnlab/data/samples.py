"""The first twenty CIFAR-10 test images, shipped with the code for machines without the data set.

Image 0 is the cat whose feature maps the report shows. Source and license: sample_images/NOTICE. Where the data set is
present, pages use its 10,000 test images.
"""

import functools
from pathlib import Path

import numpy as np
from PIL import Image

from cnnlab.array_types import PixelArray

SAMPLE_DIRECTORY = Path(__file__).resolve().parent / "sample_images"


@functools.cache
def sample_images() -> tuple[PixelArray, PixelArray]:
    """Images uint8 (20, 32, 32, 3), RGB 0..255, and labels uint8 (20,), read-only, in the order of the test set."""
    files = sorted(SAMPLE_DIRECTORY.glob("cifar10_*.png"))
    images = np.stack([_pixels(file) for file in files])
    labels = np.array([int(file.stem.rpartition("_")[2]) for file in files], np.uint8)
    images.flags.writeable = labels.flags.writeable = False  # the cached arrays are shared by all pages and threads
    return images, labels


def _pixels(file: Path) -> PixelArray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))
