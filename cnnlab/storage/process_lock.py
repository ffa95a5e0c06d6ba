"""File locks (flock) that the kernel releases when their holder ends: whether another process still runs.

A process id in a file does not tell that: after a crash or a restart of the machine another process may have the
number. The kernel releases a file lock as soon as the process ends, however it ends. So a worker holds
`runs/<key>/lock`, the dispatcher holds `dispatcher.lock`, and the question "is it running?" is answered by the lock.

The lock belongs to the open file, and a child process can inherit an open file. The parent takes the lock, passes it to
the child at its start (`ProcessLock.inheritance_options`) and closes its own copy; the child's `acquire` finds the
inherited lock. So the lock is never free between the start of a process and its first call.

With NFS version 4 a lock holds for all machines that mount the folder; the lock of a machine that is gone is released
when its lease ends, after a minute and a half. A process id is valid on its own machine only, so the owner of a lock is
written with the machine's name.

Not supported: Windows, which has no flock, and network file systems without locks.
"""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

INHERITED_LOCK_VARIABLE = "CNNLAB_LOCK_FD"  # how a child learns the number of the open file that it was given
RETRY_SECONDS = 0.01  # seconds between two attempts


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
        text = f"{pid} {'handed' if inherited else 'taken'} {socket.gethostname()}\n"
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, text.encode(), 0)

    def inheritance_options(self) -> tuple[tuple[int, ...], dict[str, str]]:
        """The arguments of `Popen` with which the child inherits the lock: `pass_fds`, and variables for `env`."""
        return (self.descriptor,), {INHERITED_LOCK_VARIABLE: str(self.descriptor)}

    def release(self) -> None:
        """Close this process's copy. A child that inherited the lock keeps it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
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
    if lock := _inherited(path):
        return lock
    deadline = time.monotonic() + timeout
    while (lock := _try_lock(path)) is None:
        if time.monotonic() >= deadline:
            return None
        time.sleep(RETRY_SECONDS)
    if write_owner:
        lock.write_owner(os.getpid())
    else:
        os.ftruncate(lock.descriptor, 0)
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


def _try_lock(path: Path) -> ProcessLock | None:
    """One try; None if it is held, or if the file or its folder was removed meanwhile. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return ProcessLock(path, descriptor)
    except OSError:  # held by another, or the file was removed between opening and locking it
        pass
    os.close(descriptor)
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
    del os.environ[
        INHERITED_LOCK_VARIABLE
    ]  # this process's own children inherit neither the variable nor the open file
    os.set_inheritable(descriptor, False)
    lock = ProcessLock(path, descriptor)
    lock.write_owner(os.getpid(), inherited=True)
    return lock


def is_locked(path: Path) -> bool:
    """Whether a running process holds the lock on `path`. Asking takes no lock and creates no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def lock_owner(path: Path) -> LockOwner | None:
    """The owner of the lock on `path`; None if the lock is free or its owner is not written yet."""
    if not is_locked(path):
        return None
    try:
        pid, how, machine = path.read_text().split()
        return LockOwner(int(pid), how == "handed", machine)
    except (OSError, ValueError):
        return None
