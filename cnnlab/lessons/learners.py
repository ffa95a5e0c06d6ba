"""Who works on a sheet: the place in it, a nickname, and the code with which another device continues."""

import secrets
import sqlite3
import time
from dataclasses import dataclass

from cnnlab.jobs.nicknames import check_nickname
from cnnlab.lessons import learner_limits
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.lesson_schema import LessonError

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # without letters and digits that look alike
CODE_LENGTH = 8
MAX_WRONG_CODES, WRONG_CODE_SECONDS = 60, 600.0  # of all devices together


@dataclass(frozen=True)
class Learner:
    """A learner: `moved` is the Unix time of the last change of the step; `class_code` is "" outside a class."""

    learner: str
    nickname: str
    code: str
    sheet: str
    step: str
    folded: bool
    class_code: str
    moved: float


def new_code(length: int) -> str:
    """Random letters and digits, 4.95 bits each."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def find_learner(file: LessonFile, person: str) -> Learner | None:
    """The learner of this browser or account; None who has opened no sheet yet."""
    with file.reading() as db:
        return _find(db, person)


def open_sheet(file: LessonFile, person: str, sheet: str, step: str, address: str = "") -> Learner:
    """Begin or continue a sheet; `step` is where a new one begins.

    `address` is a digest of the network address ("": unknown). Raises LessonError where a limit is reached.
    """
    with file.writing() as db:
        known = _find(db, person)
        if known is None:
            learner_limits.check_new_learner(db, address)
            now = time.time()
            db.execute(
                "INSERT INTO learners (learner, code, moved, address, created) VALUES (?, ?, ?, ?, ?)",
                (person, new_code(CODE_LENGTH), now, address, now),
            )
            db.execute("INSERT INTO devices VALUES (?, ?)", (person, person))
        learner = known.learner if known else person
        same = known is not None and known.sheet == sheet and known.step
        place = (sheet, known.step if known and same else step, time.time(), learner)
        db.execute("UPDATE learners SET sheet = ?, step = ?, folded = 0, moved = ? WHERE learner = ?", place)
        return _existing(db, person)


def close_sheet(file: LessonFile, learner: Learner) -> None:
    """Take the panel away and leave the class; answers stay."""
    with file.writing() as db:
        db.execute("UPDATE learners SET sheet = '', step = '', class = '' WHERE learner = ?", (learner.learner,))


def move(file: LessonFile, learner: Learner, step: str) -> None:
    """Make this step the one that the learner is at."""
    with file.writing() as db:
        values = (step, time.time(), learner.learner, step)
        db.execute("UPDATE learners SET step = ?, moved = ? WHERE learner = ? AND step != ?", values)


def fold(file: LessonFile, learner: Learner, folded: bool) -> None:
    """Fold the panel, or open it."""
    with file.writing() as db:
        db.execute("UPDATE learners SET folded = ? WHERE learner = ?", (folded, learner.learner))


def set_nickname(file: LessonFile, learner: Learner, nickname: str) -> None:
    """Give oneself a nickname. Raises NicknameError for one that is too long or not printable."""
    name = check_nickname(nickname)
    with file.writing() as db:
        db.execute("UPDATE learners SET nickname = ? WHERE learner = ?", (name, learner.learner))


def continue_on_device(file: LessonFile, person: str, nickname: str, code: str) -> Learner:
    """This browser goes on as the learner with this nickname and code. Raises LessonError for a wrong pair."""
    typed = code.strip().upper().replace("-", "")
    with file.writing() as db:
        now = time.time()
        db.execute("DELETE FROM wrong_codes WHERE tried NOT BETWEEN ? AND ?", (now - WRONG_CODE_SECONDS, now))
        wrong = int(db.execute("SELECT count(*) FROM wrong_codes").fetchone()[0])
        if wrong >= MAX_WRONG_CODES:
            raise LessonError("Too many wrong codes were typed: try again in ten minutes.")
        row = db.execute("SELECT * FROM learners WHERE code = ?", (typed,)).fetchone()
        if row is None or row["nickname"].casefold() != " ".join(nickname.split()).casefold():
            db.execute("INSERT INTO wrong_codes VALUES (?)", (now,))
        else:
            db.execute("INSERT OR REPLACE INTO devices VALUES (?, ?)", (person, row["learner"]))
            return _existing(db, person)
    raise LessonError(
        "There is no learner with this nickname and this code: both stand in the lesson on your first device."
    )


def read_learner(row: sqlite3.Row) -> Learner:
    """The learner in a row of the table."""
    return Learner(
        learner=row["learner"],
        nickname=row["nickname"],
        code=row["code"],
        sheet=row["sheet"],
        step=row["step"],
        folded=bool(row["folded"]),
        class_code=row["class"],
        moved=row["moved"],
    )


def _find(db: sqlite3.Connection, person: str) -> Learner | None:
    statement = "SELECT learners.* FROM learners JOIN devices USING (learner) WHERE person = ?"
    row = db.execute(statement, (person,)).fetchone()
    return read_learner(row) if row else None


def _existing(db: sqlite3.Connection, person: str) -> Learner:
    found = _find(db, person)
    if found is None:
        raise LessonError("This learner was deleted: open the sheet again.")
    return found
