"""What excites each filter most, over a whole test set: computed once for a run, in a process of its own.

    python -m cnnlab top-images RUN

Ten thousand forward passes take some ten seconds, too long for a page to wait and too short for the queue. So a page
starts this worker (`start`). It waits until no other one computes, writes how far it is (`job_status`) and, at the
end, one small file (`load`): for every filter the images at the top of its range and from its middle, whether it
answers any image at all, and how much it prefers each class. The file lies in the run's directory; for shipped runs,
which nobody writes into, under `home()/top/<key>/`. It names its epoch and its data: after more training, or on other
images, it is made anew.

Two threads share the work, a slice of images each; NumPy lets go of Python's lock where it counts.
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
from cnnlab.analysis.top_activations import FilterExamples, MaxActivations, SelectedImages
from cnnlab.array_types import Array
from cnnlab.data import Dataset, DatasetMissing
from cnnlab.models.architecture import CLASS_COUNT, network_layers
from cnnlab.storage import files, process_lock
from cnnlab.storage.background_process import BackgroundStatus, StatusFile, cnnlab_command, start_detached
from cnnlab.storage.bounded_files import read_npz
from cnnlab.storage.files import write_npz
from cnnlab.storage.runs import Run, open_run

ProgressCallback = Callable[[int, int], None]

FILE, PROGRESS, LOCK = "top.npz", "top.json", "top.lock"
FORMAT = 2
MAX_FILE_BYTES = 16_000_000  # of top.npz; four layers of 256 filters take 400,000
THREADS = 2
NICENESS = 5  # as that of a training
MAX_WAITING = 5  # workers of one home that wait for their turn or work, one at a time
SLICE_IMAGES = 250  # images between two words about the progress
STATUS_INTERVAL_SECONDS = 0.2  # seconds


class TopActivationsError(LookupError):
    """They cannot be computed. The message is one sentence for a person."""


@dataclass(frozen=True, eq=False)
class TopActivations:
    """What was found for a run.

    galleries: by ReLU stage, the images (numbers in the test set) to show for each filter; selectivity: by stage,
    float32 (classes, f), how much each filter prefers each class, -1 to 1; images: how many were asked; epoch: whose
    weights; fingerprint: of the data set whose test images were asked.
    """

    examples: dict[str, FilterExamples]
    selectivity: dict[str, Array]
    images: int
    epoch: int
    fingerprint: str


@dataclass(frozen=True)
class JobStatus(BackgroundStatus):
    """`done` of `total` images; `state` is waiting, running, done, failed or interrupted; `message` one sentence."""

    LIVE_STATES: ClassVar[tuple[str, ...]] = ("waiting", "running")

    done: int = 0
    total: int = 0


def result_directory(run: Run) -> Path:
    """Where the run's answers are kept."""
    return settings.home() / "top" / run.key if run.is_pretrained else run.path


def load(run: Run) -> TopActivations | None:
    """The answers for the run's last weights on the images that are here, or None where they are to be computed.

    Where the data set is gone, nothing can be computed anew, and the answers that there are go on being told.
    """
    try:
        found = _from_arrays(read_npz(result_directory(run) / FILE, MAX_FILE_BYTES), run)
    except (OSError, ValueError, KeyError):  # missing, or damaged
        return None
    if found.epoch != last_epoch(run) or not _matches_local_data(run.experiment.dataset, found.fingerprint):
        return None
    return found


def _matches_local_data(name: str, fingerprint: str) -> bool:
    """Whether this data set is the one that is here, or none is."""
    try:
        return data.load_dataset(name).fingerprint == fingerprint
    except DatasetMissing:
        return True


def status_file(run: Run) -> StatusFile[JobStatus]:
    """Where the worker of this run writes its status."""
    folder = result_directory(run)
    message = "The worker was interrupted: start it again."
    return StatusFile(folder / PROGRESS, folder / LOCK, JobStatus, message)


def job_status(run: Run) -> JobStatus | None:
    """The status of the worker, or of the last one; None where there never was one."""
    status = status_file(run).read()
    if status is None and process_lock.is_locked(result_directory(run) / LOCK):
        return JobStatus("waiting")
    return status


def start(run: Run) -> None:
    """Start the worker in a process of its own, unless one is at work. It outlives whoever started it.

    Raises TopImagesError, one sentence, where the disk is full.
    """
    with _disk_errors_as_messages(result_directory(run)):
        lock = process_lock.acquire(result_directory(run) / LOCK, write_owner=False)
        if lock is not None:
            _start(run, lock)


