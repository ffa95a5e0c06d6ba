"""How a worker ended: read from its exit code, from record.json and from its log (worker.log)."""

import os
from pathlib import Path

from cnnlab.jobs.job import DONE, FAILED
from cnnlab.jobs.runner import CRASHED, OUT_OF_MEMORY, STOPPED, Outcome
from cnnlab.operating_system import file_operations
from cnnlab.operating_system.processes import ending_signal
from cnnlab.storage.run_record import RECORD_FILE, read_record

EXIT_DONE, EXIT_STOPPED = 0, 3  # exit codes of `train`; 1: failed, the reason is in record.json
CLOCK_TOLERANCE_SECONDS = 0.05  # by which a file's modification time may lag behind the clock
TAIL_BYTES = 4096
TAIL_CHARACTERS = 300
ATTEMPT_HEADER = "== attempt "  # the first line of each worker's part of the log
TRACEBACK_BYTES = 64 * 1024  # of a log, searched for a traceback
SIGNAL_MEANINGS = {
    "SIGKILL": "killed from outside, most often because the machine ran out of memory",
    "SIGSEGV": "it touched memory that is not its own, an error in a library",
    "SIGILL": "this processor lacks an instruction that a library needs",
    "SIGTERM": "ended from outside before it had begun",
    "TerminateProcess": "ended from outside",
    "0xC0000005": "it touched memory that is not its own, an error in a library",
    "0xC000001D": "this processor lacks an instruction that a library needs",
}
# Messages of TensorFlow, JAX, PyTorch and Python when memory runs out.
OUT_OF_MEMORY_PATTERNS = (
    "RESOURCE_EXHAUSTED",
    "ResourceExhaustedError",
    "OOM when allocating",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "OutOfMemoryError",
    "MemoryError",
    "ran out of memory",
)


def outcome_from_exit_code(code: int, folder: Path, started: float | None = None) -> Outcome:
    """How a worker ended, by its exit code, which also tells the signal that killed the process.

    The reason of a failure is read from record.json, if that was written after `started` (Unix time), else it is the
    last line of the log.
    """
    if name := ending_signal(code):
        kind = OUT_OF_MEMORY if ran_out_of_memory(log_since(folder / "worker.log", started)) else CRASHED
        return Outcome(kind, describe_signal(name))
    if code == EXIT_DONE:
        return Outcome(DONE)
    if code == EXIT_STOPPED:
        return Outcome(STOPPED, "The training was stopped from outside.")
    reason = recorded_failure(folder) if modified_since(folder / RECORD_FILE, started) else None
    if ran_out_of_memory(reason or log_since(folder / "worker.log", started)):
        return Outcome(OUT_OF_MEMORY, reason)
    return Outcome(FAILED, reason or f"The worker could not go on: {last_line(folder / 'worker.log')}")


def outcome_from_record(folder: Path, started: float | None) -> Outcome:
    """How a worker with an unknown exit code ended, by record.json if that was written after `started` (Unix time)."""
    state = read_record(folder).state
    if state == "done":
        return Outcome(DONE)
    if state == "failed" and modified_since(folder / RECORD_FILE, started):
        reason = recorded_failure(folder)
        return Outcome(OUT_OF_MEMORY if ran_out_of_memory(reason or "") else FAILED, reason)
    if state == "stopped" and modified_since(folder / RECORD_FILE, started):
        return Outcome(STOPPED, "The training was stopped from outside.")
    kind = OUT_OF_MEMORY if ran_out_of_memory(log_since(folder / "worker.log", started)) else CRASHED
    return Outcome(kind, "its process was gone (killed, or the machine was switched off).")


def owner_written_since(lock: Path, timestamp: float | None) -> bool:
    """Whether a worker has written its owner into the lock since `timestamp` (Unix time); before, the file is empty."""
    return modified_since(lock, timestamp) and lock.stat().st_size > 0


def modified_since(path: Path, timestamp: float | None) -> bool:
    """Whether the file is there and was last written after `timestamp` (Unix time)."""
    try:
        return path.stat().st_mtime >= (timestamp or 0.0) - CLOCK_TOLERANCE_SECONDS
    except OSError:
        return False


def recorded_failure(folder: Path) -> str | None:
    """The reason in record.json where the run failed, else None."""
    record = read_record(folder)
    return record.reason or "It gave no reason." if record.state == "failed" else None


def ran_out_of_memory(text: str) -> bool:
    """Whether a reason, or the end of a log, reports that memory ran out."""
    return any(pattern in text for pattern in OUT_OF_MEMORY_PATTERNS)


def describe_signal(name: str) -> str:
    """A sentence for a student about the signal (on Windows the error) that ended a process."""
    return f"its process was ended by {name} ({SIGNAL_MEANINGS.get(name, 'ended by a signal')})."


def read_tail(log: Path, max_bytes: int = TAIL_BYTES) -> str:
    """The last `max_bytes` of a log as text; "" where there is no log, also where a pipe is in its place."""
    try:
        with open(log, "rb", opener=file_operations.open_without_waiting) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - max_bytes))
            return file.read(max_bytes).decode(errors="replace")
    except OSError:
        return ""


def log_since(log: Path, started: float | None) -> str:
    """The log of the worker that started at `started` (Unix time); "" if it wrote nothing."""
    text = read_tail(log, TRACEBACK_BYTES) if modified_since(log, started) else ""
    return text.rpartition(ATTEMPT_HEADER)[2]


def last_line(log: Path) -> str:
    """The last line of a log that is neither empty nor an attempt's header."""
    lines = [
        line.strip() for line in read_tail(log).split("\n") if line.strip() and not line.startswith(ATTEMPT_HEADER)
    ]
    return lines[-1][-TAIL_CHARACTERS:] if lines else "worker.log is empty."
