"""The queue of trainings: one SQLite file that the web process and the dispatcher share.

    queued -> running -> done | failed | cancelled

- One active job for each experiment (a unique index on its key), however many people ask for it. Each of them has a
  request on the job; withdrawing the last request ends it.
- A running job is wanted while it has a request; this is not stored separately.
- Every change is one short transaction (`BEGIN IMMEDIATE`), so a process that is killed leaves the state before or the
  state after. WAL lets thirty pages read while one process writes; it needs a disk of this machine, not a network one.
- Every change increments `revision()`: a page that reads the same revision need not read anything else.

A `Queue` opens its file at its first use and may be shared by threads. The times are Unix times in seconds.
"""

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs import queue_statements as statements
from cnnlab.jobs import quotas
from cnnlab.jobs.job import CANCELLED, DONE, FAILED, QUEUED, RUNNING, TERMINAL_STATES, Job
from cnnlab.jobs.queue_schema import QueueError, connect, error_message
from cnnlab.storage import runs

PERSON_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
MAX_RESUMES = 3  # a worker that dies is started again so often, and not more often
MAX_ATTEMPTS = 25  # workers of a job, whatever ended them: a training that takes its machine down does so no more often


class PersonError(ValueError):
    """Not a name that a person can have here."""


class NotRequester(RuntimeError):
    """Who did not ask for a training cannot withdraw from it."""


