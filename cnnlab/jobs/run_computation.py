"""A computation about one run in a process of its own, which a page starts and watches: status, start, errors."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from cnnlab import settings
from cnnlab.analysis.batched_activations import ProgressCallback
from cnnlab.jobs.computation_turn import computation_turn
from cnnlab.storage import files, process_lock
from cnnlab.storage.background_process import BackgroundStatus, StatusFile, cnnlab_command, start_detached
from cnnlab.storage.imported_networks import StoredNetwork

NICENESS = 5  # that of a training
STATUS_INTERVAL_SECONDS = 0.2

Result = TypeVar("Result")


class ComputationError(LookupError):
    """The results cannot be computed. The message is one sentence for the page."""


@dataclass(frozen=True)
class JobStatus(BackgroundStatus):
    """`done` of `total` images; `state` is waiting, running, done, failed or interrupted; `message` one sentence."""

    LIVE_STATES: ClassVar[tuple[str, ...]] = ("waiting", "running")

    done: int = 0
    total: int = 0


@dataclass(frozen=True, kw_only=True)
class RunComputation:
    """A kind of computation about a run, and the files of its worker, `python -m cnnlab COMMAND RUN`.

    folder: in the home, for shipped runs, whose directories are never written; status_name, lock_name: of the worker's
    files in `directory`.
    """

    command: str
    folder: str
    status_name: str
    lock_name: str

    def directory(self, run: StoredNetwork) -> Path:
        """The directory that the worker writes into."""
        return settings.home() / self.folder / run.key if run.is_pretrained else run.path

    def status_file(self, run: StoredNetwork) -> StatusFile[JobStatus]:
        """Where the worker of this run writes its status, and its lock."""
        place, interrupted = self.directory(run), "The worker was interrupted: start it again."
        return StatusFile(place / self.status_name, place / self.lock_name, JobStatus, interrupted)

    def status(self, run: StoredNetwork) -> JobStatus | None:
        """The status of the worker, or of the last one; None where there never was one."""
        file = self.status_file(run)
        return file.read() or (JobStatus("waiting") if process_lock.is_locked(file.lock_path) else None)

    def start(self, run: StoredNetwork) -> None:
        """Start the worker as a detached process, which outlives this one, unless one computes for this run.

        Raises ComputationError where the disk is full.
        """
        file = self.status_file(run)
        with _disk_errors(file):
            lock = process_lock.acquire(file.lock_path, write_owner=False)
            if lock is None:
                return
            with lock:
                file.write(JobStatus("waiting"))
                environment = {"OPENBLAS_NUM_THREADS": "1"}
                command = cnnlab_command(self.command, run.name)
                start_detached(command, environment=environment, lock=lock, niceness=NICENESS)

    def work(
        self,
        run: StoredNetwork,
        compute: Callable[[ProgressCallback], Result],
        progress: ProgressCallback | None = None,
    ) -> Result:
        """Call `compute` with a progress callback when it is this worker's turn; returns its result.

        The progress is written to the status file, and passed on to `progress`. Raises ComputationError where another
        worker computes for this run, too many wait, `compute` raises LookupError or ValueError, or the disk is full.
        """
        file = self.status_file(run)
        with _disk_errors(file):
            lock = process_lock.acquire(file.lock_path)
        if lock is None:
            raise ComputationError("Another worker is computing these already.")
        with lock:
            try:
                with _disk_errors(file), computation_turn(lambda: file.write(JobStatus("waiting"))):
                    result = compute(ProgressWriter(file, progress))
                    file.write(JobStatus("done"))
            except (LookupError, ValueError) as error:
                sentence = str(error.args[0])
                with contextlib.suppress(OSError):  # on a full disk the status stays as it is
                    file.write(JobStatus("failed", message=sentence))
                raise ComputationError(sentence) from error
        return result


@contextlib.contextmanager
def _disk_errors(file: StatusFile[JobStatus]) -> Iterator[None]:
    """An OSError inside becomes a ComputationError whose message names the remedy."""
    try:
        yield
    except OSError as error:
        raise ComputationError(files.disk_error_message(error, file.path.parent, megabytes=1)) from error


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
