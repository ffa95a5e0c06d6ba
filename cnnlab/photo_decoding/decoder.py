"""Check and decode an uploaded picture. Whatever is wrong becomes one sentence.

To start quickly, the module imports of Pillow only the plugin of the file's format.
"""

import importlib
import io
import math
from collections.abc import Callable
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from cnnlab.photo_decoding.conversion import MAX_COPY_SIDE, has_deep_values, reduced_rgb

MAX_FILE_SIDE = 65_535  # pixels, the most a JPEG can have; Pillow needs memory for every row, however short
ORIENTATION = 0x0112  # the EXIF tag

# Million pixels that a format may have because its decoder keeps them all: each stays below 300 MB (see the tests).
# A baseline JPEG is decoded at half, a quarter or an eighth of its size, so only the setting limits it; for that of a
# progressive one the decoder keeps the coefficients of the whole picture.
FORMAT_MEGAPIXELS = {
    "progressive JPEG": 24.0,
    "PNG": 24.0,
    "GIF": 24.0,
    "BMP": 24.0,
    "TIFF": 16.0,
    "WEBP": 12.0,
    "AVIF": 12.0,
}

FORMATS = ("PNG", "JPEG", "MPO", "GIF", "WEBP", "BMP", "TIFF", "AVIF")  # MPO: what many phones call a JPEG
ANIMATED_FORMATS = ("GIF", "WEBP", "PNG", "AVIF")
PLUGINS = {  # how a file begins: Pillow's plugin
    b"\x89PNG": "Png",
    b"\xff\xd8\xff": "Jpeg",
    b"GIF8": "Gif",
    b"RIFF": "WebP",
    b"II*\0": "Tiff",
    b"MM\0*": "Tiff",
    b"BM": "Bmp",
}
DAMAGED = "This picture is damaged or incomplete: save or send it again."
TOO_MUCH_MEMORY = "This picture needs too much memory to read: save it smaller and choose it again."
HEIC_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"hevc")


class PhotoError(ValueError):
    """An upload that cannot be shown to a network. The message is one sentence for the person who chose it."""


class DecodedPhoto(NamedTuple):
    """A photo as it was decoded, before it is turned upright and cut.

    `size` is the file's own (width, height), `image` an RGB copy, often smaller, `orientation` the EXIF orientation
    (1..8) that is still to be applied, `notes` plain sentences about what was done.
    """

    size: tuple[int, int]
    image: Image.Image
    orientation: int
    notes: tuple[str, ...]


def decode(data: bytes, megapixels: float) -> DecodedPhoto:
    """Decode the first picture of an image file of at most `megapixels` million pixels, or what its format may have.

    Raises PhotoError, one sentence, for anything that is not such a picture.
    """
    try:
        _check_webp(data, megapixels)
        with Image.open(io.BytesIO(data), formats=_formats(data)) as image:
            _check_pixels(image, megapixels)
            return _decode_first(image)
    except PhotoError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoError("This picture has more than 89 million pixels: save it smaller.") from error
    except UnidentifiedImageError as error:
        raise PhotoError(_unreadable_message(data)) from error
    except MemoryError as error:
        raise PhotoError(TOO_MUCH_MEMORY) from error
    except Exception as error:  # decoders raise many kinds for a damaged file
        raise PhotoError(DAMAGED) from error


def _decode_first(image: Image.Image) -> DecodedPhoto:
    """The first picture of an open file."""
    notes: list[str] = []
    size, deep = image.size, has_deep_values(image)  # first: to read the orientation, Pillow may decode the picture
    orientation = _orientation(image)
    _note_frames(image, notes.append)
    if image.format in ("JPEG", "MPO"):
        image.draft(image.mode, (MAX_COPY_SIDE, MAX_COPY_SIDE))
    copy = reduced_rgb(image, deep, notes.append)
    if sorted(copy.size) != sorted(size):
        notes.append(f"The steps are shown on a copy of {copy.width}x{copy.height}.")
    return DecodedPhoto(size, copy, orientation, tuple(notes))


# What the file says about itself


def _formats(data: bytes) -> tuple[str, ...]:
    """The formats that Pillow may try, after importing the plugin that fits the first bytes."""
    plugin = next((name for start, name in PLUGINS.items() if data.startswith(start)), None)
    if data[4:8] == b"ftyp":
        plugin = "Avif"
    if plugin is None:
        raise UnidentifiedImageError
    module = importlib.import_module(f"PIL.{plugin}ImagePlugin")
    if plugin == "Avif":
        vars(module)["DEFAULT_MAX_THREADS"] = 1  # each thread takes address space, which is limited
    found = tuple(name for name in FORMATS if name in Image.OPEN)
    if not found:  # a Pillow that was built without AVIF
        raise UnidentifiedImageError
    return found


def _check_pixels(image: Image.Image, megapixels: float) -> None:
    if image.format in ("JPEG", "MPO"):
        kind = "progressive JPEG" if image.info.get("progressive") else "JPEG"
    else:
        kind = str(image.format)
    _check_size(image.size, kind, megapixels)


def _check_webp(data: bytes, megapixels: float) -> None:
    """Check the size of a WebP, because Pillow makes room for all its pixels when it opens the file."""
    kind = data[12:16] if data.startswith(b"RIFF") else b""
    if kind == b"VP8X":
        size = 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        size = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        size = int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    else:
        return
    _check_size(size, "WEBP", megapixels)


def _check_size(size: tuple[int, int], kind: str, megapixels: float) -> None:
    most = min(megapixels, FORMAT_MEGAPIXELS.get(kind, math.inf))
    received = f"{size[0]}x{size[1]}"
    if size[0] * size[1] > most * 10**6:
        limit, what = f"{most:g} million pixels", f"{kind} picture" if most < megapixels else "picture"
        article = "an" if what.startswith("AVIF") else "a"
        received += f", {size[0] * size[1] / 1e6:.0f} million"
        raise PhotoError(f"Choose {article} {what} of at most {limit}. Received: {received}")
    if max(size) > MAX_FILE_SIDE:
        raise PhotoError(f"Choose a picture of at most {MAX_FILE_SIDE:,} pixels a side. Received: {received}")


def _unreadable_message(data: bytes) -> str:
    if data.startswith(tuple(start for start in PLUGINS if len(start) > 2)):
        return DAMAGED
    if data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS:
        return "This is a HEIC photo, which cannot be read here: save it as JPEG and choose it again."
    return "This file is not a picture that can be read here: choose a PNG, JPEG, GIF, WebP, BMP, TIFF or AVIF file."


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":  # Pillow turns these itself while it decodes them
        return 1
    try:
        orientation = int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # a damaged note must not cost the picture
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def _note_frames(image: Image.Image, note: Callable[[str], None]) -> None:
    """Say that only the first picture is used. Frames are not counted: a TIFF is asked whether a second page follows,
    because to count them Pillow reads every page."""
    if image.format == "TIFF":
        if getattr(getattr(image, "tag_v2", None), "next", 0):
            note("This TIFF has several pages; the first is used.")
    elif image.format in ANIMATED_FORMATS and getattr(image, "is_animated", False):
        note(f"This {image.format} moves; its first picture is used.")
