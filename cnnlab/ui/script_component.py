"""Components whose script is a file under `static/`, which runs in the browser without asking the server.

Streamlit hands an inline script to the browser as a blob, which the Content-Security-Policy (`security_headers`)
refuses, and serves a script file only for packages that are installed with a manifest: `streamlit_component_files`
registers one. Where it cannot, the picture is left out; the text beside it says the same.
"""

import base64
import logging
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from cnnlab.array_types import Array
from cnnlab.ui.streamlit_component_files import register_component
from cnnlab.ui.streamlit_internals import UnknownStreamlit

STATIC = Path(__file__).parent / "static"
PACKAGE = "cnnlab"
logger = logging.getLogger("cnnlab.streamlit")


def script_component(name: str, data: dict[str, Any], key: str, **on_change: Any) -> None:
    """Mount the component of `static/NAME.html`, `.css` and `.js`; the default export of the script gets [data].

    data: what JSON can hold, numbers finite. It is sent in a list, because Streamlit looks through a dictionary for
    data frames and imports pandas for that, which takes a second, and while one session imports pandas the charts of
    another fail: Altair uses a pandas that is half imported.
    on_change: `on_EVENT_change=function`, called after the script's `setTriggerValue("EVENT", value)`.
    """
    try:
        register_component(PACKAGE, name, STATIC)
    except UnknownStreamlit as problem:
        _log_missing(str(problem))
        return
    _renderer(name)(key=key, data=[data], **on_change)


@cache
def _log_missing(problem: str) -> None:
    """One line in the log for each problem."""
    logger.warning("Components are not shown: %s. Install the Streamlit of requirements.txt.", problem)


@cache
def _renderer(name: str) -> Any:
    html, css = ((STATIC / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css"))
    return st.components.v2.component(f"{PACKAGE}.{name}", html=html, css=css, js=f"{name}.js")


def encode(values: Array, kind: str) -> str:
    """An array as base64 of its bytes, row by row, in the type `kind`, for a script."""
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()
