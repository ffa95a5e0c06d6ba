"""Trainings on many machines: each job is a task of a Ray cluster, python -m cnnlab dispatch --runner ray

The queue, the dispatcher and everything that they promise stay as they are; the queue's file stays on the dispatcher's
machine. Ray does two things: it finds a machine with a free GPU, and it says when that machine is gone. All machines
have this code and its Python at the same place, and share the folders `runs/` and `data/` (`deploy/README.md`).

The task does not train. It starts the same `LocalRunner` on its machine, with the same worker process, and watches it
to its end. So a worker's lock, log, checkpoint, signals and exit codes are those of a single machine, and a crash deep
in a library ends the worker and not the one who reports it. Two things are added:

    the worker is tied to the task's process (`parent_death_signal`): where Ray kills that, no training goes on unseen
    `ray.cancel` interrupts the task, which hands SIGTERM on to its worker: it stops at its next batch

Ray never tries again by itself (`max_retries=0`): the queue decides about that. Each task has a process of its own
(`max_calls=1`). A task ends with the dispatcher that began it; its job is no crash, and the next dispatcher resumes it.
A task that has ended while the lock of its run is still held is watched on: somebody still writes there, or its machine
was cut off and the lock's lease runs out. Only then is the job started anywhere else.

Ray is imported in here only, and only where it is asked for.
"""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cnnlab import settings
from cnnlab.jobs import devices
from cnnlab.jobs.devices import CPU, ClusterSlots
from cnnlab.jobs.job import FAILED, Job
from cnnlab.jobs.local_runner import AdoptedWorker, LocalRunner
from cnnlab.jobs.runner import (
    CRASHED,
    NOT_STARTED,
    ORPHANED,
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
GPU_FRACTION_UNITS = 10_000  # Ray counts a GPU in ten-thousandths
POLL_SECONDS = 0.1
CONNECT_TIMEOUT_SECONDS = 5.0
CAPACITY_CACHE_SECONDS = 1.0  # a look at the cluster's machines is as old as this at most
FORWARDED_VARIABLES = (
    "CNNLAB_HOME",
    "CNNLAB_PRETRAINED",
    "KERAS_BACKEND",
)  # variables that a worker needs, and no secret


class ClusterUnavailable(LookupError):
    """There is no Ray, or none that answers. The message is one sentence with the remedy."""


class RayRunner:
    """Workers as tasks of a Ray cluster. `command` gives a job's command line (default: `train`).

    `address` is the cluster's (host:port; "auto": the one that this machine belongs to), `per_gpu` how many jobs share
    a GPU. Raises NoCluster; SettingsError for per_gpu < 1.
    """

    def __init__(self, address: str = "auto", per_gpu: int = 1, command: Command | None = None) -> None:
        if per_gpu < 1:
            raise settings.SettingsError(f"A GPU takes one training at least. Received: per_gpu={per_gpu}")
        self.ray = connect(address)
        self.per_gpu = per_gpu
        self.command = command or train_command
        self._machines: tuple[float, list[Mapping[str, float]]] = (float("-inf"), [])

    def start(self, job: Job) -> WorkerHandle:
        """A task that waits for its GPU; where somebody trains this run already, that process is watched."""
        if process_lock.is_locked(run_directory(job) / "lock"):
            return OrphanedWorker(job)

        def task(code: str, *rest: Any) -> tuple[str, str | None]:  # travels as it is: no machine has to know this file
            sys.path.insert(0, code)
            from cnnlab.jobs.ray.runner import run_job_here

            return run_job_here(*rest)

        fields, needs = asdict(replace(job, requesters=())), self.resources(job.exclusive)
        threads = None if job.exclusive or "num_gpus" in needs else 1
        remote = self.ray.remote(max_calls=1, max_retries=0, **needs)(task).options(name=f"job {job.id}")
        rest = (fields, list(self.command(job)), forwarded_environment(), threads)
        return RayWorker(self, job, remote.remote(str(settings.REPOSITORY), *rest), "num_gpus" in needs)

    def adopt(self, job: Job) -> WorkerHandle:
        """What is left of a task that ended with its dispatcher, or a training that somebody started by hand."""
        return OrphanedWorker(job)

    def device_slots(self, slots: int | None) -> ClusterSlots:
        """The machines that are there now: their GPUs, shared by so many; without any, their processors."""
        room = int(self.total("GPU")) * self.per_gpu if self.has_gpus else int(self.total("CPU"))
        whole = self.per_gpu if self.has_gpus else self.max_cpus()
        return ClusterSlots(GPUS if self.has_gpus else CPUS, min(room, slots or room), whole)

    def resources(self, exclusive: bool) -> dict[str, float]:
        """What Ray keeps free for a job. Alone, it has a whole GPU, or the whole of the largest machine."""
        if self.has_gpus:
            return {"num_gpus": 1.0 if exclusive else gpu_fraction(self.per_gpu), "num_cpus": 0}
        return {"num_cpus": self.max_cpus() if exclusive else 1}

    @property
    def has_gpus(self) -> bool:
        """Whether any machine has one: then processors are not trained on."""
        return self.total("GPU") >= 1

    def max_cpus(self) -> int:
        """The processors of the machine that has most; 1 where there is none."""
        return max([1, *(int(machine.get("CPU", 0)) for machine in self.machine_resources())])

    def total(self, resource: str) -> float:
        """How much of it all machines have together."""
        return sum(machine.get(resource, 0.0) for machine in self.machine_resources())

    def machine_resources(self) -> list[Mapping[str, float]]:
        """What each machine has that is there now: Ray's names of resources, and amounts."""
        looked, found = self._machines
        if time.monotonic() - looked > CAPACITY_CACHE_SECONDS:
            found = [machine["Resources"] for machine in self.live_machines()]
            self._machines = (time.monotonic(), found)
        return found

    def live_machines(self) -> list[Mapping[str, Any]]:
        """The machines that are there now, as Ray describes them."""
        return [machine for machine in self.ray.nodes() if machine["Alive"]]


class RayWorker:
    """A task of the cluster: Ray says whether it has ended, its run's lock whether all of it has."""

    def __init__(self, runner: RayRunner, job: Job, task: Any, on_gpu: bool) -> None:
        self.runner = runner
        self.ray = runner.ray
        self.job = job
        self.task = task
        self.on_gpu = on_gpu
        self.lock = run_directory(job) / "lock"

    def poll(self) -> Outcome | None:
        """None while the task waits or works and while the lock is held, then how it ended.

        Not begun, where it waits for a GPU and the last machine with one has gone.
        """
        ended, _ = self.ray.wait([self.task], timeout=0)
        in_vain = not ended and self.on_gpu and not self.runner.has_gpus
        if not (ended or in_vain) or process_lock.is_locked(self.lock):
            return None
        if in_vain:
            self.kill()
            return Outcome(NOT_STARTED)
        return self.outcome()

    def outcome(self) -> Outcome:
        """What the task said; of one that was ended from outside, what its run's record says."""
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
        by_hand = holder is not None and not holder.inherited
        self.ray.cancel(self.task, force=by_hand)
        return not by_hand

    def kill(self) -> None:
        """End the task's process, and its worker with it."""
        self.ray.cancel(self.task, force=True)


class OrphanedWorker(AdoptedWorker):
    """What is left of a task whose dispatcher was killed: Ray ends it. Or a training that somebody started by hand."""

    def poll(self) -> Outcome | None:
        """None while the lock is held, then how the worker ended."""
        outcome = super().poll()
        return None if outcome is None else as_orphaned(outcome)


def as_orphaned(outcome: Outcome) -> Outcome:
    """The outcome of a worker that this dispatcher did not start: if it broke off, that is not the job's fault."""
    return Outcome(ORPHANED) if outcome.kind in (STOPPED, CRASHED) else outcome


def connect(address: str) -> Any:
    """The module `ray`, with this process connected to a cluster. Raises NoCluster."""
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
    """Connect once, for Ray itself would try for minutes. Raises OSError; ValueError where this is no HOST:PORT."""
    if address != "auto":
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_SECONDS).close()


