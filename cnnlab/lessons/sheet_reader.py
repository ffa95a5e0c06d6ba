"""Reads a lab sheet from YAML, checks it against the schema, and names the line of each mistake.

# title, summary and chapters are required; behind a text that people read (WRITTEN) no comment may stand
title: Taster
summary: What a network learns.
covered:                              # parts of the app that the answer to a step uncovers
  mistakes: depth
chapters:
- title: 1. Depth
  minutes: 5                          # at most 10
  steps:
  - id: depth                         # letters, digits and hyphens, once in the sheet
    kind: order                       # one of sheet.KINDS
    question: |                       # Markdown, as explanation and hint
      Order these networks.
    options: [2-conv, 3-conv]         # of choice and order; texts as they are written, like all values
    page: compare                     # the state of the app: a page and its URL parameters
    params:
      view: maps
    hidden: [train, more]             # parts of the app (sheet.HIDEABLE) and controls not shown before the answer
    locked: [depth]                   # controls (lessons.controls) that cannot be changed before the answer
    evidence: ["claim: 3"]            # computed sentences, shown after the answer; a text with a colon is in quotes
    result: "ranking: validation, 3"  # laid over the prediction
    explanation: ...
"""

import re
from itertools import pairwise
from typing import Any

from yaml.nodes import Node

from cnnlab.explanations import lesson_evidence
from cnnlab.lessons.controls import CONTROL_NAMES
from cnnlab.lessons.mapping_reader import Fields, MappingReader
from cnnlab.lessons.run_conditions import ConditionError, parse_condition
from cnnlab.lessons.sheet import HIDEABLE, KINDS, PAGES, Chapter, Sheet, Sketch, Step
from cnnlab.lessons.sheet_mistakes import Mistake, SheetError
from cnnlab.lessons.yaml_nodes import compose_nodes

MAX_STEPS, MAX_CHAPTERS, MAX_CHAPTER_MINUTES, MAX_SKETCH_POINTS = 100, 20, 10, 12
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
REQUIRED_TEXTS = ("id", "kind", "question")
TEXTS = (*REQUIRED_TEXTS, "answer", "condition", "page", "result", "explanation", "hint")
WRITTEN = frozenset(  # what people read: `layer #2` loses its end there, so a comment behind it is a mistake
    ["title", "summary", "question", "options", "answer", "x_label", "y_label", "explanation", "hint"]
)
LISTS = {"options": (2, 12), "hidden": (0, 40), "locked": (0, 40), "evidence": (0, 12)}  # how many items each has
STEP_FIELDS = (*TEXTS, *LISTS, "x", "y", "x_label", "y_label", "params")
FIELDS_OF_KIND = {
    "choice": ("options",),
    "order": ("options",),
    "sketch": ("x", "y", "x_label", "y_label"),
    "run": ("condition",),
}


