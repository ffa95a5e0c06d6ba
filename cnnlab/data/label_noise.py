"""Label noise: a share of the training labels is replaced at random, as in Zhang et al. (2017).

"Understanding deep learning requires rethinking generalization" (ICLR 2017) trains networks on such labels: a network
that reaches high accuracy on the changed labels has memorized them, since nothing in the images tells them.
"""

import zlib

import numpy as np

from cnnlab.array_types import PixelArray

STREAM = zlib.crc32(b"label noise")  # keeps these random numbers apart from those of the order of the images


def noisy_labels(labels: PixelArray, classes: int, share: float, seed: int) -> PixelArray:
    """A copy of `labels`, uint8 (n,), 0..classes-1, in which round(share * n) are replaced by a class drawn at random.

    Each class is equally likely, so of ten about a tenth of the replaced labels stay as they were. The result depends
    on `n`, `classes`, `share` and `seed` alone. Raises ValueError for a share outside 0..1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"Choose a share of the labels between 0 and 1. Received: share={share!r}")
    result = np.array(labels)
    rng = np.random.default_rng([seed, STREAM])
    chosen = rng.permutation(len(result))[: round(share * len(result))]
    result[chosen] = rng.integers(classes, size=len(chosen), dtype=result.dtype)
    return result
