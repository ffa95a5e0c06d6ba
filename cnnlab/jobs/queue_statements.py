"""The SQL statements of the queue; each function runs inside a transaction of `Queue`.

Column names differ from those of `Job` in two places: `experiment` is `experiment_json`, `alone` is `exclusive`.
"""

import sqlite3
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from cnnlab.experiment import Experiment
from cnnlab.jobs import quotas
from cnnlab.jobs.fair_scheduling import Request, Turn, fair_order
from cnnlab.jobs.job import CANCELLED, DONE, QUEUED, Job, UnknownJob
from cnnlab.settings import BROWSER_NAME_PATTERN, Settings
from cnnlab.storage.signing_key import signing_key

MAX_UNTRAINED_JOBS, FORGET_EVERY = 5_000, 500  # jobs that are kept; jobs after which the others are deleted
RATE_WINDOW_SECONDS = 60.0  # the window of `submissions_per_minute`


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
    same = {name: row[name] for name in row.keys() if name not in ("experiment", "alone", "cost")}  # noqa: SIM118
    return Job(**same, experiment_json=row["experiment"], exclusive=bool(row["alone"]), requesters=requesters)


def queue_counts(db: sqlite3.Connection, person: str, address: str, allowed: Settings) -> quotas.QueueCounts:
    """The counts that the quotas limit; those of an unknown address, "", are 0."""
    now = time.time()
    mine, theirs = ("person = ?", person), ("address = ? AND address != ''", address)
    return quotas.QueueCounts(
        person=_requester_counts(db, *mine, now),
        address=_requester_counts(db, *theirs, now),
        waiting=_count(db, "FROM jobs WHERE state = 'queued'"),
        is_accepting=not read_counter(db, "closed"),
        is_member=_may_ask(db, person, allowed),
    )


def _requester_counts(db: sqlite3.Connection, condition: str, value: str, now: float) -> quotas.RequesterCounts:
    """The counts of the requests that fulfill the condition."""
    jobs = f"FROM jobs WHERE id IN (SELECT job FROM requests WHERE {condition} AND withdrawn IS NULL)"
    active = f"{jobs} AND state IN ('queued', 'running')"
    minute = (now - RATE_WINDOW_SECONDS, now)  # without requests from the future, after the clock was set back
    return quotas.RequesterCounts(
        active=_count(db, active, value),
        waiting=_count(db, f"{jobs} AND state = 'queued'", value),
        recent=_count(db, f"FROM requests WHERE {condition} AND submitted BETWEEN ? AND ?", value, *minute),
        cost=float(db.execute(f"SELECT coalesce(sum(cost), 0) {active}", (value,)).fetchone()[0]),
    )


def _may_ask(db: sqlite3.Connection, person: str, allowed: Settings) -> bool:
    """Whether the person has typed the class code, or needs none: has an account, or the settings have no code."""
    if not allowed.class_code or not BROWSER_NAME_PATTERN.fullmatch(person):
        return True
    return is_member(db, person, signing_key().sign("class code", allowed.class_code))


def is_member(db: sqlite3.Connection, person: str, code: str) -> bool:
    """Whether the person has typed the class code with this digest."""
    return _count(db, "FROM class_members WHERE person = ? AND code = ?", person, code) > 0


def insert_member(db: sqlite3.Connection, person: str, code: str, address: str) -> None:
    """Record that the person has typed the class code with this digest, from a network address with this digest."""
    sql = "INSERT INTO class_members VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET code = ?2, address = ?3"
    db.execute(sql, (person, code, address))


class MemberCounts(NamedTuple):
    """How many browsers have typed a class code, from one address and from all, and how many another code."""

    of_address: int
    of_code: int
    of_other_codes: int


def count_members(db: sqlite3.Connection, code: str, address: str) -> MemberCounts:
    """The counts for the class code and the network address with these digests."""
    of_code = _count(db, "FROM class_members WHERE code = ?", code)
    return MemberCounts(
        of_address=_count(db, "FROM class_members WHERE code = ? AND address = ?", code, address),
        of_code=of_code,
        of_other_codes=_count(db, "FROM class_members") - of_code,
    )


def delete_members_of_other_codes(db: sqlite3.Connection, code: str) -> None:
    """Forget who typed another class code than the one with this digest."""
    db.execute("DELETE FROM class_members WHERE code != ?", (code,))


def insert_teacher(db: sqlite3.Connection, person: str, key: str, typed: float) -> None:
    """Record that the person typed the teacher's key with this digest at this Unix time."""
    db.execute("INSERT OR REPLACE INTO teachers VALUES (?, ?, ?)", (person, key, typed))


