"""What is asked for: the trainings that people want, in one SQLite file that the web process and the dispatcher share.

    queued -> running -> done | failed | cancelled

- One job for an experiment. However many people ask for it, there is one active job of its key (a unique index sees to
  that), each of them has a request on it, and only the last one who leaves ends it.
- Whether a running job is still wanted is not stored: it is wanted while it has a request.
- Every change is one short transaction (`BEGIN IMMEDIATE`), so a process that is killed leaves the state before or the
  state after. WAL lets thirty pages read while one process writes; it needs a disk of this machine, not a network one.
- Every change also moves `stamp()`, one number: a page that sees the same stamp need not read anything else.

A `Queue` opens its file at its first use and may be shared by threads. The times are Unix times in seconds.
"""

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs import quotas
from cnnlab.jobs.fair_scheduling import Request, Turn, fair_order
from cnnlab.storage import process_lock, runs

QUEUED, RUNNING, DONE, FAILED, CANCELLED = ("queued", "running", "done", "failed", "cancelled")
TERMINAL_STATES = (DONE, FAILED, CANCELLED)
PERSON_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
MAX_RESUMES = 3  # a worker that dies is started again so often, and not more often
BUSY_TIMEOUT_SECONDS = 20.0  # how long a write waits for its turn
RATE_WINDOW_SECONDS = 60.0  # `submissions_per_minute` looks back so far

# One script for each version of the file; a newer program brings an older file up to date, one script after the other.
MIGRATIONS = (
    """
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        experiment TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
        reason TEXT,
        submitted REAL NOT NULL,
        started REAL,
        finished REAL,
        attempts INTEGER NOT NULL DEFAULT 0,
        crashes INTEGER NOT NULL DEFAULT 0
    );
    CREATE UNIQUE INDEX single_flight ON jobs (key) WHERE state IN ('queued', 'running');
    CREATE INDEX jobs_by_key ON jobs (key);
    CREATE TABLE requests (
        job INTEGER NOT NULL REFERENCES jobs (id),
        person TEXT NOT NULL,
        submitted REAL NOT NULL,
        withdrawn REAL,
        PRIMARY KEY (job, person)
    ) WITHOUT ROWID;
    CREATE INDEX requests_by_person ON requests (person);
    CREATE TABLE people (person TEXT PRIMARY KEY, round INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO counters VALUES ('stamp', 0), ('round', 0);
    """,
    """
    ALTER TABLE jobs ADD COLUMN worked REAL NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN alone INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN device TEXT NOT NULL DEFAULT '';
    CREATE INDEX requests_by_time ON requests (person, submitted);
    INSERT INTO counters VALUES ('closed', 0), ('slots', 1);
    """,
)


class QueueError(RuntimeError):
    """The file of jobs cannot be used. The message is one sentence with the remedy."""


class PersonError(ValueError):
    """Not a name that a person can have here."""


class UnknownJob(LookupError):
    """There is no job with this number."""


class NotRequester(RuntimeError):
    """Who did not ask for a training cannot withdraw from it."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training as the queue knows it.

    `attempts` counts how often a worker was started, `crashes` how often one ended without a result; `people` are those
    who want it (for a job that is over: who wanted it at its end), earliest first. `worked` is how many seconds earlier
    attempts took, `device` where the last one ran ("GPU 0", "CPU", "" before the first); a job that is `alone` ran out
    of memory once and shares its device with no other.
    """

    id: int
    key: str
    experiment_json: str
    state: str
    reason: str | None
    submitted: float
    started: float | None
    finished: float | None
    attempts: int
    crashes: int
    worked: float
    exclusive: bool
    device: str
    requesters: tuple[str, ...]

    @property
    def experiment(self) -> Experiment:
        """What to train. Raises ExperimentError where another version of the program asked for it."""
        return Experiment.from_json(self.experiment_json)

    @property
    def is_finished(self) -> bool:
        """Whether the job has reached one of its three ends."""
        return self.state in TERMINAL_STATES

    @property
    def is_wanted(self) -> bool:
        """Whether anybody still asks for it. A running job that nobody wants is being stopped."""
        return bool(self.requesters)


