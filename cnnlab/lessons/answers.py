"""Answers to the steps of a sheet. Each is one transaction; a prediction locks once it is given."""

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnlab.lessons import learner_limits
from cnnlab.lessons.learners import Learner
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.lessons.sheet import Sheet, Step, check_answer, fits


@dataclass(frozen=True)
class Answer:
    """An answer: its content as `sheet.check_answer` describes it, the round of the vote (0: the first), Unix time."""

    step: str
    round: int
    content: Any
    submitted: float


def submit(file: LessonFile, learner: Learner, step: Step, content: Any, round_number: int = 0) -> Answer:
    """Save an answer.

    Raises LessonError where it does not fit the step, where a prediction was given before, or the class was deleted.
    """
    try:
        text = json.dumps(check_answer(step, content))
    except ValueError as error:
        raise LessonError(str(error)) from None
    now = time.time()
    key = (learner.learner, learner.sheet, step.id, round_number)
    with file.writing() as db:
        if not db.execute("SELECT 1 FROM learners WHERE learner = ?", (learner.learner,)).fetchone():
            raise LessonError("Your teacher has deleted this class with its answers: open the sheet again.")
        learner_limits.check_answer_size(db, key, text)
        if step.is_prediction and _has_answer(db, key, step):
            raise LessonError("You have given this prediction already: it stays as it is.")
        db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", (*key, text, now))
    return Answer(step.id, round_number, content, now)


def _has_answer(db: sqlite3.Connection, key: tuple[str, str, str, int], step: Step) -> bool:
    """Whether there is an answer that fits the step."""
    sql = "SELECT content FROM answers WHERE learner = ? AND sheet = ? AND step = ? AND round = ?"
    row = db.execute(sql, key).fetchone()
    return row is not None and fits(step, json.loads(row["content"]))


def fitting_answers(sheet: Sheet, given: Mapping[str, Sequence[Answer]]) -> dict[str, list[Answer]]:
    """The answers that fit the steps of the sheet as it is now; a teacher may have changed it since they were given."""
    steps = {step.id: step for step in sheet.steps}
    kept = {
        name: [answer for answer in rounds if name in steps and fits(steps[name], answer.content)]
        for name, rounds in given.items()
    }
    return {name: some for name, some in kept.items() if some}


def answers_of(file: LessonFile, learner: Learner, sheet: str) -> dict[str, list[Answer]]:
    """The answers of a learner to a sheet by step, in the order of the rounds."""
    statement = "SELECT * FROM answers WHERE learner = ? AND sheet = ? ORDER BY step, round"
    with file.reading() as db:
        rows = db.execute(statement, (learner.learner, sheet)).fetchall()
    found: dict[str, list[Answer]] = {}
    for row in rows:
        found.setdefault(row["step"], []).append(read_answer(row))
    return found


def read_answer(row: sqlite3.Row) -> Answer:
    """The answer in a row of the table."""
    return Answer(row["step"], row["round"], json.loads(row["content"]), row["submitted"])
