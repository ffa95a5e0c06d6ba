"""A folder of classes that somebody wants to import: its names, its files and their number, checked before any is read.

Names are a stranger's words: a class name keeps letters, digits, spaces and hyphens, so that it means nothing in
Markdown, in an address or on a command line. Links are not followed.
"""

import unicodedata
from pathlib import Path

from cnnlab import settings
from cnnlab.datasets import MAX_CLASS_NAME, MAX_CLASSES, MAX_PICTURES, MIN_CLASSES, OWN_NAME, is_class_name

MIN_PICTURES = 20  # of each class: three of them are for validation and three for the test
IGNORED_FILES = ("thumbs.db", "desktop.ini")  # and every name that begins with a dot
MAX_NAMED = 3  # problems that one sentence names
MAX_QUOTED = 40  # characters of a name from outside that are repeated


class PictureImportError(ValueError):
    """A folder that cannot be imported. The message is one sentence with what to do."""


def check_title(title: str) -> None:
    """Raise PictureImportError unless the title has the letters that the name of a data set may have."""
    if not OWN_NAME.fullmatch(f"own-{'0' * 12}-{title}") or title.lower() in ("shapes", "cifar10", "cifar-10"):
        raise PictureImportError(
            "Name the data set with 1 to 24 letters from A to Z, digits and hyphens, and not like one that is here"
            f" already: --name leaves. Received: {quote(title)}"
        )


def list_classes(folder: Path) -> dict[str, list[Path]]:
    """The files of each class by its name, names and files in alphabetical order. Raises PictureImportError."""
    try:
        folders = sorted(one for one in folder.iterdir() if one.is_dir() and not is_ignored(one))
    except OSError as error:
        raise PictureImportError(f"{quote(str(folder))} cannot be opened ({error.strerror}): give a folder.") from None
    if not MIN_CLASSES <= len(folders) <= MAX_CLASSES:
        raise PictureImportError(
            f"Give a folder with {MIN_CLASSES} to {MAX_CLASSES} folders in it, one for each class."
            f" Received: {len(folders)}"
        )
    classes = {class_name(one): _files(one) for one in folders}
    if len({name.casefold() for name in classes}) < len(folders):
        raise PictureImportError(
            "Two folders have the same class name: a class name tells neither capital letters nor underscores apart."
        )
    total = sum(map(len, classes.values()))
    if total > MAX_PICTURES:
        raise PictureImportError(f"A data set has at most {MAX_PICTURES:,} pictures. Received: {total:,}")
    if few := [f"{name} has {len(files)}" for name, files in classes.items() if len(files) < MIN_PICTURES]:
        raise PictureImportError(f"Each class needs at least {MIN_PICTURES} pictures: {name_some(few)}.")
    return classes


def class_name(folder: Path) -> str:
    """The name of a class: that of its folder, underscores as spaces. Raises PictureImportError."""
    name = " ".join(unicodedata.normalize("NFC", folder.name).replace("_", " ").split())
    if folder.is_symlink() or not is_class_name(name):
        raise PictureImportError(
            f"Name the folder of a class with 1 to {MAX_CLASS_NAME} letters, digits, spaces and hyphens; links are not"
            f" followed. Received: {quote(folder.name)}"
        )
    return name


def _files(folder: Path) -> list[Path]:
    """The files of a class. Raises PictureImportError for a folder in it."""
    try:
        found = sorted(one for one in folder.iterdir() if not is_ignored(one))
    except OSError as error:
        raise PictureImportError(f"{quote(folder.name)} cannot be opened ({error.strerror}).") from None
    if inner := [one for one in found if one.is_symlink() or not one.is_file()]:
        raise PictureImportError(
            f"The folder of a class holds pictures only, no folder and no link. Received:"
            f" {quote(f'{folder.name}/{inner[0].name}')}"
        )
    return found


def is_ignored(path: Path) -> bool:
    """Whether systems put such a file or folder into every folder."""
    return path.name.startswith((".", "__")) or path.name.lower() in IGNORED_FILES


def read_picture(path: Path) -> bytes:
    """The content of a file, cut off a little beyond the size that a picture may have. Raises PictureImportError."""
    try:
        with path.open("rb") as opened:
            return opened.read(int(settings.current().upload_megabytes * 10**6) + 1)
    except OSError as error:
        shown = quote(f"{path.parent.name}/{path.name}")
        raise PictureImportError(f"{shown} could not be read ({error.strerror}): copy it again.") from None


def name_some(problems: list[str]) -> str:
    """The first MAX_NAMED problems in one line, and how many more there are."""
    more = f", and {len(problems) - MAX_NAMED:,} more" if len(problems) > MAX_NAMED else ""
    return "; ".join(problems[:MAX_NAMED]) + more


def quote(name: str) -> str:
    """A name from outside, safe to repeat: printable, in quotes, and shortened."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    return repr(shown if len(shown) <= MAX_QUOTED else shown[:MAX_QUOTED] + "...")
