"""How a worker is started, watched and stopped: a runner, and the one for this machine.

The dispatcher decides *when*, a runner knows *how* and *where*. It gives a `Worker` for a job; another way of running
is another class with the same methods (`cnnlab.jobs.ray.runner`). `LocalRunner` makes each worker a fresh process

    python -m cnnlab train --json EXPERIMENT

which holds the lock of its run directory from its start to its end (`storage.process_lock`). The worker is in a session
of its own: it outlives a dispatcher that is killed, and the next dispatcher finds it by its lock. On a GPU it allocates
memory as it needs it, so that several workers share one; which GPU it sees is set in its environment.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cnnlab import settings
from cnnlab.jobs.devices import DeviceSlots, Gpu
from cnnlab.jobs.log_rotation import rotate
from cnnlab.jobs.queue import DONE, FAILED, Job
from cnnlab.storage import files, process_lock
from cnnlab.storage.background_process import start_detached

STOPPED, CRASHED, NOT_STARTED, OUT_OF_MEMORY, ORPHANED = "stopped", "crashed", "not begun", "out of memory", "orphaned"
EXIT_DONE, EXIT_STOPPED = 0, 3  # `train` says by its exit code how it ended; 1: failed, the reason is in record.json
NICENESS = 5  # a training leaves the processor to the web process, where both want it
CLOCK_TOLERANCE_SECONDS = 0.05  # seconds by which the time of a file may lag behind the clock
TAIL_BYTES = 4096
TAIL_CHARACTERS = 300
# Memory is taken as it is needed. Told to every worker: a GPU may be hidden from us and not from TensorFlow or JAX.
MEMORY_GROWTH_ENVIRONMENT = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
ATTEMPT_HEADER = "== attempt "  # begins each worker's part of the log
TRACEBACK_BYTES = 64 * 1024  # bytes of a log in which a traceback is looked for
# What TensorFlow, JAX, PyTorch and Python say when memory runs out.
OUT_OF_MEMORY_PATTERNS = (
    "RESOURCE_EXHAUSTED",
    "ResourceExhaustedError",
    "OOM when allocating",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "OutOfMemoryError",
    "MemoryError",
    "ran out of memory",
)

Command = Callable[[Job], Sequence[str]]


@dataclass(frozen=True)
class Outcome:
    """How a worker ended, and why, for a reader.

    done; failed, for good; stopped or crashed: it can go on; out of memory: it can go on where there is more of it;
    not begun: there never was a worker; orphaned: it was ended because its dispatcher was gone.
    """

    kind: str
    reason: str | None = None


class WorkerHandle(Protocol):
    """One job at work."""

    def poll(self) -> Outcome | None:
        """None while it lives, then how it ended."""

    def stop(self) -> bool:
        """Ask it to write its checkpoint and end. False where it is not ours to stop."""

    def kill(self) -> None:
        """End it."""


class Runner(Protocol):
    """A way of running jobs."""

    def start(self, job: Job) -> WorkerHandle:
        """Begin or resume the job. Raises OSError where no worker can be started."""

    def adopt(self, job: Job) -> WorkerHandle:
        """The worker that an earlier dispatcher started, which may have ended meanwhile."""

    def device_slots(self, slots: int | None) -> DeviceSlots:
        """Where there is room now, for `slots` jobs at a time (None: for as many as fit)."""


class LocalRunner:
    """Workers as processes of this machine. `command` gives a job's command line (default: `train`).

    `gpus` are the GPUs that a job's device may name, `threads` how many threads a worker on the processor shares an
    operation among (None: as many as there are cores).
    """

    def __init__(
        self,
        command: Command | None = None,
        niceness: int = NICENESS,
        gpus: Sequence[Gpu] = (),
        threads: int | None = None,
    ) -> None:
        self.command = command or train_command
        self.niceness = niceness
        self.gpus = {gpu.device: gpu for gpu in gpus}
        self.threads = threads

    def start(self, job: Job) -> WorkerHandle:
        """A fresh process that inherits the lock; where somebody trains this run already, that process is watched."""
        folder = run_directory(job)
        lock = process_lock.acquire(folder / "lock", write_owner=False)
        if lock is None:
            return AdoptedWorker(job)
        with lock:
            log = folder / "worker.log"
            rotate(log)
            with log.open("a") as file:
                file.write(f"{ATTEMPT_HEADER}{job.attempts}, {job.device or 'one device'} of {socket.gethostname()}\n")
            process = start_detached(
                self.command(job),
                log=log,
                environment=self.device_environment(job),
                lock=lock,
                niceness=self.niceness,
            )
        return LocalWorker(job, process)

    def device_environment(self, job: Job) -> dict[str, str]:
        """The variables that put a worker on its job's device, whichever backend Keras has."""
        gpu = self.gpus.get(job.device)
        if gpu is not None:
            return gpu_environment(gpu, settings.current().gpu_megabytes)
        return MEMORY_GROWTH_ENVIRONMENT | ({"TF_NUM_INTRAOP_THREADS": str(self.threads)} if self.threads else {})

    def adopt(self, job: Job) -> WorkerHandle:
        """The worker that holds the lock of the job's run directory."""
        return AdoptedWorker(job)

    def device_slots(self, slots: int | None) -> DeviceSlots:
        """The GPUs, else the processor. Without `slots`, one job for each."""
        return DeviceSlots(list(self.gpus), slots or len(self.gpus) or 1)


