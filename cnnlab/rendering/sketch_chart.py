"""The chart of a curve that a person sketched, with the measured one over it. It needs no Altair."""

from collections.abc import Sequence
from typing import Any

from cnnlab.rendering.palette import LINE_STYLES, TEXT

HEIGHT = 170
TEXT_COLOR = {"expr": f"luminance(background) > 0.5 ? '{TEXT['light']}' : '{TEXT['dark']}'"}
SKETCH_COLOR, MEASURED_COLOR = LINE_STYLES["training"][0], LINE_STYLES["validation"][0]
LEGEND = "Dashed with points: your prediction. Solid: measured."

Points = Sequence[tuple[float, float]]


def sketch_chart(sketch: Points, measured: Points, limits: tuple[float, float], x_label: str) -> dict[str, Any]:
    """The specification with its data: the sketch dashed with points, the measured curve solid where there is one.

    limits: the ends of the vertical axis.
    """
    layers = [_line(sketch, SKETCH_COLOR, [6, 4], point=True)]
    layers += [_line(measured, MEASURED_COLOR, [1, 0], point=False)] if measured else []
    encoding = {
        "x": {"field": "x", "type": "quantitative", "title": x_label, "scale": {"nice": False}},
        "y": {"field": "y", "type": "quantitative", "title": None, "scale": {"domain": list(limits)}},
    }
    axis = {"labelColor": TEXT_COLOR, "titleColor": TEXT_COLOR}
    return {"height": HEIGHT, "layer": layers, "encoding": encoding, "config": {"axis": axis}}


def _line(points: Points, color: str, dash: list[int], *, point: bool) -> dict[str, Any]:
    mark = {"type": "line", "color": color, "strokeDash": dash, "strokeWidth": 2.5, "aria": False}
    mark |= {"point": {"color": color, "size": 60}} if point else {}
    return {"data": {"values": [{"x": x, "y": y} for x, y in points]}, "mark": mark}
