"""File locks that the system releases when their holder ends: whether another process still runs.

A process id in a file does not tell that: after a crash or a restart of the machine another process may have the
number. The system releases a file lock as soon as the process ends, however it ends. So a worker holds
`runs/<key>/lock`, the dispatcher holds `dispatcher.lock`, and the question "is it running?" is answered by the lock.

The lock belongs to the open file, and a child process can inherit an open file. The parent takes the lock, passes it to
the child at its start (`ProcessLock.inheritance_options`) and closes its own copy; the child's `acquire` finds the
inherited lock. So the lock is never free between the start of a process and its first call.

Where a child inherits no open file (Windows) the parent writes "starting" and the child's process id into the file and
releases the lock. For START_WINDOW_SECONDS nobody else gets it then, and it counts as held, until the child has taken
it itself or the parent sees it end.

With NFS version 4 a lock holds for all machines that mount the folder; the lock of a machine that is gone is released
when its lease ends, after a minute and a half. A process id is valid on its own machine only, so the owner of a lock is
written with the machine's name.

Not supported: network file systems without locks.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from cnnlab.operating_system import file_locks, file_operations

INHERITED_LOCK_VARIABLE = "CNNLAB_LOCK_FD"  # how a child learns the number of the open file that it was given
EXPECTED_LOCK_VARIABLE = "CNNLAB_LOCK_PATH"  # how a child that inherits no open file learns which lock it shall take
START_WINDOW_SECONDS = 20.0  # in which such a child takes its lock, for a machine that starts Python slowly
MAX_TEXT_BYTES = 1_000  # of the file of a lock
RETRY_SECONDS = 0.01  # seconds between two attempts
HANDED, STARTING, TAKEN = "handed", "starting", "taken"

_taken_early: dict[str, "ProcessLock"] = {}


@dataclass(frozen=True)
class LockOwner:
    """The owner written into a lock: process id, whether a parent passed the lock to it, and the machine's name."""

    pid: int
    inherited: bool
    machine: str = field(default_factory=socket.gethostname)

    @property
    def is_local(self) -> bool:
        """Whether the process id is one of this machine."""
        return self.machine == socket.gethostname()


class ProcessLock:
    """A lock that this process holds. Leaving the `with` block, `release` or the end of the process releases it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    def write_owner(self, pid: int, *, inherited: bool = False) -> None:
        """Write the owner into the file, for processes that want to send a signal to it.

        On a full disk the owner is missing; the lock is held in any case.
        """
        self._write_text(f"{pid} {HANDED if inherited else TAKEN} {socket.gethostname()}\n")

    def hand_over(self, child: int) -> None:
        """Write a child, started with `inheritance_options`, as the owner; this process then releases the lock."""
        how = HANDED if file_locks.CAN_INHERIT else STARTING
        self._write_text(f"{child} {how} {socket.gethostname()}\n")

    def clear_owner(self) -> None:
        """Empty the file: no owner is known. Raises OSError."""
        file_locks.write_text(self.descriptor, "")

    def _write_text(self, text: str) -> None:
        with contextlib.suppress(OSError):
            file_locks.write_text(self.descriptor, text)

    def inheritance_options(self) -> tuple[tuple[int, ...], dict[str, str]]:
        """What a child needs that gets the lock: descriptors that it inherits, and variables of its environment."""
        if not file_locks.CAN_INHERIT:
            return (), {EXPECTED_LOCK_VARIABLE: os.path.abspath(self.path)}
        return (self.descriptor,), {INHERITED_LOCK_VARIABLE: str(self.descriptor)}

    def release(self) -> None:
        """Close this process's copy. A child that was given the lock keeps it."""
        if self.descriptor >= 0:
            file_locks.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.release()


def acquire(path: Path, *, timeout: float = 0.5, write_owner: bool = True) -> ProcessLock | None:
    """The lock on `path`, which is created if it is missing; None if another process holds it.

    `timeout` is how many seconds to try: `is_locked` of another process may hold the lock for a moment.
    """
    if lock := _taken_early.pop(os.path.abspath(path), None) or _inherited(path):
        return lock
    is_expected = _is_expected(path)
    deadline = time.monotonic() + (START_WINDOW_SECONDS if is_expected else timeout)
    while (lock := _try_lock(path, is_expected)) is None:
        if time.monotonic() >= deadline:
            return None
        time.sleep(RETRY_SECONDS)
    if write_owner:
        lock.write_owner(os.getpid(), inherited=is_expected)
    else:
        lock.clear_owner()
    return lock


