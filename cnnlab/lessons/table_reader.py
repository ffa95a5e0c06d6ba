"""Checks the tables of a TOML file field by field and collects what is wrong, with line numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnlab.lessons import toml_lines

MAX_TEXT, MAX_OPTION = 4_000, 200  # characters
NUMBER_LISTS = ("x", "y")  # fields that hold a list of numbers instead of texts
TYPE_WORDS = {str: "a text in quotes", list: "a list in [ ]", dict: "a table in { }", int: "a whole number"}


@dataclass(frozen=True)
class Mistake:
    """What is wrong in a line of a sheet's file."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class SheetError(ValueError):
    """A sheet with mistakes; `mistakes` has them in the order of the file."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda one: one.line))
        super().__init__("; ".join(map(str, self.mistakes)))


class TableReader:
    """The mistakes found so far in a file, and where its tables begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.mistakes: list[Mistake] = []
        self._headers: list[tuple[str, int]] | None = None

    def check_names(
        self, values: Mapping[str, Any], required: Sequence[str], line: int, optional: Sequence[str] = ()
    ) -> None:
        """All required names are there, and no unknown ones."""
        for name in required:
            if name not in values:
                self.mistake(line, None, f"{name} is missing: add a line {name} = ...")
        for name in set(values) - {*required, *optional}:
            known = ", ".join(dict.fromkeys((*required, *optional)))
            self.mistake(line, name, f"Expected one of the fields {known}. Received: {name[:40]!r}")

    def value(self, values: Mapping[str, Any], name: str, kind: type, line: int) -> Any:
        """The value of a field, or an empty one where it has another type."""
        value: Any = values.get(name, kind())
        if not isinstance(value, kind) or isinstance(value, bool):
            self.mistake(line, name, f"{name} is {TYPE_WORDS[kind]}. Received: {str(value)[:40]!r}")
            return kind()
        texts: list[str] = [value] if isinstance(value, str) else []
        if isinstance(value, list):
            texts = [one for one in value if isinstance(one, str)]
        longest = MAX_TEXT if kind is str else MAX_OPTION
        if any(len(text) > longest for text in texts):
            self.mistake(line, name, f"{name} has at most {longest:,} characters.")
        if isinstance(value, list) and name not in NUMBER_LISTS and len(texts) < len(value):
            self.mistake(line, name, f"{name} is a list of texts in quotes.")
            return []
        return value

    def tables(self, values: Mapping[str, Any], name: str, line: int, most: int) -> list[Mapping[str, Any]]:
        """The tables [[name]]; one mistake where there are none or too many."""
        tables = values.get(name, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self.mistake(line, name, f"{name} is written as tables [[{name}]].")
            return []
        if name in values and not 1 <= len(tables) <= most:
            self.mistake(line, name, f"Expected 1 to {most} tables [[{name}]]. Received: {len(tables)}")
        return tables[:most]

    def mistake(self, line: int, key: str | None, message: str) -> None:
        """Note a mistake in the table whose header is in `line`, at its `key` where there is one."""
        self.mistakes.append(Mistake(toml_lines.key_line(self.text, line, key) if key else max(line, 1), message))

    @property
    def headers(self) -> list[tuple[str, int]]:
        """The headers of the file; read when they are first asked for."""
        if self._headers is None:
            self._headers = toml_lines.header_lines(self.text)
        return self._headers

    def header(self, name: str, number: int) -> int:
        """The line of the header [[name]] of this number, from 0; 1 where the file has none."""
        lines = [line for found, line in self.headers if found == name]
        return lines[number] if number < len(lines) else 1

    def step_line(self, chapter: int, number: int) -> int:
        """The line of the header of a step of a chapter, both counted from 0."""
        first = self.header("chapter", chapter)
        lines = [line for found, line in self.headers if found == "chapter.step" and line > first]
        return lines[number] if number < len(lines) else first
