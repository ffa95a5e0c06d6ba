"""Reads what a browser sends for a click on a chart or in a component: any JSON, where the page was changed."""

import math
from collections.abc import Mapping
from typing import Any


def clicked_point(chart_state: object, parameter: str) -> dict[str, Any]:
    """The fields of the point that the selection `parameter` of a chart holds; none where it holds no point."""
    selection = getattr(chart_state, "selection", None)
    points = selection.get(parameter) if isinstance(selection, Mapping) else None
    point = points[0] if isinstance(points, list) and points else None
    return dict(point) if isinstance(point, Mapping) else {}


def whole_number(value: object) -> int | None:
    """A finite number without its decimals; None for anything else."""
    if isinstance(value, float) and math.isfinite(value):
        return int(value)
    return value if isinstance(value, int) else None
