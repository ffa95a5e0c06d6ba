"""A lock on an open file, which the system releases when its holder ends: flock, or a locked byte on Windows.

With flock the lock belongs to the open file, and a child process that inherits the open file holds the lock too. On
Windows (`msvcrt.locking`) it belongs to one process: a child takes its own (`cnnlab.storage.process_lock`).
"""

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

msvcrt: Any = None
try:
    import fcntl
except ImportError:
    import msvcrt

CAN_INHERIT = msvcrt is None  # whether a child process can inherit an open file with its lock
LOCKED_BYTE = 2**30  # behind all that is written: Windows lets nobody else read a locked byte
ASKING_SECONDS, ASKING_INTERVAL = 0.05, 0.005  # msvcrt has no shared lock, so two who ask exclude each other

_BINARY = getattr(os, "O_BINARY", 0)  # without it Windows changes the ends of lines
_NO_WAITING = getattr(os, "O_NONBLOCK", 0)
_CLOSED_IN_CHILDREN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)


def open_lock_file(path: Path) -> int:
    """The descriptor of the file, opened for a lock and created if it is missing. Raises OSError, also for a pipe."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_WAITING | _BINARY | _CLOSED_IN_CHILDREN, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return descriptor


def try_lock(descriptor: int) -> bool:
    """Lock the open file; False where another holds it. Does not wait."""
    return _try_msvcrt(descriptor) if msvcrt else _try_flock(descriptor, fcntl.LOCK_EX)


def close(descriptor: int) -> None:
    """Close this process's copy, which releases the lock unless a child inherited it."""
    if msvcrt:  # else Windows may release it some time later
        with suppress(OSError):
            os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a running process holds the lock on `path`. Creates no file; with flock it takes no lock either.

    On Windows, asking takes the lock for some microseconds.
    """
    try:
        mode = os.O_RDWR if msvcrt else os.O_RDONLY
        descriptor = os.open(path, mode | _NO_WAITING | _BINARY | _CLOSED_IN_CHILDREN)
    except OSError:
        return False
    if msvcrt:
        return not _is_free_after_a_while(descriptor)
    try:
        return not _try_flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def write_text(descriptor: int, text: str) -> None:
    """Replace the content of the open file by a short text. Raises OSError."""
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text.encode())


def _try_flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return True
    except OSError:
        return False


def _try_msvcrt(descriptor: int) -> bool:
    try:
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        return True
    except OSError:
        return False


def _is_free_after_a_while(descriptor: int) -> bool:
    """Whether the lock is free, or becomes so within ASKING_SECONDS: another process may just ask too."""
    deadline = time.monotonic() + ASKING_SECONDS
    while not (is_free := _try_msvcrt(descriptor)) and time.monotonic() < deadline:
        time.sleep(ASKING_INTERVAL)
    if is_free:
        close(descriptor)
    else:
        os.close(descriptor)
    return is_free
