"""Who is watching what: a count for the teacher, and the reason why a run that is looked at is not removed.

A browser that shows a page asks for the corner's status again and again (`cnnlab.pages.frame.status`); each time it is
noted which page and run it shows. Names are not kept, and one that has not asked for a while is forgotten. The count is
that of this web process.
"""

import secrets
import time
from collections import Counter
from dataclasses import dataclass

import streamlit as st

from cnnlab.experiment import Experiment
from cnnlab.jobs import disk
from cnnlab.pages.selection import parse, parse_experiment
from cnnlab.runs import REFERENCE

SECONDS = 90.0  # browsers let a page in the background ask only once a minute
EXPERIMENT = "experiment in the address"  # where the page that trains keeps what it shows


@dataclass(frozen=True)
class View:
    """What one browser tab shows: a page, and runs by key or name; `seen` in monotonic seconds."""

    page: str
    references: tuple[str, ...]
    seen: float


@st.cache_resource(max_entries=1, show_spinner=False)
def views() -> dict[str, View]:
    """The tabs of all sessions by a number of their own."""
    return {}


def note(page: str) -> None:
    """This tab shows this page now; call it once a run of the script."""
    st.session_state["page shown"] = page
    st.session_state.setdefault("tab", secrets.token_hex(8))
    here()


def here() -> None:
    """This tab is still there."""
    tab = st.session_state.get("tab")
    if tab is None:
        return
    page, now = st.session_state["page shown"], time.monotonic()
    shown = references(page)
    views()[tab] = View(page, shown, now)
    for reference in shown:
        disk.viewed(reference)
    for other, view in list(views().items()):
        if now - view.seen > SECONDS:
            views().pop(other, None)


def references(page: str) -> tuple[str, ...]:
    """The runs that this tab's address names."""
    if page == "train":
        experiment, _ = parse_experiment(st.session_state.get(EXPERIMENT, {}), Experiment())
        return (experiment.key,)
    words, _ = parse({name: str(value) for name, value in st.query_params.items()})
    return tuple(name for name in (words.run, words.versus) if REFERENCE.fullmatch(name))


def count() -> Counter[tuple[str, str]]:
    """How many tabs show which page and run: (page, reference, "" for none)."""
    now = time.monotonic()
    fresh = [view for view in list(views().values()) if now - view.seen <= SECONDS]
    return Counter((view.page, reference) for view in fresh for reference in view.references or ("",))


def tabs() -> int:
    """How many tabs are open."""
    now = time.monotonic()
    return sum(now - view.seen <= SECONDS for view in list(views().values()))
