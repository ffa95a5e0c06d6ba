"""An image made of cells that show their values under the pointer and can be clicked.

A grid of 64 maps, a map of 900 pixels, a kernel of 9 numbers and a gallery of 40 images are drawn alike: one
small image, enlarged without smoothing, and a grid of transparent cells over it (in Vega-Lite: an image mark
with `smooth` off, and rectangles with a point selection). The specification stays the same from one image to the next
and only the data change, so the browser does not build the chart anew. The height follows the width.

Whatever a click selects can also be selected with a widget, by keyboard.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import streamlit as st

from cnnlab import formatting
from cnnlab.analysis.receptive_field import Box
from cnnlab.array_types import Array, PixelArray
from cnnlab.rendering.charts import arrow_table, cached_spec
from cnnlab.rendering.color_scale import colorbar_uri, png_data_uri, upscaled_png
from cnnlab.rendering.feature_map_grid import FeatureMapGrid, render_feature_maps
from cnnlab.ui.browser_values import clicked_point, whole_number

MAX_KEPT_CELLS = 128  # of an image whose data are kept for others who open the same one
EMPTY_ROW: dict[str, Any] = {
    "kind": "", "x": 0.0, "y": 0.0, "x2": 0.0, "y2": 0.0, "number": -1, "previous": -1, "name": "", "value": "",
    "uri": "", "align": "", "color": "", "chosen": False,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: its index, its name and value for the tooltip, and a text on it, "" for none.

    `position` is (column, row) of its upper left corner and `size` (width, height), in units of one cell.
    """

    index: int
    position: tuple[float, float]
    name: str
    value: str
    size: tuple[float, float] = (1.0, 1.0)
    text: str = ""
    text_color: str = ""


@dataclass(frozen=True, kw_only=True)
class ColorLegend:
    """A color bar as a data URI, and the texts at its ends and in its middle."""

    colorbar: str
    low: str
    high: str
    middle: str = ""


@dataclass(frozen=True, kw_only=True)
class ClickableImage:
    """An image as a data URI, the grid over it, and the boxes (left, top, right, bottom) drawn around parts of it."""

    uri: str
    columns: float
    rows: float
    cells: Sequence[Cell]
    noun: str = "map"
    legend: ColorLegend | None = None
    boxes: Sequence[tuple[float, float, float, float]] = field(default_factory=tuple)


def clickable_image(
    image: ClickableImage,
    key: str,
    alt: str,
    selected: int | None = None,
    on_click: Callable[[int], None] | None = None,
) -> None:
    """Draw the image as wide as there is room. `on_click` is called with the index of a clicked cell."""
    grid = (image.columns, image.rows, bool(image.cells), image.legend is not None, on_click is not None)
    spec = cached_spec("clickable_image_specs.clickable_image", *grid)
    chosen = -1 if selected is None else selected
    table = _chart_table if len(image.cells) <= MAX_KEPT_CELLS else _chart_table.__wrapped__
    data = table(image.uri, tuple(image.cells), image.legend, tuple(map(tuple, image.boxes)), chosen)
    chart = {**spec, "datasets": {"figures": data}}
    numbers = frozenset(cell.index for cell in image.cells)
    answer: Any = partial(_on_selection, key, on_click, numbers) if on_click else "ignore"
    st.vega_lite_chart(spec=chart, key=key, on_select=answer, alt=alt, width="stretch")


def from_feature_maps(grid: FeatureMapGrid, legend: ColorLegend | None = None) -> ClickableImage:
    """A grid of maps; the tooltip of each is its number and its range."""
    height, width = grid.cell_shape
    share = (1 - grid.gap / width, 1 - grid.gap / height)
    cells = []
    for place, number in enumerate(grid.order.tolist()):
        row, column = divmod(place, grid.columns)
        description = (
            "inactive: zero everywhere"
            if grid.inactive[number]
            else formatting.format_range(grid.minimum[number], grid.maximum[number])
        )
        description = "holds values that are not numbers" if grid.non_finite[number] else description
        cells.append(Cell(index=number, position=(column, row), name=f"map {number}", value=description, size=share))
    return ClickableImage(
        uri=grid.data_uri,
        columns=grid.columns,
        rows=grid.rows,
        cells=cells,
        legend=legend or feature_map_legend(grid),
    )


