"""Starts a detached process and reads its progress from a file; or runs a process to its end.

A background process holds a `ProcessLock` while it runs. The starter acquires the lock and hands it to the child, so a
second process cannot start in between. The child writes its status, a small dataclass, as JSON. A status that says
"running" while the lock is free belongs to a process that was killed: it is read as "interrupted".
"""

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import ClassVar, Generic, TypeVar, get_type_hints

from cnnlab import settings
from cnnlab.operating_system import file_operations, processes
from cnnlab.storage import files, process_lock
from cnnlab.storage.process_lock import ProcessLock

POLL_SECONDS = 0.05

Process = subprocess.Popen[bytes]


def cnnlab_command(*arguments: str) -> list[str]:
    """The command line of `python -m cnnlab ARGUMENTS` with this Python."""
    return [sys.executable, "-m", "cnnlab", *arguments]


def start_detached(
    command: Sequence[str],
    *,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
    lock: ProcessLock | None = None,
    niceness: int = 0,
    descriptors: Sequence[int] = (),
) -> Process:
    """Start `command` in a session of its own, without standard input, and return at once.

    Its output is appended to `log`, or discarded. `environment` is added to `settings.subprocess_environment()`. `lock`
    is handed to the child and signed with its process id; the caller releases its own copy. The child also inherits
    `descriptors`. `niceness` lowers the child's priority relative to this process. A thread reaps the child when it
    ends, so that no zombie is left; `poll` of the returned process tells its exit code. Raises OSError.
    """
    lock_descriptors, lock_variables = lock.inheritance_options() if lock else ((), {})
    with contextlib.ExitStack() as stack:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=stack.enter_context(file_operations.open_log(log)) if log else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            env=settings.subprocess_environment() | dict(environment or {}) | lock_variables,
            **processes.detached_options((*lock_descriptors, *descriptors), niceness),
        )
    if lock:
        lock.hand_over(process.pid)
    if niceness:
        processes.lower_priority(process.pid, niceness)
    threading.Thread(target=_reap, args=(process, lock), name=f"reaps {process.pid}", daemon=True).start()
    return process


def _reap(process: Process, lock: ProcessLock | None) -> None:
    process.wait()
    if lock:
        process_lock.end_start_window(lock.path, process.pid)


def run_to_end(
    command: Sequence[str],
    data: bytes,
    *,
    environment: Mapping[str, str],
    timeout: float,
    poll: Callable[[], None],
    lock: ProcessLock,
) -> tuple[int, bytes]:
    """Run `command` with `data`, a file, as standard input. Returns its exit code (minus its signal) and its output.

    The process has only `environment` and inherits `lock`, so the lock is held as long as it lives, even if this
    process is killed first (on Windows only as long as this process lives). `poll` is called about every 50 ms. If it
    raises, or if this function is left for any other reason, the process is killed. Raises OSError, and TimeoutError
    after `timeout` seconds.
    """
    with tempfile.TemporaryFile() as file:  # Popen.communicate does not go on sending after a timeout
        file.write(data)
        file.seek(0)
        process = subprocess.Popen(
            list(command),
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            **processes.detached_options(lock.inheritance_options()[0]),
        )
    with process:
        try:
            output = _wait_for_output(process, timeout, poll)
            return process.returncode, output
        finally:
            process.kill()


def _wait_for_output(process: Process, timeout: float, poll: Callable[[], None]) -> bytes:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=POLL_SECONDS)[0]
        poll()
    raise TimeoutError(f"A process did not end within {timeout:g} seconds.")


@dataclass(frozen=True)
class BackgroundStatus:
    """The progress of a background process, or how it ended; `message` is one sentence for the page."""

    LIVE_STATES: ClassVar[tuple[str, ...]] = ("running",)

    state: str
    message: str = field(default="", kw_only=True)

    @property
    def is_live(self) -> bool:
        """Whether the process is at work."""
        return self.state in self.LIVE_STATES


Status = TypeVar("Status", bound=BackgroundStatus)


@dataclass(frozen=True)
class StatusFile(Generic[Status]):
    """The file in which a background process that holds `lock_path` writes its status of type `kind`."""

    path: Path
    lock_path: Path
    kind: type[Status]
    interrupted_message: str

    def write(self, status: Status) -> None:
        """Replace the status atomically. Raises OSError."""
        files.write_json(self.path, asdict(status))

    def read(self) -> Status | None:
        """The latest status, "interrupted" where its process died; None where there is none or it cannot be read."""
        value = files.read_json(self.path)
        known = {field.name: value[field.name] for field in fields(self.kind) if field.name in value}
        types = get_type_hints(self.kind)
        if "state" not in known or not all(_has_type(known[name], types[name]) for name in known):
            return None
        status = self.kind(**known)
        if status.is_live and not process_lock.is_locked(self.lock_path):
            return replace(status, state="interrupted", message=self.interrupted_message)
        return status


def _has_type(value: object, kind: type) -> bool:
    return type(value) is kind or (kind is float and type(value) is int)
