"""Filters that are off and changed kernels as short texts for a URL, and back, with every value checked."""

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MAX_CHARACTERS = 2_000  # of one text: proxies refuse longer addresses, and a QR code holds no more than 2,953 bytes
MAX_WEIGHT = 1_000.0
FILTERS_PATTERN = re.compile(r"[a-z_]{1,12}[0-9]{1,2}(\.[0-9]{1,4}(-[0-9]{1,4})?)+")
KERNEL_PATTERN = re.compile(r"(?P<number>[0-9]{1,4})\.(?P<values>[A-Za-z0-9_-]+)")


def format_filters(filters: Mapping[str, Collection[int]]) -> str:
    """'conv1.0-3.7~conv2.5' for the filters 0, 1, 2, 3 and 7 of conv1 and 5 of conv2; "" for none."""
    layers = [f"{name}.{'.'.join(_ranges(numbers))}" for name, numbers in filters.items() if numbers]
    return "~".join(layers)


def parse_filters(text: str, counts: Mapping[str, int]) -> dict[str, frozenset[int]]:
    """The filters that `format_filters` wrote, by layer; `counts` has the number of filters of each layer.

    Raises ValueError for another form, a layer that is not in `counts`, and a number that the layer does not have.
    """
    found: dict[str, frozenset[int]] = {}
    for part in _parts(text):
        name, *ranges = part.split(".")
        if not FILTERS_PATTERN.fullmatch(part) or name not in counts or name in found:
            raise ValueError(f"Expected filters as conv1.0-3.7~conv2.5. Received: {part[:40]!r}")
        bounds = [[int(number) for number in written.split("-")] for written in ranges]
        if any(ends[0] > ends[-1] or ends[-1] >= counts[name] for ends in bounds):
            raise ValueError(f"{name} has filters 0 to {counts[name] - 1}. Received: {part[:40]!r}")
        found[name] = frozenset(number for ends in bounds for number in range(ends[0], ends[-1] + 1))
    return found


def format_kernels(kernels: Mapping[int, NDArray[np.float32]]) -> str:
    """'3.<base64>~17.<base64>': each kernel's values as float16, row by row, in URL-safe base64; "" for none.

    Raises ValueError where a value is no number or above MAX_WEIGHT, or where the text is above MAX_CHARACTERS.
    """
    parts = []
    for number, values in kernels.items():
        if not np.isfinite(values).all() or np.abs(values).max() > MAX_WEIGHT:
            raise ValueError(f"A changed kernel has weights from -{MAX_WEIGHT:,.0f} to {MAX_WEIGHT:,.0f} only.")
        content = base64.urlsafe_b64encode(values.astype("<f2").tobytes()).decode().rstrip("=")
        parts.append(f"{number}.{content}")
    text = "~".join(parts)
    if len(text) > MAX_CHARACTERS:
        room = len(parts) * MAX_CHARACTERS // len(text)
        raise ValueError(f"An address has room for {room} changed kernels of this size: reset some first.")
    return text


def parse_kernels(text: str, shape: tuple[int, ...]) -> dict[int, NDArray[np.float32]]:
    """The kernels that `format_kernels` wrote, float32 (height, width, channels), by the number of the filter.

    shape: (height, width, channels, filters) of the layer. Raises ValueError for anything else.
    """
    found: dict[int, NDArray[np.float32]] = {}
    for part in _parts(text):
        match = KERNEL_PATTERN.fullmatch(part)
        number = int(match["number"]) if match else shape[-1]
        if match is None or number >= shape[-1] or number in found:
            raise ValueError(f"Expected a number from 0 to {shape[-1] - 1} and a kernel. Received: {part[:40]!r}")
        found[number] = _kernel(match["values"], shape[:-1])
    return found


def _kernel(text: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        content = b""
    if len(content) != 2 * int(np.prod(shape)):
        raise ValueError(f"Expected a kernel of {'x'.join(map(str, shape))} values. Received: {text[:40]!r}")
    values = np.frombuffer(content, "<f2").reshape(shape).astype(np.float32)
    if not np.isfinite(values).all() or np.abs(values).max() > MAX_WEIGHT:
        raise ValueError(f"A kernel has finite weights up to {MAX_WEIGHT:,.0f}. Received: {text[:40]!r}")
    return values


def _parts(text: str) -> list[str]:
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"Expected at most {MAX_CHARACTERS:,} characters. Received: {len(text):,} characters")
    return text.split("~") if text else []


def _ranges(numbers: Collection[int]) -> list[str]:
    """Consecutive numbers as 'first-last'."""
    ordered = sorted(numbers)
    cuts = [0, *(index for index, (a, b) in enumerate(pairwise(ordered), start=1) if b > a + 1), len(ordered)]
    runs = [(ordered[start], ordered[end - 1]) for start, end in pairwise(cuts)]
    return [str(first) if first == last else f"{first}-{last}" for first, last in runs]
