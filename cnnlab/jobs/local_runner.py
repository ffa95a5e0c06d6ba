"""Runs trainings on this machine: `LocalRunner` starts each worker as a process

    python -m cnnlab train --json EXPERIMENT

which holds the lock of its run directory from its start to its end (`storage.process_lock`). The worker is in a session
of its own: it outlives a dispatcher that is killed, and the next dispatcher finds it by its lock. On a GPU it allocates
memory as it needs it, so that several workers share one; which GPU it sees is set in its environment. A dispatcher's
runner hands a job to a process that waits with TensorFlow loaded, where there is one (`cnnlab.jobs.standby`).
"""

import contextlib
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from cnnlab import settings
from cnnlab.jobs.devices import DeviceSlots, Gpu
from cnnlab.jobs.job import Job
from cnnlab.jobs.log_rotation import rotate
from cnnlab.jobs.runner import NOT_STARTED, Command, Outcome, WorkerHandle, run_directory, train_command
from cnnlab.jobs.standby import StandbyPool
from cnnlab.jobs.thread_measurement import ThreadMeasurement, best_thread_count
from cnnlab.jobs.worker_outcome import (
    ATTEMPT_HEADER,
    outcome_from_exit_code,
    outcome_from_record,
    owner_written_since,
)
from cnnlab.operating_system import file_locks, file_operations, processes
from cnnlab.storage import process_lock, stop_request
from cnnlab.storage.background_process import Process, start_detached
from cnnlab.storage.process_lock import ProcessLock
from cnnlab.storage.run_record import read_record

NICENESS = 5  # of a worker, relative to the dispatcher: the web process has priority
# Allocate GPU memory on demand. Set for every worker: TensorFlow or JAX may see a GPU that nvidia-smi does not list.
MEMORY_GROWTH_ENVIRONMENT = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


class LocalRunner:
    """Workers as processes of this machine. `command` gives a job's command line (default: `train`).

    `gpus` are the GPUs that a job's device may name, `threads` how many threads a worker on the processor shares an
    operation among (None: as many as is fastest, else as there are cores). `directory` gives a job's run directory.
    With `standby`, workers are kept waiting for jobs where the system can hand them a lock; they do not use `command`.
    """

    def __init__(
        self,
        command: Command | None = None,
        niceness: int = NICENESS,
        gpus: Sequence[Gpu] = (),
        threads: int | None = None,
        directory: Callable[[Job], Path] = run_directory,
        standby: bool = False,
    ) -> None:
        self.command = command or train_command
        self.niceness = niceness
        self.gpus = {gpu.device: gpu for gpu in gpus}
        self.threads = threads
        self.directory = directory
        self.standby = StandbyPool(self.device_environment, niceness) if standby and file_locks.CAN_INHERIT else None
        self.measurement = ThreadMeasurement()

    def start(self, job: Job) -> WorkerHandle:
        """A new process that inherits the run's lock; if another process trains this run, a handle of that one."""
        folder = self.directory(job)
        self.measurement.stop()
        lock = process_lock.acquire(folder / "lock", write_owner=False)
        if lock is None:
            return AdoptedWorker(job, folder)
        with lock:
            log = folder / "worker.log"
            rotate(log)
            with file_operations.open_log(log) as file:
                header = f"{ATTEMPT_HEADER}{job.attempts}, {job.device or 'one device'} of {socket.gethostname()}\n"
                file.write(header.encode())
            process = self.hand_over(job, lock) or start_detached(
                self.command(job),
                log=log,
                environment=self.device_environment(job.device),
                lock=lock,
                niceness=self.niceness,
            )
        return LocalWorker(job, process, folder)

    def hand_over(self, job: Job, lock: ProcessLock) -> Process | None:
        """A standby worker, now the job's; None without one. A resumed run keeps its number of threads."""
        folder = self.directory(job)
        if self.standby and (worker := self.standby.take(job.device, read_record(folder).threads)):
            with contextlib.suppress(OSError):
                return worker.hand_over(job.experiment_json, lock, folder / "worker.log")
        return None

    def maintain_standby(self, slots: DeviceSlots, is_idle: bool) -> None:
        """Keep a standby worker for each slot, where this runner has such workers; measure the threads while idle."""
        if self.standby:
            self.standby.maintain(slots)
            if is_idle and self.standby.workers and not self.gpus and not self.threads:
                self.measurement.start(self.niceness)

    def close(self) -> None:
        """End the standby workers."""
        self.measurement.stop()
        if self.standby:
            self.standby.close()

    def device_environment(self, device: str) -> dict[str, str]:
        """The environment variables that assign a worker to this device, for any Keras backend."""
        gpu = self.gpus.get(device)
        if gpu is not None:
            return gpu_environment(gpu, settings.current().gpu_megabytes)
        threads = self.threads or (best_thread_count() if self.standby else None)
        return MEMORY_GROWTH_ENVIRONMENT | ({"TF_NUM_INTRAOP_THREADS": str(threads)} if threads else {})

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
        """Ask it to stop at its next batch."""
        if self.process.poll() is None:
            stop_request.send(self.directory, self.process.pid)
        return True

    def kill(self) -> None:
        """Kill the worker's process."""
        processes.kill_child(self.process)


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
        """Ask it to stop at its next batch. False for a training that somebody started by hand."""
        return self._with_owner(lambda pid: stop_request.send(self.directory, pid))

    def kill(self) -> None:
        """Kill the worker's process."""
        self._with_owner(processes.kill)

    def _with_owner(self, action: Callable[[int], None]) -> bool:
        """Call `action` with the process id, where a dispatcher of this machine started it."""
        owner = process_lock.lock_owner(self.lock)
        if owner is None:  # ended, or its owner is not written yet
            return True
        if owner.inherited and owner.is_local:
            action(owner.pid)
        return owner.inherited


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
