"""The machine: processor, cores, load, memory. What a system does not tell is empty, None or infinite."""

import os
import platform
from pathlib import Path

CAN_CHOOSE_CORE = hasattr(os, "sched_setaffinity")  # Linux
MOUNTS = Path("/proc/mounts")  # the mounted file systems, one a line; Linux


def cores() -> list[int]:
    """The numbers of the processor cores that this process may use, in order; all where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def set_core(number: int) -> None:
    """Let this process run on one core only; without effect where a process cannot choose (macOS, Windows)."""
    if CAN_CHOOSE_CORE:
        os.sched_setaffinity(0, {number})


def is_intel_mac() -> bool:
    """Whether this is macOS on an Intel processor, or an Intel Python on another Mac."""
    return (platform.system(), platform.machine()) == ("Darwin", "x86_64")


def load_average() -> float | None:
    """How many processes ran or waited for a core in the last minute, on average; None on Windows."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def read_cpuinfo() -> list[str]:
    """The lines of /proc/cpuinfo; empty where there is no such file."""
    return _lines(Path("/proc/cpuinfo"))


def processor_name() -> str:
    """The processor's name, as the system gives it; "" where it gives none."""
    names = [line.partition(":")[2].strip() for line in read_cpuinfo() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def available_bytes() -> float:
    """The memory that a new process can use without swapping (MemAvailable of Linux); infinite where unknown."""
    for line in _lines(Path("/proc/meminfo")):
        name, _, size = line.partition(":")
        if name == "MemAvailable":
            return int(size.split()[0]) * 1024.0
    return float("inf")


def memory_kib(pid: int, table: str = "status") -> dict[str, int]:
    """Sizes of a process in KiB by the kernel's names, as VmHWM; `table` is "status" or "smaps_rollup" (see proc(5)).

    Empty where the process has ended, and on macOS and Windows.
    """
    fields = (line.partition(":") for line in _lines(Path(f"/proc/{pid}/{table}")))
    return {name: int(rest.split()[0]) for name, _, rest in fields if rest.endswith(" kB")}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
