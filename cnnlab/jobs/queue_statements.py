"""The SQL statements of the queue; each function runs inside a transaction of `Queue`.

Column names differ from those of `Job` in two places: `experiment` is `experiment_json`, `alone` is `exclusive`.
"""

import sqlite3
import time
from collections.abc import Iterator
from typing import Any

from cnnlab.experiment import Experiment
from cnnlab.jobs import quotas
from cnnlab.jobs.fair_scheduling import Request, Turn, fair_order
from cnnlab.jobs.job import CANCELLED, DONE, QUEUED, Job, UnknownJob

RATE_WINDOW_SECONDS = 60.0  # `submissions_per_minute` looks back so far


def select_jobs(db: sqlite3.Connection, condition: str, *values: Any) -> list[Job]:
    """The jobs that fulfill an SQL condition (never user input), with their requesters."""
    rows = db.execute(f"SELECT * FROM jobs WHERE {condition}", values).fetchall()
    return [_job(row, _requesters(db, row["id"])) for row in rows]


def select_job(db: sqlite3.Connection, condition: str, *values: Any) -> Job | None:
    """The first job that fulfills the condition, or None."""
    return next(iter(select_jobs(db, f"{condition} LIMIT 1", *values)), None)


def get_job(db: sqlite3.Connection, number: int) -> Job:
    """The job with this number. Raises UnknownJob."""
    if (job := select_job(db, "id = ?", number)) is None:
        raise UnknownJob(f"There is no such training in the queue. Received: job={number!r}")
    return job


def _requesters(db: sqlite3.Connection, number: int) -> tuple[str, ...]:
    wanted = "SELECT person FROM requests WHERE job = ? AND withdrawn IS NULL ORDER BY submitted, person"
    return tuple(row["person"] for row in db.execute(wanted, (number,)))


def _job(row: sqlite3.Row, requesters: tuple[str, ...]) -> Job:
    same = {name: row[name] for name in row.keys() if name not in ("experiment", "alone")}  # noqa: SIM118
    return Job(**same, experiment_json=row["experiment"], exclusive=bool(row["alone"]), requesters=requesters)


def queue_counts(db: sqlite3.Connection, person: str) -> quotas.QueueCounts:
    """The counts that the quotas limit."""
    mine = "FROM requests JOIN jobs ON jobs.id = requests.job WHERE person = ?"
    active = "AND withdrawn IS NULL AND state IN ('queued', 'running')"
    return quotas.QueueCounts(
        active=_count(db, f"{mine} {active}", person),
        recent=_count(
            db, "FROM requests WHERE person = ? AND submitted > ?", person, time.time() - RATE_WINDOW_SECONDS
        ),
        waiting=_count(db, "FROM jobs WHERE state = 'queued'"),
        is_accepting=not read_counter(db, "closed"),
    )


def _count(db: sqlite3.Connection, rest: str, *values: Any) -> int:
    return int(db.execute(f"SELECT count(*) {rest}", values).fetchone()[0])


def insert_job(db: sqlite3.Connection, experiment: Experiment, state: str) -> int:
    """Insert a job in this state; returns its number."""
    now = time.time()
    cursor = db.execute(
        "INSERT INTO jobs (key, experiment, state, submitted, finished) VALUES (?, ?, ?, ?, ?)",
        (experiment.key, experiment.to_json(), state, now, now if state == DONE else None),
    )
    return int(cursor.lastrowid or 0)


def insert_request(db: sqlite3.Connection, number: int, person: str) -> None:
    """Insert `person`'s request on the job; an existing request keeps its time."""
    db.execute(
        "INSERT INTO requests (job, person, submitted) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE "
        "SET submitted = CASE WHEN withdrawn IS NULL THEN submitted ELSE ?3 END, withdrawn = NULL",
        (number, person, time.time()),
    )


def withdraw(db: sqlite3.Connection, condition: str, *values: Any) -> None:
    """Withdraw the requests that fulfill the condition."""
    sql = f"UPDATE requests SET withdrawn = ? WHERE {condition} AND withdrawn IS NULL"
    db.execute(sql, (time.time(), *values))


def cancel_unwanted(db: sqlite3.Connection, number: int) -> Job:
    """Cancel a waiting job without requests; a running one is stopped by the dispatcher."""
    job = get_job(db, number)
    if job.state == QUEUED and not job.is_wanted:
        set_terminal_state(db, number, CANCELLED)
    return get_job(db, number)


def set_terminal_state(db: sqlite3.Connection, number: int, state: str, reason: str | None = None) -> int:
    """Set the final state of a job that is not finished; returns its number."""
    sql = "UPDATE jobs SET state = ?, reason = ?, finished = ? WHERE id = ? AND state IN ('queued', 'running')"
    db.execute(sql, (state, reason, time.time(), number))
    return number


def waiting_turns(db: sqlite3.Connection) -> Iterator[Turn]:
    """The waiting jobs in the order in which they start."""
    rows = db.execute(
        "SELECT requests.submitted, jobs.id, person, attempts > 0 AS resumed FROM jobs "
        "JOIN requests ON requests.job = jobs.id WHERE state = 'queued' AND withdrawn IS NULL"
    ).fetchall()
    requests = [Request(row["submitted"], row["id"], row["person"], bool(row["resumed"])) for row in rows]
    rounds = {row["person"]: row["round"] for row in db.execute("SELECT person, round FROM people")}
    return fair_order(requests, rounds, read_counter(db, "round"))


def take_turn(db: sqlite3.Connection, turn: Turn) -> None:
    """Record that this turn was taken: the person's next one is in the next round."""
    if turn.person is None:
        return
    sql = "INSERT INTO people VALUES (?1, ?2) ON CONFLICT DO UPDATE SET round = ?2"
    db.execute(sql, (turn.person, turn.round + 1))
    db.execute("UPDATE counters SET value = max(value, ?) WHERE name = 'round'", (turn.round,))


def read_counter(db: sqlite3.Connection, name: str) -> int:
    """The value of a counter."""
    return int(db.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchone()[0])
