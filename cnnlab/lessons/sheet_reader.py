"""Reads a lab sheet from TOML, checks it against the schema, and names the line of each mistake.

title = "Taster"                      # required; so is summary
summary = "What a network learns."
covered = { mistakes = "depth" }      # parts of the app that the answer to a step uncovers

[[chapter]]
title = "1. Depth"
minutes = 5                           # at most 10

[[chapter.step]]
id = "depth"                          # letters, digits and hyphens, once in the sheet
kind = "order"                        # one of sheet.KINDS
question = "Order these networks."    # Markdown, as explanation and hint
options = ["2-conv", "3-conv"]        # of choice and order
page = "compare"                      # the state of the app: a page and its URL parameters
params = { view = "maps" }
hidden = ["train", "more"]            # parts of the app (sheet.HIDEABLE) and controls not shown before the answer
locked = ["depth"]                    # controls (lessons.controls) that cannot be changed before the answer
evidence = ["claim: 3"]               # computed sentences, shown after the answer
result = "ranking: validation, 3"     # laid over the prediction
explanation = "..."
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from cnnlab.explanations import lesson_evidence
from cnnlab.lessons.controls import CONTROL_NAMES
from cnnlab.lessons.run_conditions import ConditionError, parse_condition
from cnnlab.lessons.sheet import HIDEABLE, KINDS, PAGES, Chapter, Sheet, Sketch, Step
from cnnlab.lessons.table_reader import Mistake, SheetError, TableReader

MAX_BYTES = 200_000
MAX_STEPS, MAX_CHAPTERS, MAX_CHAPTER_MINUTES, MAX_OPTIONS, MAX_SKETCH_POINTS = 100, 20, 10, 12, 12
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
REQUIRED = {"sheet": ("title", "summary", "chapter"), "chapter": ("title", "minutes", "step")}
STEP_FIELDS = {  # the type of each field of a step
    "id": str,
    "kind": str,
    "question": str,
    "options": list,
    "answer": str,
    "x": list,
    "y": list,
    "x_label": str,
    "y_label": str,
    "condition": str,
    "page": str,
    "params": dict,
    "hidden": list,
    "locked": list,
    "evidence": list,
    "result": str,
    "explanation": str,
    "hint": str,
}
TEXT_FIELDS = ("condition", "page", "result", "explanation", "hint", "answer")  # "" where a step has none
FIELDS_OF_KIND = {
    "choice": ("options",),
    "order": ("options",),
    "sketch": ("x", "y", "x_label", "y_label"),
    "run": ("condition",),
}


def read_sheet(name: str, content: bytes) -> Sheet:
    """The sheet in this file's content. Raises SheetError with every mistake found."""
    if len(content) > MAX_BYTES:
        raise SheetError([Mistake(1, f"Expected at most {MAX_BYTES:,} bytes. Received: {len(content):,}")])
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SheetError([Mistake(line, "Expected text in UTF-8: save the file with this encoding.")]) from None
    return Reader(name, text).sheet(_parse(text))


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        reason = str(error).partition(" (at ")[0]
        raise SheetError([Mistake(line, f"This is not TOML: {reason[:200]}.")]) from None
    except RecursionError:
        raise SheetError([Mistake(1, "Expected lists and tables that are less deeply nested.")]) from None


