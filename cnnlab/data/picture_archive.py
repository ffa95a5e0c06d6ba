"""A ZIP archive of classes that somebody uploads: its files by class, without writing one of them to the disk.

    maple/1.jpg, oak/1.jpg, ...    or, as systems pack a folder,    my-pictures/maple/1.jpg, my-pictures/oak/1.jpg, ...

Everything about it may be made up to do harm: its sizes are bounded before anything is expanded, a name decides only
which class a file belongs to, and each file is expanded when it is decoded, to the size that it states and no further.
"""

import io
import zipfile
from functools import partial
from pathlib import PurePosixPath

from cnnlab.data.picture_folder import Classes, PictureFile, PictureImportError, check_classes, is_ignored
from cnnlab.storage import bounded_files
from cnnlab.storage.bounded_files import DamagedFile

MAX_ARCHIVE_BYTES = 25_000_000  # as much as the server takes in one upload
MAX_EXPANDED_BYTES = 100_000_000
MAX_FILES = 10_000


def list_archive_classes(content: bytes) -> Classes:
    """The files of each class, names and files in alphabetical order. Raises PictureImportError."""
    if len(content) > MAX_ARCHIVE_BYTES:
        raise PictureImportError(
            f"Choose a ZIP file of at most {MAX_ARCHIVE_BYTES // 10**6} MB, or import the folder on the command line."
        )
    try:
        members = bounded_files.archive_members(io.BytesIO(content), MAX_EXPANDED_BYTES, MAX_FILES)
    except DamagedFile as damage:
        raise PictureImportError(f"This file {damage}; expected a ZIP archive of a folder of classes.") from None
    paths = {PurePosixPath(member.filename.replace("\\", "/")): member for member in members if not member.is_dir()}
    paths = {path: member for path, member in paths.items() if not any(map(is_ignored, path.parts))}
    folders: dict[PurePosixPath, list[PictureFile]] = {}
    depth = max((len(path.parts) for path in paths), default=0)
    for path in sorted(paths):
        if len(path.parts) == depth:  # others lie beside the classes
            file = PictureFile("/".join(path.parts[-2:]), paths[path].file_size, partial(_expand, content, paths[path]))
            folders.setdefault(path.parent, []).append(file)
    if depth not in (2, 3) or len({path.parent for path in folders}) != 1:
        raise PictureImportError("Pack one folder with a folder for each class in it, and the pictures in those.")
    return check_classes([path.name for path in folders], list(folders.values()).__getitem__)


def _expand(content: bytes, member: zipfile.ZipInfo) -> bytes:
    try:
        return bounded_files.expand_member(content, member)
    except DamagedFile as damage:
        raise PictureImportError(f"This file {damage}: pack it again.") from None
