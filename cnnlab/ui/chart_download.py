"""A chart with a menu below it that saves it as PNG or SVG: a menu of the page, which a touch screen opens too."""

from functools import partial
from typing import Any

import streamlit as st

from cnnlab.rendering import chart_export
from cnnlab.rendering.charts import Spec


def chart_with_download(spec: Spec, *, alt: str, key: str, name: str, **how: Any) -> Any:
    """Draw the chart; `name` is that of the file. Returns what `st.vega_lite_chart` returns.

    The file is drawn when somebody asks for it, in a thread of its own.
    """
    answer = st.vega_lite_chart(spec=spec, alt=alt, key=key, **how)
    with st.popover("Save figure", icon=":material/download:", key=f"save {key}", type="tertiary"):
        for label, form, draw in (("PNG", "png", chart_export.to_png), ("SVG", "svg", chart_export.to_svg)):
            st.download_button(
                f"{name}.{form}",
                partial(draw, spec),
                f"{name}.{form}",
                mime="image/png" if form == "png" else "image/svg+xml",
                key=f"save {key} {label}",
                on_click="ignore",
                icon=":material/image:",
            )
    return answer
