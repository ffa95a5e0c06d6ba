"""The trainings: what runs, what waits and in which order, what has ended; with the buttons Stop and Retry."""

import streamlit as st

from cnnlab import formatting
from cnnlab.experiment import ExperimentError
from cnnlab.explanations import training_progress
from cnnlab.jobs import dispatcher_process, eta, nicknames
from cnnlab.jobs.job import CANCELLED, DONE, FAILED, RUNNING, Job
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.pages.admin.access import admin_actions
from cnnlab.pages.admin.stored_runs import format_age
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage import runs
from cnnlab.storage.runs import Run
from cnnlab.ui import app_shell, cache, my_trainings, training_times
from cnnlab.ui.experiment_params import experiment_params
from cnnlab.ui.streamlit_internals import rerun_fragment

RECENT_JOBS = 12
MAX_WAITING_SHOWN = 30
MARKS = {DONE: ":material/check:", FAILED: ":material/error:", CANCELLED: ":material/stop_circle:"}


@app_shell.errors_as_sentences()
def active_trainings() -> None:
    """The running trainings and the first of the waiting ones."""
    queue = cache.open_queue()
    running, waiting = queue.running(), queue.waiting()
    st.header("Running", anchor=False)
    for job in running:
        running_job(job)
    if not running:
        st.caption("No training is running.")
    if waiting:
        st.header("Waiting", anchor=False)
    starts = waiting_start_times(running, waiting)
    for position, (job, starts_in) in enumerate(zip(waiting[:MAX_WAITING_SHOWN], starts, strict=False), start=1):
        start = (
            f"starts in about {formatting.duration(starts_in)}" if starts_in else "starts next" if position == 1 else ""
        )
        place = f"**{formatting.ordinal(position)}**"
        job_row(job, [place, job_title(job), start, attempts_note(job), requester_names(job)])
    if len(waiting) > MAX_WAITING_SHOWN:
        st.caption(f"and {len(waiting) - MAX_WAITING_SHOWN} more")


def waiting_start_times(running: list[Job], waiting: list[Job]) -> list[float | None]:
    """In how many seconds each waiting job starts, from epochs measured on this machine; None where that is unknown."""
    try:
        known = training_times.measured_runs()
        left, work = ([training_times.job_seconds_left(job, known) for job in jobs] for jobs in (running, waiting))
    except ExperimentError:  # a job of another version is among them
        return [None] * len(waiting)
    return eta.start_times(left, work, cache.open_queue().slots())


def running_job(job: Job) -> None:
    """A running training: requesters, device, epoch, time left, and the button that stops it."""
    run = find_run(job)
    done = run.record.epochs_done if run else 0
    epochs = run.experiment.epochs if run else 1
    share, words = training_progress.describe_progress(run.progress() if run else {}, done, epochs)
    job_row(job, [f"**{job_title(job)}**", escape_markdown(job.device), attempts_note(job), requester_names(job)])
    st.progress(share, text=escape_markdown(words) if job.is_wanted else "stopping after this batch")


def job_row(job: Job, parts: list[str]) -> None:
    """A job as one line, and its stop button."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(", ".join(part for part in parts if part), width="stretch")
        if job.is_wanted:
            stop = st.button("Stop", key=f"stop{job.id}", icon=":material/stop_circle:", help=f"Stop job {job.id}")
            if stop:
                admin_actions().stop(job)
                rerun_fragment()


def finished_trainings() -> None:
    """The last trainings that ended: result, requesters and a link; a button asks again for what was not done."""
    st.header("Finished", anchor=False)
    jobs = [job for job in cache.open_queue().recent(4 * RECENT_JOBS) if job.attempts][:RECENT_JOBS]
    if not jobs:
        st.caption("No training has finished yet.")
    for job in jobs:
        with st.container(horizontal=True, vertical_alignment="center"):
            finished_job(job)


def finished_job(job: Job) -> None:
    """A training that ended: link, result, when and for whom; where it was not done, the reason and a button."""
    if job.is_readable:
        app_shell.page_link("train", job_title(job), experiment_params(job.experiment), icon=MARKS[job.state])
    else:
        st.markdown(job_title(job))
    result = my_trainings.describe_state(job) if job.is_readable else job.state
    parts = [f"**{result}**", format_age(job.finished), requester_names(job), escape_markdown(job.reason or "")]
    st.markdown(", ".join(part for part in parts if part), width="stretch")
    if job.state != DONE and st.button("Retry", key=f"retry{job.id}", help=f"Ask for job {job.id} again"):
        try:
            admin_actions().retry(job)
            dispatcher_process.ensure_running()
            st.rerun()
        except QuotaExceeded as error:
            st.error(escape_markdown(error))


def find_run(job: Job) -> Run | None:
    """The run of a job; None while the disk has none."""
    try:
        return runs.find_run(job.experiment)
    except ExperimentError:
        return None


def job_title(job: Job) -> str:
    """The title of the job's experiment."""
    try:
        return job.experiment.title
    except ExperimentError:
        return "an experiment of another version"


def requester_names(job: Job) -> str:
    """Who asked for a job: the first by name, the others by number."""
    others = f" and {len(job.requesters) - 1} more" if len(job.requesters) > 1 else ""
    return f"for {person_name(job.requesters[0])}{others}" if job.requesters else "withdrawn by everybody"


def person_name(person: str) -> str:
    """The name of a person in the queue, after the nickname where there is one; safe in Markdown."""
    nickname = nicknames.read_nickname(cache.open_queue(), person)
    return f"{escape_markdown(nickname)} (`{person}`)" if nickname else f"`{person}`"


def attempts_note(job: Job) -> str:
    """How often a job was started before, and why it was interrupted."""
    attempts = job.attempts - (job.state == RUNNING)
    times = formatting.pluralize(attempts, "time")
    return f"started {times} before: {escape_markdown(job.reason or 'stopped')}" if attempts else ""
