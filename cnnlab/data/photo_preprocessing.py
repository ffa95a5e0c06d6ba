"""From somebody's photo to what the network sees: original, oriented, a square, 32x32 pixels.

Every step is kept, because the last one surprises people: 12 million pixels become 1,024, and whatever the network
says, it says about those. The result has the form of a training image, uint8 (32, 32, 3), and a CIFAR-10 image that was
saved as a PNG comes out as it went in, byte for byte.

1. *Original*: decoded, in RGB, not yet turned. Large photos are shrunk here already, by averaging whole blocks of
   pixels, so that thirty students' photos fit into one server; 32x32 is far below any of these sizes. Of a long, thin
   picture the cut needs what is left of the short side, the whole picture between bars does not.
2. *Oriented*: turned upright as the camera's EXIF note says.
3. *Square*: a square cut out (movable, zoomable), or the whole picture with bars of its average colour.
4. *32x32*: shrunk with Lanczos' filter, which weighs all pixels it replaces. Skipping pixels instead would leave jagged
   edges that no training image has. A smaller picture is enlarged with a bicubic filter.

Uploads are untrusted: the size is checked before anything is decoded, only common formats are tried, and whatever is
wrong becomes one sentence. Left out: colour profiles (a wide-gamut photo comes out slightly pale) and animations beyond
their first picture.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, UnidentifiedImageError

from cnnlab import settings
from cnnlab.array_types import PixelArray

IMAGE_SIZE = 32
MAX_COPY_SIDE = 1024  # pixels; a longer photo is shrunk to about this
MIN_COPY_SIDE = 64  # pixels; a square is not cut out of a copy thinner than this
MAX_FILE_SIDE = 65_535  # pixels, the most a JPEG can have; Pillow needs memory for every row, however short
STRIPE_ROWS = 64  # rows that are brought to 8 bits at a time
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "WEBP", "BMP", "TIFF", "AVIF")  # MPO: what many phones call a JPEG
FILE_SIGNATURES = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"RIFF",
    b"II*\0",
    b"MM\0*",
)  # how files of these formats begin
ANIMATED_FORMATS = ("GIF", "WEBP", "PNG", "AVIF")
ORIENTATION = 0x0112  # the EXIF tag
EXIF_TRANSFORMS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, "mirrored"),
    3: (Image.Transpose.ROTATE_180, "turned upside down"),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, "mirrored"),
    5: (Image.Transpose.TRANSPOSE, "turned and mirrored"),
    6: (Image.Transpose.ROTATE_270, "turned right"),
    7: (Image.Transpose.TRANSVERSE, "turned and mirrored"),
    8: (Image.Transpose.ROTATE_90, "turned left"),
}


class PhotoError(ValueError):
    """An upload that cannot be shown to a network. The message is one sentence for the person who chose it."""


@dataclass(frozen=True)
class PreparedPhoto:
    """A photo and every step on its way to the network; all pictures are in mode RGB.

    `size` is the file's own (width, height); `original` and `oriented` may be smaller copies. `box` is the square on
    `oriented` as (left, top, right, bottom), in its pixels; where the picture was padded it reaches beyond the edges.
    `pixels` uint8 (32, 32, 3), 0..255, is what the network gets. `notes` are plain sentences about what was done.
    """

    size: tuple[int, int]
    original: Image.Image
    oriented: Image.Image
    box: tuple[int, int, int, int]
    square: Image.Image
    pixels: PixelArray
    notes: tuple[str, ...]

    @property
    def steps(self) -> tuple[tuple[str, Image.Image], ...]:
        """(caption, picture) of the four steps, in order."""
        return (
            (f"original, {self.size[0]}x{self.size[1]}", self.original),
            ("oriented", self.with_crop_outline()),
            (f"square, {self.square.width}x{self.square.height}", self.square),
            ("32x32, what the network gets", Image.fromarray(self.pixels)),
        )

    def with_crop_outline(self) -> Image.Image:
        """The oriented picture with the square drawn on it, white within black, to be seen on any background."""
        marked = self.oriented.copy()
        left, top, right, bottom = self.box
        line = max(1, max(marked.size) // 200)
        draw = ImageDraw.Draw(marked)
        if right - left > 6 * line:
            draw.rectangle((left, top, right - 1, bottom - 1), outline="black", width=3 * line)
            inner = (left + line, top + line, right - 1 - line, bottom - 1 - line)
            draw.rectangle(inner, outline="white", width=line)
        return marked


def prepare_photo(
    data: bytes, *, pad: bool = False, horizontal: float = 0.5, vertical: float = 0.5, zoom: float = 1.0
) -> PreparedPhoto:
    """The photo in `data`, the bytes of an image file, on its way to 32x32.

    The square is as large as fits, divided by `zoom` (1..10), and stands `across` of the way from the left edge to the
    right and `down` of the way from top to bottom (0..1 each). With `pad` the whole picture is kept instead, centred on
    a square of its average colour.

    Raises PhotoError, one clear sentence, for anything that is not a picture within the settings' `upload_megabytes`
    and `upload_megapixels`, or that is longer than LONGEST_SIDE.
    """
    notes: list[str] = []
    original, size, turn = _decode(data, notes.append, pad)
    oriented = _orient(original, turn, notes.append)
    if pad:
        box, square = _pad(oriented, notes.append)
    else:
        box = _crop_box(
            oriented,
            _check_range("horizontal", horizontal, 0, 1),
            _check_range("vertical", vertical, 0, 1),
            _check_range("zoom", zoom, 1, 10),
        )
        square = oriented.crop(box)
    return PreparedPhoto(size, original, oriented, box, square, _resize(square, notes.append), tuple(notes))


def _check_range(name: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise PhotoError(f"Choose {name} between {low:g} and {high:g}. Received: {name}={value!r}")
    return value


# Decoding what nobody has checked


def _decode(data: bytes, note: Callable[[str], None], whole: bool) -> tuple[Image.Image, tuple[int, int], int]:
    """The decoded picture in RGB (shrunk where it is large), the file's own size, and its EXIF orientation."""
    _check_bytes(data)
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            size = image.size
            _check_pixels(size)
            turn = _orientation(image)
            _note_frames(image, note)
            image.draft(image.mode, (MAX_COPY_SIDE, MAX_COPY_SIDE))  # a JPEG can be decoded at half or quarter size
            return _reduce(_to_rgb(image, note), note, size, whole), size, turn
    except PhotoError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoError(_too_large_message("more than 89 million")) from error
    except UnidentifiedImageError as error:
        raise PhotoError(_unreadable_message(data)) from error
    except MemoryError as error:
        raise PhotoError(
            "This picture needs more memory than there is: save it smaller and choose it again."
        ) from error
    except Exception as error:  # decoders raise many kinds for a damaged file
        raise PhotoError("This picture is damaged or incomplete: save or send it again.") from error


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]  # some builds of Pillow come without AVIF


