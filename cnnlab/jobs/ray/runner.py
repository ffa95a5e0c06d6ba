"""Runs trainings on many machines: each job is a task of a Ray cluster, python -m cnnlab dispatch --runner ray

Queue and dispatcher are unchanged; the queue's file is on the dispatcher's machine. Ray finds a machine with a free GPU
and detects lost machines. All machines have this code and its Python at the same path and share the folders `runs/` and
`data/` (`deploy/README.md`).

The task does not train (`cnnlab.jobs.ray.task`). It starts a worker process with `LocalRunner` on its machine and waits
for its end. So lock, log, checkpoint, signals and exit codes are those of a single machine, and a crash in a library
ends the worker but not the task that reports it. In addition:

    the worker is killed with the task's process (`parent_death_signal`)
    `ray.cancel` interrupts the task, which sends SIGTERM to its worker: it stops at its next batch

Ray never retries (`max_retries=0`): the queue decides. Each task has its own process (`max_calls=1`). A task ends with
the dispatcher that started it; this is not counted as a crash, and the next dispatcher resumes the job. While the run's
lock is held after a task has ended, the job is not started again: a process still writes there, or its machine was
disconnected and the lease of the lock has not expired.

Only this package imports Ray, at the first use.
"""

import logging
import os
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from cnnlab import settings
from cnnlab.jobs.devices import ClusterSlots, DeviceSlots
from cnnlab.jobs.job import FAILED, Job
from cnnlab.jobs.local_runner import AdoptedWorker
from cnnlab.jobs.ray.task import as_orphaned
from cnnlab.jobs.runner import (
    NOT_STARTED,
    OUT_OF_MEMORY,
    STOPPED,
    Command,
    Outcome,
    WorkerHandle,
    run_directory,
    train_command,
)
from cnnlab.jobs.worker_outcome import outcome_from_record
from cnnlab.storage import process_lock

GPUS, CPUS = "the cluster's GPUs", "the cluster's processors"
GPU_FRACTION_UNITS = 10_000  # Ray's resolution of a GPU
CONNECT_TIMEOUT_SECONDS = 5.0
CAPACITY_CACHE_SECONDS = 1.0  # for which the list of machines is cached
FORWARDED_VARIABLES = (
    "CNNLAB_HOME",
    "CNNLAB_PRETRAINED",
    "KERAS_BACKEND",
)  # needed by workers; contain no secrets


class ClusterUnavailable(LookupError):
    """Ray is not installed or no cluster answers. The message is one sentence with the remedy."""


class RayRunner:
    """Workers as tasks of a Ray cluster. `command` gives a job's command line (default: `train`).

    `address` is the cluster's (host:port; "auto": the one that this machine belongs to), `per_gpu` how many jobs share
    a GPU. Raises ClusterUnavailable; SettingsError for per_gpu < 1.
    """

    def __init__(self, address: str = "auto", per_gpu: int = 1, command: Command | None = None) -> None:
        if per_gpu < 1:
            raise settings.SettingsError(f"A GPU takes one training at least. Received: per_gpu={per_gpu}")
        self.ray = connect(address)
        self.per_gpu = per_gpu
        self.command = command or train_command
        self._machines: tuple[float, list[Mapping[str, float]]] = (float("-inf"), [])

    def start(self, job: Job) -> WorkerHandle:
        """Submit a task, which waits for its GPU; if another process trains this run, returns a handle of that one."""
        if process_lock.is_locked(run_directory(job) / "lock"):
            return OrphanedWorker(job)

        def task(code: str, *rest: Any) -> tuple[str, str | None]:  # pickled by value: imports nothing at module level
            sys.path.insert(0, code)
            from cnnlab.jobs.ray.task import run_job_here

            return run_job_here(*rest)

        fields, resources = asdict(replace(job, requesters=())), self.resources(job.exclusive)
        threads = None if job.exclusive or "num_gpus" in resources else 1
        remote = self.ray.remote(max_calls=1, max_retries=0, **resources)(task).options(name=f"job {job.id}")
        arguments = (fields, list(self.command(job)), forwarded_environment(), threads)
        return RayWorker(self, job, remote.remote(str(settings.REPOSITORY), *arguments), "num_gpus" in resources)

    def adopt(self, job: Job) -> WorkerHandle:
        """A handle of the worker left by an earlier dispatcher, or of a training started by hand."""
        return OrphanedWorker(job)

    def device_slots(self, slots: int | None) -> ClusterSlots:
        """The slots of the live machines: `per_gpu` per GPU; without GPUs one per processor core."""
        total = int(self.total("GPU")) * self.per_gpu if self.has_gpus else int(self.total("CPU"))
        whole = self.per_gpu if self.has_gpus else self.max_cpus()
        return ClusterSlots(GPUS if self.has_gpus else CPUS, min(total, slots or total), whole)

    def maintain_standby(self, slots: DeviceSlots, is_idle: bool) -> None:
        """Nothing: the machines of a cluster keep no standby workers."""

    def close(self) -> None:
        """Do nothing: a cluster has no standby workers to end."""

    def resources(self, exclusive: bool) -> dict[str, float]:
        """The resources that Ray reserves for a job; for an exclusive one a GPU or the largest machine."""
        if self.has_gpus:
            return {"num_gpus": 1.0 if exclusive else gpu_fraction(self.per_gpu), "num_cpus": 0}
        return {"num_cpus": self.max_cpus() if exclusive else 1}

    @property
    def has_gpus(self) -> bool:
        """Whether any machine has a GPU; then nothing is trained on processors."""
        return self.total("GPU") >= 1

    def max_cpus(self) -> int:
        """The number of cores of the largest machine; at least 1."""
        return max([1, *(int(machine.get("CPU", 0)) for machine in self.machine_resources())])

    def total(self, resource: str) -> float:
        """The sum of a resource over all live machines."""
        return sum(machine.get(resource, 0.0) for machine in self.machine_resources())

    def machine_resources(self) -> list[Mapping[str, float]]:
        """The resources of each live machine by Ray's names, cached for CAPACITY_CACHE_SECONDS."""
        updated, resources = self._machines
        if time.monotonic() - updated > CAPACITY_CACHE_SECONDS:
            resources = [machine["Resources"] for machine in self.live_machines()]
            self._machines = (time.monotonic(), resources)
        return resources

    def live_machines(self) -> list[Mapping[str, Any]]:
        """Ray's descriptions of the live machines."""
        return [machine for machine in self.ray.nodes() if machine["Alive"]]


