"""The specifications of the charts of the page Compare, authored in Altair, each built once."""

from functools import lru_cache
from typing import Any

import altair as alt

from cnnlab.rendering.chart_specs import FIGURES, TEXT_COLOR, Spec, epoch_axis, to_spec
from cnnlab.rendering.palette import DASHES, LINE_STYLES, REGULARIZER_COLORS

LABELED_WIDTH = 500  # pixels of a scatter, from which on its marks have labels
SHAPES = {2: "square", 3: "circle"}  # of a network in a scatter, by depth


@lru_cache(maxsize=64)
def overlay(names: tuple[str, ...], colors: tuple[str, ...], epochs: int, form: str, legend: bool) -> Spec:
    """Figures: run, epoch, value. One color and one dash for each run; the page has the legend, a file needs it."""
    dashes = [DASHES[index % len(DASHES)] for index in range(len(names))]
    look = alt.Legend(title=None, orient="right", labelLimit=420, symbolSize=300) if legend else None
    nearest = alt.selection_point(nearest=True, on="pointerover", fields=["epoch"], empty=False, clear="pointerout")
    base = alt.Chart(FIGURES).encode(
        x=epoch_axis(epochs),
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
    marks = [  # the color of text on a strip of the page's: seen on any bar; a screen reader is told by the point
        mean.mark_tick(thickness=thick, color=alt.expr(tone), size=22, aria=False).encode(x="report:Q")
        for thick, tone in ((6, "background"), (2.5, TEXT_COLOR))
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
    """Accuracy against a cost. Figures: model, cost, least, most, accuracy, low, high, regularizer, depth, label.

    place: where the mark stands on the cost's axis; label_place, label_height: where its label stands. A chart narrower
    than LABELED_WIDTH has no labels, which would cover the marks: the page has a legend of the colors.
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
        base.mark_rule(strokeWidth=2, aria=False).encode(
            x="least:Q", x2="most:Q", y=alt.Y("accuracy:Q", **y), opacity=alt.value(0.5)
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
        align="left" if deepest else "right",
        dx=8 if deepest else -8,
        dy=-9,  # above the line of the range
        fontSize=12,
        opacity=alt.expr(f"width < {LABELED_WIDTH} ? 0 : 1"),
        aria=False,
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
