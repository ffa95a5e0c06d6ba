"""Vega-Lite specifications of the charts on the page Mistakes, authored in Altair, cached: do not modify the results.

Blue: correct, red: wrong.
"""

from functools import lru_cache
from typing import Any

import altair as alt

from cnnlab.rendering.chart_specs import FIGURES, TEXT_COLOR, Spec, to_spec
from cnnlab.rendering.palette import DASHES, GREY, TRAINING, VALIDATION

CORRECT, WRONG = TRAINING, VALIDATION
MATRIX_HEIGHT = 430  # pixels, names included
MIN_BIN_COUNT = 20  # the line leaves out bins with fewer images
POINT_SHAPES = ("circle", "square")
WHOLE = alt.Scale(domain=[0, 1])
PERCENT = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1])
INK = alt.expr(TEXT_COLOR)


@lru_cache(maxsize=4)
def matrix(names: tuple[str, ...]) -> Spec:
    """The confusion matrix. Columns: true_class, predicted, count, label, kind, strength, description, chosen,
    previous (the selection before).

    A click selects true_class, predicted and previous, so that a second click on a cell is a new selection.
    """
    order = alt.Scale(domain=list(names), paddingInner=0.06, paddingOuter=0)
    left = alt.Axis(domain=False, ticks=False, labelLimit=90)
    top = alt.Axis(domain=False, ticks=False, labelLimit=90, orient="top", labelAngle=-60, labelOverlap=False)
    kinds = alt.Scale(domain=["correct", "wrong", "sum"], range=[CORRECT, WRONG, "transparent"])
    cell = alt.selection_point(name="cell", fields=["true_class", "predicted", "previous"], toggle=False, clear=False)
    cells = (
        alt.Chart(FIGURES, name="cells")
        .mark_rect(cursor="pointer", stroke=INK)
        .encode(
            fill=alt.Fill("kind:N", scale=kinds, legend=None),
            fillOpacity=alt.FillOpacity("strength:Q", scale=None),
            strokeWidth=alt.condition("datum.chosen", alt.value(3), alt.value(0.5)),
            strokeOpacity=alt.condition("datum.chosen", alt.value(1), alt.value(0.2)),
            tooltip=_tooltips(true_class="true class", predicted="predicted", count="images"),
            description="description:N",
        )
        .add_params(cell)
    )
    numbers = (
        alt.Chart(FIGURES)
        .mark_text(fontSize=alt.expr("width < 360 ? 9 : 12"), baseline="middle", color=INK)
        .encode(text="label:N")
    )
    x = alt.X("predicted:N", scale=order, title="predicted", axis=top)
    y = alt.Y("true_class:N", scale=order, title="true class", axis=left)
    return to_spec(alt.layer(cells, numbers).encode(x=x, y=y).properties(height=MATRIX_HEIGHT))


@lru_cache(maxsize=8)
def class_accuracy(color: str) -> Spec:
    """Bars of the accuracy per class. Columns: name, share (0..1), label."""
    tooltips = [*_tooltips(name="class"), alt.Tooltip("share:Q", title="accuracy", format=".1%")]
    bars = alt.Chart(FIGURES).mark_bar(color=color, height={"band": 0.72}).encode(tooltip=tooltips)
    text = alt.Chart(FIGURES).mark_text(align="left", dx=5, fontSize=13, color=INK).encode(text="label:N")
    shared = alt.layer(bars, text).encode(
        x=alt.X("share:Q", title=None, scale=WHOLE, axis=PERCENT), y=alt.Y("name:N", sort=None, title=None)
    )
    return to_spec(shared.properties(height=320))


@lru_cache(maxsize=64)
def calibration(names: tuple[str, ...], colors: tuple[str, ...]) -> Spec:
    """The calibration curve, with a dashed diagonal. Columns: run, confidence, accuracy (both 0..1), count."""
    color, dash, shape = _run_channels(names, colors)
    tooltips = [*_tooltips(run="network", count="images")]
    tooltips += [alt.Tooltip(f"{name}:Q", title=name, format=".1%") for name in ("confidence", "accuracy")]
    # named, or Altair would move the values to the specification's datasets, which `with_data` replaces
    ends = alt.InlineData(values=[{"confidence": value, "accuracy": value} for value in (0, 1)], name="diagonal")
    diagonal = alt.Chart(ends).mark_line(color=GREY, strokeDash=[4, 4], strokeWidth=2, aria=False)
    line = (
        alt.Chart()
        .transform_filter(f"datum.count >= {MIN_BIN_COUNT}")
        .mark_line(strokeWidth=2, aria=False)
        .encode(color=color, strokeDash=dash)
    )
    size = alt.Size("count:Q", scale=alt.Scale(range=[25, 320]), legend=None)
    dots = alt.Chart().mark_point(filled=True, opacity=1).encode(color=color, shape=shape, size=size, tooltip=tooltips)
    shared = alt.layer(diagonal, line, dots, data=FIGURES).encode(
        x=alt.X("confidence:Q", title="confidence", scale=WHOLE, axis=PERCENT),
        y=alt.Y("accuracy:Q", title="accuracy", scale=WHOLE, axis=PERCENT),
    )
    return to_spec(shared.properties(height=340))


@lru_cache(maxsize=1)
def outcomes() -> Spec:
    """Bars of two networks' outcomes per class. Columns: name, now_correct, now_wrong (negative), net."""
    title, axis = (
        "now wrong (left) and now correct (right)",
        alt.Axis(tickCount=5, labelExpr="format(abs(datum.value), ',')"),
    )
    tooltips = _tooltips(name="class", now_correct="now correct", now_wrong="now wrong", net="net")
    sides = [
        alt.Chart(FIGURES)
        .mark_bar(color=color, height={"band": 0.72})
        .encode(x=alt.X(f"{name}:Q", title=title, axis=axis), tooltip=tooltips)
        for name, color in (("now_correct", CORRECT), ("now_wrong", WRONG))
    ]
    text = (
        alt.Chart(FIGURES).mark_text(align="left", dx=5, fontSize=13, color=INK).encode(x="now_correct:Q", text="net:N")
    )
    shared = alt.layer(*sides, text).encode(y=alt.Y("name:N", sort=None, title=None))
    return to_spec(shared.properties(height=340))


def _tooltips(**titles: str) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{name}:N", title=title) for name, title in titles.items()]


def _run_channels(names: tuple[str, ...], colors: tuple[str, ...]) -> tuple[Any, Any, Any]:
    """Color, dash and point shape of each run, with one legend for all three where there are several runs."""
    several = len(names) > 1
    legend = alt.Legend(title=None, orient="top", columns=1, labelLimit=320, symbolStrokeWidth=0) if several else None

    def scale(values: Any) -> alt.Scale:
        return alt.Scale(domain=list(names), range=list(values[: len(names)]))

    return (
        alt.Color("run:N", scale=scale(colors), legend=legend),
        alt.StrokeDash("run:N", scale=scale(DASHES), legend=legend),
        alt.Shape("run:N", scale=scale(POINT_SHAPES), legend=legend),
    )
