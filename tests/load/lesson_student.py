"""One student of `lesson_of_thirty`: answers the steps of a lab sheet, and comes back when the server was killed."""

import asyncio
import random
import time
from contextlib import suppress
from typing import Any, Protocol

from browser_protocol import Browser, NotAnswered
from server import Lab
from websockets import ConnectionClosed

from cnnlab.experiment import Experiment
from cnnlab.lessons import answers, learners
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.sheet import Sheet, Step
from cnnlab.ui.browser_identity import person_name, token_subject
from cnnlab.ui.lesson_answers import LOCKED, SAVED

THINKING = (1.0, 8.0)  # seconds before an answer
RUNNERS = 12  # students who ask for a training of their own, half of them after the kill
EARLIER = Experiment(dataset="shapes", depth=2, epochs=12, seed=99)  # a finished run, for the step that asks for one
TEXT = "Dropout has the smallest gap: two seeds, and the interval does not contain zero."


class Class(Protocol):
    """What a student knows of the lesson: where it is, its steps, and where to note what happens."""

    lab: Lab
    code: str
    sheet: Sheet
    steps: tuple[Step, ...]
    killed_at: float
    back: list[float]
    trouble: list[str]

    def note(self, what: str, seconds: float) -> None: ...


class Student:
    """One of the class: a browser, what it has answered, and what its pages confirmed."""

    def __init__(self, lesson: Class, number: int) -> None:
        self.lesson, self.number, self.chance = lesson, number, random.Random(number)
        self.browser = Browser(lesson.lab.url, lesson.note)
        self.confirmed: dict[tuple[str, int], Any] = {}  # content by step and round
        self.wants_training, self.has_asked = number < RUNNERS, False
        self.sent: set[tuple[str, int]] = set()
        self.late: dict[tuple[str, int], Any] = {}  # content of answers after which the page showed another step
        self.again = 0  # how often an answer was given twice, because the first was not confirmed

    async def attend(self) -> None:
        """The whole lesson."""
        await asyncio.sleep(self.chance.uniform(0, 8))
        await self.browser.open("lesson", join=self.lesson.code)
        while True:
            try:
                await self.work()
            except (NotAnswered, OSError, ConnectionClosed):
                await self.come_back()
            except LookupError as error:  # a page was drawn anew between two looks at it
                self.lesson.trouble.append(f"student {self.number}: {error}")

    async def come_back(self) -> None:
        """Connect again, as often as it takes."""
        while True:
            await asyncio.sleep(1)
            with suppress(NotAnswered, OSError, ConnectionClosed, ValueError):
                await self.browser.reconnect()
                self.lesson.back.append(time.monotonic())
                return

    async def work(self) -> None:
        """Answer what is asked; in between look about, or ask for a training."""
        if self.browser.gone:
            raise NotAnswered("The server is gone.")
        asked = self.form()
        if asked is not None and asked[1:] not in self.confirmed:
            await asyncio.sleep(self.chance.uniform(*THINKING))
            if self.form() == asked:
                await self.answer(*asked)
        elif self.wants_training and self.may_train():
            await self.train()
        elif self.chance.random() < 0.1 and self.browser.find("inspect.image_controls.next"):
            await self.browser.press("inspect.image_controls.next", "another picture")
        await asyncio.sleep(0.5)

    def may_train(self) -> bool:
        """Whether the form of the page Train is there, and it is this student's turn."""
        early = self.number < RUNNERS / 2 or self.lesson.killed_at > 0
        return early and self.browser.find("f_seed") is not None

    def form(self) -> tuple[str, str, int] | None:
        """The key, step and round of the form that the panel shows; None where it shows none."""
        for step in self.lesson.steps:
            for vote in (0, 1):
                key = f"lesson_answer_{self.lesson.sheet.name}_{step.id}_{vote}"
                if self.button(key) is not None:
                    return key, step.id, vote
        return None

    def button(self, key: str) -> str | None:
        """The name of the button that saves the form with this key."""
        names = (f"{key}_save", f"FormSubmitter:{key}_form-Save")
        return next((name for name in names if self.browser.find(name)), None)

    async def answer(self, key: str, step_id: str, vote: int) -> None:
        """Fill in the form and press its button; note the answer where the page confirms it."""
        step, sent = self.lesson.sheet.steps[self.lesson.sheet.index(step_id)], (step_id, vote)
        content, fields = await FILL[step.kind](self, step, key)
        button = self.button(key)
        if button is None:
            return
        self.again += sent in self.sent
        self.sent.add(sent)
        began = time.perf_counter()
        await self.browser.press(button, f"answer: {step.kind}", **fields)
        is_saved = await self.sees_saved(step)
        self.lesson.trouble += self.browser.texts
        if not self.is_at(step):  # the class went on in the meantime
            self.late[sent] = content
        elif is_saved:
            self.lesson.note(f"answer: {step.kind}, until the page says it is saved", time.perf_counter() - began)
            self.confirmed[sent] = content

    async def sees_saved(self, step: Step) -> bool:
        """Wait until the page says that the answer is saved; what is drawn first may be an automatic rerun."""
        for _ in range(500):
            if not self.is_at(step) or self.browser.gone:
                break
            if self.browser.says(LOCKED if step.is_prediction else SAVED):
                return True
            await asyncio.sleep(0.02)
        return False

    def is_at(self, step: Step) -> bool:
        """Whether the panel shows this step."""
        return self.browser.step.startswith(f"Step {self.lesson.sheet.index(step.id) + 1} of")

    async def train(self) -> None:
        """Ask for a training with a seed of one's own, once."""
        self.wants_training = False
        await self.browser.fill("another seed", f_dataset="Shapes", f_seed=float(100 + self.number))
        if self.browser.find("Train it"):
            await self.browser.press("Train it", "asking for a training")
            self.has_asked = not self.browser.texts

    @property
    def person(self) -> str:
        """The name of this browser in the queue and in the lesson."""
        return person_name(token_subject(self.browser.token) or "")

    def stored(self, file: LessonFile) -> dict[tuple[str, int], Any]:
        """What the file holds of this student: content by step and round."""
        learner = learners.find_learner(file, self.person)
        kept = answers.answers_of(file, learner, self.lesson.sheet.name) if learner else {}
        return {(one.step, one.round): one.content for given in kept.values() for one in given}

    def lost(self, file: LessonFile) -> list[tuple[str, int]]:
        """The confirmed answers that the file does not hold."""
        stored = self.stored(file)
        lost = [sent for sent, content in self.confirmed.items() if not same(stored.get(sent), content)]
        self.lesson.trouble += [f"{one}: {self.confirmed[one]} was sent, {stored.get(one)} is stored" for one in lost]
        return lost


