"""The windows of a convolution or a pooling: how many there are, and the border that 'same' padding adds."""

from collections.abc import Iterator

import numpy as np

from cnnlab.array_types import Array


def window_padding(size: int, kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """The positions added before and behind a side of `size` pixels: none for 'valid'.

    For 'same' as many as give ceil(size / stride) windows, the odd one behind, as in TensorFlow.
    """
    if padding == "valid":
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def window_count(size: int, kernel: int, stride: int, padding: str) -> int:
    """How many windows a side of `size` pixels has: the side of the output; 0 where no window fits."""
    return max((size + sum(window_padding(size, kernel, stride, padding)) - kernel) // stride + 1, 0)


def pad_border(maps: Array, rows: tuple[int, int], columns: tuple[int, int], value: float = 0) -> Array:
    """A border around every map, before and behind its rows and its columns: (n, h, w, c) -> (n, h + ..., w + ..., c).

    The maps themselves where the border is empty.
    """
    if not any((*rows, *columns)):
        return maps
    return np.pad(maps, ((0, 0), rows, columns, (0, 0)), constant_values=value)


def pad_windows(maps: Array, size: tuple[int, int], stride: int, padding: str, value: float = 0) -> Array:
    """The maps with the border that windows of `size` need with this padding."""
    rows, columns = (
        window_padding(side, kernel, stride, padding) for side, kernel in zip(maps.shape[1:3], size, strict=True)
    )
    return pad_border(maps, rows, columns, value)


def window_pixels(maps: Array, size: int, stride: int) -> Iterator[tuple[int, int, Array]]:
    """Each position (row, column) of a square window, with the pixels that all windows have there, (n, h', w', c)."""
    height, width = ((side - size) // stride * stride + 1 for side in maps.shape[1:3])
    for row, column in np.ndindex(size, size):
        yield row, column, maps[:, row : row + height : stride, column : column + width : stride]
