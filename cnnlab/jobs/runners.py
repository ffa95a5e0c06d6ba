"""How a worker is started, watched and stopped: a runner, and the one for this machine.

The dispatcher decides *when*, a runner knows *how*. It gives a `Worker` for a job; another way of running (a cluster)
is another class with the same two methods. `LocalRunner` makes each worker a fresh process

    python -m cnnlab train --json EXPERIMENT

which holds the lock of its run directory from birth to death (see `cnnlab.locks`). The worker is a session of its own:
it outlives a dispatcher that is killed, and the next dispatcher finds it by its lock.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cnnlab import locks, runs, settings
from cnnlab.jobs.queue import DONE, FAILED, Job

STOPPED, CRASHED, NOT_BEGUN = "stopped", "crashed", "not begun"
EXIT_DONE, EXIT_STOPPED = 0, 3  # `train` says by its exit code how it ended; 1: failed, the reason is in record.json
NICENESS = 5  # a training leaves the processor to the web process, where both want it
CLOCK_STEP = 0.05  # seconds by which the time of a file may lag behind the clock
TAIL_BYTES = 4096
TAIL_LETTERS = 300

Command = Callable[[Job], Sequence[str]]


@dataclass(frozen=True)
class Outcome:
    """How a worker ended, and why, for a reader.

    done; failed, for good; stopped or crashed: it can go on; not begun: there never was a worker.
    """

    kind: str
    reason: str | None = None


class Worker(Protocol):
    """One job at work."""

    def poll(self) -> Outcome | None:
        """None while it lives, then how it ended."""

    def stop(self) -> bool:
        """Ask it to write its checkpoint and end. False where it is not ours to stop."""

    def kill(self) -> None:
        """End it."""


class Runner(Protocol):
    """A way of running jobs."""

    def start(self, job: Job) -> Worker:
        """Begin or resume the job. Raises OSError where no worker can be started."""

    def adopt(self, job: Job) -> Worker:
        """The worker that an earlier dispatcher started, which may have ended meanwhile."""


class LocalRunner:
    """Workers as processes of this machine. `command` gives a job's command line (default: `train`)."""

    def __init__(self, command: Command | None = None, niceness: int = NICENESS) -> None:
        self.command = command or train_command
        self.niceness = niceness

    def start(self, job: Job) -> Worker:
        """A fresh process that inherits the lock; where somebody trains this run already, that process is watched."""
        folder = run_folder(job)
        lock = locks.acquire(folder / "lock", sign=False)
        if lock is None:
            return WatchedWorker(job)
        with lock:
            descriptors, variables = lock.hand_to()
            with (folder / "worker.log").open("ab") as log:
                process = subprocess.Popen(
                    list(self.command(job)),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=python_environment() | variables,
                    pass_fds=descriptors,
                    start_new_session=True,
                )
            lock.sign(process.pid, handed=True)
        lower_priority(process.pid, self.niceness)
        return LocalWorker(job, process)

    def adopt(self, job: Job) -> Worker:
        """The worker that holds the lock of the job's run directory."""
        return WatchedWorker(job)


class LocalWorker:
    """A child process of this dispatcher: its exit code says how it ended."""

    def __init__(self, job: Job, process: subprocess.Popen[bytes]) -> None:
        self.job = job
        self.process = process

    def poll(self) -> Outcome | None:
        """None while it lives, then how it ended."""
        code = self.process.poll()
        return None if code is None else by_exit_code(code, run_folder(self.job), self.job.started)

    def stop(self) -> bool:
        """SIGTERM: it stops at its next batch."""
        self.process.terminate()
        return True

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()


