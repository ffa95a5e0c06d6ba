"""Files: forced to the disk, renamed, opened without following links.

Windows renames and removes no file that somebody has open: `replace` and `remove` wait for readers, which take
milliseconds. It opens no directory, so its names are not forced to the disk there; NTFS logs them.
"""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

CAN_MOVE_OPEN_FILES = hasattr(os, "O_DIRECTORY")
REPLACE_SECONDS, REPLACE_INTERVAL = 2.0, 0.01  # how long, and how often, to try where another has the file open

# Of a file that may be anything: no link is followed, a pipe does not block; bytes are not changed (Windows).
_SAFE_READING = [getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_NOINHERIT", "O_BINARY")]


def fsync_file(path: Path) -> None:
    """Force the content of a file to the disk. Raises OSError."""
    _fsync(path, os.O_RDWR | getattr(os, "O_BINARY", 0))  # Windows wants it open for writing


def fsync_directory(folder: Path) -> None:
    """Force the names in a folder to the disk: the last step of a rename that must survive a power failure."""
    if hasattr(os, "O_DIRECTORY"):
        _fsync(folder, os.O_RDONLY | os.O_DIRECTORY)


def replace(source: Path, target: Path) -> None:
    """Rename a file or folder, replacing a file, as `os.replace`. Raises OSError."""
    _wait_for_readers(lambda: os.replace(source, target))


def remove(path: Path) -> None:
    """Remove a file where it is there. Raises OSError."""
    _wait_for_readers(lambda: path.unlink(missing_ok=True))


def _wait_for_readers(operation: Callable[[], None]) -> None:
    deadline = time.monotonic() + (0 if CAN_MOVE_OPEN_FILES else REPLACE_SECONDS)
    while time.monotonic() < deadline:
        with contextlib.suppress(PermissionError):
            return operation()
        time.sleep(REPLACE_INTERVAL)
    return operation()


def open_for_reading(path: Path) -> int:
    """The descriptor of a file that is no link. Raises OSError, for a link with errno ELOOP."""
    if not hasattr(os, "O_NOFOLLOW") and path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    flags = os.O_RDONLY
    for flag in _SAFE_READING:
        flags |= flag
    return os.open(path, flags)


def open_without_waiting(path: str, flags: int) -> int:
    """An opener for `open`: a pipe in the place of a file does not block. Raises OSError."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_regular_file(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file of at most `max_bytes`, also through a link. Raises OSError.

    Whatever else is in its place, such as a pipe or a device, is refused at once instead of being waited for.
    """
    with open(path, "rb", opener=open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if status.st_size > max_bytes:
            raise OSError(errno.EFBIG, f"it has more than {max_bytes:,} bytes", str(path))
        return file.read(max_bytes)


def open_log(path: Path) -> BinaryIO:
    """A log, opened for appending; where a pipe is in its place, what is written is discarded. Raises OSError."""
    try:
        is_pipe = stat.S_ISFIFO(path.stat().st_mode)
    except FileNotFoundError:
        is_pipe = False
    return open(os.devnull if is_pipe else path, "ab")


def create_private(path: Path) -> int:
    """The descriptor of a new file for writing, which only its owner may read (mode 600). Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
