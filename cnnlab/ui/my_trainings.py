"""My trainings: what this person has asked for, with state, result and link, and the nickname."""

from dataclasses import dataclass

import streamlit as st

from cnnlab.formatting import percent, queue_position
from cnnlab.jobs import nicknames
from cnnlab.jobs.job import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui import app_shell, cache, lesson_store
from cnnlab.ui.experiment_params import experiment_params
from cnnlab.ui.state import session_key

MAX_ROWS = 8  # trainings in the list, the newest first
NICKNAME = session_key("my_trainings.nickname")
SESSION_PROBLEM = session_key("my_trainings.problem")  # why the last nickname was refused
ICONS = {
    RUNNING: ":material/progress_activity:",
    QUEUED: ":material/hourglass_empty:",
    DONE: ":material/check:",
    FAILED: ":material/error:",
    CANCELLED: ":material/stop_circle:",
}


@dataclass(frozen=True)
class TrainingRow:
    """One training of the list: its title, its state or result in words, and the URL parameters that open it."""

    title: str
    state: str
    icon: str
    params: dict[str, str]


def my_trainings_popover(label: str, rows: list[TrainingRow]) -> None:
    """A button with this label that opens the list and the field for the nickname."""
    with st.popover(label, type="tertiary", key="my_trainings"):
        st.markdown("**My trainings**")
        if not rows:
            st.caption("You have not asked for a training yet.")
        for row in rows:
            app_shell.page_link("train", f"{row.state}: {row.title}", row.params, icon=row.icon)
        nickname_field()


def nickname_field() -> None:
    """The field for the nickname, filled with the present one."""
    if NICKNAME not in st.session_state:
        st.session_state[NICKNAME] = nicknames.read_nickname(cache.open_queue(), app_shell.current_person())
    st.text_input(
        "Nickname",
        key=NICKNAME,
        max_chars=nicknames.MAX_CHARACTERS,
        placeholder="none",
        on_change=on_change_nickname,
        help="Your teacher and your class see it beside your trainings and answers. It is kept on this server.",
    )
    if problem := st.session_state.get(SESSION_PROBLEM):
        st.error(escape_markdown(problem))


def on_change_nickname() -> None:
    """Store the nickname of the field, or keep the reason why it was refused."""
    st.session_state[SESSION_PROBLEM] = None
    try:
        lesson_store.set_nickname(st.session_state[NICKNAME])
    except (nicknames.NicknameError, LessonError, QueueError) as error:
        st.session_state[SESSION_PROBLEM] = str(error)


def training_rows(person: str) -> list[TrainingRow]:
    """The latest trainings that this person has asked for. Raises QueueError."""
    jobs = [job for job in cache.open_queue().jobs_for(person) if job.is_readable]
    return [
        TrainingRow(job.experiment.title, describe_state(job), ICONS[job.state], experiment_params(job.experiment))
        for job in jobs[:MAX_ROWS]
    ]


def describe_state(job: Job) -> str:
    """'running', '2nd in the queue', 'validation 62.0 %', 'failed', 'stopped'."""
    if job.state == QUEUED:
        return queue_position(cache.open_queue().position(job) or 1)
    if job.state != DONE:
        return {RUNNING: "running", FAILED: "failed", CANCELLED: "stopped"}[job.state]
    run = cache.find_run(job.experiment)
    accuracy = (run.record.final or {}).get("val_accuracy") if run else None
    if accuracy is None:
        return "finished"
    return f"{'test' if job.experiment.split == 'test' else 'validation'} {percent(accuracy, 1)}"
