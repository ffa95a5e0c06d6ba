"""The import of somebody's own pictures from a page, within quotas, and its removal by the person who brought them."""

from collections.abc import Callable

from cnnlab import settings
from cnnlab.data import DatasetMissing, own_pictures
from cnnlab.data.picture_archive import list_archive_classes
from cnnlab.data.picture_folder import PictureImportError
from cnnlab.data.picture_import import ImportedPictures, ProgressCallback, import_classes
from cnnlab.datasets import DatasetInfo
from cnnlab.storage.run_retention import directory_bytes

MAX_OF_ONE_PERSON = 5
MAX_BYTES = 2 * 10**9  # of all data sets of one's own


def visible_datasets(person: str, is_teacher: bool) -> list[DatasetInfo]:
    """The data sets in this person's menu: their own and those of the command line; a teacher has all of them."""
    return [info for info in own_pictures.list_datasets() if is_teacher or _owner(info.name) in ("", person)]


def datasets_of(person: str) -> list[DatasetInfo]:
    """The data sets that this person brought in from a page."""
    return [info for info in own_pictures.list_datasets() if _owner(info.name) == person]


def import_archive(
    content: bytes, title: str, person: str, progress: ProgressCallback, poll: Callable[[], None] = lambda: None
) -> ImportedPictures:
    """Import the pictures of a ZIP archive for this person. Raises PictureImportError, PhotoError."""
    mine = datasets_of(person)
    if len(mine) >= MAX_OF_ONE_PERSON:
        raise PictureImportError(f"You have {len(mine)} data sets here, as many as one person may: remove one first.")
    kept = sum(directory_bytes(settings.data_dir() / info.name) for info in own_pictures.list_datasets())
    if kept > MAX_BYTES:
        raise PictureImportError(f"Own pictures take {MAX_BYTES / 1e9:.0f} GB here, all that they may: remove some.")
    return import_classes(list_archive_classes(content), title, "upload", person, progress=progress, poll=poll)


def remove_own(name: str, person: str) -> None:
    """Remove a data set that this person brought in; its runs stay. Raises DatasetMissing, OSError."""
    if _owner(name) != person:
        raise DatasetMissing("Only who brought these pictures in, or a teacher, can remove them.")
    own_pictures.remove(name)


def _owner(name: str) -> str | None:
    try:
        return own_pictures.owner(name)
    except DatasetMissing:
        return None
