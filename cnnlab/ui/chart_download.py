"""A chart with a menu below it that saves it as PNG or SVG: a menu of the page, which a touch screen opens too."""

import hashlib
import json
from typing import Any

import streamlit as st

from cnnlab.rendering import chart_export
from cnnlab.rendering.charts import Spec

FORMS = {"png": "image/png", "svg": "image/svg+xml"}


def chart_with_download(
    spec: Spec, *, alt: str, key: str, name: str, title: str = "", saved: Spec | None = None, **how: Any
) -> Any:
    """Draw the chart; `name` is that of the file. Returns what `st.vega_lite_chart` returns.

    `title` stands above the chart in the file, where the legend of the page is missing; `saved` is the chart of the
    file where that is another one.
    """
    answer = st.vega_lite_chart(spec=spec, alt=alt, key=key, **how)
    _save_menu(saved or spec, key, name, title)
    return answer


@st.fragment
def _save_menu(spec: Spec, key: str, name: str, title: str) -> None:
    """The menu; its files are drawn when it is opened.

    They are drawn before their buttons and not by `download_button`'s deferred data: such a file belongs to no session,
    and Streamlit 1.67 deletes it after two reruns of anybody, which here are a second apart.
    """
    menu = st.popover("Save figure", icon=":material/download:", key=f"save {key}", type="tertiary", on_change="rerun")
    if not menu.open:
        return
    with menu, st.spinner("Drawing the figure"):
        files = _drawn(figure_digest(spec, title), spec, title)
        for form, content in files.items():
            st.download_button(
                f"{name}.{form}",
                content,
                f"{name}.{form}",
                mime=FORMS[form],
                key=f"save {key} {form}",
                on_click="ignore",
                icon=":material/image:",
            )


def figure_digest(spec: Spec, title: str) -> str:
    """Equal for equal figures."""
    words = json.dumps([title, {name: part for name, part in spec.items() if name != "datasets"}], sort_keys=True)
    return hashlib.sha256(words.encode() + spec["datasets"]["figures"]).hexdigest()


@st.cache_data(max_entries=16, show_spinner=False)
def _drawn(digest: str, _spec: Spec, title: str) -> dict[str, bytes]:
    return {"png": chart_export.to_png(_spec, title), "svg": chart_export.to_svg(_spec, title).encode()}
