"""The specifications of the charts of the page Compare, authored in Altair, each built once."""

from functools import lru_cache
from typing import Any, Literal

import altair as alt

from cnnlab.rendering.chart_specs import FIGURES, TEXT_COLOR, Spec, to_spec
from cnnlab.rendering.palette import DASHES, GREY, LINE_STYLES, REGULARIZER_COLORS, REPORT_TICK

PANEL_HEIGHT = 176  # pixels of one panel of learning curves, of which
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 30, 22  # stay free for numbers and title
NARROW_WIDTH, MEDIUM_WIDTH = 430, 860  # pixels: below them one and two panels stand side by side
SHAPES = {2: "square", 3: "circle"}  # of a network in a scatter, by depth
Anchor = Literal["left", "center", "right"]


@lru_cache(maxsize=64)
def learning_curves(panels: int, epochs: int, low: float, high: float) -> Spec:
    """`panels` small charts on the same axes, as many side by side as there is room for, with one hover for all.

    Figures: kind, panel, name, network, color, line, epoch, value, low, high, text. Kinds: "panel" (`text`: its title),
    "x" and "y" (`text`: a label of an axis), "line" (with the band from `low` to `high`), "best" and "hover" (`text`:
    the figures of an epoch). One view holds them all, because Vega-Lite's facets have a fixed width and no shared
    pointer: the places are computed from the width of the chart.
    """
    columns = f"(width < {NARROW_WIDTH} ? 1 : width < {MEDIUM_WIDTH} ? 2 : {min(4, panels)})"
    rows = f"ceil({panels} / {columns})"
    share = f"(width / {columns})"
    base = (
        alt.Chart(FIGURES)
        .transform_calculate(
            left=f"(datum.panel % {columns}) * {share}", top=f"floor(datum.panel / {columns}) * {PANEL_HEIGHT}"
        )
        .transform_calculate(
            x=f"datum.left + {LEFT} + ({share} - {LEFT + RIGHT}) * datum.epoch / {epochs}",
            y=f"datum.top + {_height_of('datum.value', low, high)}",
            lower=f"datum.top + {_height_of('datum.low', low, high)}",
            upper=f"datum.top + {_height_of('datum.high', low, high)}",
            end=f"datum.left + {share} - {RIGHT}",
            start=f"datum.left + {LEFT}",
        )
    )
    layers = [*_panel_frames(base), *_panel_curves(base), *_panel_hover(base, low > 0 or high > 1)]
    chart = alt.layer(*layers).add_params(alt.param(name="height", expr=f"{rows} * {PANEL_HEIGHT}"))
    chart = chart.properties(
        height=PANEL_HEIGHT,  # until the browser knows the width
        padding={"left": 0, "right": 0, "top": 0, "bottom": 0},
        autosize=alt.AutoSizeParams(type="none"),
        view=alt.ViewBackground(stroke=None),
    )
    return to_spec(chart)


def _height_of(value: str, low: float, high: float) -> str:
    """The pixels from the top of a panel to a value."""
    return f"({TOP} + {PANEL_HEIGHT - TOP - BOTTOM} * ({high} - clamp({value}, {low}, {high})) / {high - low})"


def _at(field: str, channel: Any) -> Any:
    """A field that holds pixels."""
    return channel(f"{field}:Q", scale=None, axis=None)


def _only(base: alt.Chart, kind: str) -> alt.Chart:
    return base.transform_filter(f"datum.kind == '{kind}'")


def _panel_frames(base: alt.Chart) -> list[Any]:
    """A strip in the network's color, the title, lines at the values of the axis, their labels."""
    text: dict[str, Any] = {"color": alt.expr(TEXT_COLOR), "fontSize": 11, "aria": False}
    panel, x, y = (_only(base, kind) for kind in ("panel", "x", "y"))
    return [
        panel.transform_calculate(strip="datum.top + 6", below="datum.top + 20")
        .mark_bar(width=6, aria=False)
        .encode(
            x=_at("left", alt.X),
            y=_at("strip", alt.Y),
            y2="below:Q",
            color=alt.Color("color:N", scale=None, legend=None),
        ),
        panel.transform_calculate(line="datum.top + 13", place="datum.left + 10")
        .mark_text(align="left", baseline="middle", fontWeight="bold", **{**text, "fontSize": 13})
        .encode(x=_at("place", alt.X), y=_at("line", alt.Y), text="text:N"),
        y.mark_rule(color=GREY, opacity=0.3, aria=False).encode(x=_at("start", alt.X), x2="end:Q", y=_at("y", alt.Y)),
        y.transform_calculate(place="datum.start - 5")
        .mark_text(align="right", baseline="middle", **text)
        .encode(x=_at("place", alt.X), y=_at("y", alt.Y), text="text:N"),
        x.transform_calculate(line=f"datum.top + {PANEL_HEIGHT - BOTTOM + 4}")
        .mark_text(align="center", baseline="top", **text)
        .encode(x=_at("x", alt.X), y=_at("line", alt.Y), text="text:N"),
    ]


