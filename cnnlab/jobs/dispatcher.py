"""The one process that works through the queue: it claims jobs, starts a worker for each, and sees how each one ends.

`python -m cnnlab dispatch` holds `dispatcher.lock` in the home, so there is one; a second one says so and goes. The web
process calls `ensure_running()` whenever something waits; a dispatcher started that way leaves when nothing has been
asked for during ten minutes.

What can happen, and what follows (nothing of it is kept in this process's memory alone):

    a worker dies, or its machine           the job waits again, first in line, and goes on from its last epoch;
                                            more than three times, and it fails with the reason
    a worker finds too little memory        the job is tried once more, with nothing beside it on its device
    a training takes longer than allowed    SIGTERM, after ten seconds SIGKILL; the job fails, its epochs are kept
    the runs take more disk than allowed    the least recently used ones are removed (`storage.run_retention`)
    the last person leaves a running job    SIGTERM, after ten seconds SIGKILL; the job is cancelled
    SIGTERM or Ctrl-C to the dispatcher     the workers are stopped the same way; their jobs wait for the next one
    the dispatcher is killed                the workers go on, and the next dispatcher finds them by their locks; those
                                            on a cluster end with it, and it starts them again from their last epoch
    the queue cannot be written             the workers go on; what is to be written is tried again
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cnnlab import settings
from cnnlab.experiment import ExperimentError
from cnnlab.jobs import devices, quotas
from cnnlab.jobs.devices import RunningJob
from cnnlab.jobs.local_runner import (
    NOT_STARTED,
    ORPHANED,
    OUT_OF_MEMORY,
    LocalRunner,
    Outcome,
    Runner,
    WorkerHandle,
    run_directory,
)
from cnnlab.jobs.log_rotation import rotate
from cnnlab.jobs.queue import CANCELLED, DONE, FAILED, Job, Queue, QueueError, has_finished_run
from cnnlab.settings import SettingsError
from cnnlab.storage import process_lock, run_retention
from cnnlab.storage.background_process import Process, cnnlab_command, start_detached

GRACE_SECONDS = 10.0  # between asking a worker to stop and ending it
KILL_SECONDS = 3.0  # a killed process is gone after so long at most
POLL_SECONDS = 0.2
RETRY_SECONDS = 2.0  # after the queue could not be used
IDLE_SECONDS = 600.0  # after so long without work, a dispatcher that the web process started leaves
HEARTBEAT_SECONDS = 5.0  # between two looks at the clocks of the jobs, and two signs of life
RESTART_SECONDS = 3.0  # a dispatcher that dies at once is not started more often than this
EXIT_OK, EXIT_ALREADY_RUNNING = 0, 1

LogLine = Callable[[str], None]


class StopRequest:
    """Whether someone asked this process to stop. A plain flag: a signal handler may set it at any moment."""

    requested = False

    def request(self, number: int, frame: object) -> None:
        """The signal handler."""
        self.requested = True


@dataclass
class Slot:
    """One job at work, since `began`; `deadline` is set when its worker was asked to stop (both monotonic seconds).

    `verdict` is why it was stopped, where that ends the job.
    """

    job: Job
    worker: WorkerHandle
    started: float = field(default_factory=time.monotonic)
    deadline: float | None = None
    stop_reason: str | None = None

    @property
    def elapsed_seconds(self) -> float:
        """How long this worker has been at work."""
        return time.monotonic() - self.started

    def request_stop(self) -> bool:
        """The first time: ask. When the time of grace is over: end it. False where it is not ours to stop."""
        if self.deadline is None:
            self.deadline = time.monotonic() + GRACE_SECONDS
            return self.worker.stop()
        if time.monotonic() > self.deadline:
            self.worker.kill()
        return True


class Dispatcher:
    """Keeps up to `slots` jobs at work (None: as many as the runner has room for).

    `tick` is one round of looking after them; `run` repeats it.
    """

    def __init__(
        self,
        queue: Queue,
        runner: Runner,
        slots: int | None = 1,
        say: LogLine = lambda line: None,
    ) -> None:
        if slots is not None and slots < 1:
            raise SettingsError(f"A dispatcher needs at least one slot. Received: slots={slots}")
        self.queue = queue
        self.runner = runner
        self.slots = slots
        self.say = say
        self.device_slots = runner.device_slots(slots)
        self.active_slots: dict[int, Slot] = {}
        self.seen_revision = -1  # the queue's stamp at the last look; -1: look again
        self.heartbeat_at = 0.0  # monotonic seconds of the last look at the clocks

    def run(self, stop: StopRequest, idle: float | None = None) -> None:
        """Work until `stop` is asked, or until there was nothing to do for `idle` seconds (None: never)."""
        busy, trouble = time.monotonic(), ""
        while not stop.requested and (idle is None or time.monotonic() - busy < idle):
            try:
                self.tick()
                trouble = ""
            except (QueueError, SettingsError, OSError) as error:  # none of them is a reason to leave a class alone
                if str(error) != trouble:
                    self.say(trouble := str(error))
                time.sleep(RETRY_SECONDS)
            if self.active_slots:
                busy = time.monotonic()
            time.sleep(POLL_SECONDS)

    def tick(self) -> None:
        """Settle what has ended, stop what nobody wants, start what can be started. Raises QueueError."""
        self.reap_workers(stopping=False)
        self.refresh_capacity()
        stamp = self.queue.revision()
        if stamp != self.seen_revision:  # something was asked for, withdrawn or settled
            self.reconcile()
            self.fill_slots()
            self.seen_revision = stamp
        for slot in self.active_slots.values():
            if slot.deadline is not None:
                slot.request_stop()
        if time.monotonic() - self.heartbeat_at > HEARTBEAT_SECONDS:
            self.heartbeat_at = time.monotonic()
            self.heartbeat()
            self.enforce_time_limits()

    def refresh_capacity(self) -> None:
        """Look whether there is more room than before, or less: machines may join a cluster, and leave it."""
        places = self.runner.device_slots(self.slots)
        if places.capacity != self.device_slots.capacity:
            self.device_slots, self.seen_revision = places, -1
            self.publish_capacity()

    def publish_capacity(self) -> None:
        """Say how many jobs are kept at work at a time; to the pages, too."""
        with suppress(QueueError):  # a full disk, say: nothing depends on it
            self.queue.set_slots(self.device_slots.total)
        at_a_time = (
            f"{self.device_slots.total} at a time on"
            f" {', '.join(self.device_slots.capacity) or 'nothing: no machine is there'}"
        )
        self.say(f"at work for {settings.home()}, {at_a_time}")

    def heartbeat(self) -> None:
        """A sign for `doctor` that this process does its rounds, and logs of a bounded size."""
        with suppress(OSError):
            heartbeat_path().touch()
        for log in (log_path(), *(run_directory(slot.job) / "worker.log" for slot in self.active_slots.values())):
            rotate(log)

    def enforce_time_limits(self) -> None:
        """Stop the jobs that have been at work for longer than the settings allow. Raises SettingsError."""
        minutes = settings.current().job_minutes
        for slot in list(self.active_slots.values()):
            if slot.deadline is None and slot.job.worked + slot.elapsed_seconds > minutes * 60:
                slot.stop_reason = quotas.time_limit_message(minutes)
                self.say(f"stopping {_job_label(slot.job)}: {slot.stop_reason}")
                if not slot.request_stop():
                    self.queue.finish(slot.job, FAILED, slot.stop_reason)
                    del self.active_slots[slot.job.id]

    def reap_workers(self, *, stopping: bool) -> None:
        """Write down how workers ended; `stopping`: all of them were asked to."""
        for slot in list(self.active_slots.values()):
            outcome = slot.worker.poll()
            if outcome is not None:
                job = self.record_outcome(slot, outcome, stop_requested=stopping or slot.deadline is not None)
                del self.active_slots[job.id]
                self.say(f"{outcome.kind} {_job_label(job)}: {job.state}{f' ({job.reason})' if job.reason else ''}")

    def record_outcome(self, slot: Slot, outcome: Outcome, *, stop_requested: bool) -> Job:
        """Move the job on. A worker that ended without a result, and was not asked to, counts as a crash."""
        job = slot.job
        if outcome.kind in (DONE, FAILED):
            return self.queue.finish(job, outcome.kind, outcome.reason)
        if slot.stop_reason:
            return self.queue.finish(job, FAILED, slot.stop_reason)
        if outcome.kind == OUT_OF_MEMORY:
            return self.queue.record_out_of_memory(job, slot.elapsed_seconds)
        blameless = stop_requested or outcome.kind in (NOT_STARTED, ORPHANED)
        crash = None if blameless else outcome.reason or "its process ended."
        return self.queue.record_interruption(job, crash, slot.elapsed_seconds)

    def reconcile(self) -> None:
        """Take over running jobs that are not in a slot yet; ask the workers of jobs that nobody wants to stop."""
        running = {job.id: job for job in self.queue.running()}
        for number, job in running.items():
            if number not in self.active_slots:
                worker = self.runner.adopt(job)
                age = time.time() - (job.started or time.time()) if worker.poll() is None else 0.0
                self.active_slots[number] = Slot(job, worker, time.monotonic() - max(0.0, age))
                self.say(f"found {_job_label(job)} running")
        for number, slot in list(self.active_slots.items()):
            if slot.deadline is None and (number not in running or not running[number].is_wanted):
                self.stop_unwanted(slot)

    def stop_unwanted(self, slot: Slot) -> None:
        """Stop the worker of a job that nobody wants; a training that was started by hand goes on without the job."""
        self.say(f"stopping {_job_label(slot.job)}: nobody wants it any more")
        if not slot.request_stop():
            self.queue.finish(slot.job, CANCELLED)
            del self.active_slots[slot.job.id]

    def fill_slots(self) -> None:
        """Claim and start jobs while there is room. Raises SettingsError."""
        while len(self.active_slots) < self.device_slots.total:
            look = self.device_slots.allocator(
                RunningJob(slot.job.device, slot.job.exclusive) for slot in self.active_slots.values()
            )
            job = self.queue.claim(look.allocate)
            if job is None:
                return
            if self.ensure_disk_space(job):
                self.start(job)

    def ensure_disk_space(self, job: Job) -> bool:
        """Make room on the disk; where that cannot be done the job fails, with the reason. Raises SettingsError."""
        allowed = settings.current()
        most = allowed.runs_gigabytes * 1e9
        asked_for = {other.key for other in self.queue.active()}
        room = run_retention.evict_runs(most, asked_for, allowed.viewed_minutes * 60)
        for name in room.removed:
            self.say(f"removed the run {name}: the runs took more than {allowed.runs_gigabytes:g} GB")
        if room.used_bytes > most:
            self.queue.finish(job, FAILED, quotas.disk_limit_message(room.used_bytes, most))
        return room.used_bytes <= most

    def start(self, job: Job) -> None:
        """Start the job's worker, or finish the job where there is nothing to train or nothing can be started."""
        try:
            if has_finished_run(job.experiment):
                self.queue.finish(job, DONE)
                return
            self.active_slots[job.id] = Slot(job, self.runner.start(job))
            self.say(f"started {_job_label(job)}{f', attempt {job.attempts}' if job.attempts > 1 else ''}")
        except ExperimentError as error:
            self.queue.finish(job, FAILED, f"It was asked for by another version of this program. {error}")
        except OSError as error:
            self.queue.finish(job, FAILED, f"No worker could be started: {error.strerror or error}.")

    def stop_all(self) -> None:
        """Ask every worker to stop and wait until each has: their jobs are queued again, for the next dispatcher.

        A job whose worker cannot be stopped stays `running`, and the next dispatcher watches it.
        """
        for number, slot in list(self.active_slots.items()):
            if not slot.request_stop():
                del self.active_slots[number]
        give_up = time.monotonic() + GRACE_SECONDS + KILL_SECONDS
        while self.active_slots and time.monotonic() < give_up:
            time.sleep(POLL_SECONDS / 4)
            for slot in self.active_slots.values():
                slot.request_stop()
            with suppress(QueueError):
                self.reap_workers(stopping=True)


