"""Reads files that may be damaged or hostile: regular files of a bounded size, expanded to a bounded size.

Every function raises DamagedFile where the content cannot be used; a missing file raises FileNotFoundError.
"""

import bz2
import errno
import io
import json
import math
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cnnlab.array_types import Array
from cnnlab.operating_system import file_operations

MAX_NESTING = 16  # of objects and lists in JSON
MAX_MEMBERS = 256  # of a zip archive
LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # of a zip member; its last two fields are the lengths that follow
ARRAY_KINDS = "fiubU"  # kinds of dtypes: numbers, booleans, text


class DamagedFile(ValueError):
    """A file that cannot be used. The message continues the file's name: "is empty", "is no zip archive"."""


def read_file(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file that is not empty and takes at most `max_bytes`."""
    with open_file(path, max_bytes) as file:
        return file.read(max_bytes)


@contextmanager
def open_file(path: Path, max_bytes: int) -> Iterator[BinaryIO]:
    """The opened file, after a check of its kind and size; links are not followed, and a pipe does not block."""
    try:
        descriptor = file_operations.open_for_reading(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        link = error.errno == errno.ELOOP
        raise DamagedFile("is a link; expected a file" if link else f"cannot be read ({error.strerror})") from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise DamagedFile("is no regular file")
        if not found.st_size:
            raise DamagedFile("is empty")
        if found.st_size > max_bytes:
            raise DamagedFile(f"takes {found.st_size:,} bytes; expected at most {max_bytes:,}")
        yield file


# -- JSON --------------------------------------------------------------------------------------------------------------


def parse_json_object(content: bytes, max_nesting: int = MAX_NESTING) -> dict[str, Any]:
    """The JSON object, nested at most `max_nesting` levels deep."""
    try:
        value = json.loads(content.decode())
    except RecursionError:
        raise DamagedFile(f"is nested more than {max_nesting} levels deep") from None
    except ValueError:
        raise DamagedFile("is no JSON") from None
    if not isinstance(value, dict):
        raise DamagedFile("is no JSON object")
    if nesting(value) > max_nesting:
        raise DamagedFile(f"is nested more than {max_nesting} levels deep")
    return value


def nesting(value: object) -> int:
    """How deep the objects and lists of a JSON value are nested, counted without recursion; 0 for a plain value."""
    depth, level = 0, [value]
    while level := [value for value in level if isinstance(value, (dict, list))]:
        depth += 1
        level = [child for value in level for child in (value.values() if isinstance(value, dict) else value)]
    return depth


# -- zip archives and arrays -------------------------------------------------------------------------------------------


def check_archive(path: Path, max_bytes: int) -> None:
    """Read the directory of a zip archive: its members expand to at most `max_bytes` together."""
    with open_file(path, max_bytes) as file:
        archive_members(file, max_bytes)


def archive_members(file: BinaryIO, max_bytes: int, max_members: int = MAX_MEMBERS) -> list[zipfile.ZipInfo]:
    """The members of a zip archive by its directory: at most `max_members`, at most `max_bytes` expanded."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, OverflowError, OSError):
        raise DamagedFile("is no whole zip archive") from None
    if len({member.filename for member in members}) != len(members) or not 0 < len(members) <= max_members:
        raise DamagedFile(f"holds {len(members):,} members; expected at most {max_members:,}, each name once")
    expanded = sum(member.file_size for member in members)
    if expanded > max_bytes:
        raise DamagedFile(f"expands to {expanded:,} bytes; expected at most {max_bytes:,}")
    return members


def read_archive(path: Path, max_bytes: int) -> dict[str, bytes]:
    """The members of a zip archive by name. Each is expanded to the size that the directory states, and no further."""
    return expand_archive(read_file(path, max_bytes), max_bytes)


def expand_archive(content: bytes, max_bytes: int) -> dict[str, bytes]:
    """The members of a zip archive in memory, as by `read_archive`."""
    members = archive_members(io.BytesIO(content), max_bytes)
    return {member.filename: expand_member(content, member) for member in members}


def expand_member(content: bytes, member: zipfile.ZipInfo) -> bytes:
    """One member, checked by its length and CRC. `zipfile` itself expands a bzip2 member without a bound."""
    try:
        *_, name_length, extra_length = LOCAL_HEADER.unpack_from(content, member.header_offset)
        start = member.header_offset + LOCAL_HEADER.size + name_length + extra_length
        packed = content[start : start + member.compress_size]
        expanded = _decompress(packed, member.compress_type, member.file_size + 1)
    except (struct.error, zlib.error, OSError, EOFError, ValueError):
        raise DamagedFile(f"cannot be expanded ({member.filename:.60})") from None
    if len(expanded) != member.file_size or zlib.crc32(expanded) != member.CRC:
        raise DamagedFile(f"has other content than was written ({member.filename:.60})")
    return expanded


def _decompress(packed: bytes, method: int, max_bytes: int) -> bytes:
    if method == zipfile.ZIP_STORED:
        return packed
    if method == zipfile.ZIP_DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, max_bytes)
    if method == zipfile.ZIP_BZIP2:
        return bz2.BZ2Decompressor().decompress(packed, max_bytes)
    raise ValueError(f"Expected stored, deflated or bzip2 members. Received: method={method}")


def read_npz(path: Path, max_bytes: int) -> dict[str, Array]:
    """The arrays of an .npz file by name, read-only, of numbers, booleans or text."""
    return {name.removesuffix(".npy"): parse_npy(content) for name, content in read_archive(path, max_bytes).items()}


def parse_npy(content: bytes) -> Array:
    """The array in the content of an .npy file (format version 1 or 2), which must have exactly the stated size."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read_header(stream)
        if dtype.kind not in ARRAY_KINDS or any(size < 0 for size in shape):
            raise ValueError(f"Expected numbers or text. Received: dtype={dtype}, shape={shape}")
        if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
            raise ValueError(f"Expected as many bytes as the shape says. Received: shape={shape}, dtype={dtype}")
        values = np.frombuffer(content, dtype, offset=stream.tell())
        return values.reshape(shape, order="F" if fortran_order else "C")
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise DamagedFile("holds something that is no array of numbers") from None
