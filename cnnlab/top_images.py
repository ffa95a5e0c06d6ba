"""What excites each filter most, over a whole test set: computed once for a run, in a process of its own.

    python -m cnnlab top-images RUN

Ten thousand forward passes take some ten seconds, too long for a page to wait and too short for the queue. So a page
starts this worker (`start`), which writes how far it is (`progress`) and, at the end, one small file (`load`): for
every filter the images at the top of its range and from its middle, whether it answers any image at all, and how much
it prefers each class. The file lies in the run's directory; for shipped runs, which nobody writes into, under
`home()/top/<key>/`. It names its epoch and its data: after more training, or on other images, it is made anew.

Two threads share the work, a slice of images each; NumPy lets go of Python's lock where it counts.
"""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab import datasets, lens, locks, settings
from cnnlab.architecture import CLASS_COUNT
from cnnlab.datasets import Dataset, DatasetMissing, store
from cnnlab.lens import Gallery, Picked, Responses
from cnnlab.runs import Run, open_run, read_json, write_arrays, write_json

Array = NDArray[Any]
Tell = Callable[[int, int], None]

FILE, PROGRESS, LOCK = "top.npz", "top.json", "top.lock"
FORMAT = 2
THREADS = 2
SLICE = 250  # images between two words about the progress
TELL_EVERY = 0.2  # seconds


class TopImagesError(LookupError):
    """They cannot be computed. The message is one sentence for a person."""


@dataclass(frozen=True, eq=False)
class TopImages:
    """What was found for a run.

    galleries: by ReLU stage, the images (numbers in the test set) to show for each filter; selectivity: by stage,
    float32 (classes, f), how much each filter prefers each class, -1 to 1; images: how many were asked; epoch: whose
    weights; fingerprint: of the data set whose test images were asked.
    """

    galleries: dict[str, Gallery]
    selectivity: dict[str, Array]
    images: int
    epoch: int
    fingerprint: str


@dataclass(frozen=True)
class Progress:
    """`done` of `of` images; `state` is running, done, failed or interrupted; `message` one sentence."""

    state: str
    done: int = 0
    of: int = 0
    message: str = ""


def folder(run: Run) -> Path:
    """Where the run's answers are kept."""
    return settings.home() / "top" / run.key if run.is_pretrained else run.path


def load(run: Run) -> TopImages | None:
    """The answers for the run's last weights on the images that are here, or None where they are to be computed.

    Where the data set is gone, nothing can be computed anew, and the answers that there are go on being told.
    """
    try:
        with np.load(folder(run) / FILE) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError):
        return None
    if int(arrays["format"]) != FORMAT or int(arrays["epoch"]) != last_epoch(run):
        return None
    if not _here(run.experiment.dataset, str(arrays["fingerprint"])):
        return None
    stages = [name.partition("/")[0] for name in arrays if name.endswith("/dead")]
    return TopImages(
        galleries={stage: _gallery(arrays, stage) for stage in stages},
        selectivity={stage: arrays[f"{stage}/selectivity"] for stage in stages},
        images=int(arrays["images"]),
        epoch=int(arrays["epoch"]),
        fingerprint=str(arrays["fingerprint"]),
    )


def _here(name: str, fingerprint: str) -> bool:
    """Whether this data set is the one that is here, or none is."""
    try:
        return datasets.load(name).fingerprint == fingerprint
    except DatasetMissing:
        return True


def progress(run: Run) -> Progress | None:
    """Where the worker is, or how the last one ended; None where there never was one."""
    found = read_json(folder(run) / PROGRESS)
    if not found:
        return Progress("running") if locks.held(folder(run) / LOCK) else None
    now = Progress(**found)
    if now.state == "running" and not locks.held(folder(run) / LOCK):
        return Progress("interrupted", now.done, now.of, "The worker was interrupted: start it again.")
    return now


def start(run: Run) -> None:
    """Start the worker in a process of its own, unless one is at work. It outlives whoever started it.

    Raises TopImagesError, one sentence, where the disk is full.
    """
    with _told(folder(run)):
        lock = locks.acquire(folder(run) / LOCK, sign=False)
        if lock is not None:
            _start(run, lock)