class Reader(TableReader):
    """Checks one parsed sheet and collects its mistakes."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.ids: set[str] = set()
        self.has_run_step = False

    def sheet(self, values: Mapping[str, Any]) -> Sheet:
        """The checked sheet. Raises SheetError."""
        self.check_names(values, REQUIRED["sheet"], 0, optional=("covered",))
        title = self.value(values, "title", str, 0)
        summary = self.value(values, "summary", str, 0)
        tables = self.tables(values, "chapter", 0, MAX_CHAPTERS)
        chapters = tuple(self.chapter(table, number) for number, table in enumerate(tables))
        covered = self.value(values, "covered", dict, 0)
        self.check_covered(covered)
        count = sum(len(chapter.steps) for chapter in chapters)
        if count > MAX_STEPS:
            self.mistake(0, None, f"A sheet has at most {MAX_STEPS} steps. Received: {count}")
        if self.mistakes:
            raise SheetError(self.mistakes)
        return Sheet(name=self.name, title=title, summary=summary, chapters=chapters, covered=covered)

    def check_covered(self, covered: Mapping[str, Any]) -> None:
        """Each covered part exists, and the step that uncovers it."""
        for part, step_id in covered.items():
            if part not in HIDEABLE or step_id not in self.ids:
                message = f"Expected one of {', '.join(HIDEABLE)} and the id of a step. Received: {part[:40]!r}"
                self.mistake(0, "covered", message)

    def chapter(self, values: Mapping[str, Any], number: int) -> Chapter:
        """The chapter of this number, from 0."""
        line = self.header("chapter", number)
        self.check_names(values, REQUIRED["chapter"], line)
        minutes = self.value(values, "minutes", int, line)
        if isinstance(minutes, int) and not 1 <= minutes <= MAX_CHAPTER_MINUTES:
            message = f"A chapter takes 1 to {MAX_CHAPTER_MINUTES} minutes. Received: minutes = {minutes}"
            self.mistake(line, "minutes", message)
        tables = self.tables(values, "step", line, MAX_STEPS)
        steps = tuple(self.step(table, self.step_line(number, index)) for index, table in enumerate(tables))
        return Chapter(title=self.value(values, "title", str, line), minutes=minutes, steps=steps)

    def step(self, values: Mapping[str, Any], line: int) -> Step:
        """The step whose header is in `line`."""
        self.check_names(values, ("id", "kind", "question"), line, optional=tuple(STEP_FIELDS))
        found = {
            name: self.value(values, name, kind, line)
            for name, kind in STEP_FIELDS.items()
            if name in values or name in ("id", "kind", "question")
        }
        self.check_id(found["id"], line)
        self.check_kind(found, line)
        self.has_run_step |= found["kind"] == "run"
        self.check_state(found, line)
        self.check_evidence(found, line)
        return Step(
            id=found["id"],
            kind=found["kind"],
            question=found["question"],
            options=tuple(found.get("options", ())),
            hidden=tuple(found.get("hidden", ())),
            locked=tuple(found.get("locked", ())),
            evidence=tuple(found.get("evidence", ())),
            params={str(name): str(value) for name, value in found.get("params", {}).items()},
            sketch=self.axes(found, line),
            **{name: found.get(name, "") for name in TEXT_FIELDS},
        )

    def check_id(self, value: str, line: int) -> None:
        """An id has the form ID and occurs once."""
        if not ID.fullmatch(value):
            message = f"An id has 1 to 40 small letters, digits and hyphens. Received: id = {value[:40]!r}"
            self.mistake(line, "id", message)
        elif value in self.ids:
            self.mistake(line, "id", f"Another step has this id: choose another one. Received: id = {value!r}")
        self.ids.add(value)

    def check_kind(self, found: Mapping[str, Any], line: int) -> None:
        """The kind is known, its own fields are there, and those of other kinds are not."""
        kind = found["kind"]
        if kind not in KINDS:
            self.mistake(line, "kind", f"Choose a kind from {', '.join(KINDS)}. Received: kind = {kind[:40]!r}")
            return
        needed = FIELDS_OF_KIND.get(kind, ())
        for name in needed:
            if name not in found:
                self.mistake(line, None, f"A step of the kind {kind} needs {name}: add a line {name} = ...")
        for name in {name for names in FIELDS_OF_KIND.values() for name in names}.difference(needed) & set(found):
            self.mistake(line, name, f"A step of the kind {kind} has no {name}: remove it.")
        if "condition" in found:
            try:
                parse_condition(found["condition"])
            except ConditionError as error:
                self.mistake(line, "condition", str(error))
        self.check_options(found, line)

    def check_options(self, found: Mapping[str, Any], line: int) -> None:
        """Options are different texts, and the answer is one of them."""
        options = found.get("options")
        if options is None:
            return
        if not 2 <= len(options) <= MAX_OPTIONS or len(set(map(str, options))) < len(options):
            self.mistake(line, "options", f"Expected 2 to {MAX_OPTIONS} different options. Received: {len(options)}")
        elif "answer" in found and found["answer"] not in options:
            self.mistake(line, "answer", f"The answer is one of the options. Received: {found['answer'][:40]!r}")

    def check_state(self, found: Mapping[str, Any], line: int) -> None:
        """The page exists, and the parts to hide."""
        if found.get("page") and found["page"] not in PAGES:
            self.mistake(line, "page", f"Choose a page from {', '.join(PAGES)}. Received: {found['page'][:40]!r}")
        if found.get("params") and not found.get("page"):
            self.mistake(line, "params", "Params need a page: add a line page = ...")
        for field, allowed in (("hidden", {*HIDEABLE, *CONTROL_NAMES}), ("locked", CONTROL_NAMES)):
            for name in found.get(field, ()):
                if name not in allowed:
                    names = ", ".join(sorted(allowed))
                    self.mistake(line, field, f"Choose what is {field} from {names}. Received: {str(name)[:40]!r}")

    def check_evidence(self, found: Mapping[str, Any], line: int) -> None:
        """Each specification of evidence is one."""
        for name, specifications in (("evidence", found.get("evidence", ())), ("result", [found.get("result", "")])):
            for specification in filter(None, specifications):
                try:
                    lesson_evidence.parse(specification)
                except lesson_evidence.EvidenceError as error:
                    self.mistake(line, name, str(error))
                if lesson_evidence.is_own(specification) and not self.has_run_step:
                    self.mistake(line, name, "Evidence of one's own training needs a step of the kind run before it.")

    def axes(self, found: Mapping[str, Any], line: int) -> Sketch | None:
        """The axes of a sketch; None of a step of another kind."""
        if found["kind"] != "sketch" or not {"x", "y"} <= set(found):
            return None
        x, y = found["x"], found["y"]
        if not (2 <= len(x) <= MAX_SKETCH_POINTS and _are_rising(x)):
            self.mistake(line, "x", f"Expected 2 to {MAX_SKETCH_POINTS} rising numbers. Received: x = {str(x)[:40]}")
            return None
        if not (len(y) == 2 and _are_rising(y)):
            message = f"Expected the lowest and the highest value, like [0, 100]. Received: y = {str(y)[:40]}"
            self.mistake(line, "y", message)
            return None
        labels = {name: found.get(name, "") for name in ("x_label", "y_label")}
        return Sketch(x=tuple(map(float, x)), low=float(y[0]), high=float(y[1]), **labels)


def _are_rising(values: Sequence[Any]) -> bool:
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    return numbers and all(a < b for a, b in pairwise(values)) and all(abs(v) < 1e9 for v in values)