class Queue:
    """The jobs of one home. `path` is the SQLite file, by default `jobs.sqlite` in the home."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or settings.home() / "jobs.sqlite"
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    # -- asking ------------------------------------------------------------------------------------------------------

    def submit(self, experiment: Experiment, person: str) -> Job:
        """`person` asks for the training of `experiment`: a new job, or the one that is already queued or running.

        An experiment that has a finished run needs no training: the answer is a job that is done.
        Raises Refused where the settings do not allow it, TypeError for anything but an Experiment, PersonError for an
        unusable name, SettingsError, QueueError.
        """
        if not isinstance(experiment, Experiment):
            raise TypeError(f"Ask for an Experiment. Received: experiment={experiment!r}")
        check_person(person)
        state, allowed = DONE if has_finished_run(experiment) else QUEUED, settings.current()
        with self._write() as db:
            job = _select_job(db, "key = ? AND state IN ('queued', 'running') ORDER BY id DESC", experiment.key)
            if job is None or person not in job.requesters:
                quotas.check_rate(person, counts := _queue_counts(db, person), allowed)
                if job is None and state == QUEUED:
                    quotas.check_submission(experiment, person, counts, allowed)
            if job is None:
                number = _insert(db, experiment, state)
            elif job.state == QUEUED and state == DONE:
                number = _set_terminal_state(db, job.id, DONE)
            else:
                number = job.id
            _request(db, number, person)
            return _get_job(db, number)

    def cancel(self, job: Job | int, person: str) -> Job:
        """`person` no longer wants the job. Where nobody else does, it is cancelled, or stopped if it is running.

        Raises NotAsked where `person` has no request on a job that is not over, UnknownJob.
        """
        with self._write() as db:
            found = _get_job(db, _job_id(job))
            if found.is_finished:
                return found
            if person not in found.requesters:
                raise NotRequester(f"Only who asked for a training can stop it. Received: person={person!r}")
            _withdraw(db, "job = ? AND person = ?", found.id, person)
            return _cancel_unwanted(db, found.id)

    def stop(self, job: Job | int) -> Job:
        """Everybody's requests are withdrawn: for who answers for the machine. Raises UnknownJob."""
        with self._write() as db:
            found = _get_job(db, _job_id(job))
            if found.is_finished:
                return found
            _withdraw(db, "job = ?", found.id)
            return _cancel_unwanted(db, found.id)

    # -- looking -----------------------------------------------------------------------------------------------------

    def revision(self) -> int:
        """A number that grows with every change of the queue, by whatever process. The cheapest thing to ask."""
        with self._read() as db:
            return _counter(db, "stamp")

    def get(self, number: int) -> Job:
        """The job with this number. Raises UnknownJob."""
        with self._read() as db:
            return _get_job(db, number)

    def for_key(self, key: str) -> Job | None:
        """The latest job of the experiment with this key, whatever its state."""
        with self._read() as db:
            return _select_job(db, "key = ? ORDER BY id DESC", key)

    def running(self) -> list[Job]:
        """The jobs that are being trained, longest first."""
        with self._read() as db:
            return _select_jobs(db, "state = 'running' ORDER BY started, id")

    def waiting(self) -> list[Job]:
        """The jobs that wait, in the order in which they will start."""
        with self._read() as db:
            waiting = {job.id: job for job in _select_jobs(db, "state = 'queued'")}
            return [waiting[turn.job] for turn in _waiting_turns(db)]

    def active(self) -> list[Job]:
        """What runs, then what waits in its order."""
        with self._read():
            return self.running() + self.waiting()

    def position(self, job: Job | int) -> int | None:
        """0 for a running job, 1 for the next in line, and so on; None for a job that is over. Raises UnknownJob."""
        with self._read() as db:
            found = _get_job(db, _job_id(job))
            if found.state != QUEUED:
                return 0 if found.state == RUNNING else None
            return next(place for place, turn in enumerate(_waiting_turns(db), start=1) if turn.job == found.id)

    def jobs_for(self, person: str, *, finished_since: float | None = None) -> list[Job]:
        """The jobs that `person` asked for and did not leave, newest first; or those trained to their end since."""
        condition = "id IN (SELECT job FROM requests WHERE person = ? AND withdrawn IS NULL)"
        with self._read() as db:
            if finished_since is None:
                return _select_jobs(db, f"{condition} ORDER BY id DESC", person)
            return _select_jobs(
                db, f"{condition} AND finished > ? AND attempts > 0 ORDER BY finished DESC", person, finished_since
            )

    def is_accepting(self) -> bool:
        """Whether new trainings are taken."""
        with self._read() as db:
            return not _counter(db, "closed")

    def slots(self) -> int:
        """How many trainings the dispatcher that worked here last keeps going at a time."""
        with self._read() as db:
            return _counter(db, "slots")

    def recent(self, limit: int = 50) -> list[Job]:
        """The last jobs that came to an end, latest first."""
        with self._read() as db:
            return _select_jobs(db, "finished IS NOT NULL ORDER BY finished DESC, id DESC LIMIT ?", limit)

    # -- the dispatcher's side ---------------------------------------------------------------------------------------

    def claim(self, allocate: Callable[[Job], str | None] = lambda job: "") -> Job | None:
        """The next job in line, which is running from now on; None where nothing waits.

        `place` gives the device for a job, or None where the job has to wait for one: then the next in line is asked.
        """
        with self._write() as db:
            for turn in _waiting_turns(db):
                device = allocate(_get_job(db, turn.job))
                if device is not None:
                    _take_turn(db, turn)
                    begun = "state = 'running', started = ?, attempts = attempts + 1, device = ?"
                    db.execute(f"UPDATE jobs SET {begun} WHERE id = ?", (time.time(), device, turn.job))
                    return _get_job(db, turn.job)
            return None

    def finish(self, job: Job | int, state: str, reason: str | None = None) -> Job:
        """The job has come to this end (done, failed or cancelled). One that is over already stays as it is."""
        if state not in TERMINAL_STATES:
            raise ValueError(f"A job ends as one of {', '.join(TERMINAL_STATES)}. Received: state={state!r}")
        with self._write() as db:
            return _get_job(db, _set_terminal_state(db, _job_id(job), state, reason))

    def record_interruption(self, job: Job | int, crash: str | None = None, worked: float = 0.0) -> Job:
        """The worker of a running job ended without a result; `crash` says how, None where it was asked to stop.

        `worked` is how many seconds it was at work.

        A job that nobody wants is cancelled. Else it waits again, first in line; but a job that has crashed more than
        MOST_RESUMES times fails, with the reason.
        """
        with self._write() as db:
            found = _get_job(db, _job_id(job))
            if found.state != RUNNING:
                return found
            crashes = found.crashes + (crash is not None)
            db.execute("UPDATE jobs SET crashes = ?, worked = worked + ? WHERE id = ?", (crashes, worked, found.id))
            if not found.is_wanted:
                _set_terminal_state(db, found.id, CANCELLED)
            elif crashes > MAX_RESUMES:
                _set_terminal_state(
                    db, found.id, FAILED, f"It was resumed {MAX_RESUMES} times and broke off again: {crash}"
                )
            else:
                db.execute("UPDATE jobs SET state = 'queued', reason = ? WHERE id = ?", (crash, found.id))
            return _get_job(db, found.id)

    def record_out_of_memory(self, job: Job | int, worked: float = 0.0) -> Job:
        """The worker of a running job found too little memory: it waits to be tried once more, alone, or has failed."""
        with self._write() as db:
            found = _get_job(db, _job_id(job))
            if found.state != RUNNING:
                return found
            reason = quotas.memory_message(found.device, exclusive=found.exclusive)
            if found.exclusive or not found.is_wanted:
                _set_terminal_state(db, found.id, FAILED if found.is_wanted else CANCELLED, reason)
            else:
                sql = "UPDATE jobs SET state = 'queued', alone = 1, reason = ?, worked = worked + ? WHERE id = ?"
                db.execute(sql, (reason, worked, found.id))
            return _get_job(db, found.id)

    def set_slots(self, slots: int) -> None:
        """How many trainings are kept going at a time, for the pages."""
        with self._write() as db:
            db.execute("UPDATE counters SET value = ? WHERE name = 'slots'", (slots,))

    def set_accepting(self, accepting: bool) -> None:
        """Whether new trainings are taken from now on: for who answers for the machine."""
        with self._write() as db:
            db.execute("UPDATE counters SET value = ? WHERE name = 'closed'", (int(not accepting),))

    # -- the file ----------------------------------------------------------------------------------------------------

    def integrity_error(self) -> str:
        """What SQLite finds wrong with the file; "" where nothing is. Reads all of it. Raises QueueError."""
        with self._read() as db:
            found = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
        return "" if found == "ok" else found

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of all tables."""
        with self._transaction("BEGIN") as db:
            yield db

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """One change: all of it or nothing, and the stamp moves. Where nothing came to be changed, it stays."""
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
                if db.in_transaction:  # inside another view of ours
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
                raise QueueError(_error_message(self.path, error)) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _connect(self.path)
        return self._connection


def has_finished_run(experiment: Experiment) -> bool:
    """Whether a finished run of the experiment is there, so that nobody need train it."""
    try:
        run = runs.find_run(experiment)
    except runs.UnknownRun:  # its description is damaged
        return False
    return run is not None and run.state == "done"


def check_person(person: str) -> str:
    """`person` as it came. Raises PersonError unless it is 1 to 64 letters, digits or ._@+- and starts with one."""
    if not isinstance(person, str) or not PERSON_PATTERN.fullmatch(person):
        raise PersonError(f"A person's name is 1 to 64 letters, digits or ._@+- here. Received: person={person!r:.80}")
    return person


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.row_factory = sqlite3.Row
        if _schema_version(db) < len(MIGRATIONS):
            _migrate(db, path)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA foreign_keys = ON")
        if _schema_version(db) > len(MIGRATIONS):
            raise QueueError(f"{path} was written by a newer version of this program: use that one, or move it away.")
    except BaseException:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring the file to the newest version. One process at a time: SQLite does not wait when WAL is switched on."""
    lock = process_lock.acquire(path.with_name(path.name + ".lock"), timeout=BUSY_TIMEOUT_SECONDS)
    if lock is None:
        raise QueueError(
            f"{path} has been locked for {BUSY_TIMEOUT_SECONDS:.0f} s: is a stopped process still using it?"
        )
    with lock:
        db.execute("PRAGMA journal_mode = WAL")
        for version in range(_schema_version(db), len(MIGRATIONS)):
            db.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[version]} PRAGMA user_version = {version + 1}; COMMIT;")


