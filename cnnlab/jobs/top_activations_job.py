"""The worker that finds the test images that excite each filter of a run most.

    python -m cnnlab top-images RUN

Ten thousand forward passes take about ten seconds: too long for a page to wait, too short for the queue. So a page
starts this worker (`start`). It waits until no other worker of this home computes, writes its progress (`job_status`),
and at the end the file of `top_activations_file`: for each filter the images with its highest activations and from the
middle of its range, whether it is zero on all images, and its selectivity for each class.

Two threads each take a slice of the images at a time; NumPy releases the interpreter lock while it computes.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from cnnlab import data, settings
from cnnlab.analysis import activation_stats, top_activations
from cnnlab.analysis.top_activations import MaxActivations
from cnnlab.array_types import Array
from cnnlab.data import Dataset
from cnnlab.jobs import top_activations_file
from cnnlab.jobs.top_activations_file import TopActivations, TopActivationsError, last_epoch, result_directory
from cnnlab.storage import files, process_lock
from cnnlab.storage.background_process import BackgroundStatus, StatusFile, cnnlab_command, start_detached
from cnnlab.storage.imported_networks import Network, open_network

ProgressCallback = Callable[[int, int], None]

PROGRESS, LOCK = "top.json", "top.lock"
THREADS = 2
NICENESS = 5  # that of a training
MAX_WAITING = 5  # workers of one home that wait or compute; one computes at a time
SLICE_IMAGES = 250  # images between two progress reports
STATUS_INTERVAL_SECONDS = 0.2


@dataclass(frozen=True)
class JobStatus(BackgroundStatus):
    """`done` of `total` images; `state` is waiting, running, done, failed or interrupted; `message` one sentence."""

    LIVE_STATES: ClassVar[tuple[str, ...]] = ("waiting", "running")

    done: int = 0
    total: int = 0


def status_file(run: Network) -> StatusFile[JobStatus]:
    """Where the worker of this run writes its status."""
    folder = result_directory(run)
    message = "The worker was interrupted: start it again."
    return StatusFile(folder / PROGRESS, folder / LOCK, JobStatus, message)


def job_status(run: Network) -> JobStatus | None:
    """The status of the worker, or of the last one; None where there never was one."""
    status = status_file(run).read()
    if status is None and process_lock.is_locked(result_directory(run) / LOCK):
        return JobStatus("waiting")
    return status


def start(run: Network) -> None:
    """Start the worker as a detached process, unless one computes for this run. It outlives the process that starts it.

    Raises TopActivationsError, one sentence, where the disk is full.
    """
    with _disk_errors_as_messages(result_directory(run)):
        lock = process_lock.acquire(result_directory(run) / LOCK, write_owner=False)
        if lock is not None:
            _start(run, lock)


def _start(run: Network, lock: process_lock.ProcessLock) -> None:
    with lock:
        status_file(run).write(JobStatus("waiting"))
        command, environment = cnnlab_command("top-images", run.name), {"OPENBLAS_NUM_THREADS": "1"}
        start_detached(command, environment=environment, lock=lock, niceness=NICENESS)


def run_job(run: Network | str, progress: ProgressCallback | None = None) -> TopActivations:
    """Compute the results for a run (or the run of this name), write them, and return them; the body of the worker.

    Raises UnknownRun, or TopActivationsError, one sentence, where another worker computes them, the data set is
    missing, or the disk is full.
    """
    run = open_network(run) if isinstance(run, str) else run
    with _disk_errors_as_messages(result_directory(run)):
        lock = process_lock.acquire(result_directory(run) / LOCK)
    if lock is None:
        raise TopActivationsError("Another worker is computing these already.")
    with lock:
        try:
            with _turn(run):
                return _compute_and_write(run, progress)
        except LookupError as error:
            sentence = str(error.args[0])
            with contextlib.suppress(OSError):  # on a full disk the status stays as it is
                status_file(run).write(JobStatus("failed", message=sentence))
            raise TopActivationsError(sentence) from error


@contextlib.contextmanager
def _turn(run: Network) -> Iterator[None]:
    """Wait until no other worker of this home computes. Raises TopActivationsError where MAX_WAITING wait or work."""
    folder = settings.home() / "top"
    with _disk_errors_as_messages(folder), contextlib.ExitStack() as held:
        tickets = (process_lock.acquire(folder / f"ticket{number}.lock", timeout=0) for number in range(MAX_WAITING))
        if (ticket := next(filter(None, tickets), None)) is None:
            raise TopActivationsError(f"{MAX_WAITING} networks are being computed already: try again in a minute.")
        held.enter_context(ticket)
        while (turn := process_lock.acquire(folder / "turn.lock", timeout=STATUS_INTERVAL_SECONDS)) is None:
            status_file(run).write(JobStatus("waiting"))
        held.enter_context(turn)
        yield


def _compute_and_write(run: Network, progress: ProgressCallback | None) -> TopActivations:
    with _disk_errors_as_messages(result_directory(run)):
        report = _StatusWriter(status_file(run), progress)
        found = compute(run, data.load_dataset(run.dataset), report)
        top_activations_file.save(found, run)
        status_file(run).write(JobStatus("done", found.images, found.images))
    return found


@contextlib.contextmanager
def _disk_errors_as_messages(place: Path) -> Iterator[None]:
    """An OSError inside becomes a TopActivationsError with a remedy."""
    try:
        yield
    except OSError as error:
        raise TopActivationsError(files.disk_error_message(error, place, megabytes=1)) from error


def compute(run: Network, dataset: Dataset, progress: ProgressCallback | None = None) -> TopActivations:
    """The results for the run's last weights on all test images. `progress(done, of)` is called for each slice."""
    epoch = last_epoch(run)
    weights, count = run.weights(epoch), len(dataset.x_test)
    firsts = range(0, count, SLICE_IMAGES)
    done = _Counter(count, progress)

    def slice_of(first: int) -> dict[str, MaxActivations]:
        images = dataset.x_test[first : first + SLICE_IMAGES]
        found = top_activations.max_activations(run.layers, weights, images)
        done.add(len(images))
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(slice_of, firsts))
    labels = np.asarray(dataset.y_test)
    whole = {layer: _concatenated([part[layer] for part in parts]) for layer in parts[0]}
    return TopActivations(
        examples={layer: top_activations.select_examples(found) for layer, found in whole.items()},
        selectivity={layer: _selectivity(found.values, labels, len(dataset.classes)) for layer, found in whole.items()},
        images=count,
        epoch=epoch,
        fingerprint=dataset.fingerprint,
    )


