"""The lesson of the person at this browser: the file of answers, the sheet that is open, its class."""

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import streamlit as st

from cnnlab.jobs import nicknames
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.lessons import answers, classes, learners, own_training, sheet_files
from cnnlab.lessons.answers import Answer
from cnnlab.lessons.classes import LessonClass, Vote
from cnnlab.lessons.learners import Learner
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.sheet import Sheet, Step
from cnnlab.lessons.sheet_files import SheetFile, UnknownSheet
from cnnlab.settings import home
from cnnlab.ui import app_shell, cache
from cnnlab.ui.state import session_key
from cnnlab.ui.visitor import visitor_address

SESSION_COVERED = session_key("lesson_store.covered")  # what was covered and locked when the page was last drawn
SHEETS_SECONDS = 2.0


def lesson_file() -> LessonFile:
    """The answers of this home, opened once for all sessions."""
    return _lesson_file(home())


@lru_cache(maxsize=2)
def _lesson_file(place: Path) -> LessonFile:
    return LessonFile(place / "lessons.sqlite")


def list_sheets() -> list[SheetFile]:
    """Every sheet and every file with mistakes; looked at every two seconds, and read again where one has changed."""
    return _list_sheets(str(home()))


@st.cache_resource(ttl=SHEETS_SECONDS, max_entries=2, show_spinner=False)
def _list_sheets(place: str) -> list[SheetFile]:
    return _read_sheets(cache.modified_times(sheet_files.sheet_paths()))


@st.cache_resource(max_entries=2, show_spinner=False)
def _read_sheets(moments: str) -> list[SheetFile]:
    return sheet_files.list_sheets()


def find_sheet(name: str) -> Sheet | None:
    """The sheet of this name; None where there is none or its file has mistakes."""
    return next((found.sheet for found in list_sheets() if found.name == name), None)


@dataclass(frozen=True)
class OpenLesson:
    """A learner at a step of a sheet, with the answers so far; `vote` is the class's on this step."""

    learner: Learner
    sheet: Sheet
    step: Step
    answers: dict[str, list[Answer]]
    lesson_class: LessonClass | None
    vote: Vote

    @property
    def answer(self) -> Answer | None:
        """The answer to this step in the round at hand; None without one."""
        given = self.answers.get(self.step.id, [])
        return next((answer for answer in given if answer.round == self.vote.round), None)

    @property
    def is_frozen(self) -> bool:
        """Whether the teacher takes no answers at the moment."""
        return self.lesson_class is not None and self.lesson_class.frozen

    @property
    def shows_result(self) -> bool:
        """Whether the result may be shown: after the answer, of a prediction in a class after the teacher's reveal."""
        if self.answer is None:
            return False
        return self.lesson_class is None or not self.step.is_prediction or self.vote.revealed

    @property
    def hidden_parts(self) -> set[str]:
        """The parts of the app that are hidden at this moment."""
        return self.hidden_at(self.step)

    def hidden_at(self, step: Step) -> set[str]:
        """The parts of the app that are hidden for who is at this step with the answers so far."""
        answered = {name for name, given in self.answers.items() if given}
        if step == self.step and not self.shows_result:
            answered.discard(step.id)
        return self.sheet.hidden_parts(step.id, answered)

    def may_see_page(self, step: Step) -> bool:
        """Whether the page of this step may be seen by who is there with the answers so far."""
        return step.page not in self.hidden_at(step)

    @property
    def chosen_run(self) -> str:
        """The name of the training that was chosen for this step; "" where none is."""
        return own_training.chosen_run(self.sheet, self.step, self.answers)

    @property
    def leads_itself(self) -> bool:
        """Whether the learner goes from step to step; not in a class that follows its teacher."""
        return self.lesson_class is None or not self.lesson_class.follow

    @property
    def locked_controls(self) -> frozenset[str]:
        """The controls that cannot be changed before this step is answered."""
        return frozenset() if self.shows_result else frozenset(self.step.locked)


def current_lesson() -> OpenLesson | None:
    """What this person works on; None where no sheet is open. Raises LessonError."""
    file = lesson_file()
    if not file.path.exists():
        return None
    person = app_shell.current_person()
    with file.reading():  # all of it in one transaction
        return _read_lesson(file, person)


def _read_lesson(file: LessonFile, person: str) -> OpenLesson | None:
    learner = learners.find_learner(file, person)
    if learner is None or not learner.sheet:
        return None
    try:
        sheet = find_sheet(learner.sheet) or sheet_files.open_sheet(learner.sheet)
    except UnknownSheet:
        return None
    lesson_class = classes.find_class(file, learner.class_code) if learner.class_code else None
    place = lesson_class.step if lesson_class and lesson_class.follow else learner.step
    step = sheet.steps[sheet.index(place)]
    vote = classes.vote_of(file, lesson_class.code, step.id) if lesson_class else Vote()
    given = answers.fitting_answers(sheet, answers.answers_of(file, learner, sheet.name))
    return OpenLesson(learner, sheet, step, given, lesson_class, vote)


def start_lesson(sheet: Sheet, lesson_class: LessonClass | None = None) -> Learner:
    """Open a sheet for this person, in a class where there is one; with their nickname. Raises LessonError."""
    file, person = lesson_file(), app_shell.current_person()
    learner = learners.open_sheet(file, person, sheet.name, sheet.steps[0].id, visitor_address())
    if not learner.nickname:
        with suppress(QueueError):
            learners.set_nickname(file, learner, nicknames.read_nickname(cache.open_queue(), person))
    if lesson_class:
        classes.join_class(file, learner, lesson_class)
    return learner


def set_nickname(text: str) -> None:
    """Give this person a nickname, in the lesson and beside their trainings.

    Raises NicknameError, LessonError, QueueError.
    """
    person = app_shell.current_person()
    nickname = nicknames.set_nickname(cache.open_queue(), person, text, visitor_address())
    file = lesson_file()
    if file.path.exists() and (learner := learners.find_learner(file, person)):
        learners.set_nickname(file, learner, nickname)


def minutes_since(moment: float | None) -> int:
    """Whole minutes since a Unix time."""
    return int((time.time() - moment) // 60) if moment else 0
