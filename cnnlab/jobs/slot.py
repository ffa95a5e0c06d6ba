"""A slot of the dispatcher: one running job with its worker, and how that worker is stopped."""

import time
from dataclasses import dataclass, field

from cnnlab.jobs.job import Job
from cnnlab.jobs.runner import WorkerHandle

GRACE_SECONDS = 10.0  # between asking a worker to stop and ending it


@dataclass
class Slot:
    """One running job, since `started`; `deadline` is set when its worker was asked to stop (both monotonic seconds).

    `stop_reason` is why the worker was stopped, where that fails the job. `was_unwatched`: the worker had ended before
    this dispatcher found it, with an earlier dispatcher or its host.
    """

    job: Job
    worker: WorkerHandle
    started: float = field(default_factory=time.monotonic)
    deadline: float | None = None
    stop_reason: str | None = None
    was_unwatched: bool = False

    @property
    def elapsed_seconds(self) -> float:
        """How long this worker has run."""
        return time.monotonic() - self.started

    def request_stop(self) -> bool:
        """Ask the worker to stop; after GRACE_SECONDS, kill it. False where this process must not stop it."""
        if self.deadline is None:
            self.deadline = time.monotonic() + GRACE_SECONDS
            return self.worker.stop()
        if time.monotonic() > self.deadline:
            self.worker.kill()
        return True
