"""Logs that do not grow for ever: a full one becomes `.1`, and its writer goes on in an empty file without noticing.

A worker and a dispatcher write to an open file whose name they do not know. So a full log is copied and then cut to
nothing, where logrotate says `copytruncate`; it works because these logs are opened for appending. A line written
between the two steps is lost.
"""

import contextlib
import shutil
from pathlib import Path

MAX_LOG_BYTES = 2_000_000


def rotate(log: Path, max_bytes: int = MAX_LOG_BYTES) -> bool:
    """Whether the log had more than `most` bytes, and begins anew; what it held is in `<name>.1` now."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > max_bytes:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
            with log.open("r+b") as file:
                file.truncate(0)
            return True
    return False
