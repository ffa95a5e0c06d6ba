"""Two runs, filter by filter: did they begin alike, and is filter 12 of one still what filter 12 of the other is?

Which filter learns what is decided by the numbers a training starts from. Two runs of the same seed, whose first layers
have the same shape, start from the same ones, whatever their regularizer and the layers behind: then a filter often
becomes much the same in both. With other numbers at the start, equal numbers of filters mean nothing.
"""

import numpy as np

from cnnlab.array_types import Array

ROUNDING_TOLERANCE = 0.05  # share of a layer's largest weight that rounding on the disk may have moved a weight by


def same_initialization(one: Array, other: Array) -> bool:
    """Whether two layers' kernels (kh, kw, channels, f) before training are the same, but for rounding."""
    if one.shape != other.shape:
        return False
    return bool(np.abs(one - other).max() <= ROUNDING_TOLERANCE * max(np.abs(one).max(), np.abs(other).max()))


def match_filters(one: Array, other: Array) -> Array:
    """For each filter of one layer the most similar one of another: int (f,), by the correlation of their kernels.

    Both are (kh, kw, channels, f); a kernel of equal numbers resembles none, and its entry is the first filter.
    Raises ValueError where the shapes differ.
    """
    if one.shape != other.shape or one.ndim != 4:
        raise ValueError(
            f"Expected two kernels (kh, kw, channels, f) of one shape. Received: {one.shape}, {other.shape}"
        )
    return np.asarray((_centered_unit_vectors(one) @ _centered_unit_vectors(other).T).argmax(axis=1))


def count_same_index_matches(one: Array, other: Array) -> int:
    """How many filters of one layer are most like the one with the same number in the other."""
    return int((match_filters(one, other) == np.arange(one.shape[-1])).sum())


def _centered_unit_vectors(kernel: Array) -> Array:
    """Each filter's weights without their mean, of length 1: float64 (f, weights)."""
    rows = np.nan_to_num(kernel.reshape(-1, kernel.shape[-1]).T.astype(np.float64), posinf=0, neginf=0)
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return np.asarray(rows / np.where(length > 0, length, 1))