def gpu_fraction(per_gpu: int) -> float:
    """The share of a GPU of which `per_gpu` fit: rounded down to what Ray counts, for up it would be one less."""
    return GPU_FRACTION_UNITS // per_gpu / GPU_FRACTION_UNITS


def forwarded_environment() -> dict[str, str]:
    """What a worker on another machine has to know of this one's settings."""
    known = {name: os.environ[name] for name in FORWARDED_VARIABLES if name in os.environ}
    cap = {settings.environment_variable("gpu_megabytes"): str(settings.current().gpu_megabytes)}
    return known | {"CNNLAB_HOME": str(settings.home())} | cap


# -- on the machine that trains --------------------------------------------------------------------------------------


def run_job_here(
    fields: dict[str, Any], command: list[str], environment: dict[str, str], threads: int | None
) -> tuple[str, str | None]:
    """The task: a job's worker on this machine, from its birth to its end; kind and reason of its outcome.

    A folder that cannot be written and a program that is not there are an outcome too.
    """
    from cnnlab.jobs.ray.parent_death_signal import die_with_parent

    asked: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))  # what `ray.cancel` comes to
    os.environ.update(environment)
    job = Job(**fields)
    try:
        job = replace(job, device=assigned_device(), started=file_system_time(run_directory(job)))
        worker = LocalRunner(
            lambda job: die_with_parent(command), niceness=0, gpus=devices.list_gpus(), threads=threads
        ).start(job)
    except OSError as error:
        return FAILED, f"No worker could be started: {error.strerror or error}."
    while (outcome := worker.poll()) is None:
        if asked:
            asked.clear()
            worker.stop()
        time.sleep(POLL_SECONDS)
    if isinstance(worker, AdoptedWorker):
        outcome = as_orphaned(outcome)
    return outcome.kind, outcome.reason


def assigned_device() -> str:
    """The device of this machine that Ray gave to this task, as `places` names it. Without a GPU it sees none."""
    import ray

    given = ray.get_runtime_context().get_accelerator_ids()["GPU"]
    if not given:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    return f"GPU {given[0]}" if given else CPU


def file_system_time(folder: Path) -> float:
    """Now, by the clock of the file system on which `folder` lies (Unix time): machines' clocks differ."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "worker.log"
    log.touch()
    return log.stat().st_mtime
