"""Which experiment the page shows: that of the URL, else of the session, else the default."""

from contextlib import suppress

import streamlit as st

from cnnlab import data
from cnnlab.experiment import Experiment, ExperimentError
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.report_models import REPORT
from cnnlab.storage.runs import Run
from cnnlab.ui import app_shell, cache, selected_network
from cnnlab.ui.experiment_params import EXPERIMENT_PARAMS, parse_experiment
from cnnlab.ui.selection import open_selected_run, show_problems

DEFAULT_EXPERIMENT = REPORT["3conv-dropout"].experiment


def default_experiment() -> Experiment:
    """The report's model 7; the same network on Shapes where there is neither CIFAR-10 nor a run of model 7."""
    if data.is_dataset_available("cifar10") or cache.find_run(DEFAULT_EXPERIMENT):
        return DEFAULT_EXPERIMENT
    return Experiment(dataset="shapes", depth=DEFAULT_EXPERIMENT.depth, regularizer=DEFAULT_EXPERIMENT.regularizer)


def requested_experiment() -> Experiment:
    """The experiment of the URL, or of the run that the URL names; without either, that of the selected network.

    A session without a selected network opens a training that this person has asked for, as in a second tab.
    """
    words = {name: st.query_params[name] for name in EXPERIMENT_PARAMS if name in st.query_params}
    if not words and isinstance(run := open_selected_run(st.query_params.get("run", ""), None), Run):
        return selected_network.show_experiment(run.experiment)
    if not words:
        return selected_network.show_experiment(
            selected_network.selected_experiment() or own_training() or default_experiment()
        )
    experiment, problems = parse_experiment(words, default_experiment())
    show_problems(problems)
    return selected_network.show_experiment(experiment)


def is_first_visit() -> bool:
    """Whether neither the URL nor the session nor a training of this person says what to show."""
    named = any(name in st.query_params for name in ("run", *EXPERIMENT_PARAMS))
    return not named and selected_network.selected_experiment() is None and own_training() is None


def own_training() -> Experiment | None:
    """The experiment of a training that this person has asked for: a running one first."""
    with suppress(QueueError, ExperimentError):
        jobs = app_shell.own_active_jobs()
        return jobs[0].experiment if jobs else None
    return None


def on_set_experiment(experiment: Experiment) -> None:
    """`show_experiment` as the callback of a button."""
    selected_network.show_experiment(experiment)
