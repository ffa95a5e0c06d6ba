"""Vega-Lite specifications of learning curves and rankings, authored in Altair, cached: do not modify the results.

A specification names the columns that it draws; the data are added later (`charts.with_data`), every second while a
network trains. Only the modules `*_specs` import Altair, which takes 0.25 s; `charts.cached_spec` imports them for the
first chart.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import altair as alt

from cnnlab.rendering.palette import DASHES, GREY, LINE_STYLES, REGULARIZER_COLORS, REPORT_TICK, SELECTED

Spec = dict[str, Any]
FIGURES = alt.NamedData("figures")


@lru_cache(maxsize=64)
def curves(metric: str, epochs: int) -> Spec:
    """Learning curves of `metric`, "accuracy" or "loss". Columns: epoch, training, validation, reported. No legend."""
    is_accuracy = metric == "accuracy"
    y = alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1]) if is_accuracy else alt.Scale(zero=True),
        axis=alt.Axis(format="%" if is_accuracy else "~g", tickCount=5),
    )
    base = alt.Chart(FIGURES).encode(x=_epoch_axis(epochs))
    colors, dashes = [line[0] for line in LINE_STYLES.values()], [line[1] for line in LINE_STYLES.values()]
    lines = (
        base.transform_fold(list(LINE_STYLES), as_=["line", "value"])
        .mark_line(strokeWidth=2.5)
        .encode(
            y=y,
            color=alt.Color("line:N", scale=alt.Scale(domain=list(LINE_STYLES), range=colors), legend=None),
            strokeDash=alt.StrokeDash("line:N", scale=alt.Scale(domain=list(LINE_STYLES), range=dashes), legend=None),
            opacity=alt.condition("datum.line === 'reported'", alt.value(0.85), alt.value(1)),
        )
    )
    gap = base.mark_area(color=GREY, opacity=0.22).encode(y=alt.Y("validation:Q"), y2=alt.Y2("training:Q"))
    layers = [gap, lines, _hover_rule(base, ["training", "validation", "reported"], ".1%" if is_accuracy else ".3f")]
    return _to_spec(alt.layer(*layers), height=330)


@lru_cache(maxsize=16)
def penalty_curve(epochs: int) -> Spec:
    """The curve of the L2 penalty. Columns: epoch, penalty."""
    base = alt.Chart(FIGURES).encode(x=_epoch_axis(epochs))
    line = base.mark_line(color=REGULARIZER_COLORS["l2"], strokeWidth=2.5).encode(
        y=alt.Y("penalty:Q", title=None, scale=alt.Scale(zero=True), axis=alt.Axis(format="~g", tickCount=3))
    )
    return _to_spec(alt.layer(line, _hover_rule(base, ["penalty"], ".4f")), height=140)


@lru_cache(maxsize=16)
def panel(epochs: int) -> Spec:
    """A small panel of accuracy curves. Columns: epoch, training, validation. Without legend."""
    return _to_spec(alt.layer(*_panel_layers(_epoch_axis(epochs))), height=170)


@lru_cache(maxsize=16)
def epoch_cursor(epochs: int) -> Spec:
    """A lower panel without epoch labels, with a line at one epoch. Columns: epoch, training, validation, cursor."""
    cursor = (
        alt.Chart(FIGURES).mark_rule(color=SELECTED, strokeWidth=2, opacity=0.5).encode(x=alt.X("cursor:Q", axis=None))
    )
    return _to_spec(alt.layer(*_panel_layers(_epoch_axis(epochs).axis(None)), cursor), height=64)


@lru_cache(maxsize=64)
def overlay(names: tuple[str, ...], colors: tuple[str, ...], epochs: int) -> Spec:
    """Accuracy curves of several runs, each with its color and dash. Columns: run, epoch, accuracy."""
    dashes = [DASHES[index % len(DASHES)] for index in range(len(names))]
    legend = alt.Legend(title=None, orient="bottom", columns=1, labelLimit=420, symbolSize=300)
    lines = (
        alt.Chart(FIGURES)
        .mark_line(strokeWidth=2.5)
        .encode(
            x=_epoch_axis(epochs),
            y=alt.Y("accuracy:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5)),
            color=alt.Color("run:N", scale=alt.Scale(domain=list(names), range=list(colors)), legend=legend),
            strokeDash=alt.StrokeDash("run:N", scale=alt.Scale(domain=list(names), range=dashes), legend=legend),
            tooltip=["run:N", alt.Tooltip("epoch:Q"), alt.Tooltip("accuracy:Q", format=".1%")],
        )
    )
    return _to_spec(lines, height=380)


@lru_cache(maxsize=2)
def ranking(points: bool) -> Spec:
    """Bars of models with the report's value as a line.

    Columns, a row per bar: place, model, value, regularizer, report, end, label. With `points` values are
    percentage points, else fractions.
    """
    colors = alt.Scale(domain=list(REGULARIZER_COLORS), range=list(REGULARIZER_COLORS.values()))
    names = alt.Y("model:N", sort=alt.EncodingSortField("place", op="min"), title=None, axis=alt.Axis(labelLimit=180))
    number_format = ".1f" if points else ".1%"
    base = alt.Chart(FIGURES).encode(y=names)
    tooltips = [alt.Tooltip("model:N"), alt.Tooltip("value:Q", format=number_format)]
    tooltips.append(alt.Tooltip("report:Q", format=number_format))
    axis = alt.Axis(format="~g" if points else "%", tickCount=5)
    bars = base.mark_bar(height={"band": 0.72}).encode(
        x=alt.X("value:Q", title=None, axis=axis, scale=alt.Scale(zero=True)),
        color=alt.Color("regularizer:N", scale=colors, legend=None),
        tooltip=tooltips,
    )
    marks = [  # a light line within a dark one: visible on any background
        base.mark_tick(thickness=thick, color=color, size=24).encode(x="report:Q", tooltip=tooltips)
        for thick, color in zip((5, 2), REPORT_TICK, strict=True)
    ]
    text = base.mark_text(align="left", dx=6, fontSize=13, color=GREY).encode(x="end:Q", text="label:N")
    return _to_spec(alt.layer(bars, *marks, text), height=320)


def _panel_layers(x: alt.X) -> list[Any]:
    base = alt.Chart(FIGURES).encode(x=x)
    gap = base.mark_area(color=GREY, opacity=0.22).encode(y=_accuracy_axis("validation:Q"), y2=alt.Y2("training:Q"))
    lines = [
        base.mark_line(color=LINE_STYLES[name][0], strokeDash=LINE_STYLES[name][1], strokeWidth=2).encode(
            y=_accuracy_axis(f"{name}:Q")
        )
        for name in ("training", "validation")
    ]
    return [gap, *lines, _hover_rule(base, ["training", "validation"], ".1%")]


def _epoch_axis(epochs: int) -> alt.X:
    return alt.X(
        "epoch:Q",
        title="epoch",
        scale=alt.Scale(domain=[0, epochs], nice=False),
        axis=alt.Axis(tickMinStep=1, tickCount=6, format="d", grid=False, labelFlush=True),
    )


def _accuracy_axis(field: str) -> alt.Y:
    axis = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1])
    return alt.Y(field, title=None, scale=alt.Scale(domain=[0, 1]), axis=axis)


def _hover_rule(base: alt.Chart, names: Sequence[str], number_format: str) -> Any:
    """A line at the epoch under the pointer, with that epoch's values as a tooltip."""
    nearest = alt.selection_point(nearest=True, on="pointerover", fields=["epoch"], empty=False, clear="pointerout")
    tooltips = [alt.Tooltip("epoch:Q"), *(alt.Tooltip(f"{name}:Q", format=number_format) for name in names)]
    return (
        base.mark_rule(color=GREY, strokeWidth=1.5)
        .encode(tooltip=tooltips, opacity=alt.condition(nearest, alt.value(1), alt.value(0)))
        .add_params(nearest)
    )


def _to_spec(chart: Any, height: int) -> Spec:
    padding = {"left": 4, "top": 4, "right": 14, "bottom": 4}  # right: for the label of the last epoch
    return to_spec(chart.properties(height=height, padding=padding))


def to_spec(chart: Any) -> Spec:
    """The chart as a Vega-Lite dictionary without Altair's configuration, so that Streamlit's theme applies."""
    spec: Spec = chart.to_dict()
    spec.pop("config", None)
    return spec
