"""The specification of the learning curves of many networks, a panel each, authored in Altair and built once."""

from functools import lru_cache
from typing import Any

import altair as alt

from cnnlab.rendering.chart_specs import FIGURES, TEXT_COLOR, Spec, to_spec
from cnnlab.rendering.palette import GREY, LINE_STYLES

PANEL_HEIGHT = 176  # pixels of one panel of learning curves, of which
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 30, 22  # stay free for numbers and title
NARROW_WIDTH, MEDIUM_WIDTH = 430, 860  # pixels: below them one and two panels stand side by side


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
