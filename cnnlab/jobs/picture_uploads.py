"""The import of somebody's own pictures from a page, within quotas, and its removal by the person who brought them."""

from collections.abc import Callable

from cnnlab import settings
from cnnlab.data import DatasetMissing, own_pictures
from cnnlab.data.picture_archive import list_archive_classes
from cnnlab.data.picture_folder import PictureImportError
from cnnlab.data.picture_import import ImportedPictures, ProgressCallback, import_classes
from cnnlab.datasets import DatasetInfo
from cnnlab.jobs.import_quotas import ImportKind, Stored, counted_import
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.settings import SettingsError
from cnnlab.storage.run_retention import directory_bytes

MAX_OF_ONE_PERSON = 5
MAX_BYTES = 2 * 10**9  # of all data sets of one's own
PICTURE_BYTES, OTHER_BYTES = 32 * 32 * 3 + 1, 30_000  # of one picture with its label; of the rest of a data set


def visible_datasets(person: str, is_teacher: bool) -> list[DatasetInfo]:
    """The data sets in this person's menu: their own and those of the command line; a teacher has all of them."""
    return [info for info in own_pictures.list_datasets() if is_teacher or _owner(info.name) in ("", person)]


def datasets_of(person: str) -> list[DatasetInfo]:
    """The data sets that this person imported from a page."""
    return [info for info in own_pictures.list_datasets() if _owner(info.name) == person]


def import_archive(
    content: bytes,
    title: str,
    person: str,
    progress: ProgressCallback,
    poll: Callable[[], None] = lambda: None,
    *,
    address: str = "",
) -> ImportedPictures:
    """Import the pictures of a ZIP archive for this person, within the quotas.

    `address` is as in `counted_import`. Raises PictureImportError, PhotoError.
    """
    classes = list_archive_classes(content)
    kind = ImportKind(noun="data set", most_of_person=MAX_OF_ONE_PERSON, max_bytes=MAX_BYTES)
    names = [info.name for info in own_pictures.list_datasets()]
    stored = Stored(
        {name: directory_bytes(settings.data_dir() / name) for name in names},
        frozenset(name for name in names if _owner(name) == person),
    )
    size = OTHER_BYTES + sum(map(len, classes.values())) * PICTURE_BYTES
    try:
        with counted_import(kind, person, address, stored, size, poll) as counted:
            made = import_classes(classes, title, "upload", person, progress=progress, poll=poll)
            counted.name = made.info.name
            return made
    except (QuotaExceeded, QueueError, SettingsError) as refusal:
        raise PictureImportError(str(refusal)) from None


def remove_own(name: str, person: str) -> None:
    """Remove a data set that this person imported; its runs stay. Raises DatasetMissing, OSError."""
    if _owner(name) != person:
        raise DatasetMissing("Only who brought these pictures in, or a teacher, can remove them.")
    own_pictures.remove(name)


def _owner(name: str) -> str | None:
    try:
        return own_pictures.owner(name)
    except DatasetMissing:
        return None
