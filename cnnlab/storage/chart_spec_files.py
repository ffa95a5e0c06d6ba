"""The specifications of charts on the disk: a restarted server draws its pages without importing Altair.

home()/chart-specs/<digest of the programs that build them>/<digest of function and arguments>.json
"""

import hashlib
import json
from collections.abc import Hashable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cnnlab import settings
from cnnlab.storage import files

MAX_FILES = 300  # of one version of the programs; the pages build about 60 specifications
DIGEST_LETTERS = 24


class ChartSpecFiles:
    """The folder of the specifications that this version of the programs builds."""

    def __init__(self, programs: Sequence[Path]) -> None:
        """programs: the Python files whose change makes other specifications, as a change of Altair does."""
        content = b"".join(path.read_bytes() for path in sorted(programs)) + version("altair").encode()
        self.folder = settings.home() / "chart-specs" / _digest(content)

    def read(self, function: str, arguments: Sequence[Hashable]) -> dict[str, Any]:
        """The specification that this call gives; empty where it is not here, or its file is damaged."""
        return files.read_json(self._path(function, arguments))

    def write(self, function: str, arguments: Sequence[Hashable], spec: dict[str, Any]) -> None:
        """Keep the specification of this call, where there are fewer than MAX_FILES and the disk takes it."""
        path = self._path(function, arguments)
        with suppress(OSError):
            if not self.folder.is_dir() or sum(1 for _ in self.folder.iterdir()) < MAX_FILES:
                files.write_json(path, spec)

    def _path(self, function: str, arguments: Sequence[Hashable]) -> Path:
        return self.folder / f"{_digest(json.dumps([function, repr(arguments)]).encode())}.json"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGEST_LETTERS]
