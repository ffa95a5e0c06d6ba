"""The remaining time of trainings, from the measured epochs of this machine's runs."""

from cnnlab import formatting, settings
from cnnlab.experiment import Experiment
from cnnlab.explanations import training_progress
from cnnlab.jobs import eta
from cnnlab.jobs.job import QUEUED, Job
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.ui import cache


def job_seconds_left(job: Job, known: list[eta.Measured]) -> float | None:
    """The seconds that a job still needs."""
    run = cache.find_run(job.experiment)
    reported = run.progress().get("seconds_left") if run else None
    done = run.record.epochs_done if run else 0
    return float(reported) if reported is not None else eta.seconds_left(job.experiment, known, done)


def measured_runs() -> list[eta.Measured]:
    """The runs trained on this machine, the newest first, with their records.

    A run without weights was imported: another machine trained it.
    """
    return [(run.experiment, run.record) for run in cache.inspectable_runs() if not run.is_pretrained]


def expected_duration(experiment: Experiment) -> str:
    """The expected duration of a training asked for now, and its place in the queue: 'about 9 min, 2nd in the queue'.

    Without the place where the queue cannot be used, as in a folder that nobody may write into: results are shown then.
    """
    seconds = eta.seconds_left(experiment, measured_runs())
    expected = f"about {formatting.duration(seconds)}" if seconds else "time unknown (first run)"
    try:
        line = cache.open_queue().active()
        waiting, starts_now = sum(job.state == QUEUED for job in line), len(line) < cache.open_queue().slots()
    except QueueError:
        return expected
    return expected if starts_now else f"{expected}, {formatting.queue_position(waiting + 1)}"


def duration_source(experiment: Experiment) -> str:
    """A sentence on what the expected duration was measured on; "" where it is unknown."""
    return training_progress.describe_pace(eta.expected_pace(experiment, measured_runs()), experiment.epochs)


def expected_start(place: int) -> float | None:
    """Seconds until the job at this place (1: next) of the queue starts, from epochs measured here; None if unknown."""
    known = measured_runs()
    running = [job_seconds_left(job, known) for job in cache.open_queue().running()]
    line = [job_seconds_left(job, known) for job in cache.open_queue().waiting()]
    begins = eta.start_times(running, line, cache.open_queue().slots())
    return begins[place - 1] if place <= len(begins) else None


def time_limit_notice(experiment: Experiment) -> str:
    """A sentence where a training is expected to take longer than the settings allow; else "". Raises SettingsError."""
    seconds, minutes = eta.seconds_left(experiment, measured_runs()), settings.current().job_minutes
    return training_progress.describe_time_limit(seconds, minutes, experiment.epochs)
