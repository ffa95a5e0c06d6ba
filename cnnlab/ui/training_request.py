"""Asks the queue for a training in the name of this person, and says why where that was refused."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import streamlit as st

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs import dispatcher_process, next_seed
from cnnlab.jobs.job import Job
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.settings import SettingsError
from cnnlab.storage.series import find_series
from cnnlab.training_packages import install_hint
from cnnlab.ui import app_shell, cache, client_address, selected_network
from cnnlab.ui.state import session_key

SESSION_REFUSAL = session_key("training_request.refusal")  # why a training was refused


def submit_training(experiment: Experiment) -> None:
    """Submit the experiment to the queue and make sure that a dispatcher runs; for the callback of a button.

    A callback runs before the page: the request counts also where somebody else has started the same training meanwhile
    and the button is no longer drawn.
    """
    with keep_refusal():
        cache.open_queue().submit(experiment, **requester())
        dispatcher_process.ensure_running()


def requester() -> dict[str, Any]:
    """Who asks for a training, as the arguments `person`, `address` and `is_teacher` of `Queue.submit`."""
    return {
        "person": app_shell.current_person(),
        "address": client_address.address_group(),
        "is_teacher": app_shell.is_teacher(),
    }


@contextmanager
def keep_refusal() -> Iterator[None]:
    """Keep the reason why a request inside is refused for `show_refusal`; for the callback of a button."""
    try:
        yield
    except (QuotaExceeded, QueueError, SettingsError) as refusal:
        st.session_state[SESSION_REFUSAL] = str(refusal)


def missing_packages_hint() -> str:
    """One sentence where this machine is to train and lacks TensorFlow, else ""."""
    with suppress(SettingsError):  # the page shows the error
        return install_hint() if settings.current().starts_dispatcher else ""
    return ""


def training_button(label: str, *, note: str = "", disabled: bool = False, **how: Any) -> bool:
    """A button that starts trainings; where TensorFlow is missing it is disabled, and a sentence says how to get it.

    `note`, in Markdown, stands below it where TensorFlow is there. `how` goes to `st.button`, whose answer is returned.
    """
    hint = missing_packages_hint()
    pressed = st.button(label, disabled=disabled or bool(hint), **how)
    if below := escape_markdown(hint) or note:
        st.caption(below)
    return pressed


def prepare_training() -> None:
    """Make sure that a dispatcher runs, and with it a standby worker, before the first request for a training."""
    with suppress(QueueError, SettingsError):  # the request itself says why
        if settings.current().standby_workers:
            dispatcher_process.ensure_running()


def submit_or_join(experiment: Experiment) -> None:
    """Join a training of this experiment with any seed, or submit the smallest free seed; for the callback of a button.

    A class that presses the button at once watches one training.
    """
    submit_seed(experiment, next_seed.join_or_submit_next_seed)


def submit_next_seed(experiment: Experiment) -> None:
    """Submit this experiment with the smallest free seed and select it; for the callback of a button."""
    submit_seed(experiment, next_seed.submit_next_seed)


def submit_seed(experiment: Experiment, submit: Callable[..., Job]) -> None:
    """Call `submit` in the name of this person and select the experiment of the job; keep the reason of a refusal."""
    trained = find_series(experiment, [*cache.shipped_seeds(), *cache.list_runs()]).seeds
    with keep_refusal():
        job = submit(cache.open_queue(), experiment, trained=trained, **requester())
        selected_network.show_experiment(job.experiment)
        dispatcher_process.ensure_running()


def show_refusal() -> None:
    """Say why the last request of this session was refused, once."""
    if refusal := st.session_state.pop(SESSION_REFUSAL, None):
        st.error(escape_markdown(refusal))