def _panel_curves(base: alt.Chart) -> list[Any]:
    """The band over the seeds, the mean, and a ring at the best epoch."""
    names = ["training", "validation"]
    scales = [alt.Scale(domain=names, range=[LINE_STYLES[name][part] for name in names]) for part in (0, 1)]
    color = alt.Color("line:N", scale=scales[0], legend=None)
    line = _only(base, "line").encode(x=_at("x", alt.X), detail=["panel:N"], color=color)
    best = _only(base, "best").encode(x=_at("x", alt.X), y=_at("y", alt.Y))
    return [
        line.mark_area(opacity=0.25, aria=False).encode(y=_at("lower", alt.Y), y2="upper:Q"),
        line.mark_line(strokeWidth=2, aria=False).encode(
            y=_at("y", alt.Y), strokeDash=alt.StrokeDash("line:N", scale=scales[1], legend=None)
        ),
        best.mark_point(size=70, strokeWidth=2, filled=False, aria=False).encode(color=color),
    ]


def _panel_hover(base: alt.Chart, at_top: bool) -> list[Any]:
    """A line in every panel at the epoch under the pointer, its figures in words; a click picks a panel's network."""
    hover = _only(base, "hover").encode(x=_at("x", alt.X))
    epoch = alt.selection_point(
        name="epoch", nearest=True, on="pointerover", fields=["epoch"], empty=False, clear="pointerout"
    )
    pick = alt.selection_point(name="pick", fields=["network"], on="click", toggle=False, clear=False)
    offset = "6" if at_top else str(PANEL_HEIGHT - TOP - BOTTOM - 48)
    rule = hover.transform_calculate(line=f"datum.top + {TOP}", below=f"datum.top + {PANEL_HEIGHT - BOTTOM}")
    words = hover.transform_calculate(line=f"datum.top + {TOP} + {offset}", place="datum.end - 4")
    return [
        rule.mark_rule(color=GREY, strokeWidth=1.5, aria=False).encode(
            y=_at("line", alt.Y), y2="below:Q", opacity=alt.condition(epoch, alt.value(1), alt.value(0))
        ),
        words.mark_text(
            align="right", baseline="top", lineBreak="\n", fontSize=12, aria=False, color=alt.expr(TEXT_COLOR)
        ).encode(
            x=_at("place", alt.X),
            y=_at("line", alt.Y),
            text="text:N",
            opacity=alt.condition(epoch, alt.value(1), alt.value(0)),
        ),
        hover.mark_point(opacity=0, size=60, cursor="pointer", description=alt.expr("datum.name + ': ' + datum.text"))
        .encode(y=_at("y", alt.Y))
        .add_params(epoch, pick),
    ]


@lru_cache(maxsize=64)
def overlay(names: tuple[str, ...], colors: tuple[str, ...], epochs: int, form: str, legend: bool) -> Spec:
    """Figures: run, epoch, value. One color and one dash for each run; the page has the legend, a file needs it."""
    dashes = [DASHES[index % len(DASHES)] for index in range(len(names))]
    look = alt.Legend(title=None, orient="right", labelLimit=420, symbolSize=300) if legend else None
    nearest = alt.selection_point(nearest=True, on="pointerover", fields=["epoch"], empty=False, clear="pointerout")
    base = alt.Chart(FIGURES).encode(
        x=alt.X(
            "epoch:Q",
            title="epoch",
            scale=alt.Scale(domain=[0, epochs], nice=False),
            axis=alt.Axis(tickMinStep=1, tickCount=6, format="d", grid=False, labelFlush=True),
        ),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(format=form, tickCount=6)),
        color=alt.Color("run:N", scale=alt.Scale(domain=list(names), range=list(colors)), legend=look),
    )
    lines = base.mark_line(strokeWidth=2.5, aria=False).encode(
        strokeDash=alt.StrokeDash("run:N", scale=alt.Scale(domain=list(names), range=dashes), legend=look)
    )
    points = base.mark_point(filled=True, size=60).encode(
        opacity=alt.condition(nearest, alt.value(1), alt.value(0)),
        tooltip=["run:N", alt.Tooltip("epoch:Q"), alt.Tooltip("value:Q", format=form)],
    )
    return to_spec(alt.layer(lines, points.add_params(nearest)).properties(height=340, padding=_room()))


