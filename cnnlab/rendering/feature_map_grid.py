"""All maps of a layer in one picture: a wall.

A layer of 64 maps is 64 small grey pictures only if somebody decides what grey means. Here that decision is explicit:

- *Zero always has the same colour.* After ReLU values begin at zero, which is the dark end of the scale; before ReLU
  zero is the light middle, negative values are purple and positive ones orange. So a map that found nothing looks
  empty, whatever the other maps do.
- *"layer"* uses one scale for the whole wall: a map twice as strong is twice as far up the scale, weak maps stay dark.
  *"map"* gives each map its own, to see detail; then brightness must not be compared between maps.
- *Flat maps stay flat.* Stretching a map to its own lowest and highest value would blow rounding noise up to a picture.
  A scale begins at zero, and none ends below a thousandth of the layer's, so a constant map is one colour.

The picture is a palette PNG in the maps' own resolution with one transparent pixel between two maps: 99 KB for three
walls of 64, a few milliseconds. The browser enlarges it without smoothing: every square one sees is one number. (Maps
of a few pixels are written larger, `grain` pixels for each number, or the gaps would be as wide as the maps.)

Colours: viridis (van der Walt and Smith, 2015) and ColorBrewer's purple-orange (Brewer and Harrower), both chosen to be
told apart by colour-blind people; on a dark page the empty maps stay visible.
"""

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cnnlab.array_types import Array, PixelArray
from cnnlab.models.architecture import Layer

