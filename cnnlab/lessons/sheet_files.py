"""The lab sheets of this machine: shipped with the program, and those that a teacher put into the home's `lessons/`."""

import re
from dataclasses import dataclass
from pathlib import Path

from cnnlab import settings
from cnnlab.lessons.sheet import Sheet
from cnnlab.lessons.sheet_mistakes import Mistake, SheetError
from cnnlab.storage import bounded_files
from cnnlab.storage.bounded_files import DamagedFile

SHIPPED = Path(__file__).parent / "sheets"
SHIPPED_ORDER = ("taster", "seven-questions")
ENDINGS, TOML = (".yaml", ".yml"), ".toml"  # of sheets; of sheets as they were written before
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
MAX_BYTES = 200_000
MAX_FILES = 50  # of the home's folder


class UnknownSheet(LookupError):
    """There is no such sheet. The message is one sentence."""


@dataclass(frozen=True)
class SheetFile:
    """A file with a sheet, or with the mistakes that make it none."""

    path: Path
    sheet: Sheet | None
    mistakes: tuple[Mistake, ...] = ()

    @property
    def name(self) -> str:
        """The file's name without the ending."""
        return self.path.stem


def home_folder() -> Path:
    """The folder in which a teacher puts sheets."""
    return settings.home() / "lessons"


def load_sheet(path: Path) -> SheetFile:
    """The sheet in this file, or its mistakes."""
    from cnnlab.lessons.sheet_reader import read_sheet  # with PyYAML, which the first page does not need

    if mistake := _mistake_in_name(path):
        return SheetFile(path, None, (Mistake(1, mistake),))
    try:
        return SheetFile(path, read_sheet(path.stem, bounded_files.read_file(path, MAX_BYTES)))
    except SheetError as error:
        return SheetFile(path, None, error.mistakes)
    except (DamagedFile, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return SheetFile(path, None, (Mistake(1, f"The file cannot be read: {reason}."),))


def _mistake_in_name(path: Path) -> str:
    if path.suffix == TOML:
        command = f"cnnlab lesson convert {path.name}"
        return f'A sheet is a YAML file now. The command "{command}" writes {path.stem}.yaml beside this file.'
    if not NAME.fullmatch(path.stem) or path.suffix not in ENDINGS:
        return "Name the file with small letters, digits and hyphens, like my-lesson.yaml."
    first = path.with_suffix(ENDINGS[0])
    if path.suffix != ENDINGS[0] and first.exists():
        return f"{first.name} has the same name: rename or remove one of the two."
    return ""


def sheet_paths() -> list[Path]:
    """The files of all sheets: the shipped ones, then those of the home by name, at most MAX_FILES.

    Of the files of one name, that with the ending .toml comes first and that with .yml last.
    """
    try:
        found = [path for path in home_folder().iterdir() if path.suffix in (*ENDINGS, TOML)]
    except OSError:
        found = []
    own = sorted(path for path in found if not path.name.startswith("."))
    return [*(SHIPPED / f"{name}.yaml" for name in SHIPPED_ORDER), *own[:MAX_FILES]]


def list_sheets() -> list[SheetFile]:
    """Every sheet; a file of the home with the name of a shipped one takes its place."""
    return list({path.stem: load_sheet(path) for path in sheet_paths()}.values())


def open_sheet(name: str) -> Sheet:
    """The sheet of this name. Raises UnknownSheet where there is none or its file has mistakes."""
    for path in reversed(sheet_paths()):
        if path.stem == name and (found := load_sheet(path)).sheet:
            return found.sheet
    raise UnknownSheet(f"There is no lab sheet called {name[:40]!r} here: choose one from the list.")
