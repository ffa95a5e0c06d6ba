"""Rotates logs of running processes: a full log is copied to `<name>.1` and truncated.

Workers and the dispatcher keep their log open, so it is not renamed but copied and truncated, like logrotate's
`copytruncate`; this works because the logs are opened for appending. A line written between the two steps is lost.
"""

import contextlib
import shutil
from pathlib import Path

MAX_LOG_BYTES = 2_000_000


def rotate(log: Path, max_bytes: int = MAX_LOG_BYTES) -> bool:
    """Rotate the log if it has more than `max_bytes` bytes; returns whether it did. OSErrors are ignored."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > max_bytes:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
            with log.open("r+b") as file:
                file.truncate(0)
            return True
    return False
