"""A class works on one sheet: its code, the teacher's step, freeze, follow, votes and their tallies.

`STORED` says what is stored of a class. Whoever calls these functions checks that the person is a teacher.
"""

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnnlab.formatting import csv_text
from cnnlab.lessons.answers import read_answer
from cnnlab.lessons.learners import Learner, new_code, read_learner
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.lessons.sheet import Sheet

CODE_LENGTH, MAX_CLASSES, MAX_MEMBERS = 5, 50, 500
STORED = (
    "Stored of a class: for each student a random name of the browser (or the account), the nickname, the place in the"
    " sheet and the answers with their times. Deleting the class deletes all of it, on every device, for good."
)
DANGEROUS_FIRST = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would read such a cell as a formula


@dataclass(frozen=True)
class LessonClass:
    """A class: with `follow`, everybody is at the teacher's `step`; with `frozen`, no answers are taken."""

    code: str
    sheet: str
    step: str
    frozen: bool
    follow: bool
    started: float


@dataclass(frozen=True)
class Vote:
    """The vote on one step: its round from 0, and whether the result is shown."""

    round: int = 0
    revealed: bool = False


@dataclass(frozen=True)
class Member:
    """A learner of a class with the number of steps answered and the Unix time of the last answer.

    `persons`: the browsers or accounts that work as this learner, by their names in the queue of trainings.
    """

    learner: Learner
    answered: int
    last_answer: float | None
    persons: tuple[str, ...] = ()


def start_class(file: LessonFile, sheet: Sheet) -> LessonClass:
    """A new class for a sheet. Raises LessonError where there are MAX_CLASSES."""
    code, now = new_code(CODE_LENGTH), time.time()
    with file.writing() as db:
        if db.execute("SELECT count(*) FROM classes").fetchone()[0] >= MAX_CLASSES:
            raise LessonError(f"There are {MAX_CLASSES} classes: delete one first.")
        values = (code, sheet.name, sheet.steps[0].id, now)
        db.execute("INSERT INTO classes (code, sheet, step, started) VALUES (?, ?, ?, ?)", values)
    return LessonClass(code, sheet.name, sheet.steps[0].id, False, False, now)


def list_classes(file: LessonFile) -> list[LessonClass]:
    """All classes, the newest first."""
    with file.reading() as db:
        return [_read(row) for row in db.execute("SELECT * FROM classes ORDER BY started DESC")]


def find_class(file: LessonFile, code: str) -> LessonClass | None:
    """The class with this code, whatever its capital letters; None where there is none."""
    with file.reading() as db:
        row = db.execute("SELECT * FROM classes WHERE code = ?", (code.strip().upper(),)).fetchone()
    return _read(row) if row else None


def join_class(file: LessonFile, learner: Learner, lesson_class: LessonClass) -> None:
    """The learner works with this class from now on. Raises LessonError where it is full."""
    with file.writing() as db:
        count = db.execute("SELECT count(*) FROM learners WHERE class = ?", (lesson_class.code,)).fetchone()[0]
        if count >= MAX_MEMBERS:
            raise LessonError(f"This class has {MAX_MEMBERS} students, and more are not possible.")
        db.execute("UPDATE learners SET class = ? WHERE learner = ?", (lesson_class.code, learner.learner))


def update_class(
    file: LessonFile,
    lesson_class: LessonClass,
    *,
    step: str | None = None,
    frozen: bool | None = None,
    follow: bool | None = None,
) -> None:
    """Change the step of the class, freeze it, or let everybody follow; None leaves a value as it is."""
    changes = {"step": step, "frozen": frozen, "follow": follow}
    with file.writing() as db:
        for name, value in changes.items():
            if value is not None:
                db.execute(f"UPDATE classes SET {name} = ? WHERE code = ?", (value, lesson_class.code))


def vote_of(file: LessonFile, code: str, step: str) -> Vote:
    """The vote on a step; the first round, not revealed, where the teacher has done nothing yet."""
    with file.reading() as db:
        row = db.execute("SELECT * FROM votes WHERE class = ? AND step = ?", (code, step)).fetchone()
    return Vote(row["round"], bool(row["revealed"])) if row else Vote()


