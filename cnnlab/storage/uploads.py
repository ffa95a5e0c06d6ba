"""Photos that people brought, kept as the 32x32 pixels that the network got: a link to one opens the same view.

Only these 1,024 pixels are written down, as a PNG of about 3 KB; the photo itself is forgotten with the browser's page.
A photo is called by a digest of its pixels, which nobody guesses, and the same pixels have the same name. The album
keeps the MOST newest; an older link gets a sentence.
"""

import contextlib
import hashlib
import os
import re
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

from cnnlab import settings
from cnnlab.array_types import PixelArray

MAX_UPLOADS = 500
IMAGE_SHAPE = (32, 32, 3)
UPLOAD_NAME_PATTERN = re.compile(r"[0-9a-f]{16}")


class UnknownUpload(LookupError):
    """The album has no such photo. The message is one sentence for the person who followed the link."""


def directory() -> Path:
    """Where the photos are kept."""
    return settings.home() / "photos"


def save_upload(pixels: PixelArray) -> str:
    """Keep a photo, uint8 (32, 32, 3), and return its name, 16 hex digits; the oldest ones make room.

    Raises ValueError for another shape, OSError where the disk is full.
    """
    if pixels.shape != IMAGE_SHAPE or pixels.dtype != np.uint8:
        raise ValueError(f"Expected uint8 pixels of shape {IMAGE_SHAPE}. Received: {pixels.dtype}, {pixels.shape}")
    name = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()[:16]
    path = directory() / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.utime(path)  # the newest again
    except FileNotFoundError:
        _write_png(path, pixels)
        _evict_oldest()
    return name


def load_upload(name: str) -> PixelArray:
    """The pixels of a photo, uint8 (32, 32, 3). Raises UnknownPhoto."""
    try:
        if not UPLOAD_NAME_PATTERN.fullmatch(name):
            raise FileNotFoundError(name)
        with Image.open(directory() / f"{name}.png", formats=("PNG",)) as image:
            pixels = np.asarray(image.convert("RGB"))
    except OSError as error:
        raise UnknownUpload("This photo is not kept here any more; choose it again, or another image.") from error
    if pixels.shape != IMAGE_SHAPE:
        raise UnknownUpload("This photo is damaged; choose it again, or another image.")
    return pixels


def _write_png(path: Path, pixels: PixelArray) -> None:
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")  # Streamlit's sessions share one process id
    try:
        Image.fromarray(pixels).save(part, "PNG")
        part.replace(path)  # in one step: nobody reads half a photo
    finally:
        part.unlink(missing_ok=True)


def _evict_oldest() -> None:
    kept = sorted(directory().glob("*.png"), key=_modified_time)
    for path in kept[: max(len(kept) - MAX_UPLOADS, 0)]:
        with contextlib.suppress(OSError):  # another process made the room
            path.unlink()


def _modified_time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