def _start(run: Run, lock: locks.Lock) -> None:
    with lock:
        write_json(folder(run) / PROGRESS, asdict(Progress("running")))
        fds, variables = lock.hand_to()
        subprocess.Popen(
            [sys.executable, "-m", "cnnlab", "top-images", run.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=settings.python_environment() | variables | {"OPENBLAS_NUM_THREADS": "1"},
            pass_fds=fds,
            start_new_session=True,
        )


def work(run: Run | str, tell: Tell | None = None) -> TopImages:
    """Compute the answers for a run (or the one of this name), write them, and return them; the body of the worker.

    Raises UnknownRun, or TopImagesError, one sentence, where another worker is at it, the data set is missing, or the
    disk is full.
    """
    run = open_run(run) if isinstance(run, str) else run
    with _told(folder(run)):
        lock = locks.acquire(folder(run) / LOCK)
    if lock is None:
        raise TopImagesError("Another worker is computing these already.")
    with lock:
        try:
            return _work(run, tell)
        except LookupError as error:
            sentence = str(error.args[0])
            with contextlib.suppress(OSError):  # on a full disk the last word stays what it was
                write_json(folder(run) / PROGRESS, asdict(Progress("failed", message=sentence)))
            raise TopImagesError(sentence) from error


def _work(run: Run, tell: Tell | None) -> TopImages:
    with _told(folder(run)):
        report = _Report(folder(run) / PROGRESS, tell)
        found = compute(run, datasets.load(run.experiment.dataset), report)
        write_arrays(folder(run) / FILE, _arrays(found))
        write_json(folder(run) / PROGRESS, asdict(Progress("done", found.images, found.images)))
    return found


@contextlib.contextmanager
def _told(place: Path) -> Iterator[None]:
    """Whatever the disk refuses inside becomes a TopImagesError with a remedy."""
    try:
        yield
    except OSError as error:
        raise TopImagesError(store.explain(error, place, megabytes=1)) from error


def compute(run: Run, dataset: Dataset, tell: Tell | None = None) -> TopImages:
    """The answers for the run's last weights on the test images of the data set. `tell(done, of)` is called often."""
    epoch = last_epoch(run)
    weights, count = run.weights(epoch), len(dataset.x_test)
    firsts = range(0, count, SLICE)
    done = _Counter(count, tell)

    def slice_of(first: int) -> dict[str, Responses]:
        images = dataset.x_test[first : first + SLICE]
        found = lens.strongest_responses(run.layers, weights, images)
        done.add(len(images))
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(slice_of, firsts))
    labels = np.asarray(dataset.y_test)
    whole = {stage: _joined([part[stage] for part in parts]) for stage in parts[0]}
    return TopImages(
        galleries={stage: lens.gallery(found) for stage, found in whole.items()},
        selectivity={stage: _selectivity(found.values, labels) for stage, found in whole.items()},
        images=count,
        epoch=epoch,
        fingerprint=dataset.fingerprint,
    )


def last_epoch(run: Run) -> int:
    """The newest weights that the run keeps. Raises TopImagesError where it keeps none yet."""
    epochs = run.snapshots()
    if not epochs:
        raise TopImagesError("This run has no weights yet: wait for its first epoch.")
    return epochs[-1]


def _selectivity(values: Array, labels: Array) -> Array:
    """By class and filter; 0, no preference, for a class that none of the images shows."""
    found = np.zeros((CLASS_COUNT, values.shape[1]), np.float32)
    for target in np.unique(labels):
        found[target] = lens.selectivity(values, labels, int(target))
    return found


def _joined(parts: list[Responses]) -> Responses:
    names = ("values", "rows", "columns")
    return Responses(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class _Counter:
    """Adds up what several threads have done."""

    def __init__(self, of: int, tell: Tell | None) -> None:
        self.done, self.of, self.tell = 0, of, tell
        self.lock = threading.Lock()

    def add(self, count: int) -> None:
        with self.lock:
            self.done += count
            if self.tell is not None:
                self.tell(self.done, self.of)


class _Report:
    """Writes the progress where a page reads it, a few times a second, and passes it on."""

    def __init__(self, path: Path, tell: Tell | None) -> None:
        self.path, self.tell, self.written = path, tell, 0.0

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() - self.written > TELL_EVERY:
            self.written = time.monotonic()
            write_json(self.path, asdict(Progress("running", done, of)))
        if self.tell is not None:
            self.tell(done, of)


# ---- the file -------------------------------------------------------------------------------------------------------

PICKED = {"images": np.uint16, "values": np.float32, "rows": np.uint8, "columns": np.uint8}


def _arrays(found: TopImages) -> dict[str, Array]:
    arrays: dict[str, Array] = {
        "format": np.array(FORMAT),
        "epoch": np.array(found.epoch),
        "images": np.array(found.images),
        "fingerprint": np.array(found.fingerprint),
    }
    for stage, gallery in found.galleries.items():
        for kind, picked in (("top", gallery.top), ("middle", gallery.middle)):
            for name, type_ in PICKED.items():
                arrays[f"{stage}/{kind}/{name}"] = getattr(picked, name).astype(type_)
        for name in ("low", "high", "dead"):
            arrays[f"{stage}/{name}"] = getattr(gallery, name)
        arrays[f"{stage}/selectivity"] = found.selectivity[stage]
    return arrays


def _gallery(arrays: dict[str, Array], stage: str) -> Gallery:
    top, middle = (Picked(*(arrays[f"{stage}/{kind}/{name}"] for name in PICKED)) for kind in ("top", "middle"))
    return Gallery(top, middle, *(arrays[f"{stage}/{name}"] for name in ("low", "high", "dead")))