class RayWorker:
    """The handle of a task; it has ended when Ray reports its end and the lock of its run is free."""

    def __init__(self, runner: RayRunner, job: Job, task: Any, on_gpu: bool) -> None:
        self.runner = runner
        self.ray = runner.ray
        self.job = job
        self.task = task
        self.on_gpu = on_gpu
        self.lock = run_directory(job) / "lock"

    def poll(self) -> Outcome | None:
        """None while the task waits or runs or the lock is held, then its outcome.

        NOT_STARTED if it waits for a GPU and the cluster has none any more.
        """
        ended, _ = self.ray.wait([self.task], timeout=0)
        is_unschedulable = not ended and self.on_gpu and not self.runner.has_gpus
        if not (ended or is_unschedulable) or process_lock.is_locked(self.lock):
            return None
        if is_unschedulable:
            self.kill()
            return Outcome(NOT_STARTED)
        return self.outcome()

    def outcome(self) -> Outcome:
        """The outcome that the task returned; for a task that was killed, the outcome in its run's record."""
        errors = self.ray.exceptions
        try:
            return Outcome(*self.ray.get(self.task))
        except errors.TaskCancelledError:
            return Outcome(STOPPED, "The training was stopped from outside.")
        except errors.OutOfMemoryError:
            return Outcome(OUT_OF_MEMORY, "Its machine ran out of memory.")
        except errors.RayTaskError as error:
            reason = str(error.cause).strip().split("\n")[-1]
            return Outcome(FAILED, f"No worker could be started on a machine of the cluster: {reason}")
        except (errors.NodeDiedError, errors.LocalRayletDiedError):  # its machine is gone: not the job's fault
            return as_orphaned(outcome_from_record(run_directory(self.job), self.job.started))
        except errors.RayError:  # its Ray worker was killed
            return outcome_from_record(run_directory(self.job), self.job.started)

    def stop(self) -> bool:
        """Interrupt the task, whose worker stops at its next batch. False for a training started by hand."""
        holder = process_lock.lock_owner(self.lock)
        started_by_hand = holder is not None and not holder.inherited
        self.ray.cancel(self.task, force=started_by_hand)
        return not started_by_hand

    def kill(self) -> None:
        """Kill the task's process and with it its worker."""
        self.ray.cancel(self.task, force=True)


class OrphanedWorker(AdoptedWorker):
    """A worker whose dispatcher was killed, so Ray ends it; or a training started by hand."""

    def poll(self) -> Outcome | None:
        """None while the lock is held, then its outcome."""
        outcome = super().poll()
        return None if outcome is None else as_orphaned(outcome)


def connect(address: str) -> Any:
    """The module `ray`, with this process connected to a cluster. Raises ClusterUnavailable."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise ClusterUnavailable("Ray is not installed here: pip install -r deploy/requirements-ray.txt") from None
    try:
        check_reachable(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        where = "on this machine" if address == "auto" else f"at {address}"
        reason = str(getattr(error, "strerror", None) or error).strip().split("\n")[0][:200]
        raise ClusterUnavailable(
            f"No Ray cluster answers {where} ({reason}): start one with `ray start --head`."
        ) from None
    return ray


def check_reachable(address: str) -> None:
    """Connect once, because Ray retries for minutes. Raises OSError; ValueError for an address not like HOST:PORT."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_SECONDS).close()


def gpu_fraction(per_gpu: int) -> float:
    """1 / per_gpu, rounded down to Ray's resolution, so that `per_gpu` jobs fit on a GPU."""
    return GPU_FRACTION_UNITS // per_gpu / GPU_FRACTION_UNITS


def forwarded_environment() -> dict[str, str]:
    """The environment variables of a worker on another machine."""
    variables = {name: os.environ[name] for name in FORWARDED_VARIABLES if name in os.environ}
    cap = {settings.environment_variable("gpu_megabytes"): str(settings.current().gpu_megabytes)}
    return variables | {"CNNLAB_HOME": str(settings.home())} | cap
