"""Answers to the steps of a sheet. Each is one transaction; a prediction locks once it is given."""

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from cnnlab.lessons import learner_limits
from cnnlab.lessons.learners import Learner
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.lesson_schema import LessonError
from cnnlab.lessons.sheet import Step, check_answer


@dataclass(frozen=True)
class Answer:
    """An answer: its content as `sheet.check_answer` describes it, the round of the vote (0: the first), Unix time."""

    step: str
    round: int
    content: Any
    submitted: float


def submit(file: LessonFile, learner: Learner, step: Step, content: Any, round_number: int = 0) -> Answer:
    """Save an answer. Raises LessonError where it does not fit the step, or where a prediction was given before."""
    try:
        text = json.dumps(check_answer(step, content))
    except ValueError as error:
        raise LessonError(str(error)) from None
    now = time.time()
    key = (learner.learner, learner.sheet, step.id, round_number)
    with file.writing() as db:
        learner_limits.check_answer_size(db, key, text)
        if step.is_prediction:
            changed = db.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?)", (*key, text, now)).rowcount
        else:
            changed = db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", (*key, text, now)).rowcount
    if not changed:
        raise LessonError("You have given this prediction already: it stays as it is.")
    return Answer(step.id, round_number, content, now)


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
