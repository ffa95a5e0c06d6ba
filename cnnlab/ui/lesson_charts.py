"""The chart of a sketched curve in the lesson panel, with the measured one over it."""

from collections.abc import Sequence

import streamlit as st

from cnnlab.lessons.sheet import Step
from cnnlab.rendering import sketch_chart as charts
from cnnlab.rendering.markdown import escape_markdown


def sketch_chart(step: Step, sketch: Sequence[float], curve: Sequence[tuple[float, float]], key: str) -> None:
    """Draw a sketch as a dashed line with points, and the measured curve as a solid one where it is given."""
    axes = step.sketch
    if axes is None:
        return
    points = list(zip(axes.x, sketch, strict=True))
    measured = axes.within(curve)
    st.caption(escape_markdown(axes.y_label))
    spec = charts.sketch_chart(points, measured, (axes.low, axes.high), axes.x_label)
    st.vega_lite_chart(spec=spec, alt=describe_sketch(step, sketch, bool(measured)), key=key)
    if measured:
        st.caption(charts.LEGEND)


def describe_sketch(step: Step, sketch: Sequence[float], is_measured: bool) -> str:
    """The alt text: the values of the sketch, and whether the measured curve is drawn."""
    xs = step.sketch.x if step.sketch else ()
    values = ", ".join(f"{x:g}: {y:g}" for x, y in zip(xs, sketch, strict=True))
    return f"Your sketch: {values}.{' With the measured curve.' if is_measured else ''}"