def reveal(file: LessonFile, code: str, step: str) -> None:
    """Show the result of a step to the class."""
    with file.writing() as db:
        db.execute("INSERT OR IGNORE INTO votes (class, step) VALUES (?, ?)", (code, step))
        db.execute("UPDATE votes SET revealed = 1 WHERE class = ? AND step = ?", (code, step))


def unrevealed_steps(file: LessonFile, lesson_class: LessonClass, sheet: Sheet) -> set[str]:
    """The ids of the predictions whose results the teacher has not shown to the class, or covered again."""
    with file.reading() as db:
        rows = db.execute("SELECT step FROM votes WHERE class = ? AND revealed = 1", (lesson_class.code,)).fetchall()
    return {step.id for step in sheet.steps if step.is_prediction} - {row["step"] for row in rows}


def vote_again(file: LessonFile, code: str, step: str) -> None:
    """Begin another round: everybody may answer once more, and the result is covered."""
    with file.writing() as db:
        db.execute("INSERT OR IGNORE INTO votes (class, step) VALUES (?, ?)", (code, step))
        db.execute("UPDATE votes SET round = round + 1, revealed = 0 WHERE class = ? AND step = ?", (code, step))


def members(file: LessonFile, lesson_class: LessonClass) -> list[Member]:
    """The learners of a class in the order in which they were made, with their progress in its sheet."""
    statement = """
        SELECT learners.*, count(DISTINCT answers.step) AS answered, max(answers.submitted) AS last_answer
        FROM learners LEFT JOIN answers ON answers.learner = learners.learner AND answers.sheet = ?
        WHERE class = ? GROUP BY learners.learner ORDER BY learners.code
    """
    devices = "SELECT learner, person FROM devices JOIN learners USING (learner) WHERE class = ? ORDER BY person"
    persons: dict[str, list[str]] = {}
    with file.reading() as db:
        rows = db.execute(statement, (lesson_class.sheet, lesson_class.code)).fetchall()
        for device in db.execute(devices, (lesson_class.code,)):
            persons.setdefault(device["learner"], []).append(device["person"])
    return [
        Member(read_learner(row), row["answered"], row["last_answer"], tuple(persons.get(row["learner"], ())))
        for row in rows
    ]


def answer_contents(file: LessonFile, lesson_class: LessonClass, step: str, round_number: int) -> list[Any]:
    """The answers of a class to a step in one round, without names."""
    statement = """
        SELECT answers.content FROM answers JOIN learners USING (learner)
        WHERE learners.class = ? AND answers.sheet = ? AND answers.step = ? AND answers.round = ?
        ORDER BY answers.submitted
    """
    with file.reading() as db:
        rows = db.execute(statement, (lesson_class.code, lesson_class.sheet, step, round_number))
        return [json.loads(row["content"]) for row in rows]


def answers_csv(file: LessonFile, lesson_class: LessonClass, steps: Sequence[str]) -> str:
    """All answers of a class as CSV, a row an answer, in the order of the steps."""
    statement = """
        SELECT learners.nickname, learners.learner, answers.* FROM answers JOIN learners USING (learner)
        WHERE learners.class = ? AND answers.sheet = ?
    """
    with file.reading() as db:
        rows = db.execute(statement, (lesson_class.code, lesson_class.sheet)).fetchall()
    order = {step: index for index, step in enumerate(steps)}
    table: list[Sequence[object]] = [["step", "nickname", "person", "round", "answer", "submitted"]]
    for row in sorted(rows, key=lambda row: (order.get(row["step"], len(order)), row["learner"], row["round"])):
        answer = read_answer(row)
        shown = answer.content if isinstance(answer.content, str) else json.dumps(answer.content)
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(answer.submitted))
        table.append([row["step"], _cell(row["nickname"]), row["learner"], answer.round + 1, _cell(shown), when])
    return csv_text(table)


def delete_class(file: LessonFile, lesson_class: LessonClass) -> None:
    """Delete a class, its learners and their answers: see STORED."""
    with file.writing() as db:
        db.execute("DELETE FROM learners WHERE class = ?", (lesson_class.code,))
        db.execute("DELETE FROM classes WHERE code = ?", (lesson_class.code,))


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(DANGEROUS_FIRST) else text


def _read(row: sqlite3.Row) -> LessonClass:
    return LessonClass(row["code"], row["sheet"], row["step"], bool(row["frozen"]), bool(row["follow"]), row["started"])
