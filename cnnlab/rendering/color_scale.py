"""The color scales of feature maps and heat maps, and images as PNG.

Color scales: viridis (van der Walt and Smith, 2015) and ColorBrewer's purple-orange (Brewer and Harrower), both
distinguishable for color-blind readers; inactive maps stay visible on a dark page.
"""

import base64
import io
import math

import numpy as np
from PIL import Image

from cnnlab.array_types import Array, PixelArray

GAP_PIXELS = 1  # pixels between two maps
MIN_VMAX = 1e-6  # no scale ends below this: smaller values are rounding
VIRIDIS = ("440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725")
PURPLE_ORANGE = (
    *("2d004b", "542788", "8073ac", "b2abd2", "d8daeb", "f7f7f7"),
    *("fee0b6", "fdb863", "e08214", "b35806", "7f3b08"),
)


def palette(signed: bool) -> PixelArray:
    """The colors: uint8 (256, 3). Index 0 is the transparent gap; 1 to 255 are the lowest to the highest value.

    A `signed` scale has zero at index 128.
    """
    anchors = np.array([list(bytes.fromhex(text)) for text in (PURPLE_ORANGE if signed else VIRIDIS)], np.float64)
    positions = np.linspace(0, len(anchors) - 1, 255)
    colors = [np.interp(positions, np.arange(len(anchors)), channel) for channel in anchors.T]
    return np.vstack([np.zeros((1, 3)), np.rint(np.stack(colors, axis=1))]).astype(np.uint8)


PALETTES = {signed: palette(signed) for signed in (False, True)}


def colorize(values: Array, vmax: float, signed: bool) -> PixelArray:
    """The colors of values (h, w) on a scale that ends at `vmax`: uint8 (h, w, 3)."""
    values = np.nan_to_num(values, posinf=0, neginf=0)
    return np.asarray(PALETTES[signed][palette_indices(values[..., None], np.array([vmax]), signed)[0]])


def colorbar_uri(signed: bool) -> str:
    """The color bar, lowest value left, as the data URI of an image one pixel high."""
    return png_data_uri(palette_png(np.arange(1, 256, dtype=np.uint8)[None], signed))


def overlay_heatmap(image: PixelArray, heatmap: Array, vmax: float, signed: bool = False) -> PixelArray:
    """A heat map (h, w) blended over the image, uint8 (h, w, 3), in gray; its opacity grows with its magnitude."""
    gray = image.astype(np.float32).mean(axis=-1, keepdims=True)
    heatmap, vmax = np.nan_to_num(heatmap, posinf=0, neginf=0), vmax if np.isfinite(vmax) else MIN_VMAX
    share = np.clip(np.abs(heatmap) / max(vmax, MIN_VMAX), 0, 1)[..., None] * 0.85
    return np.asarray(np.rint(gray * (1 - share) + colorize(heatmap, vmax, signed) * share), np.uint8)


def palette_indices(maps: Array, vmax: Array, signed: bool) -> PixelArray:
    """Palette indices of maps (h, w, f), map by map: uint8 (f, h, w)."""
    low, steps, zero = (-1, 127, 128) if signed else (0, 254, 1)
    share = np.ascontiguousarray(maps.transpose(2, 0, 1)) / vmax[:, None, None]
    return (np.rint(np.clip(share, low, 1) * steps) + zero).astype(np.uint8)


def palette_png(indices: PixelArray, signed: bool) -> bytes:
    """Indices uint8 (h, w) into `palette(signed)` as a PNG; index 0 is transparent."""
    image = Image.fromarray(indices).convert("P")
    image.putpalette(PALETTES[signed].tobytes())
    return _png_bytes(image, transparency=0)


def png_data_uri(png: bytes) -> str:
    """A PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def image_grid_png(images: PixelArray, columns: int, gap: int = GAP_PIXELS) -> bytes:
    """Color images uint8 (n, h, w, 3) in a grid of `columns`, as a PNG, with transparent gaps right and below."""
    count, height, width, _ = images.shape
    rows = math.ceil(count / columns)
    canvas = np.zeros((rows * columns, height + gap, width + gap, 4), np.uint8)
    canvas[:count, :height, :width, :3] = images
    canvas[:count, :height, :width, 3] = 255
    grid = canvas.reshape(rows, columns, height + gap, width + gap, 4).transpose(0, 2, 1, 3, 4)
    return _png_bytes(Image.fromarray(grid.reshape(rows * (height + gap), columns * (width + gap), 4)))


def upscaled_png(pixels: PixelArray, factor: int) -> bytes:
    """Pixels uint8 (h, w, 3) as a PNG, each enlarged to `factor` by `factor`, so that browsers do not blur them."""
    return _png_bytes(Image.fromarray(pixels.repeat(factor, axis=0).repeat(factor, axis=1)))


def _png_bytes(image: Image.Image, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1, **options)
    return buffer.getvalue()
