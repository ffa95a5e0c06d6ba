"""A lesson: thirty students and their teacher's board on one web server, which is killed in the middle.

    python tests/load/lesson_of_thirty.py [--students 30] [--seconds 18] [--no-training]

The teacher leads through the first eight steps of the report's seven questions. Every student sees each step, thinks
for a few seconds, answers (a sketch, a finished run, choices, an order, texts), and looks at the page meanwhile; every
panel and the board ask for news as they do in a browser. The teacher reveals each prediction, and lets the class vote
again once. Twelve students ask for a training of their own. In the middle of a step, while answers arrive, the web
server is ended with SIGKILL and started again; the pages connect again as Streamlit's do.

An answer is confirmed when the page says that it is saved. Afterwards every confirmed answer must be in
`lessons.sqlite` with its content, and every training that was asked for in the queue.

`--no-training` is for a machine on which one training is at work already: nothing is trained, and the live curves are
written by this script.

Targets: 95 of 100 requests of each kind take less than a second; nothing confirmed is lost; everybody has answered
every step. What was asked in the 20 seconds after the kill is listed by itself: a server that starts imports its pages.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections import defaultdict
from contextlib import nullcontext, suppress
from typing import Any

from browser_protocol import Browser, NotAnswered
from class_of_thirty import keep_writing, percentile, told, written_by_hand
from lesson_student import EARLIER, Student
from load_report import Findings
from run_factories import write_run
from server import Lab, cpu_seconds, fresh_lab, memory

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.lessons import classes
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.sheet import Step
from cnnlab.lessons.sheet_files import open_sheet

KEY = "the-teachers-key"
STEPS, KILLED_STEP, AGAIN_STEP = 8, 3, 2  # of the sheet; the server is killed in one, another is voted on twice
RECOVERY_SECONDS = 20.0
MOST_SECONDS = 1.0
LIVE = Experiment(dataset="shapes", depth=2)  # which everybody watches at the step that asks for a training
POLLS = {"every 1 s": "live curves", "every 2 s": "corner of the page", "every 3 s": "lesson panel"}


class Lesson:
    """The class, its teacher, and what was measured."""

    def __init__(self, lab: Lab, students: int, seconds: float) -> None:
        self.lab, self.step_seconds = lab, seconds
        self.file, self.sheet = LessonFile(), open_sheet("seven-questions")
        self.steps = self.sheet.steps[:STEPS]
        self.code = classes.start_class(self.file, self.sheet).code
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.recovery: dict[str, list[float]] = defaultdict(list)  # the same soon after the kill
        self.killed_at = self.answering_again = 0.0  # monotonic seconds
        self.own_seconds = self.own_share = self.web_share = 0.0  # of the processor, since the server is back
        self.back: list[float] = []  # when each student's page was back
        self.trouble: list[str] = []
        self.students = [Student(self, number) for number in range(students)]
        self.board = Browser(lab.url, lambda what, seconds: self.note(f"board: {what}", seconds))

    def note(self, what: str, seconds: float) -> None:
        """Keep the seconds of one request."""
        for poll, name in POLLS.items():
            what = what.replace(poll, name)
        soon = self.killed_at and time.monotonic() - self.killed_at < RECOVERY_SECONDS
        (self.recovery if soon else self.seconds)[what].append(seconds)

    async def hold(self) -> None:
        """Everybody arrives; the teacher leads through the steps."""
        teacher = Browser(self.lab.url)
        await teacher.open("admin")
        await teacher.press("Open", "the key", **{"Or type the teacher's key": KEY})
        await teacher.close()
        self.board.token = teacher.token
        await self.board.open("lesson_board", board=self.code)
        people = [asyncio.create_task(student.attend()) for student in self.students]
        await asyncio.sleep(12)
        await self.board.choose(f"lesson_board_follow_{self.code}", True, "follow me")
        for number, step in enumerate(self.steps):
            await self.lead(number, step)
        lasted = time.monotonic() - self.answering_again
        self.own_share = (cpu_seconds(os.getpid()) - self.own_seconds) / lasted
        self.web_share = cpu_seconds(self.lab.web_pid) / lasted
        for person in people:
            person.cancel()
        self.trouble += [repr(end) for end in await asyncio.gather(*people, return_exceptions=True) if failed(end)]

    async def lead(self, number: int, step: Step) -> None:
        """One step: time to answer, the tally, the result; then the next step."""
        confirmed = sum(len(student.confirmed) for student in self.students)
        so_far = f"{confirmed} answers confirmed, load {os.getloadavg()[0]:.1f}"
        print(f"step {number + 1}: {step.kind}, {so_far}", flush=True)
        if number == KILLED_STEP:
            await asyncio.sleep(min(4.0, self.step_seconds / 2))
            await self.kill()
        await asyncio.sleep(self.step_seconds)
        if step.is_prediction and number == AGAIN_STEP:
            await self.click("lesson_board_again", "vote again")
            await asyncio.sleep(self.step_seconds)
        if step.is_prediction:
            await self.click("lesson_board_reveal", "reveal")
            await asyncio.sleep(4)
        if number + 1 < len(self.steps):
            await self.click("lesson_board_next", "next step")

    async def click(self, name: str, what: str) -> None:
        """Press a button of the board once it is there; where nothing comes of it, once more, as a person does."""
        for _ in range(2):
            for _ in range(40):
                if self.board.find(name):
                    break
                await asyncio.sleep(0.5)
            try:
                await self.board.press(name, what)
                return
            except (NotAnswered, LookupError) as error:
                self.trouble.append(f"board: {error}")

    async def kill(self) -> None:
        """End the web server with SIGKILL, start it again, and connect the board again."""
        os.kill(self.lab.web_pid, signal.SIGKILL)
        self.killed_at = time.monotonic()
        await asyncio.to_thread(self.lab.start_web)
        self.answering_again, self.own_seconds = time.monotonic(), cpu_seconds(os.getpid())
        await self.board.reconnect()

    def unanswered(self) -> int:
        """How many answers are missing in the file: of each student to each step, and to the second vote."""
        lesson_class = classes.find_class(self.file, self.code)
        rounds = [(step.id, 0) for step in self.steps] + [(self.steps[AGAIN_STEP].id, 1)]
        given = [len(classes.answer_contents(self.file, lesson_class, *one)) for one in rounds] if lesson_class else [0]
        return len(self.students) * len(rounds) - sum(given)


def failed(end: Any) -> bool:
    """Whether a student's task ended with anything else than the end of the lesson."""
    return isinstance(end, BaseException) and not isinstance(end, asyncio.CancelledError)


