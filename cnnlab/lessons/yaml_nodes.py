"""The nodes of a YAML file with their lines. Refuses what a sheet does not need: anchors, aliases, tags, documents.

Scalars stay texts as they are written: nothing in the file becomes a date, a truth value or an object.
"""

import re
from collections.abc import Sequence

import yaml
from yaml.nodes import Node, ScalarNode
from yaml.reader import Reader

from cnnlab.lessons.sheet_mistakes import Mistake, SheetError

LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the fast one, where PyYAML was built with libyaml
MAX_NESTING = 10  # of lists and mappings; a sheet has 6
IN_QUOTES = "Put a text in quotes, or on the lines below a |."
LIKELY = "Put a text with a colon or a sign in quotes, or below a |. Fields of one item begin in the same column."
COMMENT = "The text after ' #' is a comment; put the text in quotes."
COMMENT_BEGINS = re.compile(r"\s+#")
CUT_TEXT = re.compile(r"[^'\"]*\s#\S")  # the begin of a line whose end was hardly meant as a comment: layer #2
REMEDIES = {  # by a word of what PyYAML was reading; the line is then the one in which that began
    "quoted": "Close the quotation mark; in double quotes write a backslash twice.",
    "flow": "Close the bracket.",
    "simple key": "Write a name, a colon and a value.",
}


def compose_nodes(text: str) -> Node | None:
    """The root of the only document in `text`; None where it is empty. Raises SheetError with one mistake."""
    if found := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise SheetError([Mistake(line, f"This is not YAML: remove the control character {found[0]!r}.")])
    try:
        _check_events(text)
        return yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        raise SheetError([_describe(error, text)]) from None


def node_line(node: Node) -> int:
    """The line in which a node begins, from 1."""
    return int(node.start_mark.line) + 1


def comment_line(node: ScalarNode, lines: Sequence[str]) -> int | None:
    """The line in which a comment follows a text without quotes, from 1; None where none does.

    lines: of the file, as `str.splitlines` makes them.
    """
    end = node.end_mark
    if node.style or end.line >= len(lines):  # in quotes, or below a |: a # is a part of it
        return None
    return int(end.line) + 1 if COMMENT_BEGINS.match(lines[end.line], end.column) else None


def _check_events(text: str) -> None:
    depth = documents = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if message := _refusal(event, depth, documents):
            raise SheetError([Mistake(node_line(event), message)])


def _refusal(event: yaml.Event, depth: int, documents: int) -> str:
    if getattr(event, "anchor", None):
        return f"A value that begins with & or * names another one in YAML, which no sheet needs. {IN_QUOTES}"
    if getattr(event, "tag", None):
        return f"A value that begins with ! has a type of YAML, which no sheet needs. {IN_QUOTES}"
    if depth > MAX_NESTING:
        return "Expected lists and mappings that are less deeply nested."
    return "A sheet is one document: remove the line ---." if documents > 1 else ""


def _describe(error: yaml.MarkedYAMLError, text: str) -> Mistake:
    mark, remedy = error.problem_mark, LIKELY
    if cut := _cut_line(error, text.splitlines()):
        return Mistake(cut, f"This is not YAML: the text goes on after this line. {COMMENT}")
    if _indentation(text, mark.line).count("\t"):
        remedy = "Indent with spaces instead of tabs."
    else:
        for word in filter((error.context or "").__contains__, REMEDIES):
            mark, remedy = error.context_mark, REMEDIES[word]
    problem = error.problem or "unexpected end"
    if problem.startswith("mapping values"):  # the commonest mistake: a text with a colon
        problem = "no colon is expected here"
    return Mistake(mark.line + 1, f"This is not YAML: {problem[:200]}. {remedy}")


def _cut_line(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> int | None:
    """The line, from 1, whose text a comment may have ended too early: above the problem, or where a list began."""
    suspects = {error.problem_mark.line - 1}
    if "flow" in (error.context or ""):
        suspects.add(error.context_mark.line)
    return next((line + 1 for line in sorted(suspects) if line >= 0 and CUT_TEXT.match(lines[line])), None)


def _indentation(text: str, index: int) -> str:
    line = [*text.splitlines(), ""][index]
    return line[: len(line) - len(line.lstrip())]
