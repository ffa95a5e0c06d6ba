"""The chart of a sketched curve, with the measured one over it. The specification needs no Altair."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from cnnlab.lessons.sheet import Step
from cnnlab.rendering.palette import LINE_STYLES, TEXT

HEIGHT = 170
TEXT_COLOR = {"expr": f"luminance(background) > 0.5 ? '{TEXT['light']}' : '{TEXT['dark']}'"}
SKETCH_COLOR, MEASURED_COLOR = LINE_STYLES["training"][0], LINE_STYLES["validation"][0]


def sketch_chart(step: Step, sketch: Sequence[float], curve: Sequence[tuple[float, float]], key: str) -> None:
    """Draw a sketch as a dashed line with points, and the measured curve as a solid one where it is given."""
    axes = step.sketch
    if axes is None:
        return
    points = [{"x": x, "y": y} for x, y in zip(axes.x, sketch, strict=True)]
    measured = [{"x": x, "y": y} for x, y in curve if axes.x[0] <= x <= axes.x[-1]]
    layers = [_line(points, SKETCH_COLOR, [6, 4], point=True)]
    layers += [_line(measured, MEASURED_COLOR, [1, 0], point=False)] if measured else []
    scale = {"domain": [axes.low, axes.high]}
    encoding = {
        "x": {"field": "x", "type": "quantitative", "title": axes.x_label, "scale": {"nice": False}},
        "y": {"field": "y", "type": "quantitative", "title": None, "scale": scale},
    }
    axis = {"labelColor": TEXT_COLOR, "titleColor": TEXT_COLOR}
    spec: dict[str, Any] = {"height": HEIGHT, "layer": layers, "encoding": encoding, "config": {"axis": axis}}
    st.caption(axes.y_label)
    st.vega_lite_chart(spec=spec, alt=describe_sketch(step, sketch, measured), key=key)
    if measured:
        st.caption("Dashed with points: your prediction. Solid: measured.")


def describe_sketch(step: Step, sketch: Sequence[float], measured: Sequence[dict[str, float]]) -> str:
    """The alt text: the values of the sketch, and whether the measured curve is drawn."""
    axes = step.sketch
    xs = axes.x if axes else ()
    values = ", ".join(f"{x:g}: {y:g}" for x, y in zip(xs, sketch, strict=True))
    return f"Your sketch: {values}.{' With the measured curve.' if measured else ''}"


def _line(values: list[dict[str, float]], color: str, dash: list[int], *, point: bool) -> dict[str, Any]:
    mark = {"type": "line", "color": color, "strokeDash": dash, "strokeWidth": 2.5, "aria": False}
    mark |= {"point": {"color": color, "size": 60}} if point else {}
    return {"data": {"values": values}, "mark": mark}
