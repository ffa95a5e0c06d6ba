"""Atomic file writes, and tolerant reads.

Every writer makes the content in a part file next to the target, forces it to the disk and renames it, so that a
concurrent reader, or the next start after a crash, finds either the old content or the new one.
"""

import contextlib
import errno
import io
import json
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.operating_system import file_operations
from cnnlab.storage import bounded_files
from cnnlab.storage.bounded_files import DamagedFile

DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
MAX_JSON_BYTES = 2_000_000


@contextlib.contextmanager
def atomic_path(path: Path, suffix: str = "") -> Iterator[Path]:
    """Yield the path of a part file that replaces `path` when the block ends without an error.

    The part file is `.<name>.<unique>.part<suffix>` in the folder of `path`, which is created where it is missing. It
    is removed where the block raises. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part{suffix}")
    try:
        yield part
        file_operations.fsync_file(part)
        file_operations.replace(part, path)
    finally:
        file_operations.remove(part)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Replace the file `path` by `content` atomically. Raises OSError."""
    with atomic_path(path) as part:
        part.write_bytes(content)


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON with sorted keys, atomically. Raises OSError, TypeError."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a regular file of at most MAX_JSON_BYTES; an empty one where it is missing or damaged."""
    try:
        return bounded_files.parse_json_object(bounded_files.read_file(path, MAX_JSON_BYTES))
    except (OSError, DamagedFile):
        return {}


def write_npz(path: Path, arrays: dict[str, Any], compress: bool = False) -> None:
    """Write arrays as .npz, atomically; `compress` deflates them. Raises OSError."""
    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, **arrays)
    write_bytes(path, buffer.getbuffer())


def write_npz_bzip2(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as .npz packed with bzip2, which `numpy.load` reads like any other, atomically. Raises OSError."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as archive:
        for name, values in arrays.items():
            member = io.BytesIO()
            np.save(member, values)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_BZIP2)
    write_bytes(path, buffer.getvalue())


def write_npy(path: Path, array: NDArray[Any]) -> None:
    """Write one array as .npy, atomically and without a copy in memory.

    Raises OSError with its errno (`numpy.save` raises one without, when a write fails).
    """
    array = np.ascontiguousarray(array)
    with atomic_path(path) as part, part.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)


def modified_time(path: Path) -> float:
    """When a file was last written (Unix time); 0 for a missing file."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def disk_error_message(error: OSError, folder: Path, megabytes: int = 400) -> str:
    """One sentence for the page about a failed write of about `megabytes` in `folder`, with the remedy."""
    if error.errno in DISK_FULL_ERRNOS:
        return (
            f"The disk is full: free about {megabytes} MB for {folder}, or set CNNLAB_HOME to a folder on another disk."
        )
    reason = error.strerror or str(error)
    return f"{folder} could not be written ({reason}): set CNNLAB_HOME to a folder that you may write to."
