"""Renders all feature maps of a layer as one image, a grid of small maps.

How values become colors:

- *Zero always has the same color.* After ReLU values start at zero, the dark end of the scale; before ReLU zero is the
  light middle, negative values are purple and positive ones orange. So an inactive map looks empty, whatever the values
  of the other maps.
- *Scale "layer"* is one scale for the whole grid: brightness can be compared between maps. *Scale "map"* gives each map
  its own scale, to show detail; brightness must not be compared then.
- *Constant maps have one color.* Scaling each map to its own minimum and maximum would amplify rounding noise. A scale
  starts at zero and never ends below MIN_VMAX_SHARE of the layer's maximum.

The image is a palette PNG in the maps' own resolution with one transparent pixel between maps: 99 KB for three grids of
64 maps, a few milliseconds. The browser enlarges it without smoothing, so each visible square is one value. (Maps of a
few pixels are written larger, `pixel_scale` pixels per value, or the gaps would be as wide as the maps.)

`color_scale` has the colors and the encoding as PNG.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.array_types import Array, PixelArray
from cnnlab.models.architecture import Layer
from cnnlab.rendering.color_scale import GAP_PIXELS, MIN_VMAX, palette_indices, palette_png, png_data_uri

SCALES = ("layer", "map")
MIN_MAP_PIXELS = 16  # a map with fewer pixels on its longer side is written larger
MIN_VMAX_SHARE = 1e-3  # no map's scale ends below this share of the layer's


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMapGrid:
    """The image of a layer's maps, and the values needed to interpret it.

    png: a palette PNG of rows * columns cells, each a map of `map_shape` (height, width) numbers, `pixel_scale` pixels
    to each, and `gap` transparent pixels to its right and below. order: int (f,), the maps as they are arranged, left
    to right, top to bottom. By map number, each (f,): minimum and maximum, the map's own; vmax, the value drawn in the
    last color (zero has the first color or, with `signed`, the middle one); inactive: zero everywhere; non_finite: not
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
        """The number of maps in the grid."""
        return len(self.order)

    @property
    def data_uri(self) -> str:
        """The image as a data URI."""
        return png_data_uri(self.png)

    @property
    def shares_scale(self) -> bool:
        """Whether all maps have the same scale, so that their brightness can be compared."""
        return bool((self.vmax == self.vmax[0]).all())

    @property
    def cell_shape(self) -> tuple[int, int]:
        """A map and its gap: (height, width) in pixels of the image."""
        return self.map_shape[0] * self.pixel_scale + self.gap, self.map_shape[1] * self.pixel_scale + self.gap

    def position(self, number: int) -> tuple[int, int]:
        """Row and column of map `number` in the grid."""
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
    """Render the maps of one image, float (h, w, f), as one grid.

    scale: "layer" or "map" (see the module). signed: a scale on both sides of zero, for values before ReLU; without it
    negative values have the color of zero. vmax: the end of the scale, one number or (f,), to give several grids one
    scale (see `shared_vmax`); by default computed from the maps. order: indices of the maps to draw; by default all.
    columns: maps per row; by default `grid_columns`.

    Raises ValueError for another shape, an unknown scale, a `vmax` not above 0, or indices of missing maps.
    """
    _check_maps(maps, scale, columns)
    values, non_finite = _replace_non_finite(maps)
    indices_shown = np.arange(maps.shape[-1]) if order is None else _check_order(order, maps.shape[-1])
    columns = grid_columns(len(indices_shown)) if columns is None else columns
    scale_ends = shared_vmax([values], scale) if vmax is None else _check_vmax(vmax, maps.shape[-1])
    pixel_scale = max(1, MIN_MAP_PIXELS // max(maps.shape[:2]))
    cells = palette_indices(values[..., indices_shown], scale_ends[indices_shown], signed)
    return FeatureMapGrid(
        png=palette_png(_arrange_cells(_enlarge(cells, pixel_scale), columns, gap), signed),
        columns=columns,
        rows=math.ceil(len(indices_shown) / columns),
        map_shape=(maps.shape[0], maps.shape[1]),
        pixel_scale=pixel_scale,
        gap=gap,
        signed=signed,
        order=indices_shown,
        minimum=values.min(axis=(0, 1)),
        maximum=values.max(axis=(0, 1)),
        vmax=scale_ends,
        inactive=np.asarray(~values.any(axis=(0, 1)) & ~non_finite),
        non_finite=non_finite,
        zero_share=float((values == 0).mean()),
        negative_share=float((values < 0).mean()),
    )


def grid_columns(count: int) -> int:
    """The number of columns that makes the grid about square with full rows: 4 for 8 maps, 8 for 64.

    Where no number near the square root divides `count`, the last row is shorter: 3 columns for 7 maps.
    """
    minimum = max(1, math.ceil(math.sqrt(count)))
    return next(
        (columns for columns in range(minimum, int(1.5 * math.sqrt(count)) + 1) if count % columns == 0), minimum
    )


def render_layers(
    activations: Mapping[str, Array], layers: Iterable[Layer], scale: str = "layer", image: int = 0
) -> dict[str, FeatureMapGrid]:
    """The grids of several layers for one image of the batch, by layer name; activations: (n, h, w, f)."""
    return {
        layer.name: render_feature_maps(activations[layer.name][image], scale, signed=layer.signed) for layer in layers
    }


def shared_vmax(map_sets: Iterable[Array], scale: str = "layer") -> Array:
    """The end of a common scale of several sets of maps (h, w, f): float (f,), by map, at least MIN_VMAX.

    With "layer" all entries are equal: the largest magnitude in any of them. With "map" each is its map's, but at
    least MIN_VMAX_SHARE times the layer's.
    """
    maxima = [np.abs(np.nan_to_num(maps, posinf=0, neginf=0)).max(axis=(0, 1)) for maps in map_sets]
    vmax = np.max(maxima, axis=0)
    layer_vmax = max(float(vmax.max()), MIN_VMAX)
    return (
        np.full_like(vmax, layer_vmax)
        if scale == "layer"
        else np.maximum(vmax, max(layer_vmax * MIN_VMAX_SHARE, MIN_VMAX))
    )


def _enlarge(cells: PixelArray, pixel_scale: int) -> PixelArray:
    """Cells (f, h, w) with `pixel_scale` pixels a side for each value."""
    return cells.repeat(pixel_scale, axis=1).repeat(pixel_scale, axis=2)


def _arrange_cells(cells: PixelArray, columns: int, gap: int) -> PixelArray:
    """Cells (f, h, w) on one canvas, rows of `columns`, with a gap to the right of and below each."""
    count, height, width = cells.shape
    rows = math.ceil(count / columns)
    filled = np.zeros((rows * columns, height, width), np.uint8)
    filled[:count] = cells
    canvas = np.zeros((rows, height + gap, columns, width + gap), np.uint8)
    canvas[:, :height, :, :width] = filled.reshape(rows, columns, height, width).transpose(0, 2, 1, 3)
    return canvas.reshape(rows * (height + gap), columns * (width + gap))


def _replace_non_finite(maps: Array) -> tuple[Array, Array]:
    """The maps (h, w, f) with zeros for what is not a finite number, and which maps that concerns, bool (f,)."""
    finite = np.isfinite(maps)
    non_finite = np.asarray(~finite.all(axis=(0, 1)))
    return (np.where(finite, maps, 0) if non_finite.any() else maps), non_finite


def _check_maps(maps: Array, scale: str, columns: int | None) -> None:
    if maps.ndim != 3 or maps.size == 0:
        raise ValueError(f"Expected the maps of one image, (h, w, f), such as maps['relu1'][0]. Received: {maps.shape}")
    if scale not in SCALES:
        raise ValueError(f"Expected scale='layer' or scale='map'. Received: scale={scale!r}")
    if columns is not None and columns < 1:
        raise ValueError(f"Expected at least one column. Received: columns={columns}")


def _check_order(order: Sequence[int] | Array, count: int) -> Array:
    indices_shown = np.asarray(order, np.int64)
    if indices_shown.ndim != 1 or len(indices_shown) == 0 or indices_shown.min() < 0 or indices_shown.max() >= count:
        raise ValueError(f"Expected an order of maps from 0 to {count - 1}. Received: order={order!r}")
    return indices_shown


def _check_vmax(vmax: Array | float, count: int) -> Array:
    checked = np.broadcast_to(np.asarray(vmax, np.float32), (count,))
    if not (np.isfinite(checked).all() and (checked > 0).all()):
        raise ValueError(f"Expected vmax above zero, one number or one a map. Received: vmax={vmax!r}")
    return checked
