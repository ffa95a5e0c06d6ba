"""The corner of every page: My trainings, the number of running trainings, and a notice when one of mine has ended."""

import time
from dataclasses import dataclass

import streamlit as st

from cnnlab.experiment import ExperimentError
from cnnlab.jobs import dispatcher_process
from cnnlab.jobs.job import DONE, FAILED, Job
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.settings import SettingsError
from cnnlab.ui import app_shell, cache, presence
from cnnlab.ui.experiment_params import experiment_params
from cnnlab.ui.my_trainings import my_trainings_popover, training_rows
from cnnlab.ui.state import session_key

POLL_SECONDS = 2.0
NOTICE_SECONDS = 20.0
SESSION_STATUS = session_key("training_corner.status")  # the label of the popover
SESSION_ROWS = session_key("training_corner.rows")
SESSION_REVISION = session_key("training_corner.queue_revision")  # of the queue when these were made
SESSION_OPENED_AT = session_key("training_corner.opened_at")  # Unix time of the session's first run
SESSION_ANNOUNCED = session_key("training_corner.announced_jobs")  # ids of the jobs whose end was announced
SESSION_NOTICES = session_key("training_corner.notices")


@dataclass(frozen=True)
class Notice:
    """The end of a training: a sentence, URL parameters of its result (empty without one), and the time of its end."""

    job: int
    sentence: str
    icon: str
    params: dict[str, str]
    shown_until: float


@st.fragment(run_every=POLL_SECONDS)
def training_corner() -> None:
    """The popover of My trainings, labeled with the number of running ones, and the notices; every two seconds."""
    presence.refresh_presence()
    try:
        refresh_status()
        if st.session_state.get(SESSION_STATUS):  # a job is active, and its dispatcher may have died
            dispatcher_process.ensure_running()
        with st.container(key="running"):
            label = st.session_state.get(SESSION_STATUS) or ":material/list_alt: My trainings"
            my_trainings_popover(label, st.session_state.get(SESSION_ROWS, []))
    except (QueueError, SettingsError):
        return  # the page itself shows the error
    notices_panel()


def notices_panel() -> None:
    """The notices that are not over and not closed, each with a link to the result."""
    notices: list[Notice] = st.session_state.get(SESSION_NOTICES, [])
    current = [notice for notice in notices if notice.shown_until > time.time()]
    st.session_state[SESSION_NOTICES] = current
    if not current:
        return
    with st.container(key="notices"):
        for notice in current:
            draw_notice(notice)


def draw_notice(notice: Notice) -> None:
    """One notice with its link and the button that closes it."""
    with st.container(border=True, gap="xsmall"):
        st.markdown(f"{notice.icon} {notice.sentence}")
        with st.container(horizontal=True, vertical_alignment="center"):
            if notice.params:
                app_shell.page_link("train", "Open", notice.params, icon=":material/open_in_new:")
            st.button("Close", key=f"close_{notice.job}", type="tertiary", on_click=close_notice, args=(notice,))


def close_notice(notice: Notice) -> None:
    """Remove this notice; for the callback of its button."""
    st.session_state[SESSION_NOTICES] = [
        other for other in st.session_state[SESSION_NOTICES] if other.job != notice.job
    ]


def refresh_status() -> None:
    """Update the label and the rows where the queue has changed since the last call.

    Where a training of this person has ended, the whole page is drawn again, so that its menus list the result.
    """
    revision = cache.open_queue().revision()
    if revision == st.session_state.get(SESSION_REVISION):
        return
    st.session_state[SESSION_REVISION] = revision
    active = cache.open_queue().active()
    running = sum(job.state == "running" for job in active)
    st.session_state[SESSION_STATUS] = status_line(running, len(active) - running)
    st.session_state[SESSION_ROWS] = training_rows(app_shell.current_person())
    if ended := newly_finished_jobs():
        st.session_state[SESSION_NOTICES] = [*st.session_state.get(SESSION_NOTICES, []), *map(make_notice, ended)]
        cache.clear_run_lists()
        st.rerun()


def make_notice(job: Job) -> Notice:
    """The notice of a training that has just ended."""
    icon = ":material/done_all:" if job.state == DONE else ":material/error:"
    params = experiment_params(job.experiment) if job.is_readable else {}
    return Notice(job.id, finished_message(job), icon, params, time.time() + NOTICE_SECONDS)


def status_line(running: int, waiting: int) -> str:
    """'2 running, 1 waiting'; empty where no job is active."""
    parts = [f"{count} {word}" for count, word in ((running, "running"), (waiting, "waiting")) if count]
    return f":material/progress_activity: {', '.join(parts)}" if parts else ""


def newly_finished_jobs() -> list[Job]:
    """This person's trainings that ended since the session began and were not announced yet."""
    opened = st.session_state.setdefault(SESSION_OPENED_AT, time.time())
    announced: set[int] = st.session_state.setdefault(SESSION_ANNOUNCED, set())
    person = app_shell.current_person()
    ended = [job for job in cache.open_queue().jobs_for(person, finished_since=opened) if job.state in (DONE, FAILED)]
    fresh = [job for job in ended if job.id not in announced]
    announced.update(job.id for job in fresh)
    return fresh


def finished_message(job: Job) -> str:
    """One sentence about a training that has ended."""
    try:
        title = job.experiment.title
    except ExperimentError:
        title = "A training"
    if job.state != DONE:
        return f"**{title}** could not be trained. {escape_markdown(job.reason or '')}"
    pages = pages_that_show(job)
    return f"**{title}** has finished training{': open it under ' if pages else ''}{' or '.join(pages)}."


def pages_that_show(job: Job) -> list[str]:
    """The pages that can show what this training left."""
    run = cache.find_run(job.experiment) if job.is_readable else None
    if run is None:
        return []
    pages = ["Train"] + ["Look inside"] * bool(run.snapshot_epochs())
    return pages + ["Mistakes"] * ("test" in cache.predictions(run))
