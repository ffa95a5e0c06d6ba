"""The specifications of Look inside, authored in Altair, each built once: do not change what is returned.

`color`, in the figures, is the color of a row.
"""

from functools import lru_cache
from typing import Any

import altair as alt

from cnnlab.rendering.chart_specs import FIGURES, TEXT_COLOR, Spec, epoch_axis, to_spec
from cnnlab.rendering.palette import FULL_NETWORK, GREY, LINE_STYLES, REGULARIZER_COLORS, TRAINING

# A mark of an earlier prediction a little beyond the end of the bar would cover the number: it stands behind the mark.
COVERS = "datum.before > datum.probability && datum.before < datum.probability + 0.3"
LABEL_PLACE = f"{COVERS} ? datum.before : datum.probability"


@lru_cache(maxsize=2)
def probability_bars(before: bool) -> Spec:
    """Figures: name, probability, shown, before, color. `before`: with a mark at an earlier answer."""
    room: list[Any] = [0, alt.expr("max(24, width - 52)")]  # '>99.9 %' takes 47 pixels
    labels = alt.Axis(
        title=None, ticks=False, domain=False, labelLimit=130, labelOverlap=False, labelBound=False, labelFlush=False
    )
    ink = alt.expr(TEXT_COLOR)
    figures = alt.Chart(FIGURES)
    layers = [
        figures.mark_bar(height=12, color=alt.expr("datum.color")),
        figures.transform_calculate(place=LABEL_PLACE)
        .mark_text(align="left", dx=5, fontSize=12, color=ink, aria=False)
        .encode(text="shown:N", x="place:Q"),
    ]
    if before:
        layers.append(alt.Chart(FIGURES).mark_tick(thickness=2.5, size=16, color=ink).encode(x="before:Q"))
    shared = alt.layer(*layers).encode(
        x=alt.X("probability:Q", scale=alt.Scale(domain=[0, 1], range=room), axis=None),
        y=alt.Y("name:N", sort=None, axis=labels),
        tooltip=[alt.Tooltip("name:N", title="class"), alt.Tooltip("shown:N", title="probability")],
    )
    around = {"left": 0, "right": 0, "top": 6, "bottom": 0}
    return to_spec(shared.properties(height=196, padding=around, view=alt.ViewBackground(stroke=None)))


@lru_cache(maxsize=1)
def probability_dots() -> Spec:
    """Figures: name, share (a dot for each row), whole (a line at its mean for each name), chosen (0 or 1).

    The chosen dots are outlined and larger.
    """
    dots = alt.Chart(FIGURES).mark_circle(size=45, opacity=0.45, color=REGULARIZER_COLORS["dropout"])
    chosen = (
        alt.Chart(FIGURES)
        .transform_filter("datum.chosen === 1")
        .mark_circle(
            size=90, opacity=1, color=REGULARIZER_COLORS["dropout"], stroke=alt.expr(TEXT_COLOR), strokeWidth=2
        )
    )
    lines = alt.Chart(FIGURES).mark_tick(thickness=2.5, size=18, color=FULL_NETWORK)
    layers = alt.layer(
        dots.encode(x=_share("share:Q")),
        lines.encode(x=_share("mean(whole):Q")),
        chosen.encode(x=_share("share:Q")),
    )
    names = alt.Y("name:N", sort=None, axis=alt.Axis(title=None, labelOverlap=False))
    return to_spec(layers.encode(y=names).properties(height=340))


@lru_cache(maxsize=4)
def histogram(title: str) -> Spec:
    """`title` names the values. Figures: value, count, run ("this run" solid, "plain run" dashed), color."""
    dashes = alt.Scale(domain=["this run", "plain run"], range=[[1, 0], [5, 3]])
    lines = (
        alt.Chart(FIGURES)
        .mark_line(interpolate="step", strokeWidth=2)
        .encode(
            x=alt.X("value:Q", axis=alt.Axis(title=title)),
            y=alt.Y("count:Q", axis=alt.Axis(title="how many")),
            color=alt.Color("color:N", scale=None),
            strokeDash=alt.StrokeDash("run:N", scale=dashes, legend=None),
            tooltip=["run:N", alt.Tooltip("value:Q", title=title, format=".3f"), alt.Tooltip("count:Q", format=",d")],
        )
    )
    return to_spec(lines.properties(height=220))


