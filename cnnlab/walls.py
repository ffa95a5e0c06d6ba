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
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
Bytes = NDArray[np.uint8]

SCALES = ("layer", "map")
GAP = 1  # pixels between two maps
SMALL = 16  # a map with fewer pixels on its longer side is written larger
FAINTEST = 1e-3  # no map's scale ends below this share of the layer's: weaker maps are not blown up
LEAST = 1e-6  # no scale ends below this: smaller values are rounding
VIRIDIS = ("440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725")
PURPLE_ORANGE = (
    *("2d004b", "542788", "8073ac", "b2abd2", "d8daeb", "f7f7f7"),
    *("fee0b6", "fdb863", "e08214", "b35806", "7f3b08"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Wall:
    """The picture of a layer's maps, and what one needs to read it.

    png: a palette PNG of rows * columns cells, each a map of `tile` (height, width) numbers, `grain` pixels to each,
    and `gap` transparent pixels to its right and below. order: int (f,), the maps as they hang, left to right, top to
    bottom. By map number, each (f,): low and high, the map's own lowest and highest value; limit, the value that has
    the last colour (zero has the first one, or, where the wall is `signed`, the middle one); silent: zero everywhere;
    broken: not all values are finite numbers, as after a training that diverged (those are drawn as zero). zero_share,
    negative_share: the shares of all numbers that are exactly zero and below zero, 0 to 1.
    """

    png: bytes
    columns: int
    rows: int
    tile: tuple[int, int]
    grain: int
    gap: int
    signed: bool
    order: Array
    low: Array
    high: Array
    limit: Array
    silent: Array
    broken: Array
    zero_share: float
    negative_share: float

    @property
    def count(self) -> int:
        """How many maps hang here."""
        return len(self.order)

    @property
    def uri(self) -> str:
        """The picture as a data URI, for a chart."""
        return data_uri(self.png)

    @property
    def one_scale(self) -> bool:
        """Whether all maps are drawn on the same scale, so that their brightness can be compared."""
        return bool((self.limit == self.limit[0]).all())

    @property
    def cell(self) -> tuple[int, int]:
        """A map and its gap: (height, width) in pixels of the picture."""
        return self.tile[0] * self.grain + self.gap, self.tile[1] * self.grain + self.gap

    def place(self, number: int) -> tuple[int, int]:
        """Row and column where map `number` hangs."""
        return divmod(int(np.flatnonzero(self.order == number)[0]), self.columns)


def compose(
    maps: Array,
    scale: str = "layer",
    *,
    signed: bool = False,
    limit: Array | float | None = None,
    order: Sequence[int] | Array | None = None,
    columns: int | None = None,
    gap: int = GAP,
) -> Wall:
    """Hang the maps of one image, float (h, w, f), on a wall.

    scale: "layer" or "map" (see above). signed: values before ReLU, drawn on both sides of zero; without it negative
    values have the colour of zero. limit: the end of the scale, one number or (f,), to give several walls one scale
    (see `limits`); otherwise it is taken from the maps. order: which maps to hang and where; all of them by number.
    columns: how many in a row; otherwise as `across` has it.

    Raises ValueError for another shape, an unknown scale, a limit that is not above zero, or maps that are not there.
    """
    _check(maps, scale, columns)
    finite = np.isfinite(maps)
    broken = np.asarray(~finite.all(axis=(0, 1)))
    numbers = np.where(finite, maps, 0) if broken.any() else maps
    shown = np.arange(maps.shape[-1]) if order is None else _known(order, maps.shape[-1])
    columns = across(len(shown)) if columns is None else columns
    ends = limits([numbers], scale) if limit is None else _given(limit, maps.shape[-1])
    grain = max(1, SMALL // max(maps.shape[:2]))
    tiles = _indices(numbers[..., shown], ends[shown], signed).repeat(grain, axis=1).repeat(grain, axis=2)
    return Wall(
        png=_encode(_hang(tiles, columns, gap), signed),
        columns=columns,
        rows=math.ceil(len(shown) / columns),
        tile=(maps.shape[0], maps.shape[1]),
        grain=grain,
        gap=gap,
        signed=signed,
        order=shown,
        low=numbers.min(axis=(0, 1)),
        high=numbers.max(axis=(0, 1)),
        limit=ends,
        silent=np.asarray(~numbers.any(axis=(0, 1)) & ~broken),
        broken=broken,
        zero_share=float((numbers == 0).mean()),
        negative_share=float((numbers < 0).mean()),
    )


def across(count: int) -> int:
    """In how many columns `count` maps hang, so that the wall is about square and its rows are full: 8 in 4, 64 in 8.

    Where no number near the square root divides them, the last row is shorter: 7 hang in 3.
    """
    least = max(1, math.ceil(math.sqrt(count)))
    return next((columns for columns in range(least, int(1.5 * math.sqrt(count)) + 1) if count % columns == 0), least)


def hang(stages: Mapping[str, Array], names: Iterable[str], scale: str = "layer", image: int = 0) -> dict[str, Wall]:
    """The walls of several stages of one image, by name; stages: (n, h, w, f), as `forward.stages` gives them.

    Stages called conv or bn are drawn on both sides of zero (`signed`), all others from zero up.
    """
    return {name: compose(stages[name][image], scale, signed=is_signed(name)) for name in names}


def is_signed(stage: str) -> bool:
    """Whether a stage of this name comes before ReLU and has values on both sides of zero."""
    return stage.startswith(("conv", "bn"))


def limits(several: Iterable[Array], scale: str = "layer") -> Array:
    """Where a common scale of several sets of maps (h, w, f) ends: float (f,), by map number, never below LEAST.

    With "layer" all entries are equal: the largest magnitude in any of them. With "map" each is its map's, but at
    least FAINTEST times the layer's.
    """
    strongest = [np.abs(np.nan_to_num(maps, posinf=0, neginf=0)).max(axis=(0, 1)) for maps in several]
    ends = np.max(strongest, axis=0)
    whole = max(float(ends.max()), LEAST)
    return np.full_like(ends, whole) if scale == "layer" else np.maximum(ends, max(whole * FAINTEST, LEAST))


# ---- from numbers to colours ----------------------------------------------------------------------------------------


def palette(signed: bool) -> Bytes:
    """The colours: uint8 (256, 3). 0 is the gap, which is transparent; 1 to 255 run from the lowest to the highest
    value, so that a `signed` scale has zero in its middle, 128."""
    anchors = np.array([list(bytes.fromhex(text)) for text in (PURPLE_ORANGE if signed else VIRIDIS)], np.float64)
    places = np.linspace(0, len(anchors) - 1, 255)
    colours = [np.interp(places, np.arange(len(anchors)), channel) for channel in anchors.T]
    return np.vstack([np.zeros((1, 3)), np.rint(np.stack(colours, axis=1))]).astype(np.uint8)


PALETTES = {signed: palette(signed) for signed in (False, True)}


def colours(values: Array, limit: float, signed: bool) -> Bytes:
    """Numbers (h, w) as they are coloured on a wall whose scale ends at `limit`: uint8 (h, w, 3)."""
    values = np.nan_to_num(values, posinf=0, neginf=0)
    return np.asarray(PALETTES[signed][_indices(values[..., None], np.array([limit]), signed)[0]])


def ramp(signed: bool) -> str:
    """The colours of a legend, left to right, as the data URI of a picture one pixel high."""
    return data_uri(_encode(np.arange(1, 256, dtype=np.uint8)[None], signed))


def data_uri(png: bytes) -> str:
    """A PNG as text that a browser takes for a picture."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def overlay(image: Bytes, heat: Array, limit: float, signed: bool = False) -> Bytes:
    """Heat (h, w) laid over an image uint8 (h, w, 3): the stronger, the less of the (grey) image shines through."""
    grey = image.astype(np.float32).mean(axis=-1, keepdims=True)
    heat, limit = np.nan_to_num(heat, posinf=0, neginf=0), limit if np.isfinite(limit) else LEAST
    share = np.clip(np.abs(heat) / max(limit, LEAST), 0, 1)[..., None] * 0.85
    return np.asarray(np.rint(grey * (1 - share) + colours(heat, limit, signed) * share), np.uint8)


def mosaic(pictures: Bytes, columns: int, gap: int = GAP) -> bytes:
    """Small colour pictures uint8 (n, h, w, 3) side by side, `columns` in a row, with transparent gaps: a PNG.

    Every cell is as on a wall: the picture, and the gap to its right and below.
    """
    count, height, width, _ = pictures.shape
    rows = math.ceil(count / columns)
    canvas = np.zeros((rows * columns, height + gap, width + gap, 4), np.uint8)
    canvas[:count, :height, :width, :3] = pictures
    canvas[:count, :height, :width, 3] = 255
    laid = canvas.reshape(rows, columns, height + gap, width + gap, 4).transpose(0, 2, 1, 3, 4)
    return _saved(Image.fromarray(laid.reshape(rows * (height + gap), columns * (width + gap), 4)))


def enlarged(pixels: Bytes, factor: int) -> bytes:
    """Colours uint8 (h, w, 3) as a PNG, every pixel a square of `factor`, so that no browser blurs it."""
    return _saved(Image.fromarray(pixels.repeat(factor, axis=0).repeat(factor, axis=1)))


def _indices(maps: Array, ends: Array, signed: bool) -> Bytes:
    """Palette indices of maps (h, w, f), map by map: uint8 (f, h, w)."""
    low, steps, zero = (-1, 127, 128) if signed else (0, 254, 1)
    share = np.ascontiguousarray(maps.transpose(2, 0, 1)) / ends[:, None, None]
    return (np.rint(np.clip(share, low, 1) * steps) + zero).astype(np.uint8)


def _hang(tiles: Bytes, columns: int, gap: int) -> Bytes:
    """Tiles (f, h, w) on one canvas, rows of `columns`, with a gap right of and below each."""
    count, height, width = tiles.shape
    rows = math.ceil(count / columns)
    filled = np.zeros((rows * columns, height, width), np.uint8)
    filled[:count] = tiles
    canvas = np.zeros((rows, height + gap, columns, width + gap), np.uint8)
    canvas[:, :height, :, :width] = filled.reshape(rows, columns, height, width).transpose(0, 2, 1, 3)
    return canvas.reshape(rows * (height + gap), columns * (width + gap))


def _encode(indices: Bytes, signed: bool) -> bytes:
    picture = Image.fromarray(indices).convert("P")
    picture.putpalette(PALETTES[signed].tobytes())
    return _saved(picture, transparency=0)


def _saved(picture: Image.Image, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1, **options)
    return buffer.getvalue()


def _check(maps: Array, scale: str, columns: int | None) -> None:
    if maps.ndim != 3 or maps.size == 0:
        raise ValueError(f"Expected the maps of one image, (h, w, f), such as maps['relu1'][0]. Received: {maps.shape}")
    if scale not in SCALES:
        raise ValueError(f"Expected scale='layer' or scale='map'. Received: scale={scale!r}")
    if columns is not None and columns < 1:
        raise ValueError(f"Expected at least one column. Received: columns={columns}")


def _known(order: Sequence[int] | Array, count: int) -> Array:
    shown = np.asarray(order, np.int64)
    if shown.ndim != 1 or len(shown) == 0 or shown.min() < 0 or shown.max() >= count:
        raise ValueError(f"Expected an order of maps from 0 to {count - 1}. Received: order={order!r}")
    return shown


def _given(limit: Array | float, count: int) -> Array:
    ends = np.broadcast_to(np.asarray(limit, np.float32), (count,))
    if not (np.isfinite(ends).all() and (ends > 0).all()):
        raise ValueError(f"Expected a limit above zero, one number or one a map. Received: limit={limit!r}")
    return ends