def is_teacher(db: sqlite3.Connection, person: str, key: str, since: float) -> bool:
    """Whether the person typed the teacher's key with this digest after this Unix time."""
    return _count(db, "FROM teachers WHERE person = ? AND key = ? AND typed > ?", person, key, since) > 0


def delete_teacher(db: sqlite3.Connection, person: str, before: float) -> None:
    """Forget that the person typed the teacher's key, and everybody who did before this Unix time."""
    db.execute("DELETE FROM teachers WHERE person = ? OR typed <= ?", (person, before))


def count_states(db: sqlite3.Connection, since: float) -> dict[str, int]:
    """The number of jobs submitted after this Unix time by their state."""
    rows = db.execute("SELECT state, count(*) AS jobs FROM jobs WHERE submitted > ? GROUP BY state", (since,))
    return {str(row["state"]): int(row["jobs"]) for row in rows}


def wrong_key_times(db: sqlite3.Connection, kind: str, since: float, now: float) -> list[float]:
    """When wrong keys of this kind were typed after `since` (Unix times).

    Older ones are deleted, and those from the future: the clock was set back.
    """
    db.execute("DELETE FROM wrong_keys WHERE tried NOT BETWEEN ? AND ?", (since, now))
    return [float(row["tried"]) for row in db.execute("SELECT tried FROM wrong_keys WHERE kind = ?", (kind,))]


def insert_wrong_key(db: sqlite3.Connection, kind: str, tried: float) -> None:
    """Record that a wrong key of this kind was typed."""
    db.execute("INSERT INTO wrong_keys VALUES (?, ?)", (kind, tried))


def forget_wrong_keys(db: sqlite3.Connection, kind: str) -> None:
    """Delete the wrong keys of this kind: the right one was typed."""
    db.execute("DELETE FROM wrong_keys WHERE kind = ?", (kind,))


def has_asked(db: sqlite3.Connection, person: str, before: float) -> bool:
    """Whether the person asked for any training before this Unix time."""
    return _count(db, "FROM requests WHERE person = ? AND submitted < ?", person, before) > 0


def _count(db: sqlite3.Connection, rest: str, *values: Any) -> int:
    return int(db.execute(f"SELECT count(*) {rest}", values).fetchone()[0])


def insert_job(db: sqlite3.Connection, experiment: Experiment, state: str, cost: float) -> int:
    """Insert a job in this state; returns its number."""
    now = time.time()
    cursor = db.execute(
        "INSERT INTO jobs (key, experiment, state, submitted, finished, cost) VALUES (?, ?, ?, ?, ?, ?)",
        (experiment.key, experiment.to_json(), state, now, now if state == DONE else None, cost),
    )
    return int(cursor.lastrowid or 0)


def forget_untrained_jobs(db: sqlite3.Connection) -> None:
    """Delete the jobs that no worker ever began, withdrawn or done from the cache, beyond the newest so many.

    There may be 120 of them a minute from one network address; what was trained is kept.
    """
    untrained = "attempts = 0 AND state IN ('done', 'cancelled')"
    oldest = f"SELECT id FROM jobs WHERE {untrained} ORDER BY id DESC LIMIT 1 OFFSET {MAX_UNTRAINED_JOBS}"
    gone = f"SELECT id FROM jobs WHERE {untrained} AND id <= ({oldest})"
    db.execute(f"DELETE FROM requests WHERE job IN ({gone})")
    db.execute(f"DELETE FROM jobs WHERE id IN ({gone})")


def insert_request(db: sqlite3.Connection, number: int, person: str, address: str) -> None:
    """Insert `person`'s request on the job; an existing request keeps its time."""
    db.execute(
        "INSERT INTO requests (job, person, submitted, address) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE "
        "SET submitted = CASE WHEN withdrawn IS NULL THEN submitted ELSE ?3 END, withdrawn = NULL, address = ?4",
        (number, person, time.time(), address),
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
        "SELECT requests.submitted, jobs.id, person, address, attempts > 0 AS resumed FROM jobs "
        "JOIN requests ON requests.job = jobs.id WHERE state = 'queued' AND withdrawn IS NULL"
    ).fetchall()
    requests = [
        Request(row["submitted"], row["id"], row["person"], bool(row["resumed"]), row["address"]) for row in rows
    ]
    rounds = {row["person"]: row["round"] for row in db.execute("SELECT person, round FROM people")}
    current = read_counter(db, "round")
    sql = "SELECT address, count(DISTINCT person) FROM requests JOIN people USING (person) WHERE round > ? GROUP BY 1"
    served = dict(map(tuple, db.execute(sql, (current,))))
    return fair_order(requests, rounds, current, served)


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