SCALES = ("layer", "map")
GAP_PIXELS = 1  # pixels between two maps
MIN_MAP_PIXELS = 16  # a map with fewer pixels on its longer side is written larger
MIN_VMAX_SHARE = 1e-3  # no map's scale ends below this share of the layer's: weaker maps are not blown up
MIN_VMAX = 1e-6  # no scale ends below this: smaller values are rounding
VIRIDIS = ("440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725")
PURPLE_ORANGE = (
    *("2d004b", "542788", "8073ac", "b2abd2", "d8daeb", "f7f7f7"),
    *("fee0b6", "fdb863", "e08214", "b35806", "7f3b08"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMapGrid:
    """The picture of a layer's maps, and what one needs to read it.

    png: a palette PNG of rows * columns cells, each a map of `map_shape` (height, width) numbers, `pixel_scale` pixels
    to each, and `gap` transparent pixels to its right and below. order: int (f,), the maps as they are arranged, left
    to right, top to bottom. By map number, each (f,): minimum and maximum, the map's own; vmax, the value that has the
    last colour (zero has the first one, or, with `signed`, the middle one); inactive: zero everywhere; non_finite: not
    all values are finite numbers, as after a training that diverged (those are drawn as zero). zero_share,
    negative_share: the shares of all numbers that are exactly zero and below zero, 0 to 1.
    """

    png: bytes
    columns: int
    rows: int
    map_shape: tuple[int, int]
    pixel_scale: int
    gap: int
    signed: bool
    order: Array
    minimum: Array
    maximum: Array
    vmax: Array
    inactive: Array
    non_finite: Array
    zero_share: float
    negative_share: float

    @property
    def count(self) -> int:
        """How many maps hang here."""
        return len(self.order)

    @property
    def data_uri(self) -> str:
        """The picture as a data URI, for a chart."""
        return png_data_uri(self.png)

    @property
    def shares_scale(self) -> bool:
        """Whether all maps are drawn on the same scale, so that their brightness can be compared."""
        return bool((self.vmax == self.vmax[0]).all())

    @property
    def cell_shape(self) -> tuple[int, int]:
        """A map and its gap: (height, width) in pixels of the picture."""
        return self.map_shape[0] * self.pixel_scale + self.gap, self.map_shape[1] * self.pixel_scale + self.gap

    def position(self, number: int) -> tuple[int, int]:
        """Row and column where map `number` hangs."""
        return divmod(int(np.flatnonzero(self.order == number)[0]), self.columns)


def render_feature_maps(
    maps: Array,
    scale: str = "layer",
    *,
    signed: bool = False,
    vmax: Array | float | None = None,
    order: Sequence[int] | Array | None = None,
    columns: int | None = None,
    gap: int = GAP_PIXELS,
) -> FeatureMapGrid:
    """Draw the maps of one image, float (h, w, f), as one grid.

    scale: "layer" or "map" (see above). signed: values before ReLU, drawn on both sides of zero; without it negative
    values have the colour of zero. vmax: the end of the scale, one number or (f,), to give several grids one scale
    (see `shared_vmax`); otherwise it is taken from the maps. order: which maps to draw, in which order; all of them by
    number. columns: how many in a row; otherwise chosen from the number of maps.

    Raises ValueError for another shape, an unknown scale, a limit that is not above zero, or maps that are not there.
    """
    _check_maps(maps, scale, columns)
    finite = np.isfinite(maps)
    broken = np.asarray(~finite.all(axis=(0, 1)))
    numbers = np.where(finite, maps, 0) if broken.any() else maps
    shown = np.arange(maps.shape[-1]) if order is None else _check_order(order, maps.shape[-1])
    columns = grid_columns(len(shown)) if columns is None else columns
    ends = shared_vmax([numbers], scale) if vmax is None else _check_vmax(vmax, maps.shape[-1])
    grain = max(1, MIN_MAP_PIXELS // max(maps.shape[:2]))
    tiles = _palette_indices(numbers[..., shown], ends[shown], signed).repeat(grain, axis=1).repeat(grain, axis=2)
    return FeatureMapGrid(
        png=_palette_png(_tile(tiles, columns, gap), signed),
        columns=columns,
        rows=math.ceil(len(shown) / columns),
        map_shape=(maps.shape[0], maps.shape[1]),
        pixel_scale=grain,
        gap=gap,
        signed=signed,
        order=shown,
        minimum=numbers.min(axis=(0, 1)),
        maximum=numbers.max(axis=(0, 1)),
        vmax=ends,
        inactive=np.asarray(~numbers.any(axis=(0, 1)) & ~broken),
        non_finite=broken,
        zero_share=float((numbers == 0).mean()),
        negative_share=float((numbers < 0).mean()),
    )


def grid_columns(count: int) -> int:
    """In how many columns `count` maps hang, so that the wall is about square and its rows are full: 8 in 4, 64 in 8.

    Where no number near the square root divides them, the last row is shorter: 7 hang in 3.
    """
    least = max(1, math.ceil(math.sqrt(count)))
    return next((columns for columns in range(least, int(1.5 * math.sqrt(count)) + 1) if count % columns == 0), least)


def render_layers(
    activations: Mapping[str, Array], layers: Iterable[Layer], scale: str = "layer", image: int = 0
) -> dict[str, FeatureMapGrid]:
    """The grids of several layers for one image of the batch, by layer name; activations: (n, h, w, f)."""
    return {
        layer.name: render_feature_maps(activations[layer.name][image], scale, signed=layer.signed) for layer in layers
    }


def shared_vmax(map_sets: Iterable[Array], scale: str = "layer") -> Array:
    """Where a common scale of several sets of maps (h, w, f) ends: float (f,), by map number, never below MIN_VMAX.

    With "layer" all entries are equal: the largest magnitude in any of them. With "map" each is its map's, but at
    least MIN_VMAX_SHARE times the layer's.
    """
    strongest = [np.abs(np.nan_to_num(maps, posinf=0, neginf=0)).max(axis=(0, 1)) for maps in map_sets]
    ends = np.max(strongest, axis=0)
    whole = max(float(ends.max()), MIN_VMAX)
    return np.full_like(ends, whole) if scale == "layer" else np.maximum(ends, max(whole * MIN_VMAX_SHARE, MIN_VMAX))


# ---- from numbers to colours ----------------------------------------------------------------------------------------


def palette(signed: bool) -> PixelArray:
    """The colours: uint8 (256, 3). 0 is the gap, which is transparent; 1 to 255 run from the lowest to the highest
    value, so that a `signed` scale has zero in its middle, 128."""
    anchors = np.array([list(bytes.fromhex(text)) for text in (PURPLE_ORANGE if signed else VIRIDIS)], np.float64)
    places = np.linspace(0, len(anchors) - 1, 255)
    colours = [np.interp(places, np.arange(len(anchors)), channel) for channel in anchors.T]
    return np.vstack([np.zeros((1, 3)), np.rint(np.stack(colours, axis=1))]).astype(np.uint8)


PALETTES = {signed: palette(signed) for signed in (False, True)}


def colorize(values: Array, vmax: float, signed: bool) -> PixelArray:
    """Numbers (h, w) as they are coloured on a wall whose scale ends at `limit`: uint8 (h, w, 3)."""
    values = np.nan_to_num(values, posinf=0, neginf=0)
    return np.asarray(PALETTES[signed][_palette_indices(values[..., None], np.array([vmax]), signed)[0]])


def colorbar_uri(signed: bool) -> str:
    """The colours of a legend, left to right, as the data URI of a picture one pixel high."""
    return png_data_uri(_palette_png(np.arange(1, 256, dtype=np.uint8)[None], signed))


def png_data_uri(png: bytes) -> str:
    """A PNG as text that a browser takes for a picture."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def overlay_heatmap(image: PixelArray, heatmap: Array, vmax: float, signed: bool = False) -> PixelArray:
    """Heat (h, w) laid over an image uint8 (h, w, 3): the stronger, the less of the (grey) image shines through."""
    grey = image.astype(np.float32).mean(axis=-1, keepdims=True)
    heatmap, vmax = np.nan_to_num(heatmap, posinf=0, neginf=0), vmax if np.isfinite(vmax) else MIN_VMAX
    share = np.clip(np.abs(heatmap) / max(vmax, MIN_VMAX), 0, 1)[..., None] * 0.85
    return np.asarray(np.rint(grey * (1 - share) + colorize(heatmap, vmax, signed) * share), np.uint8)


def image_grid_png(images: PixelArray, columns: int, gap: int = GAP_PIXELS) -> bytes:
    """Small colour pictures uint8 (n, h, w, 3) side by side, `columns` in a row, with transparent gaps: a PNG.

    Every cell is as on a wall: the picture, and the gap to its right and below.
    """
    count, height, width, _ = images.shape
    rows = math.ceil(count / columns)
    canvas = np.zeros((rows * columns, height + gap, width + gap, 4), np.uint8)
    canvas[:count, :height, :width, :3] = images
    canvas[:count, :height, :width, 3] = 255
    laid = canvas.reshape(rows, columns, height + gap, width + gap, 4).transpose(0, 2, 1, 3, 4)
    return _png_bytes(Image.fromarray(laid.reshape(rows * (height + gap), columns * (width + gap), 4)))


def upscaled_png(pixels: PixelArray, factor: int) -> bytes:
    """Colours uint8 (h, w, 3) as a PNG, every pixel a square of `factor`, so that no browser blurs it."""
    return _png_bytes(Image.fromarray(pixels.repeat(factor, axis=0).repeat(factor, axis=1)))


def _palette_indices(maps: Array, vmax: Array, signed: bool) -> PixelArray:
    """Palette indices of maps (h, w, f), map by map: uint8 (f, h, w)."""
    low, steps, zero = (-1, 127, 128) if signed else (0, 254, 1)
    share = np.ascontiguousarray(maps.transpose(2, 0, 1)) / vmax[:, None, None]
    return (np.rint(np.clip(share, low, 1) * steps) + zero).astype(np.uint8)


def _tile(tiles: PixelArray, columns: int, gap: int) -> PixelArray:
    """Tiles (f, h, w) on one canvas, rows of `columns`, with a gap right of and below each."""
    count, height, width = tiles.shape
    rows = math.ceil(count / columns)
    filled = np.zeros((rows * columns, height, width), np.uint8)
    filled[:count] = tiles
    canvas = np.zeros((rows, height + gap, columns, width + gap), np.uint8)
    canvas[:, :height, :, :width] = filled.reshape(rows, columns, height, width).transpose(0, 2, 1, 3)
    return canvas.reshape(rows * (height + gap), columns * (width + gap))


def _palette_png(indices: PixelArray, signed: bool) -> bytes:
    picture = Image.fromarray(indices).convert("P")
    picture.putpalette(PALETTES[signed].tobytes())
    return _png_bytes(picture, transparency=0)


def _png_bytes(picture: Image.Image, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1, **options)
    return buffer.getvalue()


def _check_maps(maps: Array, scale: str, columns: int | None) -> None:
    if maps.ndim != 3 or maps.size == 0:
        raise ValueError(f"Expected the maps of one image, (h, w, f), such as maps['relu1'][0]. Received: {maps.shape}")
    if scale not in SCALES:
        raise ValueError(f"Expected scale='layer' or scale='map'. Received: scale={scale!r}")
    if columns is not None and columns < 1:
        raise ValueError(f"Expected at least one column. Received: columns={columns}")


def _check_order(order: Sequence[int] | Array, count: int) -> Array:
    shown = np.asarray(order, np.int64)
    if shown.ndim != 1 or len(shown) == 0 or shown.min() < 0 or shown.max() >= count:
        raise ValueError(f"Expected an order of maps from 0 to {count - 1}. Received: order={order!r}")
    return shown


def _check_vmax(vmax: Array | float, count: int) -> Array:
    ends = np.broadcast_to(np.asarray(vmax, np.float32), (count,))
    if not (np.isfinite(ends).all() and (ends > 0).all()):
        raise ValueError(f"Expected vmax above zero, one number or one a map. Received: vmax={vmax!r}")
    return ends
