"""Which pages and runs are shown now: a count for the teacher; runs that are viewed are not removed.

Each open tab asks for the training status every few seconds (`training_corner`); each time its page and run
are recorded. Names of people are not stored, and a tab that no longer asks is forgotten. Every web process publishes
its counts every few seconds (`storage.presence_files`), so the teacher sees those of all.
"""

import secrets
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import streamlit as st

from cnnlab.experiment import Experiment
from cnnlab.storage import presence_files, run_retention
from cnnlab.storage.runs import RUN_NAME_PATTERN
from cnnlab.ui.experiment_params import parse_experiment
from cnnlab.ui.selection import SESSION_NETWORK, parse_selection
from cnnlab.ui.state import session_key

PRESENCE_SECONDS = 90.0  # browsers let a page in the background ask only once a minute
PUBLISH_SECONDS = 5.0  # between two writings of the counts
SESSION_PAGE = session_key("presence.page")  # the page that this tab shows
SESSION_TAB = session_key("presence.tab")  # 16 hexadecimal digits


@dataclass(frozen=True)
class TabView:
    """What one browser tab shows: a page, and runs by key or name; `seen` in monotonic seconds."""

    page: str
    run_names: tuple[str, ...]
    seen_at: float


@st.cache_resource(max_entries=1, show_spinner=False)
def tab_views() -> dict[str, TabView]:
    """The tabs of all sessions, by tab id."""
    return {}


def record_page(page: str) -> None:
    """Record the page that this tab shows; called once per run of the script."""
    st.session_state[SESSION_PAGE] = page
    st.session_state.setdefault(SESSION_TAB, secrets.token_hex(8))
    refresh_presence()


def refresh_presence() -> None:
    """Record that this tab is still open."""
    tab = st.session_state.get(SESSION_TAB)
    if tab is None:
        return
    page, now = st.session_state[SESSION_PAGE], time.monotonic()
    shown = viewed_run_names(page)
    tab_views()[tab] = TabView(page, shown, now)
    for reference in shown:
        run_retention.mark_viewed(reference)
    for other, view in list(tab_views().items()):
        if now - view.seen_at > PRESENCE_SECONDS:
            tab_views().pop(other, None)
    publish_counts(now)


def viewed_run_names(page: str) -> tuple[str, ...]:
    """The runs that this tab's URL names."""
    if page == "train":
        experiment, _ = parse_experiment(st.session_state.get(SESSION_NETWORK, {}), Experiment())
        return (experiment.key,)
    selection, _ = parse_selection({name: str(value) for name, value in st.query_params.items()})
    return tuple(name for name in (selection.run, selection.versus) if RUN_NAME_PATTERN.fullmatch(name))


@st.cache_resource(max_entries=1, show_spinner=False)
def last_published() -> list[float]:
    """When this process published its counts last, in monotonic seconds; one number."""
    return [float("-inf")]


def publish_counts(now: float) -> None:
    """Publish the counts of this process, at most every PUBLISH_SECONDS; a disk that takes nothing is no error here."""
    if now - last_published()[0] >= PUBLISH_SECONDS:
        last_published()[0] = now
        fresh = fresh_views()
        with suppress(OSError):
            presence_files.write_views(len(fresh), tally(fresh))


def fresh_views() -> list[TabView]:
    """What the open tabs of this process show."""
    now = time.monotonic()
    return [view for view in list(tab_views().values()) if now - view.seen_at <= PRESENCE_SECONDS]


def tally(views: list[TabView]) -> Counter[tuple[str, str]]:
    """How many of these tabs show which page and run: (page, reference, "" for none)."""
    return Counter((view.page, reference) for view in views for reference in view.run_names or ("",))


def count_views() -> Counter[tuple[str, str]]:
    """How many tabs show which page and run, over all web processes of this home."""
    return tally(fresh_views()) + presence_files.read_others()[1]


def count_tabs() -> int:
    """How many tabs are open, over all web processes of this home."""
    return len(fresh_views()) + presence_files.read_others()[0]