def _start(run: Run, lock: process_lock.ProcessLock) -> None:
    with lock:
        status_file(run).write(JobStatus("waiting"))
        command, environment = cnnlab_command("top-images", run.name), {"OPENBLAS_NUM_THREADS": "1"}
        start_detached(command, environment=environment, lock=lock, niceness=NICENESS)


def run_job(run: Run | str, progress: ProgressCallback | None = None) -> TopActivations:
    """Compute the answers for a run (or the one of this name), write them, and return them; the body of the worker.

    Raises UnknownRun, or TopImagesError, one sentence, where another worker is at it, the data set is missing, or the
    disk is full.
    """
    run = open_run(run) if isinstance(run, str) else run
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
            with contextlib.suppress(OSError):  # on a full disk the last word stays what it was
                status_file(run).write(JobStatus("failed", message=sentence))
            raise TopActivationsError(sentence) from error


@contextlib.contextmanager
def _turn(run: Run) -> Iterator[None]:
    """Wait until no other worker of this home computes. Raises TopActivationsError where MAX_WAITING wait or work."""
    folder = settings.home() / "top"
    with _disk_errors_as_messages(folder), contextlib.ExitStack() as held:
        tickets = (process_lock.acquire(folder / f"ticket{number}.lock", timeout=0) for number in range(MAX_WAITING))
        if (ticket := next(filter(None, tickets), None)) is None:
            raise TopActivationsError(f"{MAX_WAITING} networks are being asked already: try again in a minute.")
        held.enter_context(ticket)
        while (turn := process_lock.acquire(folder / "turn.lock", timeout=STATUS_INTERVAL_SECONDS)) is None:
            status_file(run).write(JobStatus("waiting"))
        held.enter_context(turn)
        yield


def _compute_and_write(run: Run, tell: ProgressCallback | None) -> TopActivations:
    with _disk_errors_as_messages(result_directory(run)):
        report = _StatusWriter(status_file(run), tell)
        found = compute(run, data.load_dataset(run.experiment.dataset), report)
        write_npz(result_directory(run) / FILE, _to_arrays(found))
        status_file(run).write(JobStatus("done", found.images, found.images))
    return found


@contextlib.contextmanager
def _disk_errors_as_messages(place: Path) -> Iterator[None]:
    """Whatever the disk refuses inside becomes a TopImagesError with a remedy."""
    try:
        yield
    except OSError as error:
        raise TopActivationsError(files.disk_error_message(error, place, megabytes=1)) from error


def compute(run: Run, dataset: Dataset, tell: ProgressCallback | None = None) -> TopActivations:
    """The answers for the run's last weights on the test images of the data set. `tell(done, of)` is called often."""
    epoch = last_epoch(run)
    weights, count = run.weights(epoch), len(dataset.x_test)
    firsts = range(0, count, SLICE_IMAGES)
    done = _Counter(count, tell)

    def slice_of(first: int) -> dict[str, MaxActivations]:
        images = dataset.x_test[first : first + SLICE_IMAGES]
        found = top_activations.max_activations(network_layers(run.experiment), weights, images)
        done.add(len(images))
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(slice_of, firsts))
    labels = np.asarray(dataset.y_test)
    whole = {stage: _concatenated([part[stage] for part in parts]) for stage in parts[0]}
    return TopActivations(
        examples={stage: top_activations.select_examples(found) for stage, found in whole.items()},
        selectivity={stage: _selectivity(found.values, labels) for stage, found in whole.items()},
        images=count,
        epoch=epoch,
        fingerprint=dataset.fingerprint,
    )


def last_epoch(run: Run) -> int:
    """The newest weights that the run keeps. Raises TopImagesError where it keeps none yet."""
    epochs = run.snapshot_epochs()
    if not epochs:
        raise TopActivationsError("This run has no weights yet: wait for its first epoch.")
    return epochs[-1]


def _selectivity(values: Array, labels: Array) -> Array:
    """By class and filter; 0, no preference, for a class that none of the images shows."""
    found = np.zeros((CLASS_COUNT, values.shape[1]), np.float32)
    for target in np.unique(labels):
        found[target] = activation_stats.class_selectivity(values, labels, int(target))
    return found


