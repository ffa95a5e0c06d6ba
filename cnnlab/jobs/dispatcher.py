"""The one process that works through the queue: it claims jobs, starts a worker for each, and sees how each one ends.

`python -m cnnlab dispatch` holds `dispatcher.lock` in the home, so there is one; a second one says so and goes. The web
process calls `ensure_running()` whenever something waits; a dispatcher started that way leaves when nothing has been
asked for during ten minutes.

What can happen, and what follows (nothing of it is kept in this process's memory alone):

    a worker dies, or its machine           the job waits again, first in line, and goes on from its last epoch;
                                            more than three times, and it fails with the reason
    a worker finds too little memory        the job is tried once more, with nothing beside it on its device
    a training takes longer than allowed    SIGTERM, after ten seconds SIGKILL; the job fails, its epochs are kept
    the runs take more disk than allowed    those that were not used for the longest time go (`cnnlab.jobs.disk`)
    the last person leaves a running job    SIGTERM, after ten seconds SIGKILL; the job is cancelled
    SIGTERM or Ctrl-C to the dispatcher     the workers are stopped the same way; their jobs wait for the next one
    the dispatcher is killed                the workers go on, and the next dispatcher finds them by their locks; those
                                            on a cluster end with it, and it starts them again from their last epoch
    the queue cannot be written             the workers go on; what is to be written is tried again
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cnnlab import locks, settings
from cnnlab.experiment import ExperimentError
from cnnlab.jobs import disk, limits, places
from cnnlab.jobs.logs import rotate
from cnnlab.jobs.places import Placed
from cnnlab.jobs.queue import CANCELLED, DONE, FAILED, Job, Queue, QueueError, has_result
from cnnlab.jobs.runners import (
    NO_MEMORY,
    NOT_BEGUN,
    ORPHANED,
    LocalRunner,
    Outcome,
    Runner,
    Worker,
    run_folder,
)
from cnnlab.settings import SettingsError

GRACE_SECONDS = 10.0  # between asking a worker to stop and ending it
KILL_SECONDS = 3.0  # a killed process is gone after so long at most
POLL_SECONDS = 0.2
RETRY_SECONDS = 2.0  # after the queue could not be used
IDLE_SECONDS = 600.0  # after so long without work, a dispatcher that the web process started leaves
LOOK_SECONDS = 5.0  # between two looks at the clocks of the jobs, and two signs of life
RESTART_SECONDS = 3.0  # a dispatcher that dies at once is not started more often than this
EXIT_OK, EXIT_TAKEN = 0, 1

Say = Callable[[str], None]


class Stop:
    """Whether someone asked this process to stop. A plain flag: a signal handler may set it at any moment."""

    asked = False

    def ask(self, number: int, frame: object) -> None:
        """The signal handler."""
        self.asked = True


@dataclass
class Slot:
    """One job at work, since `began`; `deadline` is set when its worker was asked to stop (both monotonic seconds).

    `verdict` is why it was stopped, where that ends the job.
    """

    job: Job
    worker: Worker
    began: float = field(default_factory=time.monotonic)
    deadline: float | None = None
    verdict: str | None = None

    @property
    def seconds(self) -> float:
        """How long this worker has been at work."""
        return time.monotonic() - self.began

    def ask_to_stop(self) -> bool:
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
        say: Say = lambda line: None,
    ) -> None:
        if slots is not None and slots < 1:
            raise SettingsError(f"A dispatcher needs at least one slot. Received: slots={slots}")
        self.queue = queue
        self.runner = runner
        self.slots = slots
        self.say = say
        self.places = runner.places(slots)
        self.at_work: dict[int, Slot] = {}
        self.seen = -1  # the queue's stamp at the last look; -1: look again
        self.looked = 0.0  # monotonic seconds of the last look at the clocks

    def run(self, stop: Stop, idle: float | None = None) -> None:
        """Work until `stop` is asked, or until there was nothing to do for `idle` seconds (None: never)."""
        busy, trouble = time.monotonic(), ""
        while not stop.asked and (idle is None or time.monotonic() - busy < idle):
            try:
                self.tick()
                trouble = ""
            except (QueueError, SettingsError, OSError) as error:  # none of them is a reason to leave a class alone
                if str(error) != trouble:
                    self.say(trouble := str(error))
                time.sleep(RETRY_SECONDS)
            if self.at_work:
                busy = time.monotonic()
            time.sleep(POLL_SECONDS)

    def tick(self) -> None:
        """Settle what has ended, stop what nobody wants, start what can be started. Raises QueueError."""
        self.settle_ended(stopping=False)
        self.measure_room()
        stamp = self.queue.stamp()
        if stamp != self.seen:  # something was asked for, withdrawn or settled
            self.look_around()
            self.fill_slots()
            self.seen = stamp
        for slot in self.at_work.values():
            if slot.deadline is not None:
                slot.ask_to_stop()
        if time.monotonic() - self.looked > LOOK_SECONDS:
            self.looked = time.monotonic()
            self.show_life()
            self.look_at_clocks()

    def measure_room(self) -> None:
        """Look whether there is more room than before, or less: machines may join a cluster, and leave it."""
        places = self.runner.places(self.slots)
        if places.room != self.places.room:
            self.places, self.seen = places, -1
            self.tell_room()

    def tell_room(self) -> None:
        """Say how many jobs are kept at work at a time; to the pages, too."""
        with suppress(QueueError):  # a full disk, say: nothing depends on it
            self.queue.say_slots(self.places.total)
        at_a_time = f"{self.places.total} at a time on {', '.join(self.places.room) or 'nothing: no machine is there'}"
        self.say(f"at work for {settings.home()}, {at_a_time}")

    def show_life(self) -> None:
        """A sign for `doctor` that this process does its rounds, and logs of a bounded size."""
        with suppress(OSError):
            life_path().touch()
        for log in (log_path(), *(run_folder(slot.job) / "worker.log" for slot in self.at_work.values())):
            rotate(log)

    def look_at_clocks(self) -> None:
        """Stop the jobs that have been at work for longer than the settings allow. Raises SettingsError."""
        minutes = settings.current().job_minutes
        for slot in list(self.at_work.values()):
            if slot.deadline is None and slot.job.worked + slot.seconds > minutes * 60:
                slot.verdict = limits.out_of_time(minutes)
                self.say(f"stopping {_name(slot.job)}: {slot.verdict}")
                if not slot.ask_to_stop():
                    self.queue.finish(slot.job, FAILED, slot.verdict)
                    del self.at_work[slot.job.id]

    def settle_ended(self, *, stopping: bool) -> None:
        """Write down how workers ended; `stopping`: all of them were asked to."""
        for slot in list(self.at_work.values()):
            outcome = slot.worker.poll()
            if outcome is not None:
                job = self.settle(slot, outcome, asked=stopping or slot.deadline is not None)
                del self.at_work[job.id]
                self.say(f"{outcome.kind} {_name(job)}: {job.state}{f' ({job.reason})' if job.reason else ''}")

    def settle(self, slot: Slot, outcome: Outcome, *, asked: bool) -> Job:
        """Move the job on. A worker that ended without a result, and was not asked to, counts as a crash."""
        job = slot.job
        if outcome.kind in (DONE, FAILED):
            return self.queue.finish(job, outcome.kind, outcome.reason)
        if slot.verdict:
            return self.queue.finish(job, FAILED, slot.verdict)
        if outcome.kind == NO_MEMORY:
            return self.queue.out_of_memory(job, slot.seconds)
        blameless = asked or outcome.kind in (NOT_BEGUN, ORPHANED)
        crash = None if blameless else outcome.reason or "its process ended."
        return self.queue.interrupted(job, crash, slot.seconds)

    def look_around(self) -> None:
        """Take over running jobs that are not in a slot yet; ask the workers of jobs that nobody wants to stop."""
        running = {job.id: job for job in self.queue.running()}
        for number, job in running.items():
            if number not in self.at_work:
                worker = self.runner.adopt(job)
                age = time.time() - (job.started or time.time()) if worker.poll() is None else 0.0
                self.at_work[number] = Slot(job, worker, time.monotonic() - max(0.0, age))
                self.say(f"found {_name(job)} running")
        for number, slot in list(self.at_work.items()):
            if slot.deadline is None and (number not in running or not running[number].is_wanted):
                self.withdraw(slot)

    def withdraw(self, slot: Slot) -> None:
        """Stop the worker of a job that nobody wants; a training that was started by hand goes on without the job."""
        self.say(f"stopping {_name(slot.job)}: nobody wants it any more")
        if not slot.ask_to_stop():
            self.queue.finish(slot.job, CANCELLED)
            del self.at_work[slot.job.id]

    def fill_slots(self) -> None:
        """Claim and start jobs while there is room. Raises SettingsError."""
        while len(self.at_work) < self.places.total:
            look = self.places.look(Placed(slot.job.device, slot.job.alone) for slot in self.at_work.values())
            job = self.queue.claim(look.place)
            if job is None:
                return
            if self.has_room(job):
                self.start(job)

    def has_room(self, job: Job) -> bool:
        """Make room on the disk; where that cannot be done the job fails, with the reason. Raises SettingsError."""
        allowed = settings.current()
        most = allowed.runs_gigabytes * 1e9
        asked_for = {other.key for other in self.queue.active()}
        room = disk.make_room(most, asked_for, allowed.viewed_minutes * 60)
        for name in room.removed:
            self.say(f"removed the run {name}: the runs took more than {allowed.runs_gigabytes:g} GB")
        if room.used > most:
            self.queue.finish(job, FAILED, limits.out_of_disk(room.used, most))
        return room.used <= most

    def start(self, job: Job) -> None:
        """Start the job's worker, or finish the job where there is nothing to train or nothing can be started."""
        try:
            if has_result(job.experiment):
                self.queue.finish(job, DONE)
                return
            self.at_work[job.id] = Slot(job, self.runner.start(job))
            self.say(f"started {_name(job)}{f', attempt {job.attempts}' if job.attempts > 1 else ''}")
        except ExperimentError as error:
            self.queue.finish(job, FAILED, f"It was asked for by another version of this program. {error}")
        except OSError as error:
            self.queue.finish(job, FAILED, f"No worker could be started: {error.strerror or error}.")

    def stop_all(self) -> None:
        """Ask every worker to stop and wait until each has: their jobs are queued again, for the next dispatcher.

        A job whose worker cannot be stopped stays `running`, and the next dispatcher watches it.
        """
        for number, slot in list(self.at_work.items()):
            if not slot.ask_to_stop():
                del self.at_work[number]
        give_up = time.monotonic() + GRACE_SECONDS + KILL_SECONDS
        while self.at_work and time.monotonic() < give_up:
            time.sleep(POLL_SECONDS / 4)
            for slot in self.at_work.values():
                slot.ask_to_stop()
            with suppress(QueueError):
                self.settle_ended(stopping=True)


