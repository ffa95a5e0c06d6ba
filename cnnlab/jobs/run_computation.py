"""A computation about one run in a process of its own, which a page starts and watches: status, start, errors."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cnnlab.analysis.batched_activations import ProgressCallback
from cnnlab.storage import files, process_lock
from cnnlab.storage.background_process import BackgroundStatus, StatusFile, cnnlab_command, start_detached

NICENESS = 5  # that of a training
STATUS_INTERVAL_SECONDS = 0.2


@dataclass(frozen=True)
class JobStatus(BackgroundStatus):
    """`done` of `total` images; `state` is waiting, running, done, failed or interrupted; `message` one sentence."""

    LIVE_STATES: ClassVar[tuple[str, ...]] = ("waiting", "running")

    done: int = 0
    total: int = 0


def job_status_file(folder: Path, progress: str, lock: str) -> StatusFile[JobStatus]:
    """Where a worker that holds `lock` in this folder writes its status."""
    return StatusFile(folder / progress, folder / lock, JobStatus, "The worker was interrupted: start it again.")


def start_worker(command: str, run_name: str, status_file: StatusFile[JobStatus]) -> None:
    """Start `python -m cnnlab COMMAND RUN` as a detached process, unless one holds the lock. Raises OSError.

    The worker outlives the process that starts it.
    """
    lock = process_lock.acquire(status_file.lock_path, write_owner=False)
    if lock is None:
        return
    with lock:
        status_file.write(JobStatus("waiting"))
        environment = {"OPENBLAS_NUM_THREADS": "1"}
        start_detached(cnnlab_command(command, run_name), environment=environment, lock=lock, niceness=NICENESS)


@contextlib.contextmanager
def disk_errors_as(error_type: type[Exception], place: Path) -> Iterator[None]:
    """An OSError inside becomes an `error_type` whose message names the remedy."""
    try:
        yield
    except OSError as error:
        raise error_type(files.disk_error_message(error, place, megabytes=1)) from error


class ProgressWriter:
    """Writes the progress where a page reads it, a few times a second, and passes it on to `progress`."""

    def __init__(self, status_file: StatusFile[JobStatus], progress: ProgressCallback | None = None) -> None:
        self.status_file, self.progress, self.written = status_file, progress, 0.0

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self.written > STATUS_INTERVAL_SECONDS:
            self.written = time.monotonic()
            self.status_file.write(JobStatus("running", done, total))
        if self.progress is not None:
            self.progress(done, total)
