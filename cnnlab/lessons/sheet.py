"""`Sheet`, `Chapter` and `Step`: a lab sheet after its file was read and checked."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

KINDS = ("text", "choice", "order", "sketch", "run", "pin")
PREDICTION_KINDS = ("choice", "order", "sketch")  # an answer of these locks once it is given
PAGES = ("train", "compare", "look_inside", "mistakes")
TEST_RESULTS = "final_models"  # every result on the test images, wherever a page shows one
HIDEABLE = (*PAGES, TEST_RESULTS, "train_controls")  # pages, and parts of them


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """The axes of a curve to sketch: one value is asked for at each of `x`, from `low` to `high`."""

    x: tuple[float, ...]
    low: float
    high: float
    x_label: str
    y_label: str

    def within(self, curve: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        """The part of a curve between the first and the last of `x`."""
        return [(x, y) for x, y in curve if self.x[0] <= x <= self.x[-1]]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: a question of one of KINDS.

    `page` and `params` are the state of the app that shows the evidence, "" for none. `hidden` are the parts of the app
    (HIDEABLE) and the controls (`lessons.controls`) that are not shown before the step is answered, `locked` the
    controls that cannot be changed before that. `evidence` are specifications of computed sentences
    (`explanations.lesson_evidence`); `result` is the one whose ranking, curve or answer is laid over a prediction.
    `answer` is the option that the explanation argues for, "" where there is none.
    """

    id: str
    kind: str
    question: str
    options: tuple[str, ...] = ()
    answer: str = ""
    sketch: Sketch | None = None
    condition: str = ""
    page: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    result: str = ""
    explanation: str = ""
    hint: str = ""

    @property
    def is_prediction(self) -> bool:
        """Whether an answer locks once it is given."""
        return self.kind in PREDICTION_KINDS


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A part of a sheet with the minutes that it takes."""

    title: str
    minutes: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A lab sheet. `name` is its file's name without the ending.

    `covered` are parts of the app (HIDEABLE), each with the id of the step whose answer uncovers it.
    """

    name: str
    title: str
    summary: str
    chapters: tuple[Chapter, ...]
    covered: Mapping[str, str] = field(default_factory=dict)

    @property
    def minutes(self) -> int:
        """How many minutes the sheet takes, the sum over its chapters."""
        return sum(chapter.minutes for chapter in self.chapters)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of all chapters in order."""
        return tuple(step for chapter in self.chapters for step in chapter.steps)

    def index(self, step_id: str) -> int:
        """The index of this step; 0 where there is no such step."""
        return next((index for index, step in enumerate(self.steps) if step.id == step_id), 0)

    def hidden_parts(self, step_id: str, answered: Collection[str]) -> set[str]:
        """The parts of the app that are hidden for who is at this step and has answered these."""
        step = self.steps[self.index(step_id)]
        own = set(step.hidden) if step.id not in answered else set()
        return own | {part for part, uncovering in self.covered.items() if uncovering not in answered}

    def chapter_of(self, step: Step) -> Chapter:
        """The chapter of one of its steps."""
        return next(chapter for chapter in self.chapters if step in chapter.steps)


def fits(step: Step, content: Any) -> bool:
    """Whether `content` has the form of an answer to this step; one that was given before the sheet changed may not."""
    return FORMS[step.kind](step, content)


def check_answer(step: Step, content: Any) -> Any:
    """`content` in the form in which an answer to this step is stored.

    text: a text; choice: one option; order: all options; sketch: a number for each x; run: a mapping with the name of
    the run; pin: a mapping of page, params and caption. Raises ValueError.
    """
    if not fits(step, content):
        raise ValueError(f"Expected {EXPECTED[step.kind]}. Received: {str(content)[:60]!r}")
    return content


def describe_pin(content: Mapping[str, Any]) -> str:
    """What a pin shows: 'look inside, run 3conv-dropout, image sample-0'."""
    named = [f"{name} {str(value)[:40]}" for name, value in content.get("params", {}).items()]
    return ", ".join([str(content["page"]).replace("_", " "), *named[:MAX_NAMED_PARAMS]])


MAX_NAMED_PARAMS = 6  # of a pin, in words
MAX_ANSWER_CHARACTERS = 4_000
MAX_PARAMS, MAX_NAME_CHARACTERS, MAX_PARAM_CHARACTERS = 40, 60, 2_000  # of a pinned page
EXPECTED = {
    "text": f"a text of 1 to {MAX_ANSWER_CHARACTERS:,} characters",
    "choice": "one of the options",
    "order": "every option once, in your order",
    "sketch": "one value for each point of the curve",
    "run": "a finished run that meets the condition",
    "pin": "a page with a figure and a caption",
}


def _is_text(content: Any) -> bool:
    return isinstance(content, str) and len(content) <= MAX_ANSWER_CHARACTERS and bool(content.strip())


def _is_pin(content: Any) -> bool:
    if not isinstance(content, dict) or content.get("page") not in PAGES or not isinstance(content.get("params"), dict):
        return False
    params = content["params"]
    return _is_text(content.get("caption")) and _are_params(params)


def _are_params(params: Mapping[str, Any]) -> bool:
    sizes = [(len(str(name)), len(str(value))) for name, value in params.items()]
    return len(sizes) <= MAX_PARAMS and all(
        name <= MAX_NAME_CHARACTERS and value <= MAX_PARAM_CHARACTERS for name, value in sizes
    )


def _is_sketch(step: Step, content: Any) -> bool:
    axes = step.sketch
    if axes is None or not isinstance(content, list) or len(content) != len(axes.x):
        return False
    return all(isinstance(value, (int, float)) and axes.low <= value <= axes.high for value in content)


FORMS: Mapping[str, Callable[[Step, Any], bool]] = {
    "text": lambda step, content: _is_text(content),
    "choice": lambda step, content: content in step.options,
    "order": lambda step, content: isinstance(content, list) and sorted(map(str, content)) == sorted(step.options),
    "sketch": _is_sketch,
    "run": lambda step, content: isinstance(content, dict) and isinstance(content.get("run"), str),
    "pin": lambda step, content: _is_pin(content),
}