def dispatch(
    slots: int | None = None, idle: float | None = None, runner: Runner | None = None, say: Say | None = None
) -> int:
    """Be this home's dispatcher until SIGTERM or Ctrl-C, or for `idle` seconds without work; the exit code.

    `slots` is how many jobs are at work at a time (None: as the settings say, or as many as the runner has room for).
    Returns 1, and says so, where another dispatcher is at work. Raises SettingsError, for slots < 1 too.
    """
    stop, queue, say = Stop(), Queue(), say or _print
    slots = settings.current().slots or None if slots is None else slots
    runner = runner or _local_runner(slots)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.ask)
    while True:
        lock = locks.acquire(lock_path())
        if lock is None:
            holder = locks.holder(lock_path())
            say(
                f"a dispatcher is already at work for {settings.home()} (process {holder.pid if holder else 'unknown'})"
            )
            return EXIT_TAKEN
        with lock:
            dispatcher = Dispatcher(queue, runner, slots, say)
            dispatcher.tell_room()
            dispatcher.run(stop, idle)
            dispatcher.stop_all()
        # Who asked after our last look and before the lock was free saw a dispatcher at work, and started none.
        if stop.asked or not queue.line():
            say("left" if stop.asked else "left: nothing to do")
            return EXIT_OK


def _local_runner(slots: int | None) -> LocalRunner:
    """This machine's GPUs; without any, as many threads for each of several workers as there are cores for it."""
    gpus, many = places.gpus(), slots or 1
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
        if _started_just_now() or locks.held(lock_path()):
            return
        lock = locks.acquire(lock_path(), patience=0, sign=False)
        if lock is not None:
            with lock:
                _started.append(_detached(lock))
    except OSError as error:
        raise QueueError(f"The dispatcher cannot be started ({error.strerror}): look at {settings.home()}.") from error


