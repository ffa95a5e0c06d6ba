"""The SQLite file of the queue: its tables, how it is opened and migrated, and its error messages."""

import sqlite3
from pathlib import Path

from cnnlab.storage import process_lock

BUSY_TIMEOUT_SECONDS = 20.0  # how long a write waits for the file

# One script for each version of the file; a newer program runs those that an older file lacks, in this order.
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
    """
    ALTER TABLE jobs ADD COLUMN cost REAL NOT NULL DEFAULT 0;
    ALTER TABLE requests ADD COLUMN address TEXT NOT NULL DEFAULT '';
    CREATE INDEX requests_by_address ON requests (address, submitted);
    CREATE TABLE class_members (person TEXT PRIMARY KEY, code TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE wrong_keys (kind TEXT NOT NULL, tried REAL NOT NULL);
    """,
    """
    CREATE TABLE nicknames (person TEXT PRIMARY KEY, nickname TEXT NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE teachers (person TEXT PRIMARY KEY, key TEXT NOT NULL, typed REAL NOT NULL) WITHOUT ROWID;
    """,
)


class QueueError(RuntimeError):
    """The queue's file cannot be used. The message is one sentence with the remedy."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, with the newest schema. Raises QueueError, sqlite3.Error."""
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


def error_message(path: Path, error: Exception) -> str:
    """One sentence with the remedy for an error of SQLite or of the disk."""
    text = str(error)
    if "full" in text or "No space" in text:
        return f"The queue of trainings cannot be written: the disk is full. Free some space. ({path})"
    if "locked" in text:
        return f"The queue of trainings has been busy for {BUSY_TIMEOUT_SECONDS:.0f} s. Try again. ({path})"
    if "not a database" in text or "malformed" in text:
        return f"{path} is damaged: move it away; a new, empty queue is made, and no run is lost."
    return f"The queue of trainings cannot be used ({text}): look at {path} and at its folder's permissions."
