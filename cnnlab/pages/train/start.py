"""The ways to start a training: a new one, one that ended early, one whose files are damaged."""

import streamlit as st

from cnnlab import data
from cnnlab.experiment import Experiment
from cnnlab.formatting import keep_figures_whole
from cnnlab.jobs.job import FAILED
from cnnlab.pages.train.learning_curves import learning_curves, summary_metrics
from cnnlab.pages.train.requested_experiment import on_set_experiment
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage.runs import Run
from cnnlab.ui import app_shell, cache, class_code, damaged_runs, download_panel, selected_network
from cnnlab.ui.training_request import missing_packages_hint, prepare_training, submit_training, training_button
from cnnlab.ui.training_status import TrainingStatus
from cnnlab.ui.training_times import duration_source, expected_duration, time_limit_notice


def start_panel(experiment: Experiment) -> None:
    """The button that starts the training; where its images are missing, how to get them."""
    st.header(f"{experiment.title} is not trained yet", anchor=False)
    if not data.is_dataset_available(experiment.dataset):
        instead = Experiment(dataset="shapes", depth=experiment.depth, regularizer=experiment.regularizer)
        st.button(
            "Train on Shapes instead",
            type="primary",
            on_click=on_set_experiment,
            args=(instead,),
            icon=":material/category:",
        )
        st.caption(f"Ten kinds of shapes, generated on this server: {expected_duration(instead)}.")
        download_panel.missing_dataset(experiment.dataset_info)
        return
    if not class_code.require_class_code():
        return
    if hint := missing_packages_hint():
        st.warning(escape_markdown(hint))
        return
    prepare_training()
    if notice := time_limit_notice(experiment):
        st.warning(notice, icon=":material/timer:")
    label = f"Train it: {expected_duration(experiment)}"
    st.button(
        label,
        type="primary",
        icon=":material/play_arrow:",
        key="train_it",
        on_click=submit_selected,
    )
    source = keep_figures_whole(duration_source(experiment))
    st.caption(f"The server trains the network. You may close this page and come back. {source}")


def submit_selected() -> None:
    """Submit the selected experiment: a field that changed with the same click has changed it already."""
    if experiment := selected_network.selected_experiment():
        submit_training(experiment)


def interrupted_panel(experiment: Experiment, now: TrainingStatus) -> None:
    """A training that ended early: the reason, the finished epochs, and the button that continues it."""
    st.warning(escape_markdown(interruption_message(now)))
    if class_code.require_class_code():
        args = (experiment,)
        training_button("Continue", type="primary", icon=":material/play_arrow:", on_click=submit_training, args=args)
    if now.run:
        history = cache.history(now.run)
        summary_metrics(now.run, history)
        learning_curves(experiment, history)


def interruption_message(now: TrainingStatus) -> str:
    """Why a training ended early, in one or two sentences."""
    done = now.run.record.epochs_done if now.run else 0
    kept = (
        f"The first {done} epochs are kept; Continue resumes after them."
        if done
        else "Continue starts from the beginning."
    )
    state = now.run.state if now.run else "failed"
    failure = now.job.reason if now.job and now.job.state == FAILED else None
    reason = failure or (now.run.record.reason if now.run else None)
    if state == "stopped" and not failure:
        return f"This training was stopped. {kept}"
    if state == "interrupted" and not failure:
        return f"This training was interrupted: its process has ended. {kept}"
    return f"This training failed. {reason or 'No reason was recorded.'} {kept}"


def damaged_panel(run: Run) -> None:
    """A run with damaged files: which and why, the button that trains it again, and its undamaged results."""
    st.error(damaged_runs.damage_sentence(run), icon=damaged_runs.ICON)
    train_again_button(run)
    if run.snapshot_epochs():
        app_shell.page_link(
            "look_inside", "Look inside its undamaged weights", {"run": run.name}, icon=":material/grid_view:"
        )
    history = cache.history(run)
    if len(history["epoch"]):
        summary_metrics(run, history)
        learning_curves(run.experiment, history)


def train_again_button(run: Run) -> None:
    """The button that trains a damaged run again; where its images are missing, how to get them."""
    if not data.is_dataset_available(run.experiment.dataset):
        download_panel.missing_dataset(run.dataset_info)
        return
    if notice := time_limit_notice(run.experiment):
        st.warning(notice, icon=":material/timer:")
    training_button(
        f"Train it again: {expected_duration(run.experiment)}",
        icon=":material/replay:",
        key="train_again",
        on_click=submit_training,
        args=(run.experiment,),
        help="Its damaged files are replaced. A teacher can remove the run on the page Admin. "
        + duration_source(run.experiment),
    )
