"""Walks the lab sheet of the seven questions as a student does, in Chromium; prints clicks and minutes by chapter.

    python -m tests.load.walk_lesson [--sheet seven-questions] [--wait 900]

Reading time: the words that the panel shows, at 200 words a minute. Training time: measured, from the click to the
result, while the walk goes on. Time to think and to write is not counted. First it measures "Train a small network now"
on the first page. Ends with 1 where a step could not be answered.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.load import server  # noqa: F401  # first: it brings the modules of the browser tests within reach

from chrome import served, settled  # isort: skip

from cnnlab.lessons.sheet import Step
from cnnlab.lessons.sheet_files import open_sheet

CHROMIUM = os.environ.get("CNNLAB_CHROMIUM") or shutil.which("chromium")
WORDS_A_MINUTE = 200
PATIENCE = 120_000  # milliseconds; the machine may be busy
ANSWER = "Dropout has the smallest gap here: two seeds, and the interval does not contain zero."
ATTEMPTS = 3


@dataclass
class Walk:
    """A browser tab with the sheet, and what was counted since the chapter began."""

    tab: Page
    url: str
    clicks: int = 0
    words: int = 0
    unanswered: list[str] = field(default_factory=list)

    @property
    def panel(self):
        return self.tab.locator(".st-key-lesson_panel")

    def click(self, target) -> None:
        """One click, counted."""
        target.filter(visible=True).first.click(timeout=PATIENCE)
        self.clicks += 1

    def button(self, name: str) -> None:
        """Press a button of the panel."""
        self.click(self.panel.get_by_role("button", name=name))

    def read(self) -> int:
        """The number of words in the panel."""
        settled(self.tab)
        return len(re.findall(r"\w+", self.panel.inner_text()))


def answer_choice(walk: Walk, step: Step) -> None:
    number = step.options.index(step.answer) if step.answer else 0
    walk.click(walk.panel.get_by_role("radio").nth(number).locator("xpath=ancestor::label"))
    walk.button("Predict: this locks")


def answer_order(walk: Walk, step: Step) -> None:
    for option in step.options:
        walk.click(walk.panel.get_by_role("combobox"))
        walk.click(walk.tab.get_by_role("option", name=option, exact=True))
        settled(walk.tab)
    walk.tab.keyboard.press("Escape")
    walk.button("Predict: this locks")


def answer_sketch(walk: Walk, step: Step) -> None:
    for number in range(len(step.sketch.x) if step.sketch else 0):
        walk.panel.get_by_role("slider").nth(number).press("ArrowRight")
        walk.clicks += 1
        settled(walk.tab)
    walk.button("Predict: this locks")


def answer_text(walk: Walk, step: Step) -> None:
    walk.panel.get_by_label("Your answer").fill(ANSWER)
    walk.button("Save")


def answer_pin(walk: Walk, step: Step) -> None:
    walk.panel.get_by_label("What does the figure show?").fill(ANSWER)
    walk.button("Pin what the page shows")


def answer_run(walk: Walk, step: Step) -> None:
    walk.button("Check this run")


ANSWERS = {
    "choice": answer_choice, "order": answer_order, "sketch": answer_sketch, "text": answer_text, "pin": answer_pin,
    "run": answer_run,
}  # fmt: skip


def answer(walk: Walk, step: Step) -> None:
    """Answer the step; the words are those that the panel shows before or after the answer, the larger number."""
    walk.panel.get_by_text(re.compile(r"^Step \d+ of")).first.wait_for(timeout=PATIENCE)
    question = walk.read()
    for attempt in range(ATTEMPTS):
        try:
            ANSWERS[step.kind](walk, step)
            break
        except Exception as error:  # a busy machine draws the panel anew between two clicks
            if attempt + 1 == ATTEMPTS:
                walk.unanswered.append(f"{step.id}: {str(error).splitlines()[0]}")
    walk.words += max(question, walk.read())


def quick_training(tab: Page, url: str, wait: float) -> str:
    """Seconds from the click on "Train a small network now" to the first moving number and to the result."""
    tab.goto(url)
    button = tab.get_by_role("button", name="Train a small network now")
    button.wait_for(timeout=PATIENCE)
    settled(tab)
    clicked = time.monotonic()
    button.click()
    tab.get_by_text(re.compile(r"epoch \d+ of|batch \d+", re.IGNORECASE)).first.wait_for(timeout=wait * 1000)
    moving = time.monotonic() - clicked
    tab.get_by_text("Look inside this network").wait_for(timeout=wait * 1000)
    return f"{moving:.0f} s to the first moving number, {time.monotonic() - clicked:.0f} s to the result"


def walk_sheet(walk: Walk, name: str, wait: float) -> bool:
    """Print a row for each chapter; whether every step was answered."""
    sheet = open_sheet(name)
    walk.tab.goto(f"{walk.url}/lesson")
    settled(walk.tab)
    walk.click(walk.tab.locator(f".st-key-lesson_open_{name} button"))
    trained: float | None = None
    runs = [step for step in sheet.steps if step.kind == "run"]
    print("| chapter | steps | clicks | words | minutes of reading |")
    print("| --- | --: | --: | --: | --: |")
    for chapter in sheet.chapters:
        walk.clicks = walk.words = 0
        for step in chapter.steps:
            if step not in runs:
                answer(walk, step)
            if step.id == sheet.steps[0].id and runs:
                walk.click(walk.tab.get_by_role("button", name=re.compile("^Train it")))
                trained = time.monotonic()
            if step.id != sheet.steps[-1].id:
                walk.button("Next")
                settled(walk.tab)
        minutes = walk.words / WORDS_A_MINUTE
        steps = len(chapter.steps)
        print(f"| {chapter.title} | {steps} | {walk.clicks} | {walk.words} | {minutes:.1f} |", flush=True)
    for step in runs if trained else ():
        own_training(walk, sheet.steps, step, trained or 0.0, wait)
    for one in walk.unanswered:
        print(f"not answered: {one}")
    return not walk.unanswered


def own_training(walk: Walk, steps: tuple[Step, ...], step: Step, started: float, wait: float) -> None:
    """Go back to the step that asks for the finished training, wait for it, and answer."""
    walk.clicks = 0
    for _ in range(len(steps) - 1 - steps.index(step)):
        walk.button("Back")
        settled(walk.tab)
    walk.tab.get_by_text("Look inside this network").wait_for(timeout=wait * 1000)
    print(f"Own training on Shapes: {(time.monotonic() - started) / 60:.1f} minutes, most of them beside the walk")
    walk.tab.reload()
    answer(walk, step)
    print(f"Back to its step and its check: {walk.clicks} clicks")


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", default="seven-questions")
    parser.add_argument("--wait", type=float, default=900, help="seconds to wait for a training")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        served(Path(home)) as app,
        sync_playwright() as p,
    ):
        tab = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]).new_page()
        tab.set_viewport_size({"width": 1280, "height": 800})
        tab.set_default_timeout(PATIENCE)
        print(f"Train a small network now: {quick_training(tab, app.url, options.wait)}", flush=True)
        return 0 if walk_sheet(Walk(tab, app.url), options.sheet, options.wait) else 1


if __name__ == "__main__":
    sys.exit(main())
