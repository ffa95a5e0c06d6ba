"""What stands around every page: how many trainings run, which one has just finished, and who is looking.

A class shares one server, and each browser is one person in the queue (`jobs.fair_scheduling`). Streamlit gives each
browser a random token in a cookie; a digest of it is the person's name here. It survives a reload, means nothing to
anybody, and asks nobody to sign in. Where cookies are forbidden, a name lasts as long as the tab.
"""

import binascii
import gc
import hashlib
import importlib
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.navigation.page import Page

from cnnlab.data import samples
from cnnlab.experiment import ExperimentError
from cnnlab.jobs import admin, dispatcher
from cnnlab.jobs.queue import DONE, FAILED, Job, QueueError
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.settings import SettingsError
from cnnlab.ui import auth, cache, presence
from cnnlab.ui.streamlit_patches import delay_fragment_reruns

POLL_SECONDS = 2.0
SESSION_TEACHER_KEY = "teacher key"  # where a session keeps the key that was typed on the Admin page
COOKIE = "_streamlit_xsrf"  # "2|mask|token|time" in hex digits; the mask changes, what lies under it stays
STYLE = """<style>
button[data-testid^="stBaseButton-primary"] { color: light-dark(#ffffff, #0b1622); }
.st-key-running { position: fixed; top: 0.95rem; right: 3.6rem; z-index: 1000000; width: auto !important; }
.st-key-running p { font-size: 0.9rem; white-space: nowrap; }
@media (max-width: 640px) { .st-key-running { right: 3.2rem; } }
</style>"""


def make_page(name: str, title: str, **how: Any) -> Page:
    """The page that the module `name` of this package draws; the module is imported when the page is first opened.

    It has no icon: a browser fetches a page's icon from the internet, for its tab.
    """

    def draw() -> None:
        importlib.import_module(f"cnnlab.pages.{name}").page()

    return st.Page(draw, title=title, url_path=name, **how)


def run_app(pages: Sequence[Page]) -> None:
    """Draw the chosen page inside its frame. What goes wrong on the disk or in the queue becomes one sentence."""
    delay_fragment_reruns()
    page = st.navigation(list(pages), position="top")
    st.session_state["pages"] = {one.url_path or "train": one for one in pages}
    st.set_page_config(
        page_title=f"{page.title} - CNN Lab",
        page_icon=str(samples.SAMPLE_DIRECTORY / "cifar10_00_3.png"),
        layout="wide",
    )
    if not auth.require_sign_in():
        return
    presence.record_page(page.url_path or "train")
    try:
        page.run()
        page_footer(page)
    except (QueueError, QuotaExceeded, SettingsError) as error:
        st.error(str(error))
    except OSError as error:
        st.error(f"Something could not be read or written ({error.strerror or error}): look at the disk of the server.")
    with st.container(key="running"):
        st.html(STYLE)
        training_status()
    freeze_imports("altair" in sys.modules)


def page_footer(page: Page) -> None:
    """Below the page: for a teacher the way to the Admin page, and for who signed in the way out."""
    if page.url_path != "admin" and admin.is_teacher(current_person(), st.session_state.get(SESSION_TEACHER_KEY, "")):
        page_link("admin", "What is this machine doing?", {}, icon=":material/dns:")
    auth.sign_out_button()


def page_link(url_path: str, label: str, params: Mapping[str, str], icon: str | None = None) -> None:
    """A link to another page of the app, with these words in its address. Nothing where there is no such page."""
    page = st.session_state.get("pages", {}).get(url_path)
    if page:
        st.page_link(page, label=label, icon=icon, query_params=dict(params))


@st.cache_resource(max_entries=2, show_spinner=False)
def freeze_imports(with_charts: bool) -> None:
    """After the first page, and after the first chart: what the imports made stays for good (`gc.freeze`).

    Streamlit collects garbage after every rerun; with thirty browsers that poll, looking at all modules again and again
    is most of the server's work.
    """
    gc.collect()
    gc.freeze()


@st.fragment(run_every=POLL_SECONDS)
def training_status() -> None:
    """How many trainings run, in the corner of every page; and a word when one that this person asked for is over."""
    presence.refresh_presence()
    try:
        refresh_status()
        if st.session_state.get("status"):  # something is asked for, and its dispatcher may have died
            dispatcher.ensure_running()
    except (QueueError, SettingsError):
        return  # the page itself says what is wrong with the queue
    st.markdown(st.session_state.get("status", ""))


def refresh_status() -> None:
    """Ask the queue what happened, if anything did."""
    stamp = cache.open_queue().revision()
    if stamp == st.session_state.get("stamp"):
        return
    st.session_state["stamp"] = stamp
    active = cache.open_queue().active()
    running = sum(job.state == "running" for job in active)
    st.session_state["status"] = status_line(running, len(active) - running)
    for job in newly_finished_jobs():
        st.toast(
            finished_message(job), icon=":material/done_all:" if job.state == DONE else ":material/error:", duration=8
        )


def status_line(running: int, waiting: int) -> str:
    """'2 running, 1 waiting'; nothing where nothing is."""
    parts = [f"{count} {word}" for count, word in ((running, "running"), (waiting, "waiting")) if count]
    return f":material/progress_activity: {', '.join(parts)}" if parts else ""


def newly_finished_jobs() -> list[Job]:
    """This person's trainings that ended since the browser opened the page and were not announced yet."""
    opened = st.session_state.setdefault("opened", time.time())
    told: set[int] = st.session_state.setdefault("announced", set())
    ended = [
        job
        for job in cache.open_queue().jobs_for(current_person(), finished_since=opened)
        if job.state in (DONE, FAILED)
    ]
    fresh = [job for job in ended if job.id not in told]
    told.update(job.id for job in fresh)
    return fresh


def finished_message(job: Job) -> str:
    """One sentence about a training that is over."""
    try:
        title = job.experiment.title
    except ExperimentError:
        title = "A training"
    if job.state == DONE:
        return f"**{title}** has finished training: open it under Train or Look inside."
    return f"**{title}** could not be trained. {job.reason or ''}"


def current_person() -> str:
    """Under which name this browser asks for trainings: the account's, or else 'b' and twelve hex digits."""
    name = auth.account_name() or name_from_cookie(st.context.cookies.get(COOKIE, ""))
    return name or str(st.session_state.setdefault("person", f"t{secrets.token_hex(6)}"))


def name_from_cookie(cookie: str) -> str | None:
    """A digest of the token under the cookie's mask; None where the cookie is missing or something else."""
    try:
        version, mask, masked, _ = cookie.strip("\"'").split("|")
        key, hidden = binascii.a2b_hex(mask), binascii.a2b_hex(masked)
    except (ValueError, binascii.Error):
        return None
    if version != "2" or not key or not hidden:
        return None
    token = bytes(letter ^ key[index % len(key)] for index, letter in enumerate(hidden))
    return f"b{hashlib.sha256(token).hexdigest()[:12]}"
