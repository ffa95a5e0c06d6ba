"""The specifications of the charts of a sweep, authored in Altair, each built once: do not change what is returned."""

from functools import lru_cache
from typing import Any

import altair as alt

from cnnlab.rendering.chart_specs import FIGURES, TEXT_COLOR, Spec, to_spec
from cnnlab.rendering.palette import BLACK, GREY, LABEL_NOISE_LINES, LINE_STYLES, SELECTED, WHITE, label_noise_titles

INK = alt.expr(TEXT_COLOR)
ROOM = {"left": 4, "top": 8, "right": 18, "bottom": 4}
AUGMENT_LINES = {"no augmentation": [1, 0], "flip and shift": [6, 3]}  # name: dash
CELL_HEIGHT = 52  # pixels of a row of the heat map


@lru_cache(maxsize=32)
def accuracy_by_size(sizes: tuple[float, ...], measured_on: str) -> Spec:
    """Training and validation accuracy against these numbers of training images, with intervals; the gap is shaded.

    Figures: size, training, training_low, training_high, validation, validation_low, validation_high (fractions).
    `measured_on` is what the latter are measured on and called under the pointer: "validation" or "test".
    """
    base = alt.Chart(FIGURES).encode(x=_size_axis(sizes))
    gap = base.mark_area(color=GREY, opacity=0.22, aria=False).encode(
        y=_share_axis("validation:Q"), y2=alt.Y2("training:Q")
    )
    titles = {"training": "training", "validation": measured_on}
    marks = [mark for name, title in titles.items() for mark in _line_with_intervals(base, name, title)]
    return _finish(alt.layer(gap, *marks), 280)


@lru_cache(maxsize=32)
def gap_by_size(sizes: tuple[float, ...]) -> Spec:
    """The gap in points, a line for each augmentation. Figures: size, line, gap, low, high."""
    dash = alt.StrokeDash(
        "line:N",
        scale=alt.Scale(domain=list(AUGMENT_LINES), range=list(AUGMENT_LINES.values())),
        legend=None,
    )
    base = alt.Chart(FIGURES).encode(x=_size_axis(sizes), detail="line:N")
    y = alt.Y("gap:Q", title=None, axis=alt.Axis(format="~g", tickCount=5), scale=alt.Scale(zero=True))
    tooltip = [
        alt.Tooltip("line:N", title="augmentation"),
        alt.Tooltip("size:Q", title="training images", format=","),
        *_estimate("gap", ".1f"),
    ]
    line = base.mark_line(color=INK, strokeWidth=2, aria=False).encode(y=y, strokeDash=dash)
    bars = base.mark_rule(color=INK, strokeWidth=1.5, aria=False).encode(y="low:Q", y2="high:Q")
    dots = base.mark_point(filled=True, color=INK, size=70, opacity=1).encode(y=y, tooltip=tooltip, shape=_shape())
    return _finish(alt.layer(bars, line, dots), 280)


@lru_cache(maxsize=4)
def heat_map(as_points: bool, rows: int) -> Spec:
    """Figures: column, row (texts in their order), value, low, high, label, dark (whether its text is light)."""
    form = ".1f" if as_points else ".1%"
    scheme = alt.Scale(scheme="viridis", reverse=as_points)
    tooltip = [
        alt.Tooltip("row:N", title="depth"),
        alt.Tooltip("column:N", title="strength"),
        *_estimate("value", form),
    ]
    base = alt.Chart(FIGURES).encode(
        x=alt.X("column:N", sort=None, title="strength", axis=alt.Axis(labelAngle=0, domain=False, ticks=False)),
        y=alt.Y("row:N", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False)),
    )
    cells = base.mark_rect(stroke=WHITE, strokeWidth=2).encode(
        color=alt.Color("value:Q", scale=scheme, legend=None), tooltip=tooltip
    )
    text = base.mark_text(fontSize=13, aria=False).encode(
        text="label:N", color=alt.condition("datum.dark", alt.value(WHITE), alt.value(BLACK))
    )
    return _finish(alt.layer(cells, text), CELL_HEIGHT * rows + 50)