class Queue:
    """The jobs of one home. `path` is the SQLite file, by default `jobs.sqlite` in the home."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or settings.home() / "jobs.sqlite"
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    # -- requests ----------------------------------------------------------------------------------------------------

    def submit(self, experiment: Experiment, person: str, *, address: str = "", is_teacher: bool = False) -> Job:
        """`person` asks for the training of `experiment`: a new job, or the one that is already queued or running.

        An experiment that has a finished run needs no training: the answer is a job that is done. `address` stands for
        the network address that the request comes from ("": unknown); `is_teacher` is for who typed the teacher's key.
        Raises QuotaExceeded where the settings do not allow it, TypeError for anything but an Experiment, PersonError
        for an unusable name, SettingsError, QueueError.
        """
        if not isinstance(experiment, Experiment):
            raise TypeError(f"Ask for an Experiment. Received: experiment={experiment!r}")
        check_person(person)
        state, allowed = DONE if has_finished_run(experiment) else QUEUED, settings.current()
        with self.write_transaction() as db:
            job = statements.select_job(
                db, "key = ? AND state IN ('queued', 'running') ORDER BY id DESC", experiment.key
            )
            if job is None or person not in job.requesters:
                counts = statements.queue_counts(db, person, address, allowed)
                exempt = is_teacher or allowed.is_teacher(person)
                quotas.check_rate(counts, allowed, is_teacher=exempt)
                if job is None and state == QUEUED:
                    quotas.check_submission(experiment, counts, allowed, is_teacher=exempt)
            if job is None:
                number = statements.insert_job(db, experiment, state, quotas.training_cost(experiment))
            elif job.state == QUEUED and state == DONE:
                number = statements.set_terminal_state(db, job.id, DONE)
            else:
                number = job.id
            statements.insert_request(db, number, person, address)
            return statements.get_job(db, number)

    def cancel(self, job: Job | int, person: str) -> Job:
        """`person` no longer wants the job. Where nobody else does, it is cancelled, or stopped if it is running.

        Raises NotRequester where `person` has no request on a job that is not over, UnknownJob.
        """
        with self.write_transaction() as db:
            current = statements.get_job(db, _job_id(job))
            if current.is_finished:
                return current
            if person not in current.requesters:
                raise NotRequester(f"Only who asked for a training can stop it. Received: person={person!r}")
            statements.withdraw(db, "job = ? AND person = ?", current.id, person)
            return statements.cancel_unwanted(db, current.id)

    def stop(self, job: Job | int) -> Job:
        """Withdraw all requests on the job: for the teacher. Raises UnknownJob."""
        with self.write_transaction() as db:
            current = statements.get_job(db, _job_id(job))
            if current.is_finished:
                return current
            statements.withdraw(db, "job = ?", current.id)
            return statements.cancel_unwanted(db, current.id)

    # -- queries -----------------------------------------------------------------------------------------------------

    def revision(self) -> int:
        """A number that increases with every change of the queue by any process; the cheapest query."""
        with self.read_transaction() as db:
            return statements.read_counter(db, "stamp")

    def get(self, number: int) -> Job:
        """The job with this number. Raises UnknownJob."""
        with self.read_transaction() as db:
            return statements.get_job(db, number)

    def for_key(self, key: str) -> Job | None:
        """The latest job of the experiment with this key, whatever its state."""
        with self.read_transaction() as db:
            return statements.select_job(db, "key = ? ORDER BY id DESC", key)

    def running(self) -> list[Job]:
        """The running jobs, earliest start first."""
        with self.read_transaction() as db:
            return statements.select_jobs(db, "state = 'running' ORDER BY started, id")

    def waiting(self) -> list[Job]:
        """The jobs that wait, in the order in which they will start."""
        with self.read_transaction() as db:
            waiting = {job.id: job for job in statements.select_jobs(db, "state = 'queued'")}
            return [waiting[turn.job] for turn in statements.waiting_turns(db)]

    def active(self) -> list[Job]:
        """The running jobs, then the waiting ones in their order."""
        with self.read_transaction():
            return self.running() + self.waiting()

    def position(self, job: Job | int) -> int | None:
        """0 for a running job, 1 for the next waiting one, and so on; None for a finished job. Raises UnknownJob."""
        with self.read_transaction() as db:
            current = statements.get_job(db, _job_id(job))
            if current.state != QUEUED:
                return 0 if current.state == RUNNING else None
            return next(
                position
                for position, turn in enumerate(statements.waiting_turns(db), start=1)
                if turn.job == current.id
            )

    def jobs_for(self, person: str, *, finished_since: float | None = None) -> list[Job]:
        """The jobs that `person` requested and did not withdraw from, newest first; or those finished since then."""
        condition = "id IN (SELECT job FROM requests WHERE person = ? AND withdrawn IS NULL)"
        with self.read_transaction() as db:
            if finished_since is None:
                return statements.select_jobs(db, f"{condition} ORDER BY id DESC", person)
            return statements.select_jobs(
                db, f"{condition} AND finished > ? AND attempts > 0 ORDER BY finished DESC", person, finished_since
            )

    def has_asked(self, person: str, before: float) -> bool:
        """Whether `person` asked for any training before this Unix time."""
        with self.read_transaction() as db:
            return statements.has_asked(db, person, before)

    def is_accepting(self) -> bool:
        """Whether new trainings are taken."""
        with self.read_transaction() as db:
            return not statements.read_counter(db, "closed")

    def slots(self) -> int:
        """How many trainings the last dispatcher runs at a time."""
        with self.read_transaction() as db:
            return statements.read_counter(db, "slots")

    def recent(self, limit: int = 50) -> list[Job]:
        """The last finished jobs, latest first."""
        with self.read_transaction() as db:
            return statements.select_jobs(db, "finished IS NOT NULL ORDER BY finished DESC, id DESC LIMIT ?", limit)

    # -- for the dispatcher ------------------------------------------------------------------------------------------

    def claim(self, allocate: Callable[[Job], str | None] = lambda job: "") -> Job | None:
        """The next waiting job, marked as running; None where none can start.

        `allocate` returns the device for a job, or None where the job has to wait: then the next job is tried.
        """
        with self.write_transaction() as db:
            for turn in statements.waiting_turns(db):
                device = allocate(statements.get_job(db, turn.job))
                if device is not None:
                    statements.take_turn(db, turn)
                    begun = "state = 'running', started = ?, attempts = attempts + 1, device = ?"
                    db.execute(f"UPDATE jobs SET {begun} WHERE id = ?", (time.time(), device, turn.job))
                    return statements.get_job(db, turn.job)
            return None

    def finish(self, job: Job | int, state: str, reason: str | None = None) -> Job:
        """Set the job's final state (done, failed or cancelled); a finished job does not change."""
        if state not in TERMINAL_STATES:
            raise ValueError(f"A job ends as one of {', '.join(TERMINAL_STATES)}. Received: state={state!r}")
        with self.write_transaction() as db:
            return statements.get_job(db, statements.set_terminal_state(db, _job_id(job), state, reason))

    def record_interruption(self, job: Job | int, crash: str | None = None, worked: float = 0.0) -> Job:
        """The worker of a running job ended without a result; `crash` says how, None where it was asked to stop.

        `worked` is how many seconds it ran. A job that nobody wants is cancelled. Otherwise it waits again, before all
        others. One that has crashed more than MAX_RESUMES times, or was begun MAX_ATTEMPTS times, fails.
        """
        with self.write_transaction() as db:
            current = statements.get_job(db, _job_id(job))
            if current.state != RUNNING:
                return current
            crashes = current.crashes + (crash is not None)
            db.execute("UPDATE jobs SET crashes = ?, worked = worked + ? WHERE id = ?", (crashes, worked, current.id))
            if not current.is_wanted:
                statements.set_terminal_state(db, current.id, CANCELLED)
            elif crashes > MAX_RESUMES:
                statements.set_terminal_state(
                    db, current.id, FAILED, f"It was resumed {MAX_RESUMES} times and broke off again: {crash}"
                )
            elif current.attempts >= MAX_ATTEMPTS:
                reason = f"It was begun {current.attempts} times and was interrupted each time: ask for it again."
                statements.set_terminal_state(db, current.id, FAILED, reason)
            else:
                db.execute("UPDATE jobs SET state = 'queued', reason = ? WHERE id = ?", (crash, current.id))
            return statements.get_job(db, current.id)

    def record_out_of_memory(self, job: Job | int, worked: float = 0.0) -> Job:
        """The worker of a running job ran out of memory: the job is retried once, alone on a device, or fails."""
        with self.write_transaction() as db:
            current = statements.get_job(db, _job_id(job))
            if current.state != RUNNING:
                return current
            reason = quotas.memory_message(current.device, exclusive=current.exclusive)
            if current.exclusive or not current.is_wanted:
                statements.set_terminal_state(db, current.id, FAILED if current.is_wanted else CANCELLED, reason)
            else:
                sql = "UPDATE jobs SET state = 'queued', alone = 1, reason = ?, worked = worked + ? WHERE id = ?"
                db.execute(sql, (reason, worked, current.id))
            return statements.get_job(db, current.id)

    def set_slots(self, slots: int) -> None:
        """Store how many trainings run at a time, for the pages."""
        with self.write_transaction() as db:
            db.execute("UPDATE counters SET value = ? WHERE name = 'slots'", (slots,))

    def set_accepting(self, accepting: bool) -> None:
        """Set whether new trainings are accepted: for the teacher."""
        with self.write_transaction() as db:
            db.execute("UPDATE counters SET value = ? WHERE name = 'closed'", (int(not accepting),))

    # -- the file ----------------------------------------------------------------------------------------------------

    def integrity_error(self) -> str:
        """What SQLite reports as wrong with the file, "" for nothing. Reads the whole file. Raises QueueError."""
        with self.read_transaction() as db:
            result = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
        return "" if result == "ok" else result

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def read_transaction(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of all tables."""
        with self._transaction("BEGIN") as db:
            yield db

    @contextmanager
    def write_transaction(self) -> Iterator[sqlite3.Connection]:
        """One change, all or nothing; increments the revision if a row changed."""
        with self._transaction("BEGIN IMMEDIATE") as db:
            before = db.total_changes
            yield db
            if db.total_changes != before:
                db.execute("UPDATE counters SET value = value + 1 WHERE name = 'stamp'")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                db = self._open()
                if db.in_transaction:  # nested in another transaction of this queue
                    yield db
                    return
                db.execute(begin)
                try:
                    yield db
                    db.execute("COMMIT")
                finally:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
            except (sqlite3.Error, OSError) as error:
                self.close()  # the next use opens whatever file is there then
                raise QueueError(error_message(self.path, error)) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = connect(self.path)
        return self._connection


def has_finished_run(experiment: Experiment) -> bool:
    """Whether a finished and whole run of the experiment exists; a damaged one is trained again."""
    run = runs.find_run(experiment)
    return run is not None and run.state == "done" and not run.damages()


def check_person(person: str) -> str:
    """`person` as it came. Raises PersonError unless it is 1 to 64 letters, digits or ._@+- and starts with one."""
    if not isinstance(person, str) or not PERSON_PATTERN.fullmatch(person):
        raise PersonError(f"A person's name is 1 to 64 letters, digits or ._@+- here. Received: person={person!r:.80}")
    return person


def _job_id(job: Job | int) -> int:
    return job.id if isinstance(job, Job) else job
