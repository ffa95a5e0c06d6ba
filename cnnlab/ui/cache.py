"""Caches for all sessions: lists of runs, histories, weights, predictions. Each is bounded.

The result for a file is cached under the file's path and modification time, so a page that asks again reads the disk
only after a change. The state of a training run changes all the time and is never cached.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab import data, report
from cnnlab.array_types import Weights
from cnnlab.data import Dataset
from cnnlab.experiment import Experiment
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.report import ReportRow
from cnnlab.settings import PRETRAINED, data_dir, home
from cnnlab.storage import history_file, runs
from cnnlab.storage.imported_networks import ImportedNetwork, StoredNetwork, list_imported
from cnnlab.storage.runs import REESTIMATED_FILE, DamagedFolder, DamagedRun, Run

LISTING_SECONDS, SHIPPED_SECONDS = 2.0, 60.0
RESULT_FILES = ("record.json", "history.csv", "predictions.npz", REESTIMATED_FILE)


def open_queue() -> Queue:
    """The queue of this home, opened once for all sessions."""
    return _open_queue(home() / "jobs.sqlite")


@lru_cache(maxsize=2)  # a page asks for it twenty times, and Streamlit's own cache takes ten times as long
def _open_queue(path: Path) -> Queue:
    return Queue(path)


def list_runs() -> list[Run]:
    """Every run, the shipped ones first; read from the disk at most every two seconds. Do not change the list."""
    return _list_runs(str(home()))


def clear_run_lists() -> None:
    """Clear the cached lists of runs: a run has just ended."""
    for listing in (_list_runs, _finished_runs, _runs_with_curves, _inspectable_runs):
        listing.clear()


@st.cache_resource(ttl=LISTING_SECONDS, max_entries=2, show_spinner=False)
def _list_runs(place: str) -> list[Run]:
    return runs.list_runs()


def damaged_runs() -> list[Run]:
    """The runs with a file that cannot be used; read from the disk at most every two seconds."""
    return _damaged_runs(str(home()))


@st.cache_resource(ttl=LISTING_SECONDS, max_entries=2, show_spinner=False)
def _damaged_runs(place: str) -> list[Run]:
    return [run for run in list_runs() if run.damages()]


def damaged_folders() -> list[DamagedFolder]:
    """The run directories whose experiment is not known; read from the disk at most every two seconds."""
    return _damaged_folders(str(home()))


@st.cache_resource(ttl=LISTING_SECONDS, max_entries=2, show_spinner=False)
def _damaged_folders(place: str) -> list[DamagedFolder]:
    return runs.damaged_folders()


def shipped_seeds() -> list[Run]:
    """The further seeds that came with the program, read from the disk at most once a minute."""
    return _shipped_seeds(str(PRETRAINED))


@st.cache_resource(ttl=SHIPPED_SECONDS, max_entries=2, show_spinner=False)
def _shipped_seeds(place: str) -> list[Run]:
    return runs.shipped_seeds()


def clear_run_and_network_lists() -> None:
    """Clear the cached lists of runs, damaged runs and imported networks: one was removed or came in."""
    clear_run_lists()
    for listing in (_damaged_runs, _damaged_folders, _imported_networks):
        listing.clear()


def runs_with_curves() -> dict[str, Run]:
    """The runs with at least one epoch in their history, then the shipped seeds, by name; read as `list_runs`."""
    return _runs_with_curves(str(home()), str(PRETRAINED))


@st.cache_resource(ttl=LISTING_SECONDS, max_entries=2, show_spinner=False)
def _runs_with_curves(place: str, shipped: str) -> dict[str, Run]:
    found = {run.name: run for run in list_runs() if len(history(run)["epoch"])}
    return found | {run.name: run for run in shipped_seeds() if run.name not in found}


def find_run(experiment: Experiment) -> Run | None:
    """The run of this experiment as it is now, shipped or trained here, whole or damaged; None without one."""
    return runs.find_run(experiment)


def inspectable_runs() -> list[Run]:
    """The runs that Look inside can show: those with the weights of at least one epoch; read as `list_runs`."""
    return _inspectable_runs(str(home()))


@st.cache_resource(ttl=LISTING_SECONDS, max_entries=2, show_spinner=False)
def _inspectable_runs(place: str) -> list[Run]:
    return [run for run in list_runs() if run.snapshot_epochs()]


def imported_networks() -> list[ImportedNetwork]:
    """Every imported network, the newest first; read from the disk at most every two seconds."""
    return _imported_networks(str(home()))


@st.cache_resource(ttl=LISTING_SECONDS, max_entries=2, show_spinner=False)
def _imported_networks(place: str) -> list[ImportedNetwork]:
    return list_imported()


def history(run: Run) -> dict[str, NDArray[np.float64]]:
    """`run.history()`; empty columns where the file is damaged, which `run.damage` reports."""
    try:
        return run.history()
    except DamagedRun:
        return history_file.empty_history()


@dataclass(frozen=True)
class FinishedRuns:
    """The finished runs, those of `list_runs` first, and the state of their results as a key of caches.

    The key is another one after each change of one of their RESULT_FILES, in this home or in another one.
    """

    runs: tuple[Run, ...]
    key: str


def finished_runs() -> FinishedRuns:
    """The finished runs, also the shipped seeds; looked at again every two seconds, and where the queue has changed.

    The end of a training changes the queue, so its result counts at once.
    """
    revision = -1
    with suppress(QueueError):  # the page says so where it needs the queue
        revision = open_queue().revision()
    return _finished_runs(str(home()), str(PRETRAINED), revision)


@st.cache_resource(ttl=LISTING_SECONDS, max_entries=2, show_spinner=False)
def _finished_runs(place: str, shipped: str, revision: int) -> FinishedRuns:
    found = tuple(run for run in [*list_runs(), *shipped_seeds()] if run.record.state == "done")
    moments = modified_times(run.path / name for run in found for name in RESULT_FILES)
    return FinishedRuns(found, hashlib.sha256(f"{place}\n{shipped}\n{moments}".encode()).hexdigest())


def report_rows(dataset: str = "cifar10") -> list[ReportRow]:
    """`report.report_rows()` on this data set, read again only where a run has finished. Do not change the rows."""
    return _report_rows(dataset, finished_runs().key)


@st.cache_resource(max_entries=4, show_spinner="Comparing the networks")
def _report_rows(dataset: str, key: str) -> list[ReportRow]:
    return report.report_rows(dataset)


def weights(run: StoredNetwork, epoch: int) -> Weights:
    """`run.weights(epoch)`. One copy for all sessions: do not change the arrays. Raises UnknownRun, DamagedRun."""
    return _weights(str(run.path), epoch, weights_moment(run, epoch), run)


def weights_moment(run: StoredNetwork, epoch: int) -> int:
    """When the file with the weights after this epoch was last changed, in nanoseconds."""
    return modified_ns(run.path / "weights" / f"{epoch:03}.npz") or modified_ns(run.path / "model.keras")


@st.cache_resource(max_entries=10, show_spinner=False)  # eight epochs of one run and the last ones of two; 1 MB each
def _weights(path: str, epoch: int, moment: int, _run: StoredNetwork) -> Weights:
    return _run.weights(epoch)


def predictions(run: StoredNetwork) -> dict[str, NDArray[Any]]:
    """`run.predictions()`. One copy for all sessions: do not change the arrays. Raises DamagedRun."""
    return _predictions(str(run.path), modified_ns(run.path / "predictions.npz"), run)


@st.cache_resource(max_entries=20, show_spinner=False)
def _predictions(path: str, moment: int, _run: StoredNetwork) -> dict[str, NDArray[Any]]:
    return _run.predictions()


def dataset(name: str) -> Dataset:
    """The data set, its arrays memory-mapped. Raises DatasetMissing."""
    folder = data_dir() / name
    return _dataset(name, str(folder), modified_ns(folder / "manifest.json"))


@st.cache_resource(max_entries=4, show_spinner="Getting the pictures ready")
def _dataset(name: str, folder: str, moment: int) -> Dataset:
    return data.load_dataset(name)


def modified_times(paths: Iterable[Path]) -> str:
    """The files, each with the time of its last change, as a key of a cache: Streamlit hashes one text fast."""
    return "\n".join(f"{path}:{modified_ns(path)}" for path in paths)


def modified_ns(path: Path) -> int:
    """When the file was last changed, in nanoseconds; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