def _selectivity(values: Array, labels: Array, classes: int) -> Array:
    """By class and filter; 0, no preference, for a class that none of the images shows."""
    found = np.zeros((classes, values.shape[1]), np.float32)
    for target in np.unique(labels):
        found[target] = activation_stats.class_selectivity(values, labels, int(target))
    return found


def _concatenated(parts: list[MaxActivations]) -> MaxActivations:
    names = ("values", "rows", "columns")
    return MaxActivations(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class _Counter:
    """Adds up what several threads have done."""

    def __init__(self, of: int, progress: ProgressCallback | None) -> None:
        self.done, self.of, self.progress = 0, of, progress
        self.lock = threading.Lock()

    def add(self, count: int) -> None:
        with self.lock:
            self.done += count
            if self.progress is not None:
                self.progress(self.done, self.of)


class _StatusWriter:
    """Writes the progress where a page reads it, a few times a second, and passes it on."""

    def __init__(self, file: StatusFile[JobStatus], progress: ProgressCallback | None) -> None:
        self.file, self.progress, self.written = file, progress, 0.0

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() - self.written > STATUS_INTERVAL_SECONDS:
            self.written = time.monotonic()
            self.file.write(JobStatus("running", done, of))
        if self.progress is not None:
            self.progress(done, of)