def acquire_any(paths: Sequence[Path], *, timeout: float, poll: Callable[[], None]) -> ProcessLock | None:
    """A lock on one of `paths`, a semaphore whose holders may be killed; None where all are held for `timeout` seconds.

    `poll` is called between two attempts; what it raises ends the wait.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for path in paths:
            if lock := _try_lock(path):
                return lock
        poll()
        time.sleep(RETRY_SECONDS)
    return None


def _try_lock(path: Path, is_expected: bool = False) -> ProcessLock | None:
    """One try; None if it is held, or if the file or its folder was removed meanwhile. Raises OSError.

    A lock that its holder hands to a child is taken by that child only, for which `is_expected` is true.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = file_locks.open_lock_file(path)
    except FileNotFoundError:
        return None
    if not file_locks.try_lock(descriptor):
        os.close(descriptor)
        return None
    with contextlib.suppress(OSError):  # the file was removed between opening and locking it
        if os.path.samestat(os.fstat(descriptor), os.stat(path)) and _may_take(path, is_expected):
            return ProcessLock(path, descriptor)
    file_locks.close(descriptor)
    return None


def _inherited(path: Path) -> ProcessLock | None:
    """The lock that the parent process passed on, if it is the one on `path`."""
    number = os.environ.get(INHERITED_LOCK_VARIABLE, "")
    try:
        descriptor = int(number)
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return None
    except (ValueError, OSError):
        return None
    # This process's own children inherit neither the variable nor the open file.
    del os.environ[INHERITED_LOCK_VARIABLE]
    os.set_inheritable(descriptor, False)
    lock = ProcessLock(path, descriptor)
    lock.write_owner(os.getpid(), inherited=True)
    return lock


def take_expected_lock() -> None:
    """Take the lock that this process was started for, if any, and keep it for `acquire`.

    Called at the start of a program, so that the lock is not free while TensorFlow is loaded. Raises OSError.
    """
    path = os.environ.get(EXPECTED_LOCK_VARIABLE)
    if path and (lock := acquire(Path(path))):
        _taken_early[path] = lock


def _is_expected(path: Path) -> bool:
    """Whether the parent process started this one to take the lock on `path`; true once."""
    if os.environ.get(EXPECTED_LOCK_VARIABLE) != os.path.abspath(path):
        return False
    del os.environ[EXPECTED_LOCK_VARIABLE]
    return True


def is_locked(path: Path) -> bool:
    """Whether a running process holds the lock on `path`, or is starting and will. Asking creates no file."""
    if file_locks.CAN_INHERIT:
        return file_locks.is_locked(path)
    # Asked twice: the child may take the lock between the first two questions.
    return file_locks.is_locked(path) or _is_starting(path) or file_locks.is_locked(path)


def _may_take(path: Path, is_expected: bool) -> bool:
    return file_locks.CAN_INHERIT or is_expected or not _is_starting(path)


def _is_starting(path: Path) -> bool:
    """Whether a child was started for this lock a short while ago and has not taken it yet."""
    with contextlib.suppress(OSError):
        age = time.time() - path.stat().st_mtime
        return age < START_WINDOW_SECONDS and f" {STARTING} " in _read_text(path)
    return False


def end_start_window(path: Path, child: int) -> None:
    """A child that was started for the lock on `path` has ended: where it never took it, the lock is free at once."""
    with contextlib.suppress(OSError):
        if not file_locks.CAN_INHERIT and _read_text(path).startswith(f"{child} {STARTING} "):
            path.write_bytes(b"")


def _read_text(path: Path) -> str:
    """What is written in the file of a lock. Raises OSError, ValueError."""
    return file_operations.read_regular_file(path, MAX_TEXT_BYTES).decode()


def lock_owner(path: Path) -> LockOwner | None:
    """The owner of the lock on `path`; None if the lock is free or its owner is not written yet."""
    if not is_locked(path):
        return None
    try:
        pid, how, machine = _read_text(path).split()
        return LockOwner(int(pid), how in (HANDED, STARTING), machine)
    except (OSError, ValueError):
        return None