def same(stored: Any, sent: Any) -> bool:
    """Whether what is stored is what was sent; of a run its name is compared."""
    return stored["run"] == sent if isinstance(stored, dict) else stored == sent


Filled = tuple[Any, dict[str, object]]  # the content of an answer, and fields that are sent with the button


async def fill_sketch(student: Student, step: Step, key: str) -> Filled:
    """Move two of the sliders."""
    axes = step.sketch
    if axes is None:
        raise LookupError(step.id)
    values = [(axes.low + axes.high) / 2] * len(axes.x)
    for index in (0, len(values) - 1):
        values[index] = float(student.chance.randint(10, 90))
        await student.browser.choose(f"{key}_{index}", [values[index]], "a field of an answer")
    return values, {}


async def fill_choice(student: Student, step: Step, key: str) -> Filled:
    """Choose one option."""
    chosen = student.chance.choice(step.options)
    await student.browser.choose(key, chosen, "a field of an answer")
    return chosen, {}


async def fill_order(student: Student, step: Step, key: str) -> Filled:
    """Choose all options, one after the other."""
    order = student.chance.sample(step.options, len(step.options))
    for count in range(1, len(order) + 1):
        await student.browser.choose(key, order[:count], "a field of an answer")
    return order, {}


async def fill_text(student: Student, step: Step, key: str) -> Filled:
    """A text, which is sent with the button of its form."""
    text = f"{TEXT} ({student.number})"
    return text, {key: text}


async def fill_run(student: Student, step: Step, key: str) -> Filled:
    """Choose the run of an earlier lesson."""
    await student.browser.choose(key, EARLIER.title, "a field of an answer")
    return EARLIER.key, {}


FILL = {"sketch": fill_sketch, "choice": fill_choice, "order": fill_order, "text": fill_text, "run": fill_run}
