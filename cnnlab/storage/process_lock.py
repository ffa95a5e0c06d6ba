"""A lock that dies with its holder: how one process knows that another one still lives.

A process id in a file says who *was* there: after a crash or a restart of the machine the number may belong to anyone.
A file lock (flock) is released by the kernel at the moment the process ends, however it ends. So everywhere in CNN Lab
"is it alive?" is asked of a lock: a worker holds `runs/<key>/lock`, the dispatcher holds `dispatcher.lock`.

The lock belongs to the open file, and a child can inherit an open file. That closes the gap between starting a process
and its taking the lock: the parent takes the lock, hands it to the child at birth (`Lock.hand_to`) and closes its own
copy. The child's `acquire` finds what it was given. At no moment is the lock free while the child lives.

Over NFS version 4 the same call locks for all machines that mount the folder; the lock of a machine that is gone is
released when its lease ends, after a minute and a half. A process id says something on its own machine only, so a lock
is signed with the machine's name too.

Left out: Windows, which has no flock, and network file systems without locks.
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
    """Who signed a lock: the process id, whether the lock was handed to it by a parent, and the machine's name."""

    pid: int
    inherited: bool
    machine: str = field(default_factory=socket.gethostname)

    @property
    def is_local(self) -> bool:
        """Whether the process id is one of this machine."""
        return self.machine == socket.gethostname()


class ProcessLock:
    """A lock that this process holds. Leaving the `with` block, `release` and the end of the process set it free."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    def write_owner(self, pid: int, *, inherited: bool = False) -> None:
        """Write into the file who holds the lock, for whoever wants to send that process a signal.

        On a full disk the lock stays unsigned: it holds all the same.
        """
        text = f"{pid} {'handed' if inherited else 'taken'} {socket.gethostname()}\n"
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, text.encode(), 0)

    def inheritance_options(self) -> tuple[tuple[int, ...], dict[str, str]]:
        """What `Popen` needs so that the child holds the lock from birth: `pass_fds`, and variables for `env`."""
        return (self.descriptor,), {INHERITED_LOCK_VARIABLE: str(self.descriptor)}

    def release(self) -> None:
        """Close this process's copy. Where a child inherited the lock, the child goes on holding it."""
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
    """The lock on `path`, which is created where it is missing; None where another process holds it.

    `patience` is how many seconds to try: a look at the lock by `held` may stand in the way for a moment.
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
    """One try; None where it is held, or where the file or its folder went meanwhile. Raises OSError."""
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
    """The lock that the parent process handed down, where it is the one on `path`."""
    number = os.environ.get(INHERITED_LOCK_VARIABLE, "")
    try:
        descriptor = int(number)
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return None
    except (ValueError, OSError):
        return None
    del os.environ[
        INHERITED_LOCK_VARIABLE
    ]  # neither the variable nor the open file goes on to this process's own children
    os.set_inheritable(descriptor, False)
    lock = ProcessLock(path, descriptor)
    lock.write_owner(os.getpid(), inherited=True)
    return lock


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock on `path`. It is taken by nobody, and nothing is created, by asking."""
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
    """Who signed the lock on `path`, or None where it is free or not signed yet."""
    if not is_locked(path):
        return None
    try:
        pid, how, machine = path.read_text().split()
        return LockOwner(int(pid), how == "handed", machine)
    except (OSError, ValueError):
        return None