def _check_bytes(data: bytes) -> None:
    if not data:
        raise PhotoError("This file is empty: choose a picture.")
    most = settings.current().upload_megabytes
    if len(data) > most * 10**6:
        raise PhotoError(f"Choose a picture file of at most {most:g} MB. Received: {math.ceil(len(data) / 10**6)} MB")


def _check_pixels(size: tuple[int, int]) -> None:
    if size[0] * size[1] > settings.current().upload_megapixels * 10**6:
        raise PhotoError(_too_large_message(f"{size[0]}x{size[1]}, {size[0] * size[1] / 1e6:.0f} million"))
    if max(size) > MAX_FILE_SIDE:
        raise PhotoError(f"Choose a picture of at most {MAX_FILE_SIDE:,} pixels a side. Received: {size[0]}x{size[1]}")


def _too_large_message(received: str) -> str:
    most = settings.current().upload_megapixels
    return f"Choose a picture of at most {most:g} million pixels. Received: {received}"


def _unreadable_message(data: bytes) -> str:
    if data.startswith(FILE_SIGNATURES):
        return "This picture is damaged or incomplete: save or send it again."
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return "This is a HEIC photo, which cannot be read here: save it as JPEG and choose it again."
    return "This file is not a picture that can be read here: choose a PNG, JPEG, GIF, WebP, BMP, TIFF or AVIF file."


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":  # Pillow turns these itself while it decodes them
        return 1
    try:
        turn = image.getexif().get(ORIENTATION, 1)
    except Exception:  # a damaged note must not cost the picture
        return 1
    return int(turn) if turn in EXIF_TRANSFORMS else 1


