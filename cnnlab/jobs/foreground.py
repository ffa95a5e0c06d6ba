"""Trains several runs from the terminal, without the queue: a worker of one thread on each processor core.

A worker is pinned to its core where the system can. On two cores this trains 1.2 to 1.36 times as much as one process
that uses both. Workers are started by the dispatcher's `LocalRunner`. A run that another process trains is watched, not
trained twice. Ctrl-C stops the workers at their next batch; the same command resumes them.
"""

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cnnlab.experiment import Experiment
from cnnlab.jobs.devices import DeviceSlots, RunningJob
from cnnlab.jobs.job import DONE, QUEUED, RUNNING, Job
from cnnlab.jobs.local_runner import AdoptedWorker, LocalRunner
from cnnlab.jobs.queue import MAX_RESUMES
from cnnlab.jobs.runner import CRASHED, NOT_STARTED, STOPPED, Outcome, WorkerHandle
from cnnlab.operating_system import machine
from cnnlab.settings import SettingsError
from cnnlab.storage.run_record import RunRecord, read_record
from cnnlab.training_packages import install_hint

POLL_SECONDS = 0.5
RECENT_EPOCHS = 5  # the remaining time is estimated from so many

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingTask:
    """A run to train into `directory`; `command` is its worker's command line, to which "--core N" is appended."""

    name: str
    experiment: Experiment
    directory: Path
    command: Sequence[str]


def train_tasks(tasks: Sequence[TrainingTask], slots: int | None = None) -> list[str]:
    """Train these runs to their end and return the names of those that failed.

    `slots` is how many cores are used at most (None: all). Raises SettingsError for slots < 1, and for tasks where
    TensorFlow is missing.
    """
    if tasks and (hint := install_hint()):
        raise SettingsError(hint)
    if slots is not None and slots < 1:
        raise SettingsError(f"Choose at least one slot. Received: slots={slots}")
    scheduler = ForegroundScheduler(tasks, machine.cores()[:slots])
    try:
        while not scheduler.is_finished:
            scheduler.tick()
            time.sleep(POLL_SECONDS)
    finally:
        scheduler.stop_workers()
    return scheduler.failed


class ForegroundScheduler:
    """Keeps one worker on each of these cores while tasks wait."""

    def __init__(self, tasks: Sequence[TrainingTask], cores: Sequence[int]) -> None:
        self.tasks = list(tasks)
        self.cores = {f"core {core}": core for core in cores}
        self.slots = DeviceSlots(list(self.cores), len(self.cores))
        self.runner = LocalRunner(
            self.command,
            niceness=0,
            threads=None if machine.CAN_CHOOSE_CORE else 1,
            directory=lambda job: self.tasks[job.id].directory,
        )
        self.waiting = deque(new_job(number, task.experiment) for number, task in enumerate(tasks))
        self.active: dict[int, tuple[Job, WorkerHandle]] = {}
        self.epochs: dict[int, int] = {}  # epochs done when the progress was logged last, by task
        self.failed: list[str] = []

    @property
    def is_finished(self) -> bool:
        """Whether no task waits or runs."""
        return not self.waiting and not self.active

    def command(self, job: Job) -> list[str]:
        """The worker's command line, pinned to the job's core."""
        return [*self.tasks[job.id].command, "--core", str(self.cores[job.device])]

    def tick(self) -> None:
        """Record ended workers, log the progress of the others, start waiting tasks on free cores."""
        for job, worker in list(self.active.values()):
            self.log_progress(job)
            if (outcome := worker.poll()) is not None:
                del self.active[job.id]
                self.record_outcome(job, outcome)
        while self.waiting and (device := self.free_device(self.waiting[0])) is not None:
            self.start(replace(self.waiting.popleft(), device=device))

    def free_device(self, job: Job) -> str | None:
        """A core without a worker of this process, or None."""
        own = [job for job, worker in self.active.values() if not isinstance(worker, AdoptedWorker)]
        return self.slots.allocator(RunningJob(job.device, False) for job in own).allocate(job)

    def start(self, job: Job) -> None:
        """Start the worker of a run that is not finished, or watch the process that trains it already."""
        task = self.tasks[job.id]
        record = read_record(task.directory)
        if record.state == DONE:
            return
        self.epochs[job.id] = record.epochs_done
        job = replace(job, state=RUNNING, started=time.time(), attempts=job.attempts + 1)
        try:
            worker = self.runner.start(job)
        except OSError as error:
            self.fail(task, f"No worker could be started: {error.strerror or error}.")
            return
        self.active[job.id] = job, worker
        watched = isinstance(worker, AdoptedWorker)
        logger.info("%s: %s", task.name, "another process trains it already" if watched else "training starts")

    def record_outcome(self, job: Job, outcome: Outcome) -> None:
        """Finish the task, or let it wait again: a worker that crashed or was stopped resumes MAX_RESUMES times."""
        task, resumable = self.tasks[job.id], outcome.kind in (STOPPED, CRASHED)
        if outcome.kind == NOT_STARTED or (resumable and job.crashes < MAX_RESUMES):
            self.waiting.append(replace(job, state=QUEUED, crashes=job.crashes + resumable))
        elif outcome.kind == DONE:
            logger.info("%s: done", task.name)
        else:
            self.fail(task, outcome.reason or outcome.kind)

    def fail(self, task: TrainingTask, reason: str) -> None:
        """Record that the task failed."""
        self.failed.append(task.name)
        logger.error("%s: failed. %s", task.name, reason)

    def log_progress(self, job: Job) -> None:
        """Log one line for each new epoch of the run."""
        task = self.tasks[job.id]
        record = read_record(task.directory)
        if record.epochs_done > self.epochs[job.id]:
            self.epochs[job.id] = record.epochs_done
            logger.info("%s: %s", task.name, progress_text(record, task.experiment))

    def stop_workers(self) -> None:
        """Stop the workers of this process at their next batch, and wait until they have ended."""
        own = [worker for _, worker in self.active.values() if not isinstance(worker, AdoptedWorker)]
        for worker in own:
            worker.stop()
        while any(worker.poll() is None for worker in own):
            time.sleep(POLL_SECONDS / 10)


def new_job(number: int, experiment: Experiment) -> Job:
    """A job outside the queue; `id` is the number of its task."""
    return Job(
        id=number,
        key=experiment.key,
        experiment_json=experiment.to_json(),
        state=QUEUED,
        reason=None,
        submitted=time.time(),
        started=None,
        finished=None,
        attempts=0,
        crashes=0,
        worked=0.0,
        exclusive=False,
        device="",
        requesters=(),
    )


def progress_text(record: RunRecord, experiment: Experiment) -> str:
    """The progress of a run: "epoch 4 of 30, validation 0.6712, 5 min left"."""
    epochs = experiment.epochs
    text = f"epoch {record.epochs_done} of {epochs}"
    if record.final and "val_accuracy" in record.final:
        text += f", {experiment.split} {record.final['val_accuracy']:.4f}"
    recent = record.epoch_seconds[-RECENT_EPOCHS:]
    left = sum(recent) / len(recent) * (epochs - record.epochs_done) if recent else 0.0
    return f"{text}, {left / 60:.0f} min left" if left > 90 else f"{text}, {left:.0f} s left"
