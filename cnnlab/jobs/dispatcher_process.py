"""The dispatcher as a process of this home: whether one runs, its files, and how the web process starts one."""

import time
from pathlib import Path

from cnnlab import settings
from cnnlab.jobs.log_rotation import rotate
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.storage import process_lock
from cnnlab.storage.background_process import cnnlab_command, start_detached

IDLE_SECONDS = 600.0  # after so long without work, a dispatcher that the web process started leaves
RESTART_SECONDS = 3.0  # a dispatcher that dies at once is not started more often than this


def ensure_running() -> None:
    """Start a dispatcher where none is running, and return at once. Cheap enough to call at every rerun.

    The new process inherits the dispatcher's lock, so that concurrent callers start one. It is a session of its own
    and outlives the web process; its output goes to `dispatcher.log` in the home. Where the settings leave this to a
    service (`starts_dispatcher` is 0), nothing is done. Raises QueueError, SettingsError.
    """
    if not settings.current().starts_dispatcher:
        return
    rotate(log_path())
    try:
        if _started_recently() or process_lock.is_locked(lock_path()):
            return
        lock = process_lock.acquire(lock_path(), timeout=0, write_owner=False)
        if lock is not None:
            command = cnnlab_command("dispatch", "--idle", f"{IDLE_SECONDS:.0f}")
            with lock:
                start_detached(command, log=log_path(), lock=lock)
    except OSError as error:
        raise QueueError(f"The dispatcher cannot be started ({error.strerror}): look at {settings.home()}.") from error


def is_running() -> bool:
    """Whether a dispatcher of this home is running."""
    return process_lock.is_locked(lock_path())


def lock_path() -> Path:
    """The file whose lock makes a process this home's dispatcher."""
    return settings.home() / "dispatcher.lock"


def log_path() -> Path:
    """Where a dispatcher that the web process started writes."""
    return settings.home() / "dispatcher.log"


def heartbeat_path() -> Path:
    """The file that a dispatcher touches every few seconds."""
    return settings.home() / "dispatcher.alive"


def seconds_since_heartbeat() -> float | None:
    """Seconds since a dispatcher last touched its heartbeat file; None without one."""
    try:
        return max(0.0, time.time() - heartbeat_path().stat().st_mtime)
    except OSError:
        return None


def _started_recently() -> bool:
    """Whether the lock was signed in the last RESTART_SECONDS: limits how often a failing dispatcher is started."""
    try:
        return 0 <= time.time() - lock_path().stat().st_mtime < RESTART_SECONDS
    except FileNotFoundError:
        return False
