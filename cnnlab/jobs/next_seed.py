"""Asks for a training of an experiment with the smallest seed that nobody has trained or queued."""

import dataclasses
from collections.abc import Collection
from typing import Any

from cnnlab.experiment import Experiment
from cnnlab.jobs import queue_statements as statements
from cnnlab.jobs.job import Job
from cnnlab.jobs.queue import Queue
from cnnlab.storage import runs
from cnnlab.storage.series import series_experiment

TRAINED_STATES = ("done", "running")  # states of a run whose seed is not free


def submit_next_seed(
    queue: Queue,
    experiment: Experiment,
    person: str,
    trained: Collection[int] = (),
    *,
    address: str = "",
    is_teacher: bool = False,
) -> Job:
    """`person` asks for the training of this series with the smallest free seed.

    The seeds in `trained` are not free, nor are those of active jobs and of runs in this home. The search and the
    request are one transaction, so thirty requests at the same time get thirty seeds. Raises as `Queue.submit`.
    """
    with queue.write_transaction() as db:
        active = statements.select_jobs(db, "state IN ('queued', 'running')")
        taken = {*trained, *active_seeds(active, experiment)}
        seed = 0
        while seed in taken or is_trained(dataclasses.replace(experiment, seed=seed)):
            seed += 1
        chosen = dataclasses.replace(experiment, seed=seed)
        return queue.submit(chosen, person, address=address, is_teacher=is_teacher)


def join_or_submit_next_seed(
    queue: Queue, experiment: Experiment, person: str, trained: Collection[int] = (), **origin: Any
) -> Job:
    """`person` joins the first active training of this series; without one, `submit_next_seed`. Raises as that."""
    with queue.write_transaction():
        series = series_experiment(experiment)
        active = [job.experiment for job in queue.active() if job.is_readable]
        if same := [member for member in active if series_experiment(member) == series]:
            return queue.submit(same[0], person, **origin)
        return submit_next_seed(queue, experiment, person, trained, **origin)


def active_seeds(jobs: Collection[Job], experiment: Experiment) -> set[int]:
    """The seeds of those jobs that train this experiment with any seed."""
    series = series_experiment(experiment)
    return {job.experiment.seed for job in jobs if job.is_readable and series_experiment(job.experiment) == series}


def is_trained(experiment: Experiment) -> bool:
    """Whether there is a finished run of this experiment, or one that is being trained."""
    run = runs.find_run(experiment)
    return run is not None and run.state in TRAINED_STATES
