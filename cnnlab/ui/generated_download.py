"""A file that is made when its button is pressed and then saved by itself: one click.

Streamlit has no such button. `download_button` wants the file beforehand; with deferred data it shows the same words
for every error, and the file belongs to no session, so that Streamlit 1.67 deletes it after two reruns of anybody. So
the file is made with its progress on the page and handed to an ordinary `download_button`, which a script presses. The
button stays there for a browser that refuses that.
"""

import secrets
from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnlab.analysis.batched_activations import ProgressCallback
from cnnlab.ui import app_shell, streamlit_downloads
from cnnlab.ui.script_component import script_component

MAKING = "Making the file"
FULL = "Many people save a file at this moment: try again in two minutes."


def generate_and_save(make: Callable[[ProgressCallback], bytes], file_name: str, mime: str, key: str) -> None:
    """Make a file, with its progress, and save it in the browser; to be called where a button was pressed.

    make: gives the bytes of the file and calls progress(done, total). Its error of a run or of the disk is shown as a
    sentence, and nothing is saved.
    """
    if streamlit_downloads.is_full():
        st.error(FULL)
        return
    bar = st.progress(0.0, MAKING)
    content = b""
    try:
        with app_shell.errors_as_sentences():
            content = make(lambda done, total: _show(bar, done, total))
    finally:
        bar.empty()
    if not content:
        return
    again, size = f"{key}_again", f"{max(0.1, len(content) / 1e6):.1f} MB"
    with st.container(horizontal=True, vertical_alignment="center"):
        told = f":material/check: {file_name} ({size}) is made. Your browser saves it now; if it does not:"
        st.caption(told, width="content")
        st.download_button("Save it", content, file_name, mime, key=again, type="tertiary", on_click="ignore")
        streamlit_downloads.forget_later(content)
        script_component("press_button", {"button": again, "once": secrets.token_hex(8)}, key=f"{key}_press")


def _show(bar: DeltaGenerator, done: int, total: int) -> None:
    bar.progress(done / max(1, total), f"{MAKING}: {done} of {total} parts")
