"""Components whose script is a file under `static/`, which runs in the browser without asking the server.

Streamlit hands an inline script to the browser as a blob, which the Content-Security-Policy (`security_headers`)
refuses, and serves a script file only for packages that are installed with a manifest. A clone is not installed, so the
manifest is registered here, through Streamlit's component manager.
"""

import base64
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

from cnnlab.array_types import Array

STATIC = Path(__file__).parent / "static"
PACKAGE = "cnnlab"
_registering = Lock()


def script_component(name: str, data: dict[str, Any], key: str, **on_change: Any) -> None:
    """Mount the component of `static/NAME.html`, `.css` and `.js`; the default export of the script gets [data].

    data: what JSON can hold, numbers finite. It is sent in a list, because Streamlit looks through a dictionary for
    data frames and imports pandas for that, which takes a second, and while one session imports pandas the charts of
    another fail: Altair uses a pandas that is half imported.
    on_change: `on_EVENT_change=function`, called after the script's `setTriggerValue("EVENT", value)`.
    """
    register_scripts(name)
    _renderer(name)(key=key, data=[data], **on_change)


def register_scripts(name: str) -> None:
    """Tell the running Streamlit that the component's files are in `static/`, where it does not know that yet."""
    manager = get_bidi_component_manager()
    with _registering:
        if manager.get_component_asset_root(f"{PACKAGE}.{name}") is None:
            component = ComponentConfig(name=name, asset_dir=STATIC.name)
            manifest = ComponentManifest(name=PACKAGE, version="", components=[component])
            manager.register_from_manifest(manifest, STATIC.parent)


@cache
def _renderer(name: str) -> Any:
    html, css = ((STATIC / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("html", "css"))
    return st.components.v2.component(f"{PACKAGE}.{name}", html=html, css=css, js=f"{name}.js")


def encode(values: Array, kind: str) -> str:
    """An array as base64 of its bytes, row by row, in the type `kind`, for a script."""
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()