class LocalWorker:
    """A child process of this dispatcher: its exit code says how it ended."""

    def __init__(self, job: Job, process: subprocess.Popen[bytes]) -> None:
        self.job = job
        self.process = process

    def poll(self) -> Outcome | None:
        """None while it lives, then how it ended."""
        code = self.process.poll()
        return None if code is None else outcome_from_exit_code(code, run_directory(self.job), self.job.started)

    def stop(self) -> bool:
        """SIGTERM: it stops at its next batch."""
        self.process.terminate()
        return True

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()


class AdoptedWorker:
    """A process that is not our child: its lock says whether it lives, its record how it ended.

    One that was started by an earlier dispatcher can be stopped, on this machine. One that somebody started by hand is
    only watched.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.lock = run_directory(job) / "lock"

    def poll(self) -> Outcome | None:
        """None while the lock is held, then how the worker ended."""
        if process_lock.is_locked(self.lock):
            return None
        if not owner_written_since(self.lock, self.job.started):  # a dispatcher was killed between claim and start
            return Outcome(NOT_STARTED)
        return outcome_from_record(run_directory(self.job), self.job.started)

    def stop(self) -> bool:
        """SIGTERM: it stops at its next batch. False for a training that somebody started by hand."""
        return self._send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._send_signal(signal.SIGKILL)

    def _send_signal(self, number: signal.Signals) -> bool:
        holder = process_lock.lock_owner(self.lock)
        if holder is None:  # ended, or so young that its lock is not signed yet
            return True
        if holder.inherited and holder.is_local:
            with contextlib.suppress(OSError):
                os.kill(holder.pid, number)
        return holder.inherited


def outcome_from_exit_code(code: int, folder: Path, started: float | None = None) -> Outcome:
    """What `train` says by its exit code; below zero it is the signal that killed the process.

    The reason of a failure is in record.json, if that was written after `started` (Unix time), else it is the last line
    of the log.
    """
    if code < 0:
        kind = OUT_OF_MEMORY if ran_out_of_memory(log_since(folder / "worker.log", started)) else CRASHED
        return Outcome(kind, describe_signal(-code))
    if code == EXIT_DONE:
        return Outcome(DONE)
    if code == EXIT_STOPPED:
        return Outcome(STOPPED, "The training was stopped from outside.")
    reason = recorded_failure(folder) if modified_since(folder / "record.json", started) else None
    if ran_out_of_memory(reason or log_since(folder / "worker.log", started)):
        return Outcome(OUT_OF_MEMORY, reason)
    return Outcome(FAILED, reason or f"The worker could not go on: {last_line(folder / 'worker.log')}")


def outcome_from_record(folder: Path, started: float | None) -> Outcome:
    """What record.json says of a worker whose exit code nobody saw, if it was written after `started` (Unix time)."""
    state = files.read_json(folder / "record.json").get("state")
    if state == "done":
        return Outcome(DONE)
    if state == "failed" and modified_since(folder / "record.json", started):
        reason = recorded_failure(folder)
        return Outcome(OUT_OF_MEMORY if ran_out_of_memory(reason or "") else FAILED, reason)
    if state == "stopped" and modified_since(folder / "record.json", started):
        return Outcome(STOPPED, "The training was stopped from outside.")
    kind = OUT_OF_MEMORY if ran_out_of_memory(log_since(folder / "worker.log", started)) else CRASHED
    return Outcome(kind, "its process was gone (killed, or the machine was switched off).")


def owner_written_since(lock: Path, timestamp: float | None) -> bool:
    """Whether a worker has held the lock since `moment` (Unix time). Taken for a worker to come, it is empty."""
    return modified_since(lock, timestamp) and lock.stat().st_size > 0


def modified_since(path: Path, timestamp: float | None) -> bool:
    """Whether the file is there and was last written after `moment` (Unix time)."""
    try:
        return path.stat().st_mtime >= (timestamp or 0.0) - CLOCK_TOLERANCE_SECONDS
    except OSError:
        return False


def recorded_failure(folder: Path) -> str | None:
    """The reason in record.json, where the run failed."""
    record = files.read_json(folder / "record.json")
    return str(record.get("reason") or "It gave no reason.") if record.get("state") == "failed" else None


def ran_out_of_memory(words: str) -> bool:
    """Whether a reason, or the end of a log, tells of memory that ran out."""
    return any(word in words for word in OUT_OF_MEMORY_PATTERNS)


def gpu_environment(gpu: Gpu, memory_cap_mib: int) -> dict[str, str]:
    """A worker that sees this GPU only and takes memory as it needs it, `most` megabytes at most (0: no cap).

    TensorFlow has no variable for a cap: `train` reads the setting itself.
    """
    chosen = {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as nvidia-smi counts them
        "CUDA_VISIBLE_DEVICES": str(gpu.index),
        **MEMORY_GROWTH_ENVIRONMENT,
    }
    if memory_cap_mib and gpu.memory_mib:
        chosen["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{min(1.0, memory_cap_mib / gpu.memory_mib):.4f}"
    return chosen


def describe_signal(number: int) -> str:
    """What a student can make of a signal."""
    known = {one.value: one.name for one in signal.Signals}
    meanings: dict[int, str] = {
        signal.SIGKILL: "killed from outside, most often because the machine ran out of memory",
        signal.SIGSEGV: "it touched memory that is not its own, an error in a library",
        signal.SIGILL: "this processor lacks an instruction that a library needs",
        signal.SIGTERM: "ended from outside before it had begun",
    }
    return f"its process died of {known.get(number, number)} ({meanings.get(number, 'ended by a signal')})."


def read_tail(log: Path, max_bytes: int = TAIL_BYTES) -> str:
    """The last `most` bytes of a log as text; nothing where there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - max_bytes))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def log_since(log: Path, started: float | None) -> str:
    """What the worker that began at `started` (Unix time) left in its log; nothing if it wrote nothing."""
    words = read_tail(log, TRACEBACK_BYTES) if modified_since(log, started) else ""
    return words.rpartition(ATTEMPT_HEADER)[2]


def last_line(log: Path) -> str:
    """The last line in a log that says something."""
    spoken = [
        line.strip() for line in read_tail(log).split("\n") if line.strip() and not line.startswith(ATTEMPT_HEADER)
    ]
    return spoken[-1][-TAIL_CHARACTERS:] if spoken else "it left no word in worker.log."


def run_directory(job: Job) -> Path:
    """The run directory that the job's worker writes."""
    return settings.runs_dir() / job.key


def train_command(job: Job) -> Sequence[str]:
    """The command line of a worker."""
    return (sys.executable, "-m", "cnnlab", "train", "--json", job.experiment_json)
