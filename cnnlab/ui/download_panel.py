"""Where a data set is missing: how to get it; for CIFAR-10 the button that downloads it, and the progress."""

import time

import streamlit as st

from cnnlab.data import download
from cnnlab.datasets import DatasetInfo, is_own_dataset
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.settings import home
from cnnlab.storage.background_process import cnnlab_command, start_detached

TICK_SECONDS = 1.0


def missing_dataset(info: DatasetInfo) -> None:
    """How to get this data set: the download of CIFAR-10, a sentence for one's own pictures."""
    if not is_own_dataset(info.name):
        download_panel()
        return
    st.write(
        f"The pictures of {info.title} are not on this machine. Who has them imports them again: `python -m cnnlab data"
        f" import FOLDER --name {info.title}`."
    )


def download_panel() -> None:
    """A sentence and the button; during a download, its progress."""
    found = download.download_status()
    if found and found.is_live:
        st.fragment(watch_download, run_every=TICK_SECONDS)()
        return
    st.write(
        "CIFAR-10 is missing on this machine: 60,000 small photos, 170 MB. Without internet, a teacher can import the "
        "archive from a USB stick: `python -m cnnlab data import PATH`."
    )
    if found and found.state in ("failed", "interrupted", "cancelled"):
        st.warning(escape_markdown(found.message))
    if st.button("Download CIFAR-10", icon=":material/download:"):
        start_download()
        st.rerun()


def watch_download() -> None:
    """The downloaded bytes, every second, until the download ends."""
    found = download.download_status()
    if found is None or not found.is_live:
        st.rerun()
    text = escape_markdown(found.message)
    if found.state == "downloading":
        text = f"Downloading CIFAR-10: {found.bytes / 1e6:.0f} of {found.total / 1e6:.0f} MB"
    st.progress(min(1.0, found.bytes / max(1, found.total)), text=text)
    if st.button("Cancel the download", icon=":material/stop_circle:"):
        download.cancel()


def start_download() -> None:
    """Start the download as a detached process, which outlives the page and the web server."""
    home().mkdir(parents=True, exist_ok=True)
    start_detached(cnnlab_command("data", "download"), log=home() / "download.log")
    _wait_until_live()


def _wait_until_live() -> None:
    """Wait a moment until the process has written its status; before, the page would show the button again."""
    for _ in range(30):
        found = download.download_status()
        if found and found.is_live:
            return
        time.sleep(0.1)
