"""A folder of classes that somebody wants to import: names, files and their number, checked before any is read.

Names come from outside: a class name keeps letters, digits, spaces and hyphens, so that it means nothing in
Markdown, in an address or on a command line. Links are not followed.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cnnlab import settings
from cnnlab.datasets import MAX_CLASS_NAME, MAX_CLASSES, MAX_PICTURES, MIN_CLASSES, OWN_NAME, is_class_name
from cnnlab.formatting import quoted

MIN_PICTURES = 20  # of each class: three of them are for validation and three for the test
IGNORED_FILES = ("thumbs.db", "desktop.ini")  # and every name that begins with a dot
MAX_NAMED = 3  # problems that one sentence names


class PictureImportError(ValueError):
    """A folder that cannot be imported. The message is one sentence with what to do."""


class UnreadablePictures(PictureImportError):
    """Files of the folder are no pictures; the import can leave them out instead."""


@dataclass(frozen=True)
class PictureFile:
    """A file that should be a picture: its class and name for a sentence, its size in bytes, and its content.

    `read` raises PictureImportError, and may cut the content off a little beyond the size that a picture may have.
    """

    label: str
    size: int
    read: Callable[[], bytes]


Classes = Mapping[str, Sequence[PictureFile]]


def check_title(title: str) -> None:
    """Raise PictureImportError unless the title has the letters that the name of a data set may have."""
    if not OWN_NAME.fullmatch(f"own-{'0' * 12}-{title}") or title.lower() in ("shapes", "cifar10", "cifar-10"):
        raise PictureImportError(
            "Name the data set with 1 to 24 letters from A to Z, digits and hyphens, like leaves, and not cifar10 or"
            f" shapes. Received: {quoted(title)}"
        )


def list_classes(folder: Path) -> Classes:
    """The files of each class by its name, names and files in alphabetical order. Raises PictureImportError."""
    try:
        folders = sorted(path for path in folder.iterdir() if path.is_dir() and not is_ignored(path.name))
    except OSError as error:
        raise PictureImportError(f"{quoted(str(folder))} cannot be opened ({error.strerror}): give a folder.") from None
    if linked := [path for path in folders if path.is_symlink()]:
        raise PictureImportError(f"Links are not followed. Received: {quoted(linked[0].name)}")
    return check_classes([path.name for path in folders], lambda number: _files(folders[number]))


def check_classes(folder_names: Sequence[str], files_of: Callable[[int], Sequence[PictureFile]]) -> Classes:
    """The files of each class by its name; `files_of` gives those of a folder by its number.

    Raises PictureImportError for wrong names, and for too few or too many classes or files.
    """
    if not MIN_CLASSES <= len(folder_names) <= MAX_CLASSES:
        raise PictureImportError(
            f"Give a folder with {MIN_CLASSES} to {MAX_CLASSES} folders in it, one for each class."
            f" Received: {len(folder_names)}"
        )
    classes = {class_name(name): files_of(number) for number, name in enumerate(folder_names)}
    if len({name.casefold() for name in classes}) < len(folder_names):
        raise PictureImportError(
            "Two folders have the same class name: capital letters and underscores make no difference in it."
        )
    total = sum(map(len, classes.values()))
    if total > MAX_PICTURES:
        raise PictureImportError(f"A data set has at most {MAX_PICTURES:,} pictures. Received: {total:,}")
    if few := [f"{name} has {len(files)}" for name, files in classes.items() if len(files) < MIN_PICTURES]:
        raise PictureImportError(f"Each class needs at least {MIN_PICTURES} pictures: {name_some(few)}.")
    return classes


def class_name(folder_name: str) -> str:
    """The name of a class: that of its folder, underscores as spaces. Raises PictureImportError."""
    name = " ".join(unicodedata.normalize("NFC", folder_name).replace("_", " ").split())
    if not is_class_name(name):
        raise PictureImportError(
            f"Name the folder of a class with 1 to {MAX_CLASS_NAME} letters, digits, spaces and hyphens."
            f" Received: {quoted(folder_name)}"
        )
    return name


def _files(folder: Path) -> list[PictureFile]:
    """The files of a class in alphabetical order. Raises PictureImportError for a folder or a link in it."""
    try:
        found = sorted(path for path in folder.iterdir() if not is_ignored(path.name))
    except OSError as error:
        raise PictureImportError(f"{quoted(folder.name)} cannot be opened ({error.strerror}).") from None
    if inner := [path for path in found if path.is_symlink() or not path.is_file()]:
        raise PictureImportError(
            f"The folder of a class holds pictures only, no folder and no link. Received:"
            f" {quoted(f'{folder.name}/{inner[0].name}')}"
        )
    return [PictureFile(f"{folder.name}/{path.name}", path.stat().st_size, partial(_read_file, path)) for path in found]


def is_ignored(name: str) -> bool:
    """Whether systems put a file or folder of this name into every folder."""
    return name.startswith((".", "__")) or name.lower() in IGNORED_FILES


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as opened:
            return opened.read(int(settings.current().upload_megabytes * 10**6) + 1)
    except OSError as error:
        shown = quoted(f"{path.parent.name}/{path.name}")
        raise PictureImportError(f"{shown} could not be read ({error.strerror}): copy it again.") from None


def name_some(problems: list[str]) -> str:
    """The first MAX_NAMED problems in one line, and how many more there are."""
    more = f", and {len(problems) - MAX_NAMED:,} more" if len(problems) > MAX_NAMED else ""
    return "; ".join(problems[:MAX_NAMED]) + more
