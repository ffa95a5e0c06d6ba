"""The server: whether new trainings are accepted, its load, disk and GPUs, and which pages are open."""

import contextlib
import os
import shutil
import time
from pathlib import Path

import streamlit as st

from cnnlab import settings
from cnnlab.formatting import pluralize
from cnnlab.jobs import devices, dispatcher_process
from cnnlab.jobs.job import CANCELLED, DONE
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.operating_system.machine import load_average
from cnnlab.pages.admin.access import admin_actions
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage import run_retention, runs
from cnnlab.storage.runs import UnknownRun
from cnnlab.ui import app_shell, cache, presence
from cnnlab.ui.state import session_key

MAX_VIEWS_SHOWN = 12
DAY_SECONDS = 24 * 3600.0
SESSION_ACCEPTING = session_key("admin.accepting")


def accepting_toggle() -> None:
    """The switch that accepts new trainings or refuses them."""
    st.session_state[SESSION_ACCEPTING] = cache.open_queue().is_accepting()
    help_ = "Trainings that wait or run continue in either case."
    if not st.toggle("Accept new trainings", key=SESSION_ACCEPTING, help=help_, on_change=apply_accepting):
        st.warning("New trainings are refused. A student who asks for one reads that the queue is closed.")


def apply_accepting() -> None:
    """Store the switch's position; without effect for anybody but a teacher, whom the next run of the page refuses."""
    with contextlib.suppress(QuotaExceeded):
        admin_actions().set_accepting(bool(st.session_state[SESSION_ACCEPTING]))


@app_shell.errors_as_sentences()
def machine_metrics() -> None:
    """The figures of the server."""
    allowed, queue = settings.current(), cache.open_queue()
    running, waiting = len(queue.running()), len(queue.waiting())
    free = shutil.disk_usage(nearest_existing(settings.home())).free
    with st.container(horizontal=True):
        st.metric("Running", f"{running} of {queue.slots()}", width=120)
        st.metric("Waiting", f"{waiting} of {allowed.queue_length}", width=120)
        st.metric("Done", done_of_today(queue), width=110, help="Of the trainings asked for in the last 24 hours")
        st.metric("Open tabs", presence.count_tabs(), width=110, help="Browser tabs that show this app, with yours.")
        if (load := load_average()) is not None:
            st.metric("Load", f"{load:.1f}", width=100, help=pluralize(os.cpu_count() or 1, "processor core"))
        st.metric("Runs on disk", f"{runs_bytes() / 1e9:.2f} of {allowed.runs_gigabytes:g} GB", width=210)
        st.metric("Disk free", f"{free / 1e9:.0f} GB", width=120)
        for gpu in gpus():
            used = f"{gpu.used_mib / 1024:.1f} of {gpu.memory_mib / 1024:.0f} GiB"
            st.metric(escape_markdown(gpu.device), used, width=170, help=escape_markdown(gpu.name))
    if waiting and not dispatcher_process.is_running():
        st.error("Trainings wait and no dispatcher is running. Start one: `python -m cnnlab dispatch`.")


def done_of_today(queue: Queue) -> str:
    """'3 of 5': the trainings asked for within a day that are done, of those that nobody stopped."""
    counts = queue.count_states(time.time() - DAY_SECONDS)
    return f"{counts.get(DONE, 0)} of {sum(counts.values()) - counts.get(CANCELLED, 0)}"


@st.cache_data(ttl=20, max_entries=1, show_spinner=False)
def runs_bytes() -> int:
    """The size of all runs in bytes, measured at most every 20 seconds."""
    return run_retention.total_bytes()


@st.cache_data(ttl=5, max_entries=1, show_spinner=False)
def gpus() -> list[devices.Gpu]:
    """The GPUs and their used memory, asked of the driver at most every 5 seconds."""
    return devices.list_gpus()


def nearest_existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def open_pages() -> None:
    """How many tabs show which page and run, without names of people."""
    st.header("Open pages", anchor=False)
    for (where, reference), number in presence.count_views().most_common(MAX_VIEWS_SHOWN):
        title = run_title(reference)
        st.markdown(f"{number} on {where.replace('_', ' ')}{f', {title}' if title else ''}")


def run_title(reference: str) -> str:
    """The title of the run with this key or name; "" where there is none."""
    try:
        return runs.open_run(reference).title if reference else ""
    except UnknownRun:
        return ""