def read_sheet(name: str, content: bytes) -> Sheet:
    """The sheet in this file's content. Raises SheetError with every mistake found."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SheetError([Mistake(line, "Expected text in UTF-8: save the file with this encoding.")]) from None
    return SheetReader(name, text).sheet(compose_nodes(text))


class SheetReader(MappingReader):
    """Checks one sheet and collects its mistakes."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text, WRITTEN)
        self.name = name
        self.ids: set[str] = set()
        self.has_run_step = False

    def sheet(self, root: Node | None) -> Sheet:
        """The checked sheet. Raises SheetError."""
        fields = self.fields(root)
        self.check_names(fields, ("title", "summary", "chapters"), optional=("covered",))
        title, summary = self.text(fields, "title"), self.text(fields, "summary")
        chapters = tuple(self.chapter(mapping) for mapping in self.mappings(fields, "chapters", MAX_CHAPTERS))
        covered = self.covered(self.mapping(fields, "covered"))
        count = sum(len(chapter.steps) for chapter in chapters)
        if count > MAX_STEPS:
            self.mistake(fields.line, f"A sheet has at most {MAX_STEPS} steps. Received: {count}")
        if self.mistakes:
            raise SheetError(self.mistakes)
        return Sheet(name=self.name, title=title, summary=summary, chapters=chapters, covered=covered)

    def covered(self, fields: Fields) -> dict[str, str]:
        """The covered parts of the app, each with the id of the step that uncovers it; both exist."""
        found = {part: self.text(fields, part) for part in fields.nodes}
        for part, step_id in found.items():
            if part not in HIDEABLE or step_id not in self.ids:
                message = f"Expected one of {', '.join(HIDEABLE)} and the id of a step. Received: {part[:40]!r}"
                self.mistake(fields.line_of(part), message)
        return found

    def chapter(self, fields: Fields) -> Chapter:
        """The chapter with these fields."""
        self.check_names(fields, ("title", "minutes", "steps"))
        return Chapter(
            title=self.text(fields, "title"),
            minutes=self.whole_number(fields, "minutes", 1, MAX_CHAPTER_MINUTES),
            steps=tuple(self.step(mapping) for mapping in self.mappings(fields, "steps", MAX_STEPS)),
        )

    def step(self, fields: Fields) -> Step:
        """The step with these fields."""
        self.check_names(fields, REQUIRED_TEXTS, optional=STEP_FIELDS)
        texts: dict[str, Any] = {name: self.text(fields, name) for name in TEXTS}
        lists: dict[str, Any] = {name: self.texts(fields, name, *count) for name, count in LISTS.items()}
        params = self.mapping(fields, "params")
        step = Step(
            **texts,
            **lists,
            params={name: self.text(params, name) for name in params.nodes},
            sketch=self.sketch(fields) if texts["kind"] == "sketch" else None,
        )
        self.check_id(fields, step.id)
        self.check_kind(fields, step.kind)
        self.has_run_step |= step.kind == "run"
        self.check_condition(fields, step.condition)
        self.check_options(fields, step)
        self.check_state(fields, step)
        self.check_evidence(fields, step)
        return step

    def check_id(self, fields: Fields, value: str) -> None:
        """An id has the form ID and occurs once."""
        if value and not ID.fullmatch(value):
            message = f"An id has 1 to 40 small letters, digits and hyphens. Received: id: {value[:40]!r}"
            self.mistake(fields.line_of("id"), message)
        elif value in self.ids:
            message = f"Another step has this id: choose another one. Received: id: {value!r}"
            self.mistake(fields.line_of("id"), message)
        self.ids.update(filter(None, [value]))

    def check_kind(self, fields: Fields, kind: str) -> None:
        """The kind is known, its own fields are there, and those of other kinds are not."""
        if kind not in KINDS:
            if kind:
                message = f"Choose a kind from {', '.join(KINDS)}. Received: kind: {kind[:40]!r}"
                self.mistake(fields.line_of("kind"), message)
            return
        needed = FIELDS_OF_KIND.get(kind, ())
        for name in needed:
            if name not in fields.nodes:
                self.mistake(fields.line, f"A step of the kind {kind} needs {name}: add a line {name}: ...")
        for name in {name for names in FIELDS_OF_KIND.values() for name in names}.difference(needed):
            if name in fields.nodes:
                self.mistake(fields.line_of(name), f"A step of the kind {kind} has no {name}: remove it.")

    def check_condition(self, fields: Fields, condition: str) -> None:
        """A condition that is there is one."""
        try:
            if condition:
                parse_condition(condition)
        except ConditionError as error:
            self.mistake(fields.line_of("condition"), str(error))

    def check_options(self, fields: Fields, step: Step) -> None:
        """Options are different texts, and the answer is one of them."""
        for index, option in enumerate(step.options):
            if option and option in step.options[:index]:
                message = f"Expected different options: this one is there twice. Received: {option[:40]!r}"
                self.mistake(fields.line_of("options", index), message)
        if step.options and step.answer and step.answer not in step.options:
            message = f"The answer is one of the options. Received: {step.answer[:40]!r}"
            self.mistake(fields.line_of("answer"), message)

    def check_state(self, fields: Fields, step: Step) -> None:
        """The page exists, and the parts to hide."""
        if step.page and step.page not in PAGES:
            message = f"Choose a page from {', '.join(PAGES)}. Received: {step.page[:40]!r}"
            self.mistake(fields.line_of("page"), message)
        if step.params and not step.page:
            self.mistake(fields.line_of("params"), "Params need a page: add a line page: ...")
        for field, allowed in (("hidden", {*HIDEABLE, *CONTROL_NAMES}), ("locked", CONTROL_NAMES)):
            for index, name in enumerate(getattr(step, field)):
                if name not in allowed:
                    message = f"Choose what is {field} from {', '.join(sorted(allowed))}. Received: {name[:40]!r}"
                    self.mistake(fields.line_of(field, index), message)

    def check_evidence(self, fields: Fields, step: Step) -> None:
        """Each specification of evidence is one."""
        lines = [(fields.line_of("evidence", index), text) for index, text in enumerate(step.evidence)]
        for line, specification in [*lines, (fields.line_of("result"), step.result)]:
            try:
                if specification:
                    lesson_evidence.parse(specification)
            except lesson_evidence.EvidenceError as error:
                self.mistake(line, str(error))
            if lesson_evidence.is_own(specification) and not self.has_run_step:
                self.mistake(line, "Evidence of one's own training needs a step of the kind run before it.")

    def sketch(self, fields: Fields) -> Sketch | None:
        """The axes of a sketch; None where they are missing or wrong."""
        labels = {name: self.text(fields, name) for name in ("x_label", "y_label")}
        x, y = self.numbers(fields, "x", 2, MAX_SKETCH_POINTS), self.numbers(fields, "y", 2, 2)
        for name, values in (("x", x), ("y", y)):
            if any(a >= b for a, b in pairwise(values)):
                message = f"Expected rising numbers, like [0, 100]. Received: {name}: {str(list(values))[:40]}"
                self.mistake(fields.line_of(name), message)
        return Sketch(x=x, low=y[0], high=y[1], **labels) if x and y else None