def _concatenated(parts: list[MaxActivations]) -> MaxActivations:
    names = ("values", "rows", "columns")
    return MaxActivations(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class _Counter:
    """Adds up what several threads have done."""

    def __init__(self, of: int, tell: ProgressCallback | None) -> None:
        self.done, self.of, self.tell = 0, of, tell
        self.lock = threading.Lock()

    def add(self, count: int) -> None:
        with self.lock:
            self.done += count
            if self.tell is not None:
                self.tell(self.done, self.of)


class _StatusWriter:
    """Writes the progress where a page reads it, a few times a second, and passes it on."""

    def __init__(self, file: StatusFile[JobStatus], tell: ProgressCallback | None) -> None:
        self.file, self.tell, self.written = file, tell, 0.0

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() - self.written > STATUS_INTERVAL_SECONDS:
            self.written = time.monotonic()
            self.file.write(JobStatus("running", done, of))
        if self.tell is not None:
            self.tell(done, of)


# ---- the file -------------------------------------------------------------------------------------------------------

PICKED = {"images": np.uint16, "values": np.float32, "rows": np.uint8, "columns": np.uint8}
RANGE_FIELDS = {"low": "minimum", "high": "maximum", "dead": "dead"}  # name in the file: field of FilterExamples


def _to_arrays(found: TopActivations) -> dict[str, Array]:
    arrays: dict[str, Array] = {
        "format": np.array(FORMAT),
        "epoch": np.array(found.epoch),
        "images": np.array(found.images),
        "fingerprint": np.array(found.fingerprint),
    }
    for stage, gallery in found.examples.items():
        for kind, picked in (("top", gallery.top), ("middle", gallery.middle)):
            for name, type_ in PICKED.items():
                arrays[f"{stage}/{kind}/{name}"] = getattr(picked, name).astype(type_)
        arrays |= {f"{stage}/{name}": getattr(gallery, field) for name, field in RANGE_FIELDS.items()}
        arrays[f"{stage}/selectivity"] = found.selectivity[stage]
    return arrays


def _from_arrays(arrays: dict[str, Array], run: Run) -> TopActivations:
    """What `_to_arrays` wrote for the run's network. Raises KeyError, ValueError where that is something else."""
    layers = network_layers(run.experiment)
    shapes = {layer.name: layer.output_shape for layer in layers if layer.kind == "relu"}
    if arrays["format"].item() != FORMAT:
        raise ValueError(f"Expected format {FORMAT}. Received: {arrays['format']}")
    found = TopActivations(
        examples={stage: _read_examples(arrays, stage) for stage in shapes},
        selectivity={stage: arrays[f"{stage}/selectivity"] for stage in shapes},
        images=int(arrays["images"].item()),
        epoch=int(arrays["epoch"].item()),
        fingerprint=str(arrays["fingerprint"].item()),
    )
    for stage, shape in shapes.items():
        _check_examples(found.examples[stage], found.selectivity[stage], found.images, shape)
    return found


def _check_examples(examples: FilterExamples, selectivity: Array, images: int, shape: tuple[int, ...]) -> None:
    """Raises ValueError unless the arrays fit feature maps of `shape`, and name pictures among `images`."""
    height, width, filters = shape
    for picked in (examples.top, examples.middle):
        for name, type_ in PICKED.items():
            values = getattr(picked, name)
            if values.dtype != type_ or values.ndim != 2 or values.shape != (filters, picked.images.shape[-1]):
                raise ValueError(f"Expected {name} by filter. Received: {values.dtype}, {values.shape}")
        ends = {"images": images, "rows": height, "columns": width}
        if any(getattr(picked, name).max(initial=0) >= end for name, end in ends.items()):
            raise ValueError(f"Expected images, rows and columns below {ends}.")
        if not np.isfinite(picked.values).all():
            raise ValueError("Expected finite values.")
    ranges = [getattr(examples, field) for field in RANGE_FIELDS.values()]
    if any(values.shape != (filters,) or not np.isfinite(values).all() for values in ranges):
        raise ValueError(f"Expected a finite range of {filters} filters.")
    if selectivity.shape != (CLASS_COUNT, filters) or not np.isfinite(selectivity).all():
        raise ValueError(f"Expected selectivity ({CLASS_COUNT}, {filters}). Received: {selectivity.shape}")


def _read_examples(arrays: dict[str, Array], stage: str) -> FilterExamples:
    top, middle = (SelectedImages(*(arrays[f"{stage}/{kind}/{name}"] for name in PICKED)) for kind in ("top", "middle"))
    return FilterExamples(top, middle, *(arrays[f"{stage}/{name}"] for name in RANGE_FIELDS))