@lru_cache(maxsize=1)
def channel_ranges() -> Spec:
    """Figures: place (on the horizontal axis), channel, low, middle, high."""
    color = REGULARIZER_COLORS["batchnorm"]
    tooltips = [alt.Tooltip("channel:N", title="channel")]
    tooltips += [alt.Tooltip(f"{name}:Q", format=".2f") for name in ("low", "middle", "high")]
    rules = alt.Chart(FIGURES).mark_rule(strokeWidth=2, color=color).encode(y=_untitled("low:Q"), y2="high")
    points = alt.Chart(FIGURES).mark_point(size=12, filled=True, color=color).encode(y=_untitled("middle:Q"))
    x = alt.X("place:Q", axis=alt.Axis(title="channels", labels=False, grid=False))
    return to_spec(alt.layer(rules, points).encode(x=x, tooltip=tooltips).properties(height=280))


@lru_cache(maxsize=16)
def moving_averages(names: tuple[str, str], epochs: int) -> Spec:
    """Figures: epoch, statistics (one of the two names), accuracy, cursor (an epoch, marked by a line)."""
    legend = alt.Legend(title=None, orient="top", labelLimit=320, columns=1)
    color = alt.Color(
        "statistics:N",
        scale=alt.Scale(domain=list(names), range=[LINE_STYLES["validation"][0], REGULARIZER_COLORS["batchnorm"]]),
        legend=legend,
    )
    dash = alt.StrokeDash("statistics:N", scale=alt.Scale(domain=list(names), range=[[6, 3], [1, 0]]), legend=legend)
    tooltip = [alt.Tooltip("statistics:N"), alt.Tooltip("epoch:Q"), alt.Tooltip("accuracy:Q", format=".1%")]
    base = alt.Chart(FIGURES).encode(
        x=epoch_axis(epochs),
        y=alt.Y("accuracy:Q", title=None, axis=alt.Axis(format="%", tickCount=5)),
        color=color,
        tooltip=tooltip,
    )
    cursor = alt.Chart(FIGURES).mark_rule(color=GREY, strokeWidth=1.5, aria=False).encode(x="max(cursor):Q")
    layers = [
        cursor,
        base.mark_line(strokeWidth=2.5, aria=False).encode(strokeDash=dash),
        base.mark_point(filled=True, size=40),
    ]
    return to_spec(alt.layer(*layers).properties(height=280))


@lru_cache(maxsize=1)
def probe_accuracies() -> Spec:
    """Figures: name (a layer), network ("trained" or "untrained"), accuracy, low, high (0..1)."""
    networks = ["trained", "untrained"]
    legend = alt.Legend(title=None, orient="top")
    color = alt.Color("network:N", scale=alt.Scale(domain=networks, range=[TRAINING, GREY]), legend=legend)
    shape = alt.Shape("network:N", scale=alt.Scale(domain=networks, range=["circle", "square"]), legend=legend)
    tooltip = [alt.Tooltip("name:N", title="layer"), alt.Tooltip("network:N")]
    tooltip += [alt.Tooltip(f"{field}:Q", format=".1%") for field in ("accuracy", "low", "high")]
    rules = alt.Chart(FIGURES).mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", color=color)
    points = (
        alt.Chart(FIGURES).mark_point(filled=True, size=90, opacity=1).encode(x="accuracy:Q", color=color, shape=shape)
    )
    axis = alt.X("accuracy:Q", title="accuracy of a linear classifier", axis=alt.Axis(format="%"))
    names = alt.Y("name:N", sort=None, axis=alt.Axis(title=None, labelOverlap=False))
    layers = alt.layer(rules, points.encode(x=axis)).encode(y=names, tooltip=tooltip)
    return to_spec(layers.properties(height=340))


def _share(field: str) -> Any:
    return alt.X(field, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", title="probability", tickCount=5))


def _untitled(field: str) -> Any:
    return alt.Y(field, axis=alt.Axis(title=None))
