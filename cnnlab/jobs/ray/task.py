"""The Ray task that runs one job on a machine of the cluster: `run_job_here` starts a local worker and watches it."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnlab.jobs import devices
from cnnlab.jobs.devices import CPU
from cnnlab.jobs.job import FAILED, Job
from cnnlab.jobs.local_runner import AdoptedWorker, LocalRunner
from cnnlab.jobs.runner import CRASHED, ORPHANED, STOPPED, Outcome, run_directory

POLL_SECONDS = 0.1


def run_job_here(
    fields: dict[str, Any], command: list[str], environment: dict[str, str], threads: int | None
) -> tuple[str, str | None]:
    """Run the job's worker on this machine until it ends; returns kind and reason of its outcome.

    FAILED if the run directory cannot be written or the program is missing. SIGINT stops the worker.
    """
    from cnnlab.jobs.ray.parent_death_signal import die_with_parent

    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))  # sent by `ray.cancel`
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
        if interrupts:
            interrupts.clear()
            worker.stop()
        time.sleep(POLL_SECONDS)
    if isinstance(worker, AdoptedWorker):
        outcome = as_orphaned(outcome)
    return outcome.kind, outcome.reason


def assigned_device() -> str:
    """The name of the device that Ray assigned to this task; without a GPU, all GPUs are hidden from the worker."""
    import ray

    gpu_ids = ray.get_runtime_context().get_accelerator_ids()["GPU"]
    if not gpu_ids:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    return f"GPU {gpu_ids[0]}" if gpu_ids else CPU


def file_system_time(folder: Path) -> float:
    """The current time (Unix time) of the file system of `folder`, since the clocks of machines differ."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "worker.log"
    log.touch()
    return log.stat().st_mtime


def as_orphaned(outcome: Outcome) -> Outcome:
    """The outcome of a worker that this dispatcher did not start: ORPHANED instead of STOPPED or CRASHED."""
    return Outcome(ORPHANED) if outcome.kind in (STOPPED, CRASHED) else outcome
