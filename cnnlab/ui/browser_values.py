"""Reads what a browser sends of clicks and of its address: it may be anything, where somebody has changed the page."""

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit


def clicked_point(chart_state: object, parameter: str) -> dict[str, Any]:
    """The fields of the point that the selection `parameter` of a chart holds; none where it holds no point."""
    selection = getattr(chart_state, "selection", None)
    points = selection.get(parameter) if isinstance(selection, Mapping) else None
    point = points[0] if isinstance(points, list) and points else None
    return dict(point) if isinstance(point, Mapping) else {}


def split_url(url: object) -> SplitResult:
    """The parts of the address that a browser says it is at; all of them empty where that is no address."""
    text = str(url or "")
    try:
        return urlsplit(text if text.isascii() else "")
    except ValueError:
        return urlsplit("")


def whole_number(value: object) -> int | None:
    """A finite number without its decimals; None for anything else."""
    if isinstance(value, float) and math.isfinite(value):
        return int(value)
    return value if isinstance(value, int) else None