def _note_frames(image: Image.Image, note: Callable[[str], None]) -> None:
    if image.format in ANIMATED_FORMATS and getattr(image, "is_animated", False):
        note(f"This {image.format} moves; its first picture is used.")
    elif image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
        note("This TIFF has several pages; the first is used.")


def _to_rgb(image: Image.Image, note: Callable[[str], None]) -> Image.Image:
    """The picture in RGB. Transparent parts become white; more than 8 bits a value are brought to 8."""
    if image.mode.startswith("I") or image.mode == "F":
        note("Values of more than 8 bits were brought to 0..255.")
        return Image.fromarray(_to_8_bits(image)).convert("RGB")
    if image.has_transparency_data:
        note("Transparent parts were put on white.")
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    if image.mode == "CMYK":
        note("Printing colours (CMYK) were turned into screen colours.")
    elif image.mode in ("1", "L"):
        note("This picture has no colours; the network was trained on colour pictures.")
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bits(image: Image.Image) -> PixelArray:
    """Grey values, 16-bit ones from 0..65535, others from their lowest..highest, to uint8. Stripe by stripe, because
    as float64 the whole picture would take eight bytes a pixel, several times."""
    given = np.asarray(image)
    stripes = [given[top : top + STRIPE_ROWS] for top in range(0, len(given), STRIPE_ROWS)]
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    else:
        low, high = min(_finite(one).min() for one in stripes), max(_finite(one).max() for one in stripes)
    scale = max(high - low, 1e-12)
    return np.concatenate([np.rint((_finite(one) - low) / scale * 255).astype(np.uint8) for one in stripes])


def _finite(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.nan_to_num(values.astype(np.float64))


def _reduce(image: Image.Image, note: Callable[[str], None], size: tuple[int, int], whole: bool) -> Image.Image:
    """A copy no longer than WORKING_SIDE; one that is to be cut, not kept `whole`, does not get below SHORTEST_SIDE."""
    factor = math.ceil(max(image.size) / MAX_COPY_SIDE)
    if not whole:
        factor = min(factor, max(1, min(image.size) // MIN_COPY_SIDE))
    image = image.reduce(factor) if factor > 1 else image.copy()
    if sorted(image.size) != sorted(size):
        note(f"The steps are shown on a copy of {image.width}x{image.height}.")
    return image


# From a picture to 32x32


def _orient(image: Image.Image, turn: int, note: Callable[[str], None]) -> Image.Image:
    if turn not in EXIF_TRANSFORMS:
        return image
    operation, words = EXIF_TRANSFORMS[turn]
    note(f"The picture was {words}, as the camera noted.")
    return image.transpose(operation)


def _crop_box(image: Image.Image, across: float, down: float, zoom: float) -> tuple[int, int, int, int]:
    side = max(1, round(min(image.size) / zoom))
    left, top = round(across * (image.width - side)), round(down * (image.height - side))
    return left, top, left + side, top + side


def _pad(image: Image.Image, note: Callable[[str], None]) -> tuple[tuple[int, int, int, int], Image.Image]:
    side = max(image.size)
    left, top = (side - image.width) // 2, (side - image.height) // 2
    if image.width != image.height:
        note("Bars of the picture's average colour were added.")
    average = np.rint(np.asarray(image).reshape(-1, 3).mean(axis=0)).astype(int).tolist()
    square = Image.new("RGB", (side, side), tuple(average))
    square.paste(image, (left, top))
    return (-left, -top, side - left, side - top), square


def _resize(square: Image.Image, note: Callable[[str], None]) -> PixelArray:
    if square.width < IMAGE_SIZE:
        note(f"The square has only {square.width}x{square.height} pixels and was enlarged.")
        square = square.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    elif square.width > IMAGE_SIZE:
        square = square.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.LANCZOS)
    return np.array(square)
