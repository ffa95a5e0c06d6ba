"""What the file of answers takes: of one learner, of one network address, and in all.

A cookie costs a visitor nothing, and each new one is a new learner. So one address begins at most
MAX_NEW_OF_ADDRESS within an hour, ten classes of thirty, and keeps MAX_OF_ADDRESS outside classes, which with
MAX_LEARNER_BYTES each is less than half of MAX_FILE_BYTES. Learners of a class do not count among those that are kept:
its code is known to the class only, and a class has a limit of its own. Nothing that somebody did is removed.
"""

import sqlite3
import time

from cnnlab.lessons.lesson_schema import LessonError

MAX_NEW_OF_ADDRESS, WINDOW_SECONDS = 300, 3600.0
MAX_OF_ADDRESS = 1_500
MAX_ANSWER_BYTES, MAX_LEARNER_BYTES = 50_000, 300_000  # of the answers as JSON
MAX_FILE_BYTES = 10**9  # beyond which nobody new begins


def check_new_learner(db: sqlite3.Connection, address: str) -> None:
    """Raises LessonError where nobody new may begin, or nobody from this address ("": unknown)."""
    pages, page_bytes = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size"))
    if pages * page_bytes > MAX_FILE_BYTES:
        raise LessonError("This server keeps as many answers as it can: ask your teacher to delete old classes.")
    if not address:
        return
    now = time.time()
    new = _count(db, "address = ? AND created BETWEEN ? AND ?", address, now - WINDOW_SECONDS, now)
    if new >= MAX_NEW_OF_ADDRESS:
        raise LessonError(
            f"From your network {new} people have begun a sheet within an hour, and {MAX_NEW_OF_ADDRESS} may: try again"
            " later."
        )
    kept = _count(db, "address = ? AND class = ''", address)
    if kept >= MAX_OF_ADDRESS:
        raise LessonError(
            f"From your network {kept:,} people work on a sheet outside a class, and {MAX_OF_ADDRESS:,} may: ask your"
            " teacher to start a class."
        )


def check_answer_size(db: sqlite3.Connection, key: tuple[str, str, str, int], content: str) -> None:
    """Raises LessonError where this answer, as JSON, is too large, or with all others of its learner.

    `key` is learner, sheet, step and round; an answer that it replaces does not count.
    """
    if len(content) > MAX_ANSWER_BYTES:
        raise LessonError(
            f"An answer takes at most {MAX_ANSWER_BYTES:,} bytes, and this one takes {len(content):,}: shorten it."
        )
    sql = (
        "SELECT coalesce(sum(length(content)), 0) FROM answers"
        " WHERE learner = ?1 AND NOT (sheet = ?2 AND step = ?3 AND round = ?4)"
    )
    if int(db.execute(sql, key).fetchone()[0]) + len(content) > MAX_LEARNER_BYTES:
        raise LessonError(
            f"Your answers would take more than {MAX_LEARNER_BYTES:,} bytes, which is the most: shorten this one."
        )


def _count(db: sqlite3.Connection, condition: str, *values: object) -> int:
    return int(db.execute(f"SELECT count(*) FROM learners WHERE {condition}", values).fetchone()[0])
