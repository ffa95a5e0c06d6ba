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
from numpy.typing import NDArray
from PIL import Image

from cnnlab import settings

Bytes = NDArray[np.uint8]

MOST = 500
SHAPE = (32, 32, 3)
NAME = re.compile(r"[0-9a-f]{16}")


class UnknownPhoto(LookupError):
    """The album has no such photo. The message is one sentence for the person who followed the link."""


def folder() -> Path:
    """Where the photos are kept."""
    return settings.home() / "photos"


def keep(pixels: Bytes) -> str:
    """Keep a photo, uint8 (32, 32, 3), and return its name, 16 hex digits; the oldest ones make room.

    Raises ValueError for another shape, OSError where the disk is full.
    """
    if pixels.shape != SHAPE or pixels.dtype != np.uint8:
        raise ValueError(f"Expected uint8 pixels of shape {SHAPE}. Received: {pixels.dtype}, {pixels.shape}")
    name = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()[:16]
    path = folder() / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.utime(path)  # the newest again
    except FileNotFoundError:
        _write(path, pixels)
        _make_room()
    return name


def photo(name: str) -> Bytes:
    """The pixels of a photo, uint8 (32, 32, 3). Raises UnknownPhoto."""
    try:
        if not NAME.fullmatch(name):
            raise FileNotFoundError(name)
        with Image.open(folder() / f"{name}.png", formats=("PNG",)) as image:
            pixels = np.asarray(image.convert("RGB"))
    except OSError as error:
        raise UnknownPhoto("This photo is not kept here any more; choose it again, or another image.") from error
    if pixels.shape != SHAPE:
        raise UnknownPhoto("This photo is damaged; choose it again, or another image.")
    return pixels


def _write(path: Path, pixels: Bytes) -> None:
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")  # Streamlit's sessions share one process id
    try:
        Image.fromarray(pixels).save(part, "PNG")
        part.replace(path)  # in one step: nobody reads half a photo
    finally:
        part.unlink(missing_ok=True)


def _make_room() -> None:
    kept = sorted(folder().glob("*.png"), key=_age)
    for path in kept[: max(len(kept) - MOST, 0)]:
        with contextlib.suppress(OSError):  # another process made the room
            path.unlink()


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
