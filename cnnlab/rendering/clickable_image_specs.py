"""The specification of an image made of cells (`ui/clickable_image`), authored in Altair, built once for each grid.

Figures: kind ("image", "cell", "box", "text", "ramp" or "legend"), x, y, x2, y2, number, previous, name, value,
uri (of an image), align, color, chosen. All images, numbers and colors are figures.
"""

from functools import lru_cache
from typing import Any

import altair as alt

from cnnlab.rendering.chart_specs import FIGURES, TEXT_COLOR, Spec, to_spec
from cnnlab.rendering.palette import SELECTED

LEGEND_HEIGHT = 30  # pixels below the image


@lru_cache(maxsize=256)
def clickable_image(columns: float, rows: float, cells: bool, legend: bool, clickable: bool) -> Spec:
    """An image of `columns` by `rows` cells, as wide as there is room; its height follows the width.

    `cells`: some cells say something; an empty layer of them would be an image without a text for screen readers.
    The parameter `height` replaces Vega's signal of that name, which Vega-Lite can set to a number only.
    """
    below = LEGEND_HEIGHT if legend else 0
    tall = f"width * {rows} / {columns}"
    layers = [_picture(tall), *([_cells(clickable)] if cells else []), _boxes(), _texts(columns)]
    layers += _legend() if legend else []
    upper = alt.Scale(domain=[0, rows], range=[0, alt.expr(f"height - {below}")], nice=False)
    x = alt.X("x:Q", scale=alt.Scale(domain=[0, columns], nice=False), axis=None)
    chart = alt.layer(*layers).encode(x=x, y=alt.Y("y:Q", scale=upper, axis=None))
    chart = chart.add_params(alt.param(name="height", expr=f"{tall} + {below}")).properties(
        height=300,  # until the browser knows the width
        padding={"left": 0, "right": 0, "top": 0, "bottom": 0},
        autosize=alt.AutoSizeParams(type="none"),
        view=alt.ViewBackground(stroke=None),
    )
    return to_spec(chart)


def _only(kind: str) -> alt.Chart:
    return alt.Chart(FIGURES).transform_filter(f"datum.kind == '{kind}'")


def _image(kind: str, **size: Any) -> Any:
    return _only(kind).mark_image(smooth=False, aspect=False, align="left", aria=False, width=alt.expr("width"), **size)


def _picture(tall: str) -> Any:
    return _image("image", baseline="top", height=alt.expr(tall)).encode(url="uri:N")


def _cells(clickable: bool) -> Any:
    cells = (
        _only("cell")
        .mark_rect(
            fill="white",
            fillOpacity=0,
            description=alt.expr("datum.name + ': ' + datum.value"),
            stroke=SELECTED,
            strokeWidth=3,
            strokeOpacity=alt.expr("datum.chosen ? 1 : 0"),
            cursor="pointer" if clickable else alt.Undefined,
        )
        .encode(x2="x2", y2="y2", tooltip=[alt.Tooltip("name:N", title="here"), alt.Tooltip("value:N", title="values")])
    )
    if not clickable:
        return cells
    # `previous`, the selection before, makes a second click on a cell a new selection
    pick = alt.selection_point(name="pick", fields=["number", "previous"], toggle=False, clear=False)
    return cells.properties(name="cells").add_params(pick)


def _boxes() -> Any:
    return _only("box").mark_rect(fillOpacity=0, stroke=SELECTED, strokeWidth=2.5, aria=False).encode(x2="x2", y2="y2")


def _texts(columns: float) -> Any:
    size = alt.expr(f"max(7, min(13, 0.37 * width / {columns}))")  # three digits fit into one cell
    color = alt.expr(f"datum.color || ({TEXT_COLOR})")
    mark = _only("text").mark_text(baseline="middle", fontSize=size, aria=False, color=color)
    return mark.encode(text="name:N")


def _legend() -> list[Any]:
    """The colors as a strip as wide as the image; under its ends, and its middle, what they mean."""
    top = alt.value(alt.expr(f"height - {LEGEND_HEIGHT - 8}"))
    strip = _image("ramp", height=6).encode(x=alt.value(0), y=top, url="uri:N")
    return [strip, *(_meaning(*at) for at in (("left", "0"), ("center", "width / 2"), ("right", "width")))]


def _meaning(align: Any, x: str) -> Any:
    return (
        alt.Chart(FIGURES)
        .transform_filter(f"datum.kind == 'legend' && datum.align == '{align}'")
        .mark_text(align=align, baseline="bottom", fontSize=12, color=alt.expr(TEXT_COLOR))
        .encode(text="name:N", x=alt.value(alt.expr(x)), y=alt.value(alt.expr("height")))
    )
