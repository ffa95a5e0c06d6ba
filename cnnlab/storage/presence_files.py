"""The tabs that each web process of this home shows: one small file a process, so that their counts add up."""

import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from cnnlab import settings
from cnnlab.storage import files

FRESH_SECONDS = 90.0  # a file older than this is of a process that has ended; a hidden tab asks once a minute
MAX_FILES = 100
PROCESS = secrets.token_hex(8)  # names the file of this process

Views = Counter[tuple[str, str]]  # tabs by page and run, "" for none


def folder() -> Path:
    """The folder with one file of views for each web process."""
    return settings.home() / "presence"


def write_views(tabs: int, views: Mapping[tuple[str, str], int]) -> None:
    """Publish how many tabs this process shows and what they show. Raises OSError."""
    rows = [[page, run, number] for (page, run), number in views.items()]
    files.write_json(folder() / f"{PROCESS}.json", {"tabs": tabs, "views": rows})


def read_others() -> tuple[int, Views]:
    """The number of tabs of all other processes, and what they show; files of processes that ended are removed."""
    tabs, views = 0, Views()
    for path in sorted(folder().glob("*.json"))[:MAX_FILES]:
        if path.stem == PROCESS or not _is_fresh(path):
            continue
        content = files.read_json(path)
        with contextlib.suppress(KeyError, TypeError, ValueError):  # whatever else a file may hold counts as nothing
            found = Views({(str(page), str(run)): int(number) for page, run, number in content["views"]})
            tabs, views = tabs + int(content["tabs"]), views + found
    return tabs, views


def _is_fresh(path: Path) -> bool:
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime <= FRESH_SECONDS:
            return True
        path.unlink(missing_ok=True)
    return False
