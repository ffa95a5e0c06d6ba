"""Data sets on disk: four .npy files and a manifest in a folder that is either complete or absent.

A data set is written into a hidden sibling folder, synced to the disk, and renamed, so that a process killed at any
moment leaves no folder that looks complete. It is read memory-mapped: all workers on a machine share one copy.

A rename cannot replace a folder that is not empty. So a data set that is replaced is first renamed to a hidden backup,
which `read` opens while the folder is missing; if the process is killed between the two renames, the next `write`
restores it.

Checksums are not computed at every start (184 MB take half a second): `read` checks shapes, types, sizes and labels;
`fingerprint` does a full check.
"""

import contextlib
import hashlib
import json
import math
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.array_types import PixelArray
from cnnlab.operating_system import file_operations
from cnnlab.storage import bounded_files, files, process_lock
from cnnlab.storage.bounded_files import DamagedFile

Arrays = dict[str, PixelArray]

ARRAY_NAMES = ("x_train", "y_train", "x_test", "y_test")
MAX_MANIFEST_BYTES = 100_000


class ArrayStoreError(Exception):
    """A data set that cannot be read or written. The message is one sentence with the remedy."""


def fingerprint(arrays: Mapping[str, PixelArray]) -> str:
    """SHA-256, as 64 hex digits, over the raw C-order bytes of x_train, y_train, x_test and y_test, in that order."""
    digest = hashlib.sha256()
    for name in ARRAY_NAMES:
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def write(folder: Path, arrays: Mapping[str, PixelArray], manifest: Mapping[str, Any]) -> None:
    """Write the four arrays and the manifest to `folder` atomically, replacing what is there.

    `arrays`: images uint8 (n, 32, 32, 3) and labels uint8 (n,) by the names in ARRAY_NAMES. The fingerprint is added
    to the manifest. Where `folder` already holds equal arrays it is not changed.

    Raises ArrayStoreError where the disk is full or may not be written; no partial data remains.
    """
    complete = {"fingerprint": fingerprint(arrays), **manifest}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _write_lock(folder):
            if not _contains(folder, complete["fingerprint"]):
                _replace(folder, arrays, complete)
    except OSError as error:
        raise ArrayStoreError(files.disk_error_message(error, folder)) from error


@contextlib.contextmanager
def _write_lock(folder: Path) -> Iterator[None]:
    """Wait until no other process writes this folder, and clean up after one that was killed."""
    lock = process_lock.acquire(folder.parent / f".{folder.name}.lock", timeout=math.inf)
    with lock or contextlib.nullcontext():
        _recover(folder)
        yield


def _backup_path(folder: Path) -> Path:
    """Where the old data set is kept while the new one is renamed."""
    return folder.parent / f".{folder.name}.aside" / "old"


def _recover(folder: Path) -> None:
    """Undo a replacement that was interrupted between its two renames, and remove leftover folders."""
    backup = _backup_path(folder)
    if backup.exists() and not folder.exists():
        file_operations.replace(backup, folder)
    for leftover in (backup.parent, *folder.parent.glob(f".{folder.name}-*")):
        shutil.rmtree(leftover, ignore_errors=True)


def _contains(folder: Path, digest: str) -> bool:
    try:
        arrays, manifest = read(folder)
    except ArrayStoreError:
        return False
    return bool(manifest["fingerprint"] == digest == fingerprint(arrays))


def _replace(folder: Path, arrays: Mapping[str, PixelArray], manifest: Mapping[str, Any]) -> None:
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        part.chmod(0o755)
        for name in ARRAY_NAMES:
            files.write_npy(part / f"{name}.npy", arrays[name])
        files.write_bytes(part / "manifest.json", json.dumps(manifest, indent=2).encode() + b"\n")
        file_operations.fsync_directory(part)
        if folder.exists():
            _backup_path(folder).parent.mkdir(exist_ok=True)
            file_operations.replace(folder, _backup_path(folder))
        file_operations.replace(part, folder)
        with contextlib.suppress(OSError):  # the rename is done, even where the disk cannot guarantee it yet
            file_operations.fsync_directory(folder.parent)
    finally:
        _recover(folder)


def read(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    """The four arrays, memory-mapped and read-only, and the manifest. Takes about a millisecond.

    Images uint8 (n, 32, 32, 3), labels uint8 (n,) in 0..9.

    Raises ArrayStoreError where the folder is missing, incomplete or not what its manifest says.
    """
    for path in (folder, _backup_path(folder), folder):  # it may be replaced at this moment
        with contextlib.suppress(FileNotFoundError):
            return _read_directory(path)
    raise ArrayStoreError(f"There is no prepared data set in {folder}.")


def _read_directory(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    try:
        inode = folder.stat().st_ino
        content = bounded_files.read_file(folder / "manifest.json", MAX_MANIFEST_BYTES)
        manifest = bounded_files.parse_json_object(content)
        arrays = {name: _open_array(folder / f"{name}.npy") for name in ARRAY_NAMES}
        if folder.stat().st_ino != inode:
            raise FileNotFoundError(f"{folder} was replaced while it was read")
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise ArrayStoreError(
            f"The data set in {folder} is damaged: delete that folder and prepare it again."
        ) from error
    if not (isinstance(manifest.get("fingerprint"), str) and _is_valid(arrays)):
        raise ArrayStoreError(
            f"The data set in {folder} is not what was written: delete that folder and prepare it again."
        )
    return arrays, manifest


def _open_array(path: Path) -> PixelArray:
    """The array in an .npy file, memory-mapped; a pipe or a device is not opened. Raises ValueError, OSError."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise DamagedFile("is no regular file")
    return np.lib.format.open_memmap(path, mode="r")


def _is_valid(arrays: Mapping[str, PixelArray]) -> bool:
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if images.dtype != np.uint8 or labels.dtype != np.uint8 or labels.ndim != 1 or len(labels) == 0:
            return False
        if images.shape != (len(labels), 32, 32, 3) or labels.max() > 9:
            return False
    return True
