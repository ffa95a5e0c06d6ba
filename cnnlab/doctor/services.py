"""Checks of the running services: the queue and the dispatcher."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cnnlab.doctor.finding import FAIL, NOTE, OK, Finding
from cnnlab.jobs import dispatcher_process
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.storage import process_lock

STALE_SECONDS = 60.0  # the dispatcher writes a heartbeat every five seconds


def check_queue() -> Iterator[Finding]:
    """Whether the queue's file is intact, the numbers of jobs, and whether new ones are accepted."""
    try:
        with closing(Queue()) as queue:
            problem = queue.integrity_error()
            running, waiting, is_open = len(queue.running()), len(queue.waiting()), queue.is_accepting()
    except QueueError as error:
        yield Finding("queue", FAIL, str(error))
        return
    if problem:
        remedy = "stop web and dispatcher, move jobs.sqlite away, start them: no run is lost"
        yield Finding("queue", FAIL, f"{queue.path} is damaged: {problem}", remedy)
        return
    yield Finding("queue", OK, f"{running} running, {waiting} waiting")
    if not is_open:
        yield Finding("queue", NOTE, "no new trainings are taken", "the switch is on the Admin page")


def check_dispatcher() -> Iterator[Finding]:
    """Whether a dispatcher runs and writes its heartbeat."""
    if not dispatcher_process.is_running():
        remedy = "python -m cnnlab dispatch, or the service; the app starts one with the first training"
        yield Finding("dispatcher", FAIL, "none is at work", remedy)
        return
    owner = process_lock.lock_owner(dispatcher_process.lock_path())
    silent_seconds = dispatcher_process.seconds_since_heartbeat() or 0.0
    name = f"process {owner.pid}" if owner else "a process that has just begun"
    if min(silent_seconds, _age(dispatcher_process.lock_path())) > STALE_SECONDS:
        message = f"{name} has done nothing for {silent_seconds:.0f} s"
        yield Finding("dispatcher", FAIL, message, "restart it: no training is lost")
    else:
        yield Finding("dispatcher", OK, f"{name} is at work")


def _age(path: Path) -> float:
    """Seconds since the file was last written; 0 where there is none."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