def is_running() -> bool:
    """Whether a dispatcher is at work for this home."""
    return locks.held(lock_path())


def lock_path() -> Path:
    """The file whose lock makes a process this home's dispatcher."""
    return settings.home() / "dispatcher.lock"


def log_path() -> Path:
    """Where a dispatcher that the web process started writes."""
    return settings.home() / "dispatcher.log"


def life_path() -> Path:
    """The file that a dispatcher touches on its rounds."""
    return settings.home() / "dispatcher.alive"


def seconds_since_life() -> float | None:
    """How long ago a dispatcher last did its round; None if there never was one."""
    try:
        return max(0.0, time.time() - life_path().stat().st_mtime)
    except OSError:
        return None


_started: list[subprocess.Popen[bytes]] = []  # by this process, and not yet waited for


def _detached(lock: locks.Lock) -> subprocess.Popen[bytes]:
    descriptors, variables = lock.hand_to()
    with log_path().open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cnnlab", "dispatch", "--idle", f"{IDLE_SECONDS:.0f}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=settings.python_environment() | variables,
            pass_fds=descriptors,
            start_new_session=True,
        )
    lock.sign(process.pid, handed=True)
    return process


def _started_just_now() -> bool:
    """Whether the lock was signed in the last few seconds: a dispatcher that dies at once is not started in a storm."""
    try:
        return 0 <= time.time() - lock_path().stat().st_mtime < RESTART_SECONDS
    except FileNotFoundError:
        return False


def _name(job: Job) -> str:
    try:
        title = job.experiment.title
    except ExperimentError:
        title = "an unreadable experiment"
    return f"job {job.id} ({title}, {job.key})"


def _print(line: str) -> None:
    with suppress(OSError):  # a full disk or a closed terminal is no reason to leave the workers alone
        print(time.strftime("%Y-%m-%d %H:%M:%S"), line, flush=True)
