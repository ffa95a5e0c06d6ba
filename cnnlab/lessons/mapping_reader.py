"""Checks the mappings of a YAML file field by field and collects what is wrong, with line numbers."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from cnnlab.lessons.sheet_mistakes import Mistake
from cnnlab.lessons.yaml_nodes import COMMENT, IN_QUOTES, comment_line, node_line

MAX_TEXT, MAX_ITEM_TEXT = 4_000, 200  # characters
MAX_ITEMS, MAX_MISTAKES, MAX_NUMBER = 100, 100, 1e9


@dataclass(frozen=True)
class Fields:
    """A mapping of the file: the line in which it begins, and the nodes of each field's name and value."""

    line: int
    nodes: Mapping[str, tuple[Node, Node]]

    def line_of(self, name: str, item: int | None = None) -> int:
        """The line of a field's name, or of an item of its list; that of the mapping where the field is missing."""
        if name not in self.nodes:
            return self.line
        key, value = self.nodes[name]
        return node_line(key if item is None else value.value[item])


class MappingReader:
    """Converts nodes to the types that fields have, and keeps the mistakes found so far.

    text: the file's; written: fields for which a comment behind a value that is no number is a mistake, since it may be
    a part of the value.
    """

    def __init__(self, text: str = "", written: Collection[str] = ()) -> None:
        self.mistakes: list[Mistake] = []
        self.lines, self.written = text.splitlines(), written

    def mistake(self, line: int, message: str) -> None:
        """Note a mistake, at most MAX_MISTAKES of them."""
        if len(self.mistakes) < MAX_MISTAKES:
            self.mistakes.append(Mistake(line, message))

    def fields(self, node: Node | None) -> Fields:
        """The fields of a mapping; none, and a mistake, where the node is no mapping or an empty one."""
        if not isinstance(node, MappingNode) or not node.value:
            line = node_line(node) if node else 1
            self.mistake(line, f"Expected fields with a name, a colon and a value.{_received(node)}")
            return Fields(line, {})
        found: dict[str, tuple[Node, Node]] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.mistake(node_line(key), f"Expected a name before the colon.{_received(key)}")
            elif key.value in found:
                self.mistake(node_line(key), f"The field {key.value[:40]} is there twice: remove one of them.")
            else:
                found[key.value] = key, value
        return Fields(node_line(node), found)

    def check_names(self, fields: Fields, required: Sequence[str], optional: Sequence[str] = ()) -> None:
        """All required names are there, and no unknown ones. Without any field the mistake is noted already."""
        for name in required:
            if fields.nodes and name not in fields.nodes:
                self.mistake(fields.line, f"{name} is missing: add a line {name}: ...")
        for name in fields.nodes.keys() - {*required, *optional}:
            known = ", ".join(dict.fromkeys((*required, *optional)))
            self.mistake(fields.line_of(name), f"Expected one of the fields {known}. Received: {name[:40]!r}")

    def text(self, fields: Fields, name: str) -> str:
        """The text of a field as it is written; "" where it is missing."""
        if name not in fields.nodes:
            return ""
        return self._scalar(fields.nodes[name][1], name, fields.line_of(name), MAX_TEXT)

    def whole_number(self, fields: Fields, name: str, low: int, high: int) -> int:
        """The whole number of a field, from `low` to `high`; 0 where it is none."""
        written = self.text(fields, name)
        if written.isdecimal() and len(written) < 10 and low <= int(written) <= high:
            return int(written)
        if written:
            line = fields.line_of(name)
            self.mistake(line, f"{name} is a whole number from {low} to {high}. Received: {written[:40]!r}")
        return 0

    def texts(self, fields: Fields, name: str, least: int = 0, most: int = MAX_ITEMS) -> tuple[str, ...]:
        """The texts of a list as they are written; none where it is missing."""
        items = self._items(fields, name, least, most)
        return tuple(self._scalar(item, name, node_line(item), MAX_ITEM_TEXT) for item in items)

    def numbers(self, fields: Fields, name: str, least: int, most: int) -> tuple[float, ...]:
        """The numbers of a list, between -MAX_NUMBER and MAX_NUMBER; none where it is missing or one is no number."""
        texts = self.texts(fields, name, least, most)
        numbers = tuple(map(_number, texts))
        for index, number in enumerate(numbers):
            if not abs(number) < MAX_NUMBER:
                message = f"{name} is a list of numbers. Received: {texts[index][:40]!r}"
                self.mistake(fields.line_of(name, index), message)
                return ()
        return numbers

    def mapping(self, fields: Fields, name: str) -> Fields:
        """The mapping in a field; without fields where it is missing."""
        return self.fields(fields.nodes[name][1]) if name in fields.nodes else Fields(fields.line, {})

    def mappings(self, fields: Fields, name: str, most: int) -> list[Fields]:
        """The mappings in a list of 1 to `most`; none where it is missing."""
        return [self.fields(item) for item in self._items(fields, name, 1, most)]

    def _items(self, fields: Fields, name: str, least: int, most: int) -> list[Node]:
        value = fields.nodes[name][1] if name in fields.nodes else None
        if isinstance(value, SequenceNode) and least <= len(value.value) <= most:
            return list(value.value)
        if isinstance(value, SequenceNode):
            count = f"{least} to {most}" if least < most else str(most)
            self.mistake(fields.line_of(name), f"{name} is a list of {count} items. Received: {len(value.value)}")
        elif value is not None:
            self.mistake(fields.line_of(name), f"{name} is a list: [a, b], or - before each item.{_received(value)}")
        return []

    def _scalar(self, node: Node, name: str, line: int, longest: int) -> str:
        if not isinstance(node, ScalarNode):
            self.mistake(line, f"Expected one value for {name}.{_received(node)}. {IN_QUOTES}")
            return ""
        is_text = name in self.written and math.isnan(_number(node.value))
        if is_text and (commented := comment_line(node, self.lines)):
            self.mistake(commented, COMMENT)
        if not node.value.strip():
            self.mistake(line, f"{name} is empty: write a value, or remove the line.")
        if len(node.value) > longest:
            self.mistake(line, f"{name} has at most {longest:,} characters. Received: {len(node.value):,}")
        return str(node.value)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _received(node: Node | None) -> str:
    if isinstance(node, ScalarNode):
        return f" Received: {node.value[:40]!r}"
    return {MappingNode: " Received: a name with a colon", SequenceNode: " Received: a list"}.get(type(node), "")
