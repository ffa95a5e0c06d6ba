"""How far a sweep is: one bar, the time left, the buttons that start and stop it."""

from contextlib import suppress

import streamlit as st

from cnnlab import data, formatting
from cnnlab.experiment import ExperimentError
from cnnlab.formatting import pluralize
from cnnlab.jobs import eta, sweep_jobs
from cnnlab.jobs.dispatcher_process import ensure_running
from cnnlab.jobs.job import Job
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.jobs.sweep_jobs import SweepStatus
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.settings import SettingsError
from cnnlab.storage import files, sweep_files
from cnnlab.sweeps import Sweep
from cnnlab.ui import app_shell, cache, class_code, download_panel
from cnnlab.ui.state import session_key
from cnnlab.ui.training_request import requester, training_button
from cnnlab.ui.training_times import job_seconds_left, measured_runs, time_limit_notice

TICK_SECONDS = 2.0
SESSION_REFUSAL = session_key("sweeps.refusal")  # why the trainings were refused
SESSION_SEEN_DONE = session_key("sweeps.seen_done")  # how many runs were done when the page was drawn
MAX_FAILURES = 3  # that are told


def progress_area(sweep: Sweep) -> SweepStatus:
    """The bar of an active sweep, and what failed; the status that was found."""
    if refusal := st.session_state.pop(SESSION_REFUSAL, None):
        st.error(escape_markdown(refusal))
    status = sweep_jobs.sweep_status(sweep, cache.open_queue())
    st.session_state[SESSION_SEEN_DONE] = len(status.done)
    failure_notice(status)
    if status.is_active:
        st.fragment(watch_sweep, run_every=TICK_SECONDS)(sweep)
    elif status.missing:
        st.caption(f"{len(status.done)} of {pluralize(len(sweep.experiments()), 'training')} done.")
    return status


def failure_notice(status: SweepStatus) -> None:
    """The trainings of the sweep that failed, and why."""
    for job in status.failed[:MAX_FAILURES]:
        with suppress(ExperimentError):
            st.warning(escape_markdown(f"{job.experiment.title} failed. {job.reason or 'It gave no reason.'}"))


def watch_sweep(sweep: Sweep) -> None:
    """Drawn again every other second while trainings of the sweep run; what goes wrong meanwhile is a sentence."""
    try:
        ensure_running()
        status = sweep_jobs.sweep_status(sweep, cache.open_queue())
        if not status.is_active or len(status.done) != st.session_state.get(SESSION_SEEN_DONE):
            st.rerun()
        st.progress(status.epochs_done / max(1, status.epochs), text=progress_text(sweep, status))
        if app_shell.current_person() in status.requesters:
            stop_button(sweep)
    except (QueueError, SettingsError, OSError) as error:
        st.warning(escape_markdown(error))


def progress_text(sweep: Sweep, status: SweepStatus) -> str:
    """'**3 of 8 trained**, 1 running, 1 waiting, about 12 min left'."""
    parts = [f"**{len(status.done)} of {len(sweep.experiments())} trained**"]
    parts += [
        f"{len(jobs)} {word}" for jobs, word in ((status.running, "running"), (status.waiting, "waiting")) if jobs
    ]
    seconds = seconds_left(status)
    parts.append("time left unknown (first run)" if seconds is None else f"about {formatting.duration(seconds)} left")
    return ", ".join(parts)


def seconds_left(status: SweepStatus) -> float | None:
    """The seconds until all of the sweep is trained, as long as nobody asks for more; None where unknown."""
    queue, known = cache.open_queue(), measured_runs()
    own = {job.key for job in (*status.running, *status.waiting)}

    def timed(jobs: list[Job]) -> list[tuple[float | None, bool]]:
        return [(job_seconds_left(job, known), job.key in own) for job in jobs]

    later = [
        eta.seconds_left(experiment, known, sweep_jobs.epochs_done(experiment))
        for experiment in status.missing
        if experiment.key not in own
    ]
    return sweep_jobs.seconds_until_done(timed(queue.running()), timed(queue.waiting()), later, queue.slots())


def stop_button(sweep: Sweep) -> None:
    """Stop, for who asked for it."""
    note = "Finished runs are kept; a running training continues where somebody else asked for it."
    if st.button("Stop the sweep", icon=":material/stop_circle:", help=note):
        sweep_jobs.stop_sweep(sweep, cache.open_queue(), app_shell.current_person())
        st.rerun()


def start_panel(sweep: Sweep, status: SweepStatus) -> None:
    """The button that asks for the missing trainings; where their pictures are missing, the way to get them."""
    if not data.is_dataset_available(sweep.base.dataset):
        need = pluralize(len(status.missing), "missing training needs", "missing trainings need")
        st.write(f"{need} {sweep.base.dataset_info.title}.")
        download_panel.missing_dataset(sweep.base.dataset_info)
        return
    if not class_code.require_class_code():
        return
    if notice := sweep_limit_notice(status):
        st.warning(escape_markdown(notice), icon=":material/timer:")
    seconds = seconds_left(status)
    expected = "time unknown (first run)" if seconds is None else f"about {formatting.duration(seconds)}"
    with st.container(horizontal=True, vertical_alignment="center"):
        training_button(
            f"Train the {len(status.missing)} missing: {expected}",
            type="primary",
            icon=":material/play_arrow:",
            key="train_sweep",
            on_click=submit_sweep,
            args=(sweep,),
            note="You may close this page: training continues.",
        )


def sweep_limit_notice(status: SweepStatus) -> str:
    """Which missing trainings the time limit is expected to end, and what the first of them needs; "" for none."""
    notices = {experiment.title: notice for experiment in status.missing if (notice := time_limit_notice(experiment))}
    if not notices:
        return ""
    title, notice = next(iter(notices.items()))
    count = f"{len(notices)} of {pluralize(len(status.missing), 'missing training')}"
    return f"{count} would be ended before the last epoch. {title}: {notice}"


def submit_sweep(sweep: Sweep) -> None:
    """Ask for all missing trainings of the sweep, and see that somebody works through the queue."""
    try:
        sweep_jobs.request_sweep(sweep, cache.open_queue(), **requester())
        ensure_running()
    except (QuotaExceeded, QueueError, SettingsError) as error:
        st.session_state[SESSION_REFUSAL] = str(error)
    except OSError as error:
        st.session_state[SESSION_REFUSAL] = files.disk_error_message(error, sweep_files.directory(), megabytes=1)