def _schema_version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _error_message(path: Path, error: Exception) -> str:
    text = str(error)
    if "full" in text or "No space" in text:
        return f"The queue of trainings cannot be written: the disk is full. Free some space. ({path})"
    if "locked" in text:
        return f"The queue of trainings has been busy for {BUSY_TIMEOUT_SECONDS:.0f} s. Try again. ({path})"
    if "not a database" in text or "malformed" in text:
        return f"{path} is damaged: move it away; a new, empty queue is made, and no run is lost."
    return f"The queue of trainings cannot be used ({text}): look at {path} and at its folder's permissions."


# -- one statement each, inside a transaction ------------------------------------------------------------------------


def _job_id(job: Job | int) -> int:
    return job.id if isinstance(job, Job) else job


def _select_jobs(db: sqlite3.Connection, condition: str, *values: Any) -> list[Job]:
    """The jobs that fulfil an SQL condition of ours, with their people."""
    rows = db.execute(f"SELECT * FROM jobs WHERE {condition}", values).fetchall()
    return [_job(row, _requesters(db, row["id"])) for row in rows]


def _select_job(db: sqlite3.Connection, condition: str, *values: Any) -> Job | None:
    return next(iter(_select_jobs(db, f"{condition} LIMIT 1", *values)), None)


def _get_job(db: sqlite3.Connection, number: int) -> Job:
    if (job := _select_job(db, "id = ?", number)) is None:
        raise UnknownJob(f"There is no such training in the queue. Received: job={number!r}")
    return job


