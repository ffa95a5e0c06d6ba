"""The interface between the dispatcher and the ways of running a training: `Runner`, `WorkerHandle`, `Outcome`.

The dispatcher decides when a job starts; a runner knows how and where. `LocalRunner` (`cnnlab.jobs.local_runner`)
starts processes on this machine, `RayRunner` (`cnnlab.jobs.ray.runner`) tasks on a cluster.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cnnlab import settings
from cnnlab.jobs.devices import DeviceSlots
from cnnlab.jobs.job import Job

STOPPED, CRASHED, NOT_STARTED, OUT_OF_MEMORY, ORPHANED = "stopped", "crashed", "not begun", "out of memory", "orphaned"

Command = Callable[[Job], Sequence[str]]


@dataclass(frozen=True)
class Outcome:
    """How a worker ended, and the reason as a sentence for a person.

    Kinds: done; failed (not to be retried); stopped or crashed (can be resumed); out of memory (can be retried with
    more memory); not begun (no worker was started); orphaned (ended because its dispatcher had ended).
    """

    kind: str
    reason: str | None = None


class WorkerHandle(Protocol):
    """The worker of one job."""

    def poll(self) -> Outcome | None:
        """None while the worker runs, then how it ended."""

    def stop(self) -> bool:
        """Ask the worker to stop at its next batch. False where this process must not stop it."""

    def kill(self) -> None:
        """Kill the worker."""


class Runner(Protocol):
    """A way of running jobs: on this machine, on a cluster."""

    def start(self, job: Job) -> WorkerHandle:
        """Start or resume the job. Raises OSError where no worker can be started."""

    def adopt(self, job: Job) -> WorkerHandle:
        """The worker that an earlier dispatcher started, which may have ended meanwhile."""

    def device_slots(self, slots: int | None) -> DeviceSlots:
        """The devices and their free slots now, for `slots` jobs at a time (None: as many as fit)."""

    def maintain_standby(self, slots: DeviceSlots, is_idle: bool) -> None:
        """Prepare workers for coming jobs, where this runner can; called at every tick. Raises SettingsError.

        `is_idle`: no job runs.
        """

    def close(self) -> None:
        """End what `maintain_standby` prepared."""


def run_directory(job: Job) -> Path:
    """The run directory that the job's worker writes."""
    return settings.runs_dir() / job.key


def train_command(job: Job) -> Sequence[str]:
    """The default command line of a worker."""
    return (sys.executable, "-m", "cnnlab", "train", "--json", job.experiment_json)
