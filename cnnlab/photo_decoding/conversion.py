"""Convert an open picture to a small RGB copy, stripe by stripe, so that only a small part is in memory twice."""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_COPY_SIDE = 640  # pixels; a longer photo is reduced to about this
MIN_COPY_SIDE = 128  # pixels of the short side that are kept: four times the network's 32, for a zoom of 4
MAX_COPY_PIXELS = 2**19  # a long, thin photo is reduced further, to 1.5 MB
STRIPE_PIXELS = 2**19  # pixels that are converted at a time
BITS_PER_SAMPLE = 258  # the TIFF tag


def has_deep_values(image: Image.Image) -> bool:
    """Whether a PNG or TIFF, opened and not decoded yet, has more than 8 bits a value, which Pillow may drop."""
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))
        return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)
    raw_modes = [tile[3] for tile in getattr(image, "tile", ())] if image.format == "PNG" else []
    return any(";16" in str(mode) for mode in raw_modes)


def reduced_rgb(image: Image.Image, deep: bool, note: Callable[[str], None]) -> Image.Image:
    """An RGB copy of an open picture, reduced by averaging whole blocks of pixels, with notes about what was done.

    Transparent parts become white; more than 8 bits a value (`deep`) are brought to 8. It is done stripe by stripe, so
    beside the decoded picture only a small part of it is in memory twice.
    """
    image.load()
    numeric = image.mode.startswith("I") or image.mode == "F"
    if deep or numeric:
        note("Values of more than 8 bits were brought to 0..255.")
    to_rgb, transparent = _numeric_to_rgb(image) if numeric else _on_white, False
    factor = reduction_factor(image.size)
    copy = Image.new("RGB", (math.ceil(image.width / factor), math.ceil(image.height / factor)))
    for top, stripe in _stripes(image, factor):
        converted, has_transparent = to_rgb(stripe)
        transparent |= has_transparent
        copy.paste(converted.reduce(factor) if factor > 1 else converted, (0, top // factor))
    if transparent:
        note("Transparent parts were put on white.")
    elif image.mode == "CMYK":
        note("Printing colors (CMYK) were turned into screen colors.")
    elif image.mode in ("1", "L", "LA", "La"):
        note("This image has no colors; the network was trained on color images.")
    return copy


def reduction_factor(size: tuple[int, int]) -> int:
    """How many pixels a side are averaged into one of the copy."""
    factor = min(math.ceil(max(size) / MAX_COPY_SIDE), max(1, min(size) // MIN_COPY_SIDE))
    while math.ceil(size[0] / factor) * math.ceil(size[1] / factor) > MAX_COPY_PIXELS:
        factor += 1
    return factor


def _stripes(image: Image.Image, factor: int) -> Iterator[tuple[int, Image.Image]]:
    """The picture in stripes of whole blocks of `factor` rows, each with its first row."""
    rows = factor * max(1, STRIPE_PIXELS // (image.width * factor))
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _on_white(stripe: Image.Image) -> tuple[Image.Image, bool]:
    """A stripe in RGB, transparent parts on white, and whether there are any."""
    if not stripe.has_transparency_data:
        return stripe.convert("RGB"), False
    layer = stripe.convert("RGBA")
    if layer.getchannel("A").getextrema() == (255, 255):
        return layer.convert("RGB"), False
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB"), True


def _numeric_to_rgb(image: Image.Image) -> Callable[[Image.Image], tuple[Image.Image, bool]]:
    """A function from a stripe of grey values to RGB: 16-bit ones from 0..65535, others from their lowest..highest."""
    import numpy as np

    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    else:
        ranges = [(values.min(), values.max()) for values in (_finite(stripe) for _, stripe in _stripes(image, 1))]
        low, high = float(min(lowest for lowest, _ in ranges)), float(max(highest for _, highest in ranges))
    scale = max(high - low, 1e-12)

    def to_rgb(stripe: Image.Image) -> tuple[Image.Image, bool]:
        values = np.rint((_finite(stripe) - low) / scale * 255).astype(np.uint8)
        return Image.fromarray(values).convert("RGB"), False

    return to_rgb


def _finite(stripe: Image.Image) -> "NDArray[np.float64]":
    import numpy as np

    return np.nan_to_num(np.asarray(stripe).astype(np.float64))
