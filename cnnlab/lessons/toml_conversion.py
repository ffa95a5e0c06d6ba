"""Writes a lab sheet in TOML, the form that sheets had before, as YAML."""

import tomllib
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.resolver import BaseResolver

from cnnlab.lessons.sheet_files import ENDINGS, MAX_BYTES, TOML
from cnnlab.storage import bounded_files, files

ARRAYS = {"chapter": "chapters", "step": "steps"}  # the arrays of tables, and what they are called in YAML
EMPTY: tuple[object, ...] = ("", [], {})  # says in TOML what a YAML sheet says by leaving the field out
MAX_FLOW = 80  # characters of a list that is written in one line


class ConversionError(ValueError):
    """A file that cannot be converted. The message is one sentence."""


def convert_sheet(path: Path) -> Path:
    """Write the YAML file of a sheet in TOML beside it and return its path. Comments are not kept.

    Raises ConversionError, OSError; DamagedFile, whose message continues the file's name.
    """
    if path.suffix != TOML:
        raise ConversionError(f"Expected a file whose name ends with {TOML}. Received: {path.name[:60]!r}")
    for taken in (path.with_suffix(ending) for ending in ENDINGS):
        if taken.exists():
            raise ConversionError(f"{taken.name} is there already: rename or remove it first.")
    content = bounded_files.read_file(path, MAX_BYTES)
    target = path.with_suffix(ENDINGS[0])
    files.write_bytes(target, yaml_of_toml(content).encode())
    return target


def yaml_of_toml(content: bytes) -> str:
    """The YAML text of a sheet in TOML. Raises ConversionError."""
    try:
        values = tomllib.loads(content.decode("utf-8-sig"))
        return str(yaml.serialize(_node(values), Dumper=yaml.BaseDumper, allow_unicode=True, width=110))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConversionError(f"This is not TOML: {error}.") from None


def _node(value: Any) -> Node:
    if isinstance(value, dict):
        names = {key: ARRAYS.get(key, key) if isinstance(item, list) else key for key, item in value.items()}
        pairs = [(_node(names[key]), _node(item)) for key, item in value.items() if item not in EMPTY]
        return MappingNode(BaseResolver.DEFAULT_MAPPING_TAG, pairs, flow_style=False)
    if isinstance(value, list):
        in_one_line = not any(isinstance(item, dict) for item in value) and len(str(value)) <= MAX_FLOW
        items = [_node(item) for item in value]
        return SequenceNode(BaseResolver.DEFAULT_SEQUENCE_TAG, items, flow_style=in_one_line)
    style = "|" if "\n" in str(value) else None
    return ScalarNode(BaseResolver.DEFAULT_SCALAR_TAG, str(value), style=style)
