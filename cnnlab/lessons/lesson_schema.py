"""The tables of `lessons.sqlite`, and what its errors mean."""

import sqlite3
from pathlib import Path

BUSY_TIMEOUT_SECONDS = 20.0  # how long a write waits for its turn

# One script for each version of the file; a newer program brings an older file up to date, one script after the other.
MIGRATIONS = (
    """
    CREATE TABLE learners (
        learner TEXT PRIMARY KEY,
        nickname TEXT NOT NULL DEFAULT '',
        code TEXT NOT NULL UNIQUE,
        sheet TEXT NOT NULL DEFAULT '',
        step TEXT NOT NULL DEFAULT '',
        folded INTEGER NOT NULL DEFAULT 0,
        class TEXT NOT NULL DEFAULT '',
        moved REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX learners_by_class ON learners (class);
    CREATE TABLE devices (person TEXT PRIMARY KEY, learner TEXT NOT NULL REFERENCES learners ON DELETE CASCADE);
    CREATE TABLE answers (
        learner TEXT NOT NULL REFERENCES learners ON DELETE CASCADE,
        sheet TEXT NOT NULL,
        step TEXT NOT NULL,
        round INTEGER NOT NULL,
        content TEXT NOT NULL,
        submitted REAL NOT NULL,
        PRIMARY KEY (learner, sheet, step, round)
    ) WITHOUT ROWID;
    CREATE INDEX answers_by_step ON answers (sheet, step, round);
    CREATE TABLE classes (
        code TEXT PRIMARY KEY,
        sheet TEXT NOT NULL,
        step TEXT NOT NULL DEFAULT '',
        frozen INTEGER NOT NULL DEFAULT 0,
        follow INTEGER NOT NULL DEFAULT 0,
        started REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE votes (
        class TEXT NOT NULL REFERENCES classes ON DELETE CASCADE,
        step TEXT NOT NULL,
        round INTEGER NOT NULL DEFAULT 0,
        revealed INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (class, step)
    ) WITHOUT ROWID;
    CREATE TABLE wrong_codes (tried REAL NOT NULL);
    """,
)


class LessonError(RuntimeError):
    """The file of answers cannot be used, or refuses an action. The message is one sentence with the remedy."""


def error_message(path: Path, error: Exception) -> str:
    """One sentence with the remedy for an error of SQLite or of the disk."""
    text = str(error)
    if "full" in text or "No space" in text:
        return f"The answer cannot be saved: the disk of the server is full. Free some space. ({path})"
    if "locked" in text:
        return f"The answers have been busy for {BUSY_TIMEOUT_SECONDS:.0f} s: try again. ({path})"
    if "not a database" in text or "malformed" in text:
        return f"{path} is damaged: move it away; a new, empty file is made."
    return f"The answers cannot be used ({text}): look at {path} and at its folder's permissions."


def schema_version(db: sqlite3.Connection) -> int:
    """The number of migrations that this file has."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])
