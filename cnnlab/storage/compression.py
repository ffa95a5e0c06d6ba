"""Lossy and lossless compression of weights, logits and model files."""

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_float16(values: NDArray[Any]) -> NDArray[np.floating[Any]]:
    """`values` as float16, about three significant digits; as float32 where one exceeds float16's 65,504."""
    fits = np.abs(values).max(initial=0) <= np.finfo(np.float16).max
    return values.astype(np.float16 if fits else np.float32)


def round_mantissa(values: NDArray[Any], bits: int) -> NDArray[np.float16]:
    """`values` as float16 whose mantissa is rounded to `bits` of its ten bits; the trailing zeros compress well."""
    dropped_bits = 10 - bits
    integers = values.astype(np.float16).view(np.uint16).astype(np.uint32)
    rounded = (integers + (1 << dropped_bits >> 1)) >> dropped_bits << dropped_bits
    return rounded.astype(np.uint16).view(np.float16)


def preserve_argmax(rounded: NDArray[Any], logits: NDArray[Any]) -> NDArray[Any]:
    """`rounded`, a lower-precision copy of `logits` (n, classes), changed in place so that each row keeps its argmax.

    Where rounding moved the largest value of a row, the original winner becomes the next number above the maximum.
    """
    winners = np.argmax(logits, axis=1)
    rows = np.flatnonzero(np.argmax(rounded, axis=1) != winners)
    rounded[rows, winners[rows]] = np.nextafter(rounded[rows].max(axis=1), np.inf, dtype=rounded.dtype)
    return rounded


def deflate_zip(content: bytes) -> bytes:
    """A zip archive (a .keras file is one) with its members deflated."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.namelist():
            target.writestr(zipfile.ZipInfo(member), source.read(member), zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()
