"""The remaining time of trainings, from the measured epochs of this machine's runs."""

from cnnlab.jobs import eta
from cnnlab.jobs.job import Job
from cnnlab.ui import cache


def job_seconds_left(job: Job, known: list[eta.Measured]) -> float | None:
    """The seconds that a job still needs."""
    run = cache.find_run(job.experiment)
    told = run.progress().get("seconds_left") if run else None
    done = run.record.epochs_done if run else 0
    return float(told) if told is not None else eta.seconds_left(job.experiment, known, done)


def measured_runs() -> list[eta.Measured]:
    """The runs of this machine, with their records."""
    return [(run.experiment, run.record) for run in cache.list_runs() if not run.is_pretrained]
