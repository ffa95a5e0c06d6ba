"""Standby workers: processes that have loaded TensorFlow before there is a job, so that a training starts at once.

    python -m cnnlab standby --socket N

A dispatcher keeps one for each slot, replaces it once it has become a worker or has died, and gives it up when memory
is short. The hand-over is one message over a pair of sockets: the experiment as JSON, and the open files of the run's
lock and of its log. From then on the process is the worker of this run, with the lock held from the first moment, as in
`cnnlab.jobs.local_runner`. A standby worker without a job ends with its dispatcher: the dispatcher's socket closes.
"""

import json
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from cnnlab import settings
from cnnlab.jobs.devices import DeviceSlots
from cnnlab.jobs.log_rotation import rotate
from cnnlab.operating_system import file_operations
from cnnlab.operating_system.machine import available_bytes, cores
from cnnlab.storage.background_process import Process, cnnlab_command, start_detached
from cnnlab.storage.process_lock import ProcessLock
from cnnlab.training_packages import missing_packages

START_BYTES, KEEP_BYTES = 2.5e9, 1.0e9  # of available memory: to start one more, and to keep what is there
START_SECONDS = 5.0  # between two starts
REPLACE_SECONDS = 20.0  # after a hand-over: its training has the processor to itself for its first numbers
READY = "ready for a job"  # a standby worker writes this to its log
RETRY_SECONDS = 120.0  # after one has died without a job

logger = logging.getLogger(__name__)


class StandbyWorker:
    """One standby worker, a child of this process, started for a device with these environment variables."""

    def __init__(self, device: str, environment: Mapping[str, str], niceness: int) -> None:
        self.device, self.environment = device, environment
        self.connection, other_end = socket.socketpair()
        rotate(log_path())
        with other_end:
            self.process: Process = start_detached(
                cnnlab_command("standby", "--socket", str(other_end.fileno())),
                log=log_path(),
                environment=environment,
                niceness=niceness,
                descriptors=[other_end.fileno()],
            )

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def hand_over(self, experiment_json: str, lock: ProcessLock, log: Path) -> Process:
        """Make this process the worker of a run: it holds `lock` and writes its output to `log`.

        Raises OSError where the process has ended.
        """
        with self.connection, file_operations.open_log(log) as file:
            message = json.dumps({"experiment": experiment_json}).encode()
            lock.write_owner(self.process.pid, inherited=True)
            socket.send_fds(self.connection, [message], [lock.descriptor, file.fileno()])
        return self.process

    def discard(self) -> None:
        """End the standby worker, which nobody needs any more."""
        self.connection.close()
        self.process.kill()


class StandbyPool:
    """The standby workers of a dispatcher. `environment` gives the variables of a device's workers."""

    def __init__(self, environment: Callable[[str], Mapping[str, str]], niceness: int) -> None:
        self.environment = environment
        self.niceness = niceness
        self.workers: list[StandbyWorker] = []
        self.next_start = 0.0  # monotonic seconds

    def maintain(self, slots: DeviceSlots) -> None:
        """Start a standby worker where a slot has none; end them where memory is short or the settings want none."""
        self._remove_ended()
        available = available_bytes()
        if not settings.current().standby_workers or available < KEEP_BYTES or missing_packages():
            self.close()
            return
        if time.monotonic() < self.next_start or available < START_BYTES:
            return
        for device, count in slots.capacity.items():
            if sum(worker.device == device for worker in self.workers) < count:
                self.next_start = time.monotonic() + START_SECONDS
                with suppress(OSError):
                    self.workers.append(StandbyWorker(device, self.environment(device), self.niceness))
                return

    def _remove_ended(self) -> None:
        """Forget the workers that died, or whose environment is no longer that of their device."""
        for worker in list(self.workers):
            is_alive = worker.is_alive
            if not is_alive or worker.environment != self.environment(worker.device):
                self.workers.remove(worker)
                worker.discard()
                if not is_alive:
                    self.next_start = time.monotonic() + RETRY_SECONDS
                    logger.warning("A standby worker has ended without a job: %s has its last lines.", log_path())

    def take(self, device: str, threads: int | None) -> StandbyWorker | None:
        """A standby worker of this device and number of threads (None: any), now the caller's; None without one."""
        for worker in self.workers:
            if worker.device == device and worker.is_alive and threads in (None, thread_count(worker.environment)):
                self.workers.remove(worker)
                self.next_start = time.monotonic() + REPLACE_SECONDS
                return worker
        return None

    def close(self) -> None:
        """End all standby workers."""
        while self.workers:
            self.workers.pop().discard()


def thread_count(environment: Mapping[str, str]) -> int:
    """The number of threads that a worker with these variables, added to this process's, uses."""
    variables = os.environ | dict(environment)
    return int(variables.get("TF_NUM_INTRAOP_THREADS") or len(cores()))


def log_path() -> Path:
    """Where a standby worker writes until it has a job."""
    return settings.home() / "standby.log"