def dispatch(
    slots: int | None = None, idle: float | None = None, runner: Runner | None = None, say: LogLine | None = None
) -> int:
    """Be this home's dispatcher until SIGTERM or Ctrl-C, or for `idle` seconds without work; the exit code.

    `slots` is how many jobs are at work at a time (None: as the settings say, or as many as the runner has room for).
    Returns 1, and says so, where another dispatcher is at work. Raises SettingsError, for slots < 1 too.
    """
    stop, queue, say = StopRequest(), Queue(), say or _print
    slots = settings.current().slots or None if slots is None else slots
    runner = runner or _local_runner(slots)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.request)
    while True:
        lock = process_lock.acquire(lock_path())
        if lock is None:
            holder = process_lock.lock_owner(lock_path())
            say(
                f"a dispatcher is already at work for {settings.home()} (process {holder.pid if holder else 'unknown'})"
            )
            return EXIT_ALREADY_RUNNING
        with lock:
            dispatcher = Dispatcher(queue, runner, slots, say)
            dispatcher.publish_capacity()
            dispatcher.run(stop, idle)
            dispatcher.stop_all()
        # Who asked after our last look and before the lock was free saw a dispatcher at work, and started none.
        if stop.requested or not queue.waiting():
            say("left" if stop.requested else "left: nothing to do")
            return EXIT_OK


