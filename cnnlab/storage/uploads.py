"""Uploaded photos, stored as the 32x32 pixels that the network gets, so that a link opens the same view.

Only these 1,024 pixels are stored, as a PNG of about 3 KB; the photo itself stays in the browser's session. The name of
a photo is a digest of its pixels, so equal pixels have one name. Beyond MAX_UPLOADS the longest unused ones go.
"""

import contextlib
import hashlib
import io
import os
import re
import time
from pathlib import Path

import numpy as np
from PIL import Image

from cnnlab import settings
from cnnlab.array_types import PixelArray
from cnnlab.storage import bounded_files, files
from cnnlab.storage.bounded_files import DamagedFile

MAX_UPLOADS = 5_000  # 20 MB; a class of thirty that moves its squares makes hundreds in a lesson
USE_SECONDS = 3600.0  # a use is recorded at most this often
IMAGE_SHAPE = (32, 32, 3)
MAX_FILE_BYTES = 100_000  # a PNG of 32x32 pixels has about 3,000
DAMAGED = "This photo is damaged; choose it again, or another image."
UPLOAD_NAME_PATTERN = re.compile(r"[0-9a-f]{16}")


class UnknownUpload(LookupError):
    """There is no such photo. The message is one sentence for the page."""


def directory() -> Path:
    """The directory of the photos."""
    return settings.home() / "photos"


def save_upload(pixels: PixelArray) -> str:
    """Store a photo, uint8 (32, 32, 3), and return its name, 16 hex digits; the oldest ones are removed.

    Raises ValueError for another shape, OSError where the disk is full.
    """
    if pixels.shape != IMAGE_SHAPE or pixels.dtype != np.uint8:
        raise ValueError(f"Expected uint8 pixels of shape {IMAGE_SHAPE}. Received: {pixels.dtype}, {pixels.shape}")
    name = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()[:16]
    path = directory() / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.utime(path)  # its age counts from now
    except FileNotFoundError:
        _write_png(path, pixels)
        _evict_oldest()
    return name


def load_upload(name: str) -> PixelArray:
    """The pixels of a photo, uint8 (32, 32, 3). Raises UnknownUpload."""
    try:
        if not UPLOAD_NAME_PATTERN.fullmatch(name):
            raise FileNotFoundError(name)
        path = directory() / f"{name}.png"
        content = bounded_files.read_file(path, MAX_FILE_BYTES)
    except OSError as error:
        raise UnknownUpload("This photo is not kept here any more; choose it again, or another image.") from error
    except DamagedFile as error:
        raise UnknownUpload(DAMAGED) from error
    if time.time() - files.modified_time(path) > USE_SECONDS:
        with contextlib.suppress(OSError):  # a home that cannot be written, or another process removed it
            os.utime(path)
    return _decode_png(content)


def _decode_png(content: bytes) -> PixelArray:
    """The pixels of the PNG, whose size is checked before it is decoded. Raises UnknownUpload."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            if image.size == IMAGE_SHAPE[:2]:
                return np.asarray(image.convert("RGB"))
    except Exception as error:  # Pillow raises exceptions of many types for a damaged file
        raise UnknownUpload(DAMAGED) from error
    raise UnknownUpload(DAMAGED)


def _write_png(path: Path, pixels: PixelArray) -> None:
    with files.atomic_path(path) as part:
        Image.fromarray(pixels).save(part, "PNG")


def _evict_oldest() -> None:
    kept = sorted(directory().glob("*.png"), key=files.modified_time)
    for path in kept[: max(len(kept) - MAX_UPLOADS, 0)]:
        with contextlib.suppress(OSError):  # another process removed it
            path.unlink()
