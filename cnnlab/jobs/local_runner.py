"""Runs trainings on this machine: `LocalRunner` starts each worker as a process

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
from collections.abc import Callable, Sequence
from pathlib import Path

from cnnlab import settings
from cnnlab.jobs.devices import DeviceSlots, Gpu
from cnnlab.jobs.job import Job
from cnnlab.jobs.log_rotation import rotate
from cnnlab.jobs.runner import NOT_STARTED, Command, Outcome, WorkerHandle, run_directory, train_command
from cnnlab.jobs.worker_outcome import (
    ATTEMPT_HEADER,
    outcome_from_exit_code,
    outcome_from_record,
    owner_written_since,
)
from cnnlab.storage import process_lock
from cnnlab.storage.background_process import start_detached

NICENESS = 5  # of a worker, relative to the dispatcher: the web process has priority
# Allocate GPU memory on demand. Set for every worker: TensorFlow or JAX may see a GPU that nvidia-smi does not list.
MEMORY_GROWTH_ENVIRONMENT = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


class LocalRunner:
    """Workers as processes of this machine. `command` gives a job's command line (default: `train`).

    `gpus` are the GPUs that a job's device may name, `threads` how many threads a worker on the processor shares an
    operation among (None: as many as there are cores). `directory` gives a job's run directory.
    """

    def __init__(
        self,
        command: Command | None = None,
        niceness: int = NICENESS,
        gpus: Sequence[Gpu] = (),
        threads: int | None = None,
        directory: Callable[[Job], Path] = run_directory,
    ) -> None:
        self.command = command or train_command
        self.niceness = niceness
        self.gpus = {gpu.device: gpu for gpu in gpus}
        self.threads = threads
        self.directory = directory

    def start(self, job: Job) -> WorkerHandle:
        """A new process that inherits the run's lock; if another process trains this run, a handle of that one."""
        folder = self.directory(job)
        lock = process_lock.acquire(folder / "lock", write_owner=False)
        if lock is None:
            return AdoptedWorker(job, folder)
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
        return LocalWorker(job, process, folder)

    def device_environment(self, job: Job) -> dict[str, str]:
        """The environment variables that assign a worker to its job's device, for any Keras backend."""
        gpu = self.gpus.get(job.device)
        if gpu is not None:
            return gpu_environment(gpu, settings.current().gpu_megabytes)
        return MEMORY_GROWTH_ENVIRONMENT | ({"TF_NUM_INTRAOP_THREADS": str(self.threads)} if self.threads else {})

    def adopt(self, job: Job) -> WorkerHandle:
        """The worker that holds the lock of the job's run directory."""
        return AdoptedWorker(job, self.directory(job))

    def device_slots(self, slots: int | None) -> DeviceSlots:
        """The GPUs, else the processor. Without `slots`, one job for each."""
        return DeviceSlots(list(self.gpus), slots or len(self.gpus) or 1)


class LocalWorker:
    """A child process of this dispatcher: its exit code says how it ended."""

    def __init__(self, job: Job, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.job = job
        self.process = process
        self.directory = directory

    def poll(self) -> Outcome | None:
        """None while the process runs, then how it ended."""
        code = self.process.poll()
        return None if code is None else outcome_from_exit_code(code, self.directory, self.job.started)

    def stop(self) -> bool:
        """SIGTERM: it stops at its next batch."""
        self.process.terminate()
        return True

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()


class AdoptedWorker:
    """A worker that is not a child of this process: its lock says whether it runs, its record how it ended.

    A worker that an earlier dispatcher started on this machine can be stopped. One started by hand is only watched.
    """

    def __init__(self, job: Job, directory: Path | None = None) -> None:
        self.job = job
        self.directory = directory or run_directory(job)
        self.lock = self.directory / "lock"

    def poll(self) -> Outcome | None:
        """None while the lock is held, then how the worker ended."""
        if process_lock.is_locked(self.lock):
            return None
        if not owner_written_since(self.lock, self.job.started):  # a dispatcher was killed between claim and start
            return Outcome(NOT_STARTED)
        return outcome_from_record(self.directory, self.job.started)

    def stop(self) -> bool:
        """SIGTERM: it stops at its next batch. False for a training that somebody started by hand."""
        return self._send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._send_signal(signal.SIGKILL)

    def _send_signal(self, number: signal.Signals) -> bool:
        holder = process_lock.lock_owner(self.lock)
        if holder is None:  # ended, or its owner is not written yet
            return True
        if holder.inherited and holder.is_local:
            with contextlib.suppress(OSError):
                os.kill(holder.pid, number)
        return holder.inherited


def gpu_environment(gpu: Gpu, memory_cap_mib: int) -> dict[str, str]:
    """A worker that sees this GPU only and takes memory as it needs it, `memory_cap_mib` megabytes at most (0: no cap).

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