def describe(held: Lesson, training: bool) -> int:
    """The table, and the exit code."""
    students = held.students
    found = Findings(f"{len(students)} students and a board, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for what, values in sorted(held.seconds.items()):
        values.sort()
        target = "" if "opening" in what else f"p95 under {MOST_SECONDS:.0f} s"
        found.tell(what, told(values), target, percentile(values, 0.95) < MOST_SECONDS)
    for what, values in sorted(held.recovery.items()):
        found.tell(f"within {RECOVERY_SECONDS:.0f} s of the kill: {what}", told(sorted(values)))
    found.tell("from SIGKILL to the restarted server's first answer", f"{held.answering_again - held.killed_at:.1f} s")
    last = max(held.back, default=float("nan")) - held.killed_at
    found.tell("from SIGKILL to the last student's page", f"{last:.1f} s (n={len(held.back)})")
    confirmed = sum(len(student.confirmed) for student in students)
    lost = [one for student in students for one in student.lost(held.file)]
    found.tell("confirmed answers lost", f"{len(lost)} of {confirmed}", "none", not lost)
    found.tell("answers sent twice, the first not confirmed", sum(student.again for student in students))
    found.tell("answers missing at the end", held.unanswered(), "none", held.unanswered() == 0)
    late = [(student, sent) for student in students for sent in student.late]
    kept = sum(sent in student.stored(held.file) for student, sent in late)
    found.tell("answers sent while the teacher went on to the next step", f"{len(late)}, of them stored {kept}")
    queue = held.lab.queue
    asked = [queue.jobs_for(student.person) for student in students if student.has_asked]
    gone = sum(not jobs for jobs in asked)
    found.tell("trainings asked for and lost", f"{gone} of {len(asked)}", "none", not gone and bool(asked))
    done = sum(any(job.state == "done" for job in jobs) for jobs in asked)
    found.tell("of them trained by the end", done if training else "not asked of this measurement")
    share = f"{memory(held.lab.web_pid)[0]:.0f} MB, {held.web_share:.0%} of a core; this script {held.own_share:.0%}"
    found.tell("the restarted web process", share)
    complaints = held.lab.complaints()
    found.tell("lines of the logs with an error", len(complaints), "none", not complaints)
    found.tell("pages that say something is wrong", len(held.trouble), "none", not held.trouble)
    for line in (complaints + sorted(set(held.trouble)))[:20]:
        print("   ", line[:300])
    return found.close()


async def hold(held: Lesson, training: bool) -> None:
    """The lesson, with a live run written by this process where nothing is trained."""
    writing = None if training else asyncio.create_task(keep_writing(LIVE))
    await held.hold()
    if writing:
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing


def main() -> int:
    """Measure, print, exit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=18.0, help="that the class has for a step")
    parser.add_argument("--no-training", action="store_true", help="one is at work on this machine already")
    options = parser.parse_args()
    dispatcher = int(not options.no_training)
    with fresh_lab(CNNLAB_TEACHER_KEY=KEY, CNNLAB_STARTS_DISPATCHER=dispatcher) as lab:
        write_run(settings.runs_dir() / EARLIER.key, EARLIER, tuple(range(EARLIER.epochs + 1)))
        lab.start_web()
        lab.wait_until_idle()  # a class does not come in the seconds in which its server starts
        held = Lesson(lab, options.students, options.seconds)
        with written_by_hand(LIVE) if options.no_training else nullcontext():
            asyncio.run(hold(held, bool(dispatcher)))
        return describe(held, bool(dispatcher))


if __name__ == "__main__":
    sys.exit(main())
