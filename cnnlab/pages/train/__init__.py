"""The page Train: choose a network, open its result or train it, and watch its learning curves.

The page keeps no state of its own: the choice is in the URL, the request in the queue, the result in the run directory.
A reload, a second viewer and a restarted web server therefore find a training again.
"""

from contextlib import suppress

import streamlit as st

from cnnlab.experiment import Experiment
from cnnlab.jobs.job import RUNNING
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.pages.train import network
from cnnlab.pages.train.form import experiment_form
from cnnlab.pages.train.requested_experiment import is_first_visit, requested_experiment
from cnnlab.pages.train.result import result_area
from cnnlab.pages.train.welcome import remember_default, welcome_panel
from cnnlab.ui import app_shell
from cnnlab.ui.experiment_params import experiment_params

MAX_OTHER_TRAININGS = 5


def page() -> None:
    """Draw the page: the form, and beside it the result or the training of the chosen experiment."""
    st.title("Does your network learn, or does it memorize?", anchor=False)
    st.caption(
        "What it has learned shows on new images (red); what it has only memorized, on its training images (blue)"
        " alone. Watch the gap between the two."
    )
    first = is_first_visit()
    experiment = requested_experiment()
    remember_default(experiment, first)
    with st.container():  # stays when the panel goes: a browser that finds the form in another place closes its More
        welcome_panel(experiment)
    left, right = st.columns([1, 3.2], gap="large")
    with left:
        experiment_form(experiment)
        other_trainings(experiment)
    with right:
        result_area(experiment)
    network.network_area(experiment)


def other_trainings(experiment: Experiment) -> None:
    """Links to this person's other trainings that run or wait: a new tab, or a browser opened again, finds them."""
    with suppress(QueueError):
        others = [job for job in app_shell.own_active_jobs() if job.key != experiment.key]
        for job in others[:MAX_OTHER_TRAININGS]:
            verb = "runs" if job.state == RUNNING else "waits"
            params = experiment_params(job.experiment)
            app_shell.page_link("train", f"{job.experiment.title} {verb}", params, icon=":material/progress_activity:")