def _requesters(db: sqlite3.Connection, number: int) -> tuple[str, ...]:
    wanted = "SELECT person FROM requests WHERE job = ? AND withdrawn IS NULL ORDER BY submitted, person"
    return tuple(row["person"] for row in db.execute(wanted, (number,)))


def _job(row: sqlite3.Row, people: tuple[str, ...]) -> Job:
    same = {name: row[name] for name in row.keys() if name not in ("experiment", "alone")}  # noqa: SIM118
    return Job(**same, experiment_json=row["experiment"], exclusive=bool(row["alone"]), requesters=people)


def _queue_counts(db: sqlite3.Connection, person: str) -> quotas.QueueCounts:
    """What the limits are about."""
    mine = "FROM requests JOIN jobs ON jobs.id = requests.job WHERE person = ?"
    active = "AND withdrawn IS NULL AND state IN ('queued', 'running')"
    return quotas.QueueCounts(
        active=_count(db, f"{mine} {active}", person),
        recent=_count(
            db, "FROM requests WHERE person = ? AND submitted > ?", person, time.time() - RATE_WINDOW_SECONDS
        ),
        waiting=_count(db, "FROM jobs WHERE state = 'queued'"),
        is_accepting=not _counter(db, "closed"),
    )


def _count(db: sqlite3.Connection, rest: str, *values: Any) -> int:
    return int(db.execute(f"SELECT count(*) {rest}", values).fetchone()[0])


