"""The status of an experiment's training: what the disk and the queue know of it together."""

from dataclasses import dataclass

from cnnlab.experiment import Experiment
from cnnlab.jobs.job import FAILED, QUEUED, RUNNING, Job
from cnnlab.storage.runs import Run
from cnnlab.ui import cache


@dataclass(frozen=True)
class TrainingStatus:
    """The run and the latest job of one experiment, and the phase of its training.

    `phase`: "done"; "live"; "starting" (the worker has written nothing yet); "waiting" (queued); "stopping"; "broken"
    (ended early and can continue); "damaged"; "nothing".
    """

    phase: str
    run: Run | None
    job: Job | None

    @property
    def is_active(self) -> bool:
        """Whether the training runs or waits."""
        return self.phase in ("live", "starting", "waiting", "stopping")


def training_status(experiment: Experiment) -> TrainingStatus:
    """The status; the queue is read only where the run is not done, so results need no writable home."""
    run = cache.find_run(experiment)
    if run and run.state == "done":
        return TrainingStatus("done", run, None)
    job = cache.open_queue().for_key(experiment.key)
    return TrainingStatus(training_phase(run.state if run else None, job), run, job)


def training_phase(state: str | None, job: Job | None) -> str:
    """The phase from the state of the run (None: no run) and the latest job of the experiment."""
    if state == "done":
        return "done"
    if job and job.state == RUNNING:
        return "stopping" if not job.is_wanted else "live" if state == "running" else "starting"
    if state == "running":
        return "live"
    if job and job.state == QUEUED:
        return "waiting"
    if state == "damaged":
        return "damaged"
    return "broken" if state or (job and job.state == FAILED) else "nothing"