def _local_runner(slots: int | None) -> LocalRunner:
    """This machine's GPUs; without any, as many threads for each of several workers as there are cores for it."""
    gpus, many = devices.list_gpus(), slots or 1
    threads = max(1, (os.cpu_count() or 1) // many) if many > 1 and not gpus else None
    return LocalRunner(gpus=gpus, threads=threads)


def ensure_running() -> None:
    """Start a dispatcher where none is at work, and return at once. Safe, and cheap, to call as often as one likes.

    The new process holds the dispatcher's lock from birth, so callers that race start one. It is a session of its own
    and outlives the web process; its output goes to `dispatcher.log` in the home. Where the settings leave this to a
    service (`starts_dispatcher` is 0), nothing is done. Raises QueueError, SettingsError.
    """
    if not settings.current().starts_dispatcher:
        return
    _started[:] = [process for process in _started if process.poll() is None]  # leaves no zombie behind
    rotate(log_path())
    try:
        if _started_recently() or process_lock.is_locked(lock_path()):
            return
        lock = process_lock.acquire(lock_path(), timeout=0, write_owner=False)
        if lock is not None:
            command = cnnlab_command("dispatch", "--idle", f"{IDLE_SECONDS:.0f}")
            with lock:
                _started.append(start_detached(command, log=log_path(), lock=lock))
    except OSError as error:
        raise QueueError(f"The dispatcher cannot be started ({error.strerror}): look at {settings.home()}.") from error


def is_running() -> bool:
    """Whether a dispatcher is at work for this home."""
    return process_lock.is_locked(lock_path())


def lock_path() -> Path:
    """The file whose lock makes a process this home's dispatcher."""
    return settings.home() / "dispatcher.lock"


def log_path() -> Path:
    """Where a dispatcher that the web process started writes."""
    return settings.home() / "dispatcher.log"


def heartbeat_path() -> Path:
    """The file that a dispatcher touches on its rounds."""
    return settings.home() / "dispatcher.alive"


def seconds_since_heartbeat() -> float | None:
    """How long ago a dispatcher last did its round; None if there never was one."""
    try:
        return max(0.0, time.time() - heartbeat_path().stat().st_mtime)
    except OSError:
        return None


_started: list[Process] = []  # by this process, and not yet waited for


def _started_recently() -> bool:
    """Whether the lock was signed in the last few seconds: a dispatcher that dies at once is not started in a storm."""
    try:
        return 0 <= time.time() - lock_path().stat().st_mtime < RESTART_SECONDS
    except FileNotFoundError:
        return False


def _job_label(job: Job) -> str:
    try:
        title = job.experiment.title
    except ExperimentError:
        title = "an unreadable experiment"
    return f"job {job.id} ({title}, {job.key})"


def _print(line: str) -> None:
    with suppress(OSError):  # a full disk or a closed terminal is no reason to leave the workers alone
        print(time.strftime("%Y-%m-%d %H:%M:%S"), line, flush=True)
