"""The limits of what is imported from a page, networks and sets of pictures: by person, by network address, in all.

A cookie costs a visitor nothing, so the limits of one person do not bound who deletes it. So one address may also try
only so often within an hour (`address_imports_per_hour`) and keep only a part of the room (`address_import_megabytes`).
Thirty students behind one address fit: each may try eight times within an hour, and keep 33 MB of networks and as much
of pictures, which is 30 networks of the report, or 10,000 pictures. A school that needs more raises the two settings,
or tells its students apart by sign-in: an account is one person, whatever its address. Nothing is removed to make room.

The queue's file has a row for each try, made in the transaction that counts them, with the bytes that it may need; so
imports at one moment cannot pass a limit together. A row is kept as long as what it imported, or for an hour.

An import holds its file and its pictures in the memory of the web process, so MAX_AT_ONCE go on and others wait.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

from cnnlab import settings
from cnnlab.formatting import pluralize
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.settings import Settings
from cnnlab.storage import files, process_lock

WINDOW_SECONDS = 3600.0  # of `address_imports_per_hour`, and the longest that an import may take
MAX_AT_ONCE = 3  # imports of a home: each holds a file of 25 MB and the 31 MB of its pictures, some of it twice
WAIT_SECONDS, POLL_SECONDS = 120.0, 0.2


@dataclass(frozen=True, kw_only=True)
class ImportKind:
    """A kind of import: the word for one of them, how many one person may keep, and the bytes of all together."""

    noun: str
    most_of_person: int
    max_bytes: int


@dataclass(frozen=True)
class Stored:
    """What is kept of a kind: the bytes by name, and the names of those that this person imported."""

    sizes: Mapping[str, int]
    own: frozenset[str]


@dataclass
class Import:
    """An import that goes on; `name` is what it has made, "" before."""

    name: str = ""


@contextmanager
def counted_import(
    kind: ImportKind, person: str, address: str, stored: Stored, max_bytes: int, poll: Callable[[], None] = lambda: None
) -> Iterator[Import]:
    """Count an import that keeps at most `max_bytes` against the limits as long as the block runs.

    It begins when fewer than MAX_AT_ONCE others go on; `poll` is called meanwhile, and what it raises ends the wait.

    `address` is a digest of the network address; "" where it is unknown or not limited, as for an account or a teacher.
    The block sets the name of what it has made; without one, the import has failed and counts as a try only. Raises
    QuotaExceeded, SettingsError, QueueError.
    """
    with closing(Queue()) as queue:
        with queue.write_transaction() as db:
            _forget(db, kind, stored)
            _check(db, kind, person, address, stored, max_bytes)
            sql = "INSERT INTO imports (kind, person, address, started, bytes) VALUES (?, ?, ?, ?, ?)"
            number = db.execute(sql, (kind.noun, person, address, time.time(), max_bytes)).lastrowid
        made = Import()
        try:
            with _place(poll):
                yield made
        finally:
            with suppress(QueueError), queue.write_transaction() as db:  # else it counts as going on, for an hour
                db.execute("UPDATE imports SET name = ?, bytes = 0 WHERE id = ?", (made.name, number))


@contextmanager
def _place(poll: Callable[[], None]) -> Iterator[None]:
    """One of the home's MAX_AT_ONCE places, a file lock that ends with its process. Raises QuotaExceeded."""

    def wait() -> None:
        poll()
        time.sleep(POLL_SECONDS)

    paths = [settings.home() / "workers" / f"import{number}.lock" for number in range(MAX_AT_ONCE)]
    try:
        lock = process_lock.acquire_any(paths, timeout=WAIT_SECONDS, poll=wait)
    except OSError as error:
        raise QuotaExceeded(files.disk_error_message(error, settings.home(), 1)) from None
    if lock is None:
        raise QuotaExceeded("Many people import something at this moment: try again in a minute.")
    with lock:
        yield


def _forget(db: sqlite3.Connection, kind: ImportKind, stored: Stored) -> None:
    """Delete the rows of what was removed, of tries that failed, and of imports that a process did not end.

    A row from the future is as old: the clock was set back.
    """
    outside = (kind.noun, time.time(), WINDOW_SECONDS)
    gone = [
        (row["id"],)
        for row in db.execute("SELECT id, name FROM imports WHERE kind = ? AND abs(started - ?) > ?", outside)
        if row["name"] not in stored.sizes
    ]
    db.executemany("DELETE FROM imports WHERE id = ?", gone)


def _check(db: sqlite3.Connection, kind: ImportKind, person: str, address: str, stored: Stored, size: int) -> None:
    """Raises QuotaExceeded where a limit is reached."""
    rows = db.execute("SELECT * FROM imports WHERE kind = ? ORDER BY id", (kind.noun,)).fetchall()
    going_on = [row for row in rows if row["bytes"]]
    mine = len(stored.own) + sum(row["person"] == person for row in going_on)
    if mine >= kind.most_of_person:
        raise QuotaExceeded(f"You have {pluralize(mine, kind.noun)} here, as many as one person may: remove one first.")
    if sum(stored.sizes.values()) + sum(row["bytes"] for row in going_on) + size > kind.max_bytes:
        raise QuotaExceeded(
            f"The {kind.noun}s of everybody take {kind.max_bytes / 1e9:.0f} GB here, all that they may: remove one of"
            " yours, or ask the teacher to."
        )
    if address:
        theirs = [row for row in rows if row["address"] == address]
        _check_address(kind, theirs, stored, size, settings.current())


def _check_address(kind: ImportKind, rows: list[sqlite3.Row], stored: Stored, size: int, allowed: Settings) -> None:
    """The limits of one network address, whose imports these rows are."""
    tries = sum(abs(row["started"] - time.time()) < WINDOW_SECONDS for row in rows)
    if tries >= allowed.address_imports_per_hour:
        raise QuotaExceeded(
            f"{pluralize(tries, 'import')} came from your network address within an hour, and at most"
            f" {allowed.address_imports_per_hour} may: try again later."
        )
    kept = sum(stored.sizes.get(name, 0) for name in {row["name"] for row in rows})
    most = allowed.address_import_megabytes
    if kept + sum(row["bytes"] for row in rows) + size > most * 10**6:
        raise QuotaExceeded(
            f"The {kind.noun}s imported from your network address take {kept / 1e6:.0f} MB here, and {most:g} MB may:"
            " remove one of yours first."
        )
