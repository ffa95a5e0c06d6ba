"""Which pages and runs are shown now: a count for the teacher; runs that are viewed are not removed.

Each open tab asks for the training status every few seconds (`training_corner`); each time its page and run
are recorded. Names of people are not stored, and a tab that no longer asks is forgotten. The count is that of this web
process.
"""

import secrets
import time
from collections import Counter
from dataclasses import dataclass

import streamlit as st

from cnnlab.experiment import Experiment
from cnnlab.storage import run_retention
from cnnlab.storage.runs import RUN_NAME_PATTERN
from cnnlab.ui.selection import SESSION_NETWORK, parse_experiment, parse_selection
from cnnlab.ui.state import session_key

PRESENCE_SECONDS = 90.0  # browsers let a page in the background ask only once a minute
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


def viewed_run_names(page: str) -> tuple[str, ...]:
    """The runs that this tab's URL names."""
    if page == "train":
        experiment, _ = parse_experiment(st.session_state.get(SESSION_NETWORK, {}), Experiment())
        return (experiment.key,)
    words, _ = parse_selection({name: str(value) for name, value in st.query_params.items()})
    return tuple(name for name in (words.run, words.versus) if RUN_NAME_PATTERN.fullmatch(name))


def count_views() -> Counter[tuple[str, str]]:
    """How many tabs show which page and run: (page, reference, "" for none)."""
    now = time.monotonic()
    fresh = [view for view in list(tab_views().values()) if now - view.seen_at <= PRESENCE_SECONDS]
    return Counter((view.page, reference) for view in fresh for reference in view.run_names or ("",))


def count_tabs() -> int:
    """How many tabs are open."""
    now = time.monotonic()
    return sum(now - view.seen_at <= PRESENCE_SECONDS for view in list(tab_views().values()))
