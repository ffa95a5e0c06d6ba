"""Arrays on disk that are either whole or not there.

A prepared data set is a folder of four .npy files and a manifest. It is written into a hidden sibling folder, forced to
the disk, and appears under its name by one rename, so that a process killed at any moment leaves nothing that a later
start would trust. It is read memory-mapped: ten workers on one machine share one copy of the pixels.

No rename replaces a filled folder. So a data set that is replaced steps aside first, into a hidden folder where `read`
finds it as long as nothing has its name; where a kill came between the two renames, the next `write` puts it back.

What is left out: checksums are not computed at every start (184 MB take half a second). `read` checks what costs
nothing, the shapes, types, sizes and labels; `fingerprint` is there for whoever wants certainty.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.array_types import PixelArray

Arrays = dict[str, PixelArray]

ARRAY_NAMES = ("x_train", "y_train", "x_test", "y_test")
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


class ArrayStoreError(Exception):
    """A folder of arrays that cannot be trusted or written. The message is one sentence for a person."""


def fingerprint(arrays: Mapping[str, PixelArray]) -> str:
    """SHA-256, as 64 hex digits, over the raw C-order bytes of x_train, y_train, x_test and y_test, in that order."""
    digest = hashlib.sha256()
    for name in ARRAY_NAMES:
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def write(folder: Path, arrays: Mapping[str, PixelArray], manifest: Mapping[str, Any]) -> None:
    """Put the four arrays and the manifest under `folder`, which appears, or is replaced, all at once.

    `arrays`: images uint8 (n, 32, 32, 3) and labels uint8 (n,) by the names in NAMES. The fingerprint is added to the
    manifest. Where `folder` already holds these very arrays it stays untouched.

    Raises StoreError where there is no room or no permission; nothing half-made remains.
    """
    whole = {"fingerprint": fingerprint(arrays), **manifest}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _write_lock(folder):
            if not _contains(folder, whole["fingerprint"]):
                _replace(folder, arrays, whole)
    except OSError as error:
        raise ArrayStoreError(disk_error_message(error, folder)) from error


def disk_error_message(error: OSError, folder: Path, megabytes: int = 400) -> str:
    """One sentence for a person about a write of about so many megabytes that failed in `folder`."""
    if error.errno in DISK_FULL_ERRNOS:
        return (
            f"The disk is full: free about {megabytes} MB for {folder}, or set CNNLAB_HOME to a folder on another disk."
        )
    reason = error.strerror or str(error)
    return f"{folder} could not be written ({reason}): set CNNLAB_HOME to a folder that you may write to."


@contextlib.contextmanager
def _write_lock(folder: Path) -> Iterator[None]:
    """Wait until no other process writes this folder, and tidy up what a killed one left behind."""
    with open(folder.parent / f".{folder.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _recover(folder)
        yield


def _backup_path(folder: Path) -> Path:
    """Where the old data set is while the new one takes its name."""
    return folder.parent / f".{folder.name}.aside" / "old"


def _recover(folder: Path) -> None:
    """Undo a replacement that was cut short between its two renames, and sweep away what is left over."""
    aside = _backup_path(folder)
    if aside.exists() and not folder.exists():
        os.rename(aside, folder)
    for leftover in (aside.parent, *folder.parent.glob(f".{folder.name}-*")):
        shutil.rmtree(leftover, ignore_errors=True)


def _contains(folder: Path, digest: str) -> bool:
    try:
        arrays, manifest = read(folder)
    except ArrayStoreError:
        return False
    return bool(manifest["fingerprint"] == digest == fingerprint(arrays))


def _replace(folder: Path, arrays: Mapping[str, PixelArray], manifest: Mapping[str, Any]) -> None:
    making = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        making.chmod(0o755)
        for name in ARRAY_NAMES:
            _write_array(making / f"{name}.npy", arrays[name])
        _write_synced(making / "manifest.json", json.dumps(manifest, indent=2).encode() + b"\n")
        _fsync_directory(making)
        if folder.exists():
            _backup_path(folder).parent.mkdir(exist_ok=True)
            os.rename(folder, _backup_path(folder))
        os.rename(making, folder)
        with contextlib.suppress(OSError):  # it has its name, even if the disk cannot promise that yet
            _fsync_directory(folder.parent)
    finally:
        _recover(folder)


def _write_array(path: Path, array: PixelArray) -> None:
    array = np.ascontiguousarray(array)
    with open(path, "wb") as file:  # np.save would hide the reason (errno) of a write that fails
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)
        file.flush()
        os.fsync(file.fileno())


def _write_synced(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _fsync_directory(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    """The four arrays, memory-mapped and read-only, and the manifest. Takes about a millisecond.

    Images uint8 (n, 32, 32, 3), labels uint8 (n,) in 0..9.

    Raises StoreError where the folder is missing, incomplete or not what its manifest says.
    """
    for place in (folder, _backup_path(folder), folder):  # it may be replaced just now
        with contextlib.suppress(FileNotFoundError):
            return _read_directory(place)
    raise ArrayStoreError(f"There is no prepared data set in {folder}.")


def _read_directory(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    try:
        inode = folder.stat().st_ino
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAY_NAMES}
        if folder.stat().st_ino != inode:
            raise FileNotFoundError(f"{folder} was replaced while it was read")
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise ArrayStoreError(
            f"The data set in {folder} is damaged: delete that folder and prepare it again."
        ) from error
    if not (isinstance(manifest, dict) and isinstance(manifest.get("fingerprint"), str) and _is_valid(arrays)):
        raise ArrayStoreError(
            f"The data set in {folder} is not what was written: delete that folder and prepare it again."
        )
    return arrays, manifest


def _is_valid(arrays: Mapping[str, PixelArray]) -> bool:
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if images.dtype != np.uint8 or labels.dtype != np.uint8 or len(images) == 0:
            return False
        if images.shape != (len(images), 32, 32, 3) or labels.shape != (len(images),) or labels.max() > 9:
            return False
    return True
