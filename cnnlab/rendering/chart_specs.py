"""The specifications of curves and rankings, authored in Altair, each built once: do not change what is returned.

A specification names the columns that it draws; the figures come later, and every second anew while a network trains.
Only the modules `*_specs` import Altair, which takes a quarter of a second; `charts.cached_spec` imports them when the
first chart is drawn.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import altair as alt

from cnnlab.rendering.palette import GREY, LINE_STYLES, REGULARIZER_COLORS, SELECTED, TEXT

Spec = dict[str, Any]
FIGURES = alt.NamedData("figures")
# The page's text color, as an expression: a chart knows its background. Streamlit's own has a contrast of 3.7 in light.
TEXT_COLOR = f"luminance(background) > 0.5 ? '{TEXT['light']}' : '{TEXT['dark']}'"
# `labelFlush`, which Streamlit's theme sets, moves the first and the last label of an axis away from their marks.
TEXT_CONFIG = alt.Config(
    axis=alt.AxisConfig(labelColor=alt.expr(TEXT_COLOR), titleColor=alt.expr(TEXT_COLOR), labelFlush=False),
    legend=alt.LegendConfig(labelColor=alt.expr(TEXT_COLOR), titleColor=alt.expr(TEXT_COLOR)),
).to_dict()


@lru_cache(maxsize=64)
def curves(what: str, epochs: int, split: str = "validation") -> Spec:
    """`what` is "accuracy" or "loss"; figures: epoch, training, validation, reported. The page has the `legend`.

    `split` is what the curve `validation` is measured on and called under the pointer: "validation" or "test".
    """
    share = what == "accuracy"
    y = alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1]) if share else alt.Scale(zero=True),
        axis=alt.Axis(format="%" if share else "~g", tickCount=5),
    )
    base = alt.Chart(FIGURES).encode(x=epoch_axis(epochs))
    colours, dashes = [line[0] for line in LINE_STYLES.values()], [line[1] for line in LINE_STYLES.values()]
    lines = (
        base.transform_fold(list(LINE_STYLES), as_=["line", "value"])
        .mark_line(strokeWidth=2.5, aria=False)
        .encode(
            y=y,
            color=alt.Color("line:N", scale=alt.Scale(domain=list(LINE_STYLES), range=colours), legend=None),
            strokeDash=alt.StrokeDash("line:N", scale=alt.Scale(domain=list(LINE_STYLES), range=dashes), legend=None),
            opacity=alt.condition("datum.line === 'reported'", alt.value(0.85), alt.value(1)),
        )
    )
    gap = base.mark_area(color=GREY, opacity=0.22, aria=False).encode(y=alt.Y("validation:Q"), y2=alt.Y2("training:Q"))
    layers = [gap, lines, _hover_rule(base, list(LINE_STYLES), ".1%" if share else ".3f", split)]
    return _to_spec(alt.layer(*layers), height=330)


@lru_cache(maxsize=16)
def penalty_curve(epochs: int) -> Spec:
    """Figures: epoch, penalty."""
    base = alt.Chart(FIGURES).encode(x=epoch_axis(epochs))
    line = base.mark_line(color=REGULARIZER_COLORS["l2"], strokeWidth=2.5).encode(
        y=alt.Y("penalty:Q", title=None, scale=alt.Scale(zero=True), axis=alt.Axis(format="~g", tickCount=3))
    )
    return _to_spec(alt.layer(line, _hover_rule(base, ["penalty"], ".4f")), height=140)


@lru_cache(maxsize=16)
def epoch_cursor(epochs: int, split: str = "validation") -> Spec:
    """Figures: epoch, training, validation, cursor. The small panel, lower, without labels of epochs, and a line.

    `split` as for `curves`.
    """
    cursor = (
        alt.Chart(FIGURES).mark_rule(color=SELECTED, strokeWidth=2, opacity=0.5).encode(x=alt.X("cursor:Q", axis=None))
    )
    return _to_spec(alt.layer(*_panel_layers(epoch_axis(epochs).axis(None), split), cursor), height=64)


def _panel_layers(x: alt.X, split: str) -> list[Any]:
    base = alt.Chart(FIGURES).encode(x=x)
    gap = base.mark_area(color=GREY, opacity=0.22, aria=False).encode(
        y=_accuracy_axis("validation:Q"), y2=alt.Y2("training:Q")
    )
    lines = [
        base.mark_line(color=LINE_STYLES[name][0], strokeDash=LINE_STYLES[name][1], strokeWidth=2, aria=False).encode(
            y=_accuracy_axis(f"{name}:Q")
        )
        for name in ("training", "validation")
    ]
    return [gap, *lines, _hover_rule(base, ["training", "validation"], ".1%", split)]


def epoch_axis(epochs: int) -> alt.X:
    """The figure `epoch` on the x axis, from 0 to the last epoch."""
    return alt.X(
        "epoch:Q",
        title="epoch",
        scale=alt.Scale(domain=[0, epochs], nice=False),
        axis=alt.Axis(tickMinStep=1, tickCount=6, format="d", grid=False, labelFlush=True),
    )


def _accuracy_axis(field: str) -> alt.Y:
    axis = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1])
    return alt.Y(field, title=None, scale=alt.Scale(domain=[0, 1]), axis=axis)


def _hover_rule(base: alt.Chart, names: Sequence[str], form: str, split: str = "validation") -> Any:
    """A line at the epoch under the pointer, with the figures of that epoch. A screen reader finds them here only.

    The figure `validation` is called by what it is measured on, `split`.
    """
    nearest = alt.selection_point(nearest=True, on="pointerover", fields=["epoch"], empty=False, clear="pointerout")
    titles = {"validation": split}
    tooltip = [
        alt.Tooltip("epoch:Q"),
        *(alt.Tooltip(f"{name}:Q", title=titles.get(name, name), format=form) for name in names),
    ]
    return (
        base.mark_rule(color=GREY, strokeWidth=1.5)
        .encode(tooltip=tooltip, opacity=alt.condition(nearest, alt.value(1), alt.value(0)))
        .add_params(nearest)
    )


def _to_spec(chart: Any, height: int) -> Spec:
    room = {"left": 4, "top": 4, "right": 14, "bottom": 4}  # for the last epoch's number
    return to_spec(chart.properties(height=height, padding=room))


def to_spec(chart: Any) -> Spec:
    """The chart as a Vega-Lite dictionary. Its configuration is the page's theme but for the color of its text."""
    spec: Spec = chart.to_dict()
    return {**spec, "config": TEXT_CONFIG}
