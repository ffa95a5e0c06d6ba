"""Two runs, filter by filter: did they start from the same weights, and which filters correspond to each other?

The initial weights decide which filter learns what. Two runs with the same seed whose first layers have the same shape
start from the same weights, whatever their regularizer and later layers; then a filter often becomes similar in both.
From different initial weights, filters with the same index have nothing in common (Li et al., "Convergent learning: do
different neural networks learn the same representations?", 2015).
"""

import numpy as np

from cnnlab.array_types import Array, Float64Array

ROUNDING_TOLERANCE = 0.05  # share of a layer's largest weight by which rounding on disk may have moved a weight


def same_initialization(kernel: Array, other_kernel: Array) -> bool:
    """Whether two kernels (kh, kw, channels, f) before training are equal up to rounding on disk."""
    if kernel.shape != other_kernel.shape:
        return False
    largest = max(np.abs(kernel).max(), np.abs(other_kernel).max())
    return bool(np.abs(kernel - other_kernel).max() <= ROUNDING_TOLERANCE * largest)


def match_filters(kernel: Array, other_kernel: Array) -> Array:
    """For each filter of one layer the most similar one of another: int (f,), by the correlation of their kernels.

    Both are (kh, kw, channels, f); a constant kernel correlates with none, and its entry is the first filter.
    Raises ValueError where the shapes differ.
    """
    if kernel.shape != other_kernel.shape or kernel.ndim != 4:
        raise ValueError(
            f"Expected two kernels (kh, kw, channels, f) of one shape. Received: {kernel.shape}, {other_kernel.shape}"
        )
    correlations = _centered_unit_vectors(kernel) @ _centered_unit_vectors(other_kernel).T
    return np.asarray(correlations.argmax(axis=1))


def count_same_index_matches(kernel: Array, other_kernel: Array) -> int:
    """How many filters of one layer are most similar to the filter with the same index in the other."""
    return int((match_filters(kernel, other_kernel) == np.arange(kernel.shape[-1])).sum())


def _centered_unit_vectors(kernel: Array) -> Float64Array:
    """Each filter's weights minus their mean, scaled to length 1: float64 (f, weights)."""
    rows = np.nan_to_num(kernel.reshape(-1, kernel.shape[-1]).T.astype(np.float64), posinf=0, neginf=0)
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return np.asarray(rows / np.where(length > 0, length, 1))
