"""Before the lesson: the trainings that a sheet asks for, started together."""

import streamlit as st

from cnnlab.experiment import Experiment
from cnnlab.formatting import pluralize
from cnnlab.jobs import dispatcher_process
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.lessons.sheet import Sheet
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.ui import app_shell, cache
from cnnlab.ui.experiment_params import parse_experiment
from cnnlab.ui.training_request import training_button


@app_shell.errors_as_sentences()
def preparation(sheet: Sheet) -> None:
    """How many of the networks that the sheet shows on Train are trained, and the button that trains the others."""
    wanted = sheet_experiments(sheet)
    if not wanted:
        return
    missing = [experiment for experiment in wanted if not is_trained(experiment)]
    queued = [experiment for experiment in missing if is_queued(experiment)]
    missing = [experiment for experiment in missing if experiment not in queued]
    done = len(wanted) - len(missing) - len(queued)
    st.header("Before the lesson", anchor=False)
    waits = f", run or wait: {len(queued)}" if queued else ""
    count = pluralize(len(wanted), "network")
    st.caption(f"Trained: {done} of {count} that the sheet shows on the page Train{waits}.")
    if missing and training_button(
        f"Start {pluralize(len(missing), 'training')} of this sheet", key="lesson_board_train"
    ):
        try:
            for experiment in missing:
                cache.open_queue().submit(experiment, app_shell.current_person(), is_teacher=True)
            dispatcher_process.ensure_running()
            st.success("Started: the page Admin shows them.")
        except QuotaExceeded as error:
            st.error(escape_markdown(error))


def is_queued(experiment: Experiment) -> bool:
    """Whether a training of this experiment runs or waits."""
    job = cache.open_queue().for_key(experiment.key)
    return job is not None and not job.is_finished


def is_trained(experiment: Experiment) -> bool:
    """Whether there is a finished run of this experiment."""
    run = cache.find_run(experiment)
    return run is not None and run.state == "done"


def sheet_experiments(sheet: Sheet) -> list[Experiment]:
    """The experiments that the steps on the page Train show, each once."""
    found = [parse_experiment(step.params, Experiment())[0] for step in sheet.steps if step.page == "train"]
    return list({experiment.key: experiment for experiment in found}.values())