@lru_cache(maxsize=16)
def label_noise_curves(epochs: int, split: str) -> Spec:
    """Accuracies over the epochs of a training with noisy labels. Figures: epoch, the lines, best (an epoch).

    `split` is what the line `validation` is measured on: "validation" or "test".
    """
    domain = alt.Scale(domain=[0, epochs], nice=False)
    axis = alt.Axis(tickMinStep=1, tickCount=6, format="d", grid=False, labelFlush=True)
    base = alt.Chart(FIGURES).encode(x=alt.X("epoch:Q", title="epoch", scale=domain, axis=axis))
    lines = [
        base.mark_line(color=color, strokeDash=dash, strokeWidth=2.5, aria=False).encode(y=_share_axis(f"{name}:Q"))
        for name, (color, dash) in LABEL_NOISE_LINES.items()
    ]
    best = base.mark_rule(color=SELECTED, strokeWidth=2, opacity=0.7, aria=False).encode(x="best:Q")
    nearest = alt.selection_point(nearest=True, on="pointerover", fields=["epoch"], empty=False, clear="pointerout")
    tooltip = [alt.Tooltip(f"{name}:Q", title=title, format=".1%") for name, title in label_noise_titles(split).items()]
    hover = (
        base.mark_rule(color=GREY, strokeWidth=1.5)
        .encode(tooltip=[alt.Tooltip("epoch:Q"), *tooltip], opacity=alt.condition(nearest, alt.value(1), alt.value(0)))
        .add_params(nearest)
    )
    return _finish(alt.layer(*lines, best, hover), 300)


@lru_cache(maxsize=2)
def label_noise_levels(split: str) -> Spec:
    """Final accuracies against the share of replaced labels. Figures: share, and the lines of LABEL_NOISE_LINES.

    `split` as for `label_noise_curves`.
    """
    axis = alt.Axis(format="%", tickCount=5, grid=False)
    x = alt.X("share:Q", title="share of replaced labels", axis=axis, scale=alt.Scale(domain=[0, 1]))
    base = alt.Chart(FIGURES).encode(x=x)
    marks = []
    for name, title in label_noise_titles(split).items():
        color, dash = LABEL_NOISE_LINES[name]
        y = _share_axis(f"{name}:Q")
        tooltip = [
            alt.Tooltip("share:Q", title="replaced", format=".0%"),
            alt.Tooltip(f"{name}:Q", title=title, format=".1%"),
        ]
        marks.append(base.mark_line(color=color, strokeDash=dash, strokeWidth=2.5, aria=False).encode(y=y))
        marks.append(base.mark_point(filled=True, color=color, size=60, opacity=1).encode(y=y, tooltip=tooltip))
    return _finish(alt.layer(*marks), 300)


def _line_with_intervals(base: alt.Chart, name: str, title: str) -> list[alt.Chart]:
    """A line, its interval bars and its points in the color of training or validation; `title` is its name in words."""
    color, dash = LINE_STYLES[name]
    y = _share_axis(f"{name}:Q")
    tooltip = [
        alt.Tooltip("size:Q", title="training images", format=","),
        alt.Tooltip(f"{name}:Q", title=title, format=".1%"),
        alt.Tooltip(f"{name}_low:Q", title="95 % from", format=".1%"),
        alt.Tooltip(f"{name}_high:Q", title="to", format=".1%"),
    ]
    return [
        base.mark_rule(color=color, strokeWidth=1.5, aria=False).encode(
            y=_share_axis(f"{name}_low:Q"), y2=f"{name}_high:Q"
        ),
        base.mark_line(color=color, strokeDash=dash, strokeWidth=2.5, aria=False).encode(y=y),
        base.mark_point(filled=True, color=color, size=60, opacity=1).encode(y=y, tooltip=tooltip),
    ]


def _size_axis(sizes: tuple[float, ...]) -> alt.X:
    """A log axis with a label at each of these numbers of training images."""
    axis = alt.Axis(format=",", values=list(sizes), grid=False, labelOverlap=True)
    return alt.X("size:Q", title="training images, on a log scale", scale=alt.Scale(type="log", nice=False), axis=axis)


def _share_axis(field: str) -> alt.Y:
    axis = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1])
    return alt.Y(field, title=None, scale=alt.Scale(domain=[0, 1]), axis=axis)


def _estimate(name: str, form: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip(f"{name}:Q", format=form),
        alt.Tooltip("low:Q", title="95 % from", format=form),
        alt.Tooltip("high:Q", title="to", format=form),
    ]


def _shape() -> alt.Shape:
    return alt.Shape("line:N", scale=alt.Scale(domain=list(AUGMENT_LINES), range=["circle", "square"]), legend=None)


def _finish(chart: Any, height: int) -> Spec:
    return to_spec(chart.properties(height=height, padding=ROOM))
