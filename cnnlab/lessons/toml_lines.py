"""The line numbers of a TOML file's tables and keys, which `tomllib` does not give.

A line is a header or a key only where the text between it and the header above is complete TOML: so a line that only
looks like one, inside a text of several lines, does not count.
"""

import re
import tomllib

HEADER = re.compile(r"\s*\[\[?\s*([\w.-]+)\s*\]\]?\s*(#.*)?")
KEY = re.compile(r"\s*([\w-]+)\s*=")


def header_lines(text: str) -> list[tuple[str, int]]:
    """The headers of tables, [name] and [[name]], with the line (from 1) of each, in the order of the file."""
    lines, start, found = text.splitlines(), 0, []
    for index, line in enumerate(lines):
        match = HEADER.fullmatch(line)
        if match and _is_complete(lines[start:index]):
            found.append((match[1], index + 1))
            start = index + 1
    return found


def key_line(text: str, header_line: int, key: str) -> int:
    """The line of `key` in the table whose header is in `header_line` (0: before all); that of the header without."""
    lines = text.splitlines()
    for index in range(header_line, len(lines)):
        if HEADER.fullmatch(lines[index]) and _is_complete(lines[header_line:index]):
            break
        match = KEY.match(lines[index])
        if match and match[1] == key and _is_complete(lines[header_line:index]):
            return index + 1
    return max(header_line, 1)


def _is_complete(lines: list[str]) -> bool:
    try:
        tomllib.loads("\n".join(lines))
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
    return True
