"""A training that runs or waits: its progress, its curves, and the button that stops it."""

from contextlib import suppress

import streamlit as st

from cnnlab import formatting
from cnnlab.analysis import curve_summary
from cnnlab.experiment import Experiment
from cnnlab.explanations import training_progress
from cnnlab.jobs import dispatcher_process
from cnnlab.jobs.job import RUNNING, Job
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.pages.train.learning_curves import live_curves, summary_metrics
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui import app_shell, cache
from cnnlab.ui.training_status import TrainingStatus, training_status
from cnnlab.ui.training_times import expected_start

TICK_SECONDS = 1.0
NOTICE_SECONDS = 3.0


def watch_training(experiment: Experiment) -> None:
    """The live panel, for a fragment that runs every second; an error of the disk or the queue becomes one sentence."""
    try:
        live_training(experiment)
    except (QueueError, OSError) as error:
        st.warning(escape_markdown(error))


def live_training(experiment: Experiment) -> None:
    """The progress or the place in the queue, and the curves; draws the whole page again when the training ends."""
    now = training_status(experiment)
    if now.phase != "live":  # the dispatcher may have died, with or without its worker
        dispatcher_process.ensure_running()
    if not now.is_active:
        st.rerun()
    if now.phase == "waiting" and now.job:
        queued_panel(now.job)
    else:
        progress_panel(experiment, now)
    if now.job and now.phase != "stopping" and app_shell.current_person() in now.job.requesters:
        stop_button(now.job)
    if now.run:
        history = curve_summary.append_progress(cache.history(now.run), now.run.progress())
        summary_metrics(now.run, cache.history(now.run))
        live_curves(experiment, history, now.run)


def watch_for_start(experiment: Experiment, seen: str) -> None:
    """Draw the page again when the phase is no longer `seen`: somebody else has started this training."""
    with suppress(QueueError, OSError):  # the page itself has said so
        if training_status(experiment).phase != seen:
            st.rerun()


def queued_panel(job: Job) -> None:
    """The place in the queue, and the expected start."""
    place = cache.open_queue().position(job) or 1
    begins = expected_start(place)
    expected = f", starts in about {formatting.duration(begins)}" if begins else ""
    position = formatting.queue_position(place).capitalize()
    st.info(f"**{position}**{expected}. You may close this page: training continues without you.")


def progress_panel(experiment: Experiment, now: TrainingStatus) -> None:
    """The progress bar with epoch, batch and time left."""
    done = now.run.record.epochs_done if now.run else 0
    share, words = training_progress.describe_progress(now.run.progress() if now.run else {}, done, experiment.epochs)
    if now.phase == "stopping":
        words = "stopping after the current batch; finished epochs are kept"
    st.progress(share, text=f"**{experiment.title}**: {escape_markdown(words)}")


def stop_button(job: Job) -> None:
    """The button that withdraws this person's request: it stops the training unless others want it too."""
    others = len(job.requesters) - 1
    label = "Stop" if job.state == RUNNING else "Leave the queue"
    note = (
        f"The training continues for {others} other people who asked for it."
        if others
        else "You can continue later from the last finished epoch."
    )
    if st.button(label, icon=":material/stop_circle:", help=note):
        cache.open_queue().cancel(job, app_shell.current_person())
        st.rerun()
