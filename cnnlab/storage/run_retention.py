"""Limits the disk space of runs: removes the least recently used ones, and marks those that stay.

When the runs trained here take more than the setting `runs_gigabytes`, the one that was not used for the longest time
is removed, completely. Never removed: a run that is pinned, was viewed within `viewed_minutes`, is being trained or has
a job in the queue; shipped runs lie elsewhere. A removed run can be trained again.

Two empty files under home()/marks: `<key>.pinned`, and `<key>.viewed`, whose modification time is the last view.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from cnnlab import settings
from cnnlab.operating_system import file_operations
from cnnlab.storage import files, process_lock, runs

VIEW_INTERVAL_SECONDS = 30.0  # seconds; a view is recorded at most this often


@dataclass(frozen=True)
class EvictionResult:
    """The bytes that the runs take after the removal, and the names of the removed runs."""

    used_bytes: int
    removed: tuple[str, ...] = ()


def mark_viewed(key: str) -> None:
    """Record that the run with this key was viewed now. Cheap; a disk that cannot be written is ignored."""
    if not (settings.runs_dir() / key).is_dir():  # shipped with the code, or made up
        return
    mark = _marker_path(key, "viewed")
    with contextlib.suppress(OSError):
        if time.time() - last_viewed(key) > VIEW_INTERVAL_SECONDS:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


def last_viewed(key: str) -> float:
    """When this run was last viewed (Unix time); 0 for never."""
    return files.modified_time(_marker_path(key, "viewed"))


def pin(key: str, pinned: bool = True) -> None:
    """Pin this run, so that it is never removed, or end that where `pinned` is False. Raises UnknownRun, OSError."""
    mark = _marker_path(runs.open_run(key).key, "pinned")
    if pinned:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    else:
        mark.unlink(missing_ok=True)


def is_pinned(key: str) -> bool:
    """Whether this run is pinned."""
    return _marker_path(key, "pinned").exists()


def total_bytes() -> int:
    """The bytes that all runs trained here take on the disk."""
    return sum(directory_bytes(folder) for folder in _run_directories())


def directory_bytes(folder: Path) -> int:
    """The bytes that a folder's files take on the disk; files removed meanwhile count 0."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
    return total


def last_used(folder: Path) -> float:
    """When a run was last written or viewed (Unix time)."""
    names = ("record.json", "history.csv", "experiment.json", "lock")
    return max(last_viewed(folder.name), *(files.modified_time(folder / name) for name in names))


def evict_runs(max_bytes: float, active_keys: Collection[str], viewed_seconds: float) -> EvictionResult:
    """Remove runs, the least recently used first, until the others take at most `max_bytes` or none may be removed.

    `active_keys` are those of the jobs that wait or run. A run that was viewed within `viewed_seconds` stays.
    """
    sizes = {folder: directory_bytes(folder) for folder in _run_directories()}
    total, removed = sum(sizes.values()), []
    for folder in sorted(sizes, key=last_used):
        if total <= max_bytes:
            break
        wanted = folder.name in active_keys or is_pinned(folder.name)
        if not wanted and time.time() - last_viewed(folder.name) >= viewed_seconds and _evict(folder):
            total -= sizes[folder]
            removed.append(folder.name)
    return EvictionResult(total, tuple(removed))


def remove_run(name: str) -> None:
    """Remove the run directory of this name. Raises UnknownRun where there is none, or where it is in use."""
    folder = settings.runs_dir() / name
    if not runs.RUN_NAME_PATTERN.fullmatch(name) or not folder.is_dir():
        raise runs.UnknownRun(f"There is no run called {name[:64]!r} here to be removed.")
    if not _evict(folder):
        raise runs.UnknownRun(
            f"The run {name} could not be removed: a worker uses it, or its folder cannot be written."
        )


def _evict(folder: Path) -> bool:
    """Rename the folder in one step, then delete it; False where a worker uses it, or permission is missing."""
    try:
        lock = process_lock.acquire(folder / "lock", timeout=0)
        if lock is None:
            return False
        with lock:
            if process_lock.is_locked(folder / "top.lock"):  # the top images of its filters are being computed
                return False
            bin_ = settings.home() / "removed" / f"{folder.name}.{time.time_ns()}"
            bin_.parent.mkdir(parents=True, exist_ok=True)
            if not file_operations.CAN_MOVE_OPEN_FILES:
                lock.release()
            file_operations.replace(folder, bin_)
    except OSError:  # the folder of another user, or a read-only disk
        return False
    shutil.rmtree(bin_.parent, ignore_errors=True)
    with contextlib.suppress(OSError):
        _marker_path(folder.name, "viewed").unlink(missing_ok=True)
    return True


def _run_directories() -> list[Path]:
    try:
        return [folder for folder in settings.runs_dir().iterdir() if folder.is_dir()]
    except FileNotFoundError:
        return []


def _marker_path(key: str, kind: str) -> Path:
    return settings.home() / "marks" / f"{key}.{kind}"