def _insert(db: sqlite3.Connection, experiment: Experiment, state: str) -> int:
    now = time.time()
    cursor = db.execute(
        "INSERT INTO jobs (key, experiment, state, submitted, finished) VALUES (?, ?, ?, ?, ?)",
        (experiment.key, experiment.to_json(), state, now, now if state == DONE else None),
    )
    return int(cursor.lastrowid or 0)


def _request(db: sqlite3.Connection, number: int, person: str) -> None:
    """`person` wants the job; who wants it already keeps the time of the first wish."""
    db.execute(
        "INSERT INTO requests (job, person, submitted) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE "
        "SET submitted = CASE WHEN withdrawn IS NULL THEN submitted ELSE ?3 END, withdrawn = NULL",
        (number, person, time.time()),
    )


def _withdraw(db: sqlite3.Connection, condition: str, *values: Any) -> None:
    sql = f"UPDATE requests SET withdrawn = ? WHERE {condition} AND withdrawn IS NULL"
    db.execute(sql, (time.time(), *values))


def _cancel_unwanted(db: sqlite3.Connection, number: int) -> Job:
    """A waiting job that nobody wants is over; a running one is left for the dispatcher to stop."""
    job = _get_job(db, number)
    if job.state == QUEUED and not job.is_wanted:
        _set_terminal_state(db, number, CANCELLED)
    return _get_job(db, number)


def _set_terminal_state(db: sqlite3.Connection, number: int, state: str, reason: str | None = None) -> int:
    """Bring a job that is not over to one of its ends."""
    sql = "UPDATE jobs SET state = ?, reason = ?, finished = ? WHERE id = ? AND state IN ('queued', 'running')"
    db.execute(sql, (state, reason, time.time(), number))
    return number


def _waiting_turns(db: sqlite3.Connection) -> Iterator[Turn]:
    rows = db.execute(
        "SELECT requests.submitted, jobs.id, person, attempts > 0 AS resumed FROM jobs "
        "JOIN requests ON requests.job = jobs.id WHERE state = 'queued' AND withdrawn IS NULL"
    ).fetchall()
    requests = [Request(row["submitted"], row["id"], row["person"], bool(row["resumed"])) for row in rows]
    rounds = {row["person"]: row["round"] for row in db.execute("SELECT person, round FROM people")}
    return fair_order(requests, rounds, _counter(db, "round"))


def _take_turn(db: sqlite3.Connection, turn: Turn) -> None:
    """This turn is taken: the person's next one is in the next round."""
    if turn.person is None:
        return
    sql = "INSERT INTO people VALUES (?1, ?2) ON CONFLICT DO UPDATE SET round = ?2"
    db.execute(sql, (turn.person, turn.round + 1))
    db.execute("UPDATE counters SET value = max(value, ?) WHERE name = 'round'", (turn.round,))


def _counter(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchone()[0])
