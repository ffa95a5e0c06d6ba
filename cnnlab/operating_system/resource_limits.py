"""Limits of memory, processor time and files that this process sets on itself."""

import contextlib
import math
import signal


def limit_resources(memory: int, cpu_seconds: float) -> None:
    """Limit this process to `memory` bytes of address space and to processor time, and let it write no files.

    The profiling timer ends the process just before its limit of processor time, which the kernel rounds up to whole
    seconds. macOS refuses the limit of memory; Windows has none of them.
    """
    try:
        import resource
    except ImportError:
        return
    wanted = {"RLIMIT_AS": memory, "RLIMIT_CPU": math.ceil(cpu_seconds), "RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0}
    for name, value in wanted.items():
        kind = getattr(resource, name, None)
        if kind is not None:
            most = resource.getrlimit(kind)[1]
            allowed = value if most == resource.RLIM_INFINITY else min(value, most)
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (allowed, allowed))
    signal.setitimer(signal.ITIMER_PROF, 0.95 * cpu_seconds)  # SIGPROF ends the process


def limit_exit_codes() -> set[int]:
    """The exit codes of a child that its limit of processor time ended."""
    return {-getattr(signal, name) for name in ("SIGPROF", "SIGXCPU", "SIGKILL") if hasattr(signal, name)}
