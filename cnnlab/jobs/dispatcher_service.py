"""Runs the dispatcher of this home: takes its lock, works until it is asked to stop, and stops the workers."""

import logging
import os

from cnnlab import settings
from cnnlab.jobs import devices
from cnnlab.jobs.dispatcher import Dispatcher, StopFlag
from cnnlab.jobs.dispatcher_process import lock_path
from cnnlab.jobs.local_runner import LocalRunner
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.runner import Runner
from cnnlab.operating_system.processes import stop_signals
from cnnlab.storage import process_lock

EXIT_OK, EXIT_ALREADY_RUNNING = 0, 1

logger = logging.getLogger(__name__)


def dispatch(slots: int | None = None, idle: float | None = None, runner: Runner | None = None) -> int:
    """Run this home's dispatcher until SIGTERM or Ctrl-C, or for `idle` seconds without work; return the exit code.

    `slots` is how many jobs run at a time (None: as the settings say, or as many as the runner has slots for). Returns
    1 where another dispatcher is running. Raises SettingsError, for slots < 1 too.
    """
    stop, queue = StopFlag(), Queue()
    slots = settings.current().slots or None if slots is None else slots
    runner = runner or _local_runner(slots)
    with stop_signals(stop.request):
        return _dispatch_until(stop, queue, runner, slots, idle)


def _dispatch_until(stop: StopFlag, queue: Queue, runner: Runner, slots: int | None, idle: float | None) -> int:
    while True:
        lock = process_lock.acquire(lock_path())
        if lock is None:
            holder = process_lock.lock_owner(lock_path())
            process = holder.pid if holder else "unknown"
            logger.error("a dispatcher is already at work for %s (process %s)", settings.home(), process)
            return EXIT_ALREADY_RUNNING
        with lock:
            dispatcher = Dispatcher(queue, runner, slots)
            dispatcher.publish_capacity()
            try:
                dispatcher.run(stop, idle)
            finally:
                runner.close()
            dispatcher.stop_workers()
        # A page that submitted a job after the last tick and before the lock was released started no dispatcher.
        if stop.requested or not queue.waiting():
            logger.info("stopped: asked to" if stop.requested else "stopped: no training waits")
            return EXIT_OK


def _local_runner(slots: int | None) -> LocalRunner:
    """A runner on this machine's GPUs; without any, several workers share the cores equally."""
    gpus, workers = devices.list_gpus(), slots or 1
    threads = max(1, (os.cpu_count() or 1) // workers) if workers > 1 and not gpus else None
    return LocalRunner(gpus=gpus, threads=threads, standby=True)
