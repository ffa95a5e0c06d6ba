"""The end of the dispatcher's log, or of a training's."""

import html
from pathlib import Path

import streamlit as st

from cnnlab.jobs import dispatcher_process
from cnnlab.jobs.runner import run_directory
from cnnlab.jobs.worker_outcome import read_tail
from cnnlab.pages.admin.trainings import RECENT_JOBS, job_title
from cnnlab.ui import cache

LOG_BYTES = 6_000
# `st.code` scrolls with the mouse only. With a tabindex Tab reaches the region and the arrow keys scroll it.
REGION = (
    '<pre tabindex="0" role="region" aria-label="{label}" style="height: 260px; overflow: auto; white-space: pre-wrap;'
    " padding: 0.75rem; border-radius: 0.5rem; font-size: 0.85rem;"
    ' background: color-mix(in srgb, currentColor 6%, transparent)">{text}</pre>'
)


def log_viewer() -> None:
    """A menu of logs and the end of the selected one."""
    st.header("Log", anchor=False)
    paths = log_paths()
    chosen = st.selectbox("Log of", list(paths), label_visibility="collapsed")
    text = read_tail(paths[chosen], LOG_BYTES).strip() if chosen else ""
    if text:
        st.html(REGION.format(label=html.escape(f"Log of {chosen}", quote=True), text=html.escape(text)))
    else:
        st.caption("This log is empty.")


def log_paths() -> dict[str, Path]:
    """The log files by their names in the menu: the dispatcher's, then those of running and recently finished jobs."""
    paths = {"the dispatcher": dispatcher_process.log_path()}
    for job in [*cache.open_queue().running(), *cache.open_queue().recent(RECENT_JOBS)]:
        if job.attempts:
            paths.setdefault(f"job {job.id}, {job_title(job)}", run_directory(job) / "worker.log")
    return paths