def from_feature_map(maps: Array, filter: int, limit: float, signed: bool) -> ClickableImage:
    """One map of a layer's (h, w, f), enlarged. Cells, one for each pixel, are counted row by row."""
    values = maps[..., filter]
    height, width = values.shape
    grid = render_feature_maps(maps, signed=signed, vmax=limit, order=[filter], columns=1, gap=0)
    cells = [
        Cell(
            index=row * width + column, position=(column, row), name=f"row {row}, column {column}", value=f"{value:.4f}"
        )
        for row, line in enumerate(values.tolist())
        for column, value in enumerate(line)
    ]
    return ClickableImage(uri=grid.data_uri, columns=width, rows=height, cells=cells, legend=feature_map_legend(grid))


def from_pixels(pixels: PixelArray, boxes: Sequence[Box] = ()) -> ClickableImage:
    """A color image uint8 (h, w, 3) with boxes drawn around parts of it."""
    drawn_boxes = [(box.left, box.top, box.right, box.bottom) for box in boxes]
    return ClickableImage(
        uri=png_data_uri(upscaled_png(pixels, 1)),
        columns=pixels.shape[1],
        rows=pixels.shape[0],
        cells=(),
        boxes=drawn_boxes,
    )


def feature_map_legend(grid: FeatureMapGrid) -> ColorLegend:
    """The color bar of a grid, in the units of its values."""
    if grid.inactive[grid.order].all():
        return ColorLegend(
            colorbar=colorbar_uri(grid.signed),
            low="" if grid.signed else "0, inactive",
            high="",
            middle="0, inactive" if grid.signed else "",
        )
    high = formatting.format_value(grid.vmax[0]) if grid.shares_scale else "each map's highest"
    low = (f"-{high}" if grid.shares_scale else "its lowest") if grid.signed else "0"
    if not grid.shares_scale and grid.signed:
        low, high = "negative", "positive, each map by itself"
    return ColorLegend(colorbar=colorbar_uri(grid.signed), low=low, high=high, middle="0" if grid.signed else "")


def _on_selection(key: str, on_pick: Callable[[int], None], numbers: Collection[int]) -> None:
    number = whole_number(clicked_point(st.session_state[key], "pick").get("number"))
    if number is not None and number in numbers:
        on_pick(number)


@lru_cache(maxsize=32)  # a class opens the same grids; 200 kB each
def _chart_table(
    uri: str,
    cells: tuple[Cell, ...],
    legend: ColorLegend | None,
    boxes: tuple[tuple[float, ...], ...],
    chosen: int,
) -> bytes:
    """The data of the chart as an Arrow table."""
    rows = _chart_rows(uri, cells, legend, boxes, chosen)
    return arrow_table(**{name: [row[name] for row in rows] for name in EMPTY_ROW})


def _chart_rows(
    uri: str, cells: Sequence[Cell], legend: ColorLegend | None, boxes: Sequence[tuple[float, ...]], chosen: int
) -> list[dict[str, Any]]:
    found = [EMPTY_ROW | {"kind": "image", "uri": uri}]
    for cell in cells:
        (x, y), (width, height) = cell.position, cell.size
        place = {"x": x, "y": y, "x2": x + width, "y2": y + height}
        description = {"number": cell.index, "previous": chosen, "name": cell.name, "value": cell.value}
        found.append(EMPTY_ROW | place | description | {"kind": "cell", "chosen": cell.index == chosen >= 0})
        if cell.text:
            middle = {"x": x + width / 2, "y": y + height / 2, "name": cell.text, "color": cell.text_color}
            found.append(EMPTY_ROW | middle | {"kind": "text", "align": "center"})
    for left, top, right, bottom in boxes:
        found.append(EMPTY_ROW | {"kind": "box", "x": left, "y": top, "x2": right, "y2": bottom})
    return found + (_legend_rows(legend) if legend else [])


def _legend_rows(legend: ColorLegend) -> list[dict[str, Any]]:
    texts = (("left", legend.low), ("center", legend.middle), ("right", legend.high))
    description = [{"kind": "legend", "name": text, "align": align} for align, text in texts if text]
    return [EMPTY_ROW | row for row in ({"kind": "ramp", "uri": legend.colorbar}, *description)]
