"""Processes and signals: detached children, priorities, how one is asked to stop, killed, and what its end means.

Windows has neither sessions, nor inherited descriptors, nor a signal that another process can handle: `CAN_ASK_TO_STOP`
and `file_locks.CAN_INHERIT` say so, and `cnnlab.storage` has the way round. A killed process has an exit code there.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from cnnlab.operating_system.c_library import c_library_function

CAN_ASK_TO_STOP = hasattr(signal, "SIGKILL")  # with SIGTERM, which on Windows kills
MAX_NICENESS = 19
PR_SET_PDEATHSIG = 1  # of prctl(2)
TERMINATED_EXIT_CODE = 15  # of a process that `kill` ended on Windows
MIN_NTSTATUS = 0x80000000  # an exit code of Windows from here on is an error such as 0xC0000005, an access violation

SignalHandler = Callable[[int, FrameType | None], object]


def detached_options(descriptors: Sequence[int] = (), niceness: int = 0) -> dict[str, Any]:
    """Arguments of `Popen` for a child that outlives this process and its terminal, and inherits `descriptors`.

    On Windows it gets a console of its own without a window; `niceness` above 0 lowers its priority there (elsewhere
    `lower_priority` does). Raises OSError for descriptors on Windows.
    """
    if CAN_ASK_TO_STOP:
        return {"pass_fds": tuple(descriptors), "start_new_session": True}
    if descriptors:
        raise OSError("This system hands no open files to a child process.")
    names = ["CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW", *(["BELOW_NORMAL_PRIORITY_CLASS"] if niceness else [])]
    return {"creationflags": sum(getattr(subprocess, name) for name in names)}


def lower_priority(pid: int, niceness: int) -> None:
    """Raise the niceness of a process to `niceness` above this one's; a process that has ended is no error.

    Where the kernel shares the processor among sessions (`kernel.sched_autogroup_enabled`), a process's niceness counts
    only within its own session, so the session gets the same value. Without effect on Windows.
    """
    if not hasattr(os, "setpriority"):
        return
    with contextlib.suppress(OSError):
        value = min(MAX_NICENESS, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
        os.setpriority(os.PRIO_PROCESS, pid, value)
        if os.getsid(pid) == pid:
            Path(f"/proc/{pid}/autogroup").write_text(str(value), encoding="ascii")


def become(command: Sequence[str]) -> int:
    """Replace this process by `command`, so who stops it stops that; on Windows run it and return its exit code."""
    if CAN_ASK_TO_STOP:
        os.execvp(command[0], list(command))
    return subprocess.run(list(command), check=False).returncode


# -- stopping and killing ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def stop_signals(handler: SignalHandler) -> Iterator[None]:
    """Within this context `handler` gets Ctrl-C and SIGTERM; on Windows Ctrl-C and Ctrl-Break. Main thread only."""
    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGBREAK] if hasattr(signal, "SIGBREAK") else [])]
    previous = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


def interrupt_main_thread() -> None:
    """Interrupt the main thread like Ctrl-C. A wait for the network ends at once, on Windows when it times out."""
    if CAN_ASK_TO_STOP:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)


def ask_to_stop(pid: int) -> None:
    """SIGTERM to a process; one that has ended is no error. Not where CAN_ASK_TO_STOP is False: it would be killed."""
    if not CAN_ASK_TO_STOP:
        raise OSError("This system can ask no process to stop.")
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGTERM)


def kill(pid: int) -> None:
    """End a process at once (SIGKILL); one that has ended is no error."""
    with contextlib.suppress(OSError):
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # on Windows its number becomes the exit code


def kill_child(process: "subprocess.Popen[bytes]") -> None:
    """End a child at once, so that `ending_signal` of its exit code says so; one that has ended is no error."""
    if process.poll() is None:
        kill(process.pid)


def kill_session(process: "subprocess.Popen[bytes]") -> None:
    """End a detached child and the processes that it started; on Windows the child alone."""
    if CAN_ASK_TO_STOP:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        kill_child(process)


def ending_signal(exit_code: int) -> str | None:
    """The name of the signal that ended a child, as SIGSEGV; on Windows of the error; None where it ended by itself.

    `exit_code` is that of `Popen`.
    """
    if exit_code < 0:
        known = {known_signal.value: known_signal.name for known_signal in signal.Signals}
        return known.get(-exit_code, str(-exit_code))
    if CAN_ASK_TO_STOP:
        return None
    if exit_code == TERMINATED_EXIT_CODE:
        return "TerminateProcess"
    return f"0x{exit_code:08X}" if exit_code >= MIN_NTSTATUS else None


def end_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent (process id `parent`) ends. Raises OSError but on Linux."""
    prctl = c_library_function("prctl")
    if prctl is None:
        raise OSError("This system cannot tie a process to its parent.")
    if prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "the kernel cannot tie a process to its parent")
    if os.getppid() != parent:  # it ended before the call of prctl
        kill(os.getpid())
