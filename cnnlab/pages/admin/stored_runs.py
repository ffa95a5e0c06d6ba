"""The runs trained here: pin one so that it is never removed, remove a damaged one."""

import time
from typing import Any

import streamlit as st

from cnnlab import formatting, settings
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.pages.admin.access import admin_actions
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage import run_retention
from cnnlab.storage.runs import Run, UnknownRun
from cnnlab.ui import cache
from cnnlab.ui.damaged_runs import ICON, damage_sentence


def stored_runs() -> None:
    """The table of runs, with a check box that pins each."""
    st.header("Runs trained here", anchor=False)
    trained = [run for run in cache.list_runs() if not run.is_pretrained]
    damaged_run_rows()
    if not trained:
        st.caption("None yet.")
        return
    limit = settings.current().runs_gigabytes
    st.caption(f"Above {limit:g} GB the run that was not opened for the longest time is removed, never a pinned one.")
    rows = [run_row(run) for run in trained]
    version = hash(tuple((run.key, row["pinned"]) for run, row in zip(trained, rows, strict=True)))
    edited = st.data_editor(rows, key=f"runs{version}", disabled=["run", "state", "MB", "used"], hide_index=True)
    for run, before, after in zip(trained, rows, edited, strict=True):
        if before["pinned"] != after["pinned"]:
            pin(run, bool(after["pinned"]))


def damaged_run_rows() -> None:
    """The damaged runs, each with a button that removes it if it was trained here."""
    found = [(run.path, damage_sentence(run)) for run in cache.damaged_runs()]
    found += [(folder.path, escape_markdown(folder.damage)) for folder in cache.damaged_folders()]
    for path, sentence in found:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{ICON} {sentence}", width="stretch")
            if path.parent == settings.runs_dir():
                st.button("Remove", key=f"remove{path.name}", on_click=remove, args=(path.name,), help=path.name)


def remove(name: str) -> None:
    """Remove a run; where that is refused, show the reason."""
    try:
        admin_actions().remove(name)
        cache.clear_run_and_network_lists()
    except (UnknownRun, QuotaExceeded) as error:
        st.error(escape_markdown(str(error)))


def pin(run: Run, pinned: bool) -> None:
    """Pin a run, or end that."""
    try:
        admin_actions().pin(run.key, pinned)
    except UnknownRun as error:
        st.error(escape_markdown(error))
        return
    st.rerun()


def run_row(run: Run) -> dict[str, Any]:
    """A run as a row of the table."""
    return {
        "pinned": run_retention.is_pinned(run.key),
        "run": run.experiment.title,
        "state": "damaged" if run.damages() else run.state,
        "MB": round(run_retention.directory_bytes(run.path) / 1e6, 1),
        "used": format_age(run_retention.last_used(run.path)),
    }


def format_age(moment: float | None) -> str:
    """'3 min ago', for a Unix time; 'never' for None."""
    return f"{formatting.duration(max(0.0, time.time() - (moment or 0.0)))} ago" if moment else "never"