@lru_cache(maxsize=4)
def ranking(points: bool) -> Spec:
    """Each network's mean with its interval, its seeds as small rings, the report's figure as a line.

    Figures: kind ("mean" or "seed"), place, model, value, low, high, regularizer, report, end, label.
    """
    colors = alt.Scale(domain=list(REGULARIZER_COLORS), range=list(REGULARIZER_COLORS.values()))
    names = alt.Y("model:N", sort=alt.EncodingSortField("place", op="min"), title=None, axis=alt.Axis(labelLimit=200))
    form = ".1f" if points else ".1%"
    axis = alt.Axis(format="~g" if points else "%", tickCount=5)
    x = alt.X("value:Q", title=None, axis=axis, scale=alt.Scale(zero=points))
    base = alt.Chart(FIGURES).encode(y=names)
    mean = base.transform_filter("datum.kind == 'mean'")
    color = alt.Color("regularizer:N", scale=colors, legend=None)
    shown = [
        alt.Tooltip("model:N"),
        *(alt.Tooltip(f"{name}:Q", format=form) for name in ("value", "low", "high", "report")),
    ]
    marks = [  # light within dark: seen on any page; a screen reader is told by the point
        mean.mark_tick(thickness=thick, color=tone, size=22, aria=False).encode(x="report:Q")
        for thick, tone in zip((5, 2), REPORT_TICK, strict=True)
    ]
    layers = [
        mean.mark_rule(strokeWidth=3, aria=False)
        .encode(x=x, x2="high:Q", color=color)
        .encode(x=alt.X("low:Q", title=None, axis=axis, scale=alt.Scale(zero=points))),
        *marks,
        base.transform_filter("datum.kind == 'seed'").mark_point(size=30, aria=False).encode(x=x, color=color),
        mean.mark_point(filled=True, size=130, opacity=1).encode(x=x, color=color, tooltip=shown),
        mean.mark_text(align="left", dx=8, fontSize=13, aria=False, color=alt.expr(TEXT_COLOR)).encode(
            x="end:Q", text="label:N"
        ),
    ]
    return to_spec(alt.layer(*layers).properties(height=320, padding=_room(right=44)))


@lru_cache(maxsize=8)
def cost_scatter(title: str, form: str) -> Spec:
    """Accuracy against a cost. Figures: model, cost, accuracy, low, high, regularizer, depth, label.

    place: where the mark stands on the cost's axis; label_place, label_height: where its label stands.
    """
    colors = alt.Scale(domain=list(REGULARIZER_COLORS), range=list(REGULARIZER_COLORS.values()))
    shapes = alt.Scale(domain=[str(depth) for depth in SHAPES], range=list(SHAPES.values()))
    base = alt.Chart(FIGURES).encode(
        x=alt.X(
            "place:Q", title=title, scale=alt.Scale(zero=False, padding=64), axis=alt.Axis(format=form, tickCount=5)
        ),
        color=alt.Color("regularizer:N", scale=colors, legend=None),
    )
    y: dict[str, Any] = {"scale": alt.Scale(zero=False, padding=12), "axis": alt.Axis(format="%", tickCount=5)}
    shown = [
        alt.Tooltip("model:N"),
        alt.Tooltip("cost:Q", title=title, format=form),
        alt.Tooltip("accuracy:Q", format=".1%"),
    ]
    layers = [
        base.mark_rule(strokeWidth=2, aria=False).encode(
            y=alt.Y("low:Q", title="validation accuracy", **y), y2="high:Q"
        ),
        base.mark_point(filled=True, size=150, opacity=1).encode(
            y=alt.Y("accuracy:Q", **y), shape=alt.Shape("depth:N", scale=shapes, legend=None), tooltip=shown
        ),
        *(_cost_labels(base, y, depth) for depth in SHAPES),
    ]
    return to_spec(alt.layer(*layers).properties(height=340, padding=_room()))


def _cost_labels(base: alt.Chart, y: dict[str, Any], depth: int) -> Any:
    """The names of the networks of this depth: those of the deepest on the right, the others on the left."""
    deepest = depth == max(SHAPES)
    mark = base.transform_filter(f"datum.depth == '{depth}'").mark_text(
        align="left" if deepest else "right", dx=10 if deepest else -10, fontSize=12, aria=False
    )
    return mark.encode(
        x="label_place:Q",
        y=alt.Y("label_height:Q", **y),
        text="label:N",
        color=alt.value(alt.expr(TEXT_COLOR)),
    )


@lru_cache(maxsize=16)
def agreement(names: tuple[str, ...], low: float, high: float) -> Spec:
    """A square for each pair of networks. Figures: row, column, share, label, name, other."""
    order = list(names)
    axis = alt.Axis(labelLimit=130, ticks=False, domain=False, labelPadding=6)
    base = alt.Chart(FIGURES).encode(
        x=alt.X(
            "column:N",
            sort=order,
            title=None,
            axis=alt.Axis(labelAngle=-40, labelLimit=130, labelOverlap=False, ticks=False, domain=False),
        ),
        y=alt.Y("row:N", sort=order, title=None, axis=axis),
    )
    squares = base.mark_rect().encode(
        opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[low, high], range=[0.05, 0.5], clamp=True), legend=None),
        color=alt.value(LINE_STYLES["training"][0]),
        tooltip=[
            alt.Tooltip("row:N", title="network"),
            alt.Tooltip("column:N", title="other"),
            alt.Tooltip("label:N", title="agree on"),
        ],
    )
    text = base.mark_text(fontSize=12, aria=False, color=alt.expr(TEXT_COLOR)).encode(text="label:N")
    return to_spec(alt.layer(squares, text).properties(height=330, padding=_room()))


def _room(right: int = 14) -> dict[str, int]:
    return {"left": 4, "top": 6, "right": right, "bottom": 4}