class WatchedWorker:
    """A process that is not our child: its lock says whether it lives, its record how it ended.

    One that was started by an earlier dispatcher can be stopped. One that somebody started by hand is only watched.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.lock = run_folder(job) / "lock"

    def poll(self) -> Outcome | None:
        """None while the lock is held, then how the worker ended."""
        if locks.held(self.lock):
            return None
        if not was_signed_since(self.lock, self.job.started):  # a dispatcher was killed between claim and start
            return Outcome(NOT_BEGUN)
        return by_record(run_folder(self.job), self.job.started)

    def stop(self) -> bool:
        """SIGTERM: it stops at its next batch. False for a training that somebody started by hand."""
        return self._send(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> bool:
        holder = locks.holder(self.lock)
        if holder is None:  # ended, or so young that its lock is not signed yet
            return True
        if holder.handed:
            with contextlib.suppress(OSError):
                os.kill(holder.pid, number)
        return holder.handed


def by_exit_code(code: int, folder: Path, started: float | None = None) -> Outcome:
    """What `train` says by its exit code; below zero it is the signal that killed the process.

    The reason of a failure is in record.json, if that was written after `started` (Unix time), else it is the last line
    of the log.
    """
    if code < 0:
        return Outcome(CRASHED, signal_sentence(-code))
    if code == EXIT_DONE:
        return Outcome(DONE)
    if code == EXIT_STOPPED:
        return Outcome(STOPPED, "The training was stopped from outside.")
    reason = written_reason(folder) if written_since(folder / "record.json", started) else None
    return Outcome(FAILED, reason or f"The worker could not go on: {last_line(folder / 'worker.log')}")


def by_record(folder: Path, started: float | None) -> Outcome:
    """What record.json says of a worker whose exit code nobody saw, if it was written after `started` (Unix time)."""
    state = runs.read_json(folder / "record.json").get("state")
    if state == "done":
        return Outcome(DONE)
    if state == "failed" and written_since(folder / "record.json", started):
        return Outcome(FAILED, written_reason(folder))
    if state == "stopped" and written_since(folder / "record.json", started):
        return Outcome(STOPPED, "The training was stopped from outside.")
    return Outcome(CRASHED, "its process was gone (killed, or the machine was switched off).")


def was_signed_since(lock: Path, moment: float | None) -> bool:
    """Whether a worker has held the lock since `moment` (Unix time). Taken for a worker to come, it is empty."""
    return written_since(lock, moment) and lock.stat().st_size > 0


def written_since(path: Path, moment: float | None) -> bool:
    """Whether the file is there and was last written after `moment` (Unix time)."""
    try:
        return path.stat().st_mtime >= (moment or 0.0) - CLOCK_STEP
    except OSError:
        return False


def written_reason(folder: Path) -> str | None:
    """The reason in record.json, where the run failed."""
    record = runs.read_json(folder / "record.json")
    return str(record.get("reason") or "It gave no reason.") if record.get("state") == "failed" else None


def signal_sentence(number: int) -> str:
    """What a student can make of a signal."""
    known = {one.value: one.name for one in signal.Signals}
    meanings: dict[int, str] = {
        signal.SIGKILL: "killed from outside, most often because the machine ran out of memory",
        signal.SIGSEGV: "it touched memory that is not its own, an error in a library",
        signal.SIGILL: "this processor lacks an instruction that a library needs",
        signal.SIGTERM: "ended from outside before it had begun",
    }
    return f"its process died of {known.get(number, number)} ({meanings.get(number, 'ended by a signal')})."


def last_line(log: Path) -> str:
    """The last line in a log that says something."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        lines = []
    spoken = [line.strip() for line in lines if line.strip()]
    return spoken[-1][-TAIL_LETTERS:] if spoken else "it left no word in worker.log."


def run_folder(job: Job) -> Path:
    """The run directory that the job's worker writes."""
    return settings.runs_dir() / job.key


def train_command(job: Job) -> Sequence[str]:
    """The command line of a worker."""
    return (sys.executable, "-m", "cnnlab", "train", "--json", job.experiment_json)


def python_environment() -> dict[str, str]:
    """This process's environment, in which `python -m cnnlab` finds this very code from any working directory."""
    paths = [str(settings.REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def lower_priority(pid: int, niceness: int) -> None:
    """Make a process yield to others by so many steps more than this one does; a process that has gone is no error."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, min(19, os.getpriority(os.PRIO_PROCESS, 0) + niceness))
