"""What a block of code takes: seconds of CPU of this process, and by how much its peak of memory exceeds its start."""

import contextlib
import time
from pathlib import Path

STATUS, PEAK_RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class StepMeter:
    """Context manager with `cpu_seconds` and `megabytes`, both of the block; elsewhere than on Linux 0 MB."""

    cpu_seconds = megabytes = 0.0

    def __enter__(self) -> "StepMeter":
        with contextlib.suppress(OSError):
            PEAK_RESET.write_text("5")  # the peak of resident memory begins anew
        self._memory, self._cpu = _megabytes("VmRSS"), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_seconds = time.process_time() - self._cpu
        self.megabytes = max(0.0, _megabytes("VmHWM") - self._memory)


def _megabytes(field: str) -> float:
    """A field of this process's status in MB."""
    with contextlib.suppress(OSError):
        return int(STATUS.read_text().split(f"{field}:")[1].split()[0]) / 1000
    return 0.0
