"""From somebody's photo to what the network sees: original, oriented, a square, 32x32 pixels.

Every step is kept, because the last one surprises people: 12 million pixels become 1,024, and whatever the network
says, it says about those. The result has the form of a training image, uint8 (32, 32, 3), and a CIFAR-10 image that was
saved as a PNG comes out as it went in, byte for byte.

1. *Original*: decoded, in RGB, not yet turned. Large photos are shrunk here already, by averaging whole blocks of
   pixels, so that thirty students' photos fit into one server; 32x32 is far below any of these sizes. The copy of a
   long, thin picture keeps enough of the short side to cut a square out of it, the whole picture between bars does not.
2. *Oriented*: turned upright as the camera's EXIF note says.
3. *Square*: a square cut out (movable, zoomable), or the whole picture with bars of its average color.
4. *32x32*: shrunk by averaging areas (a box filter), which stays within the range of the pixels that it replaces.
   Skipping pixels instead would leave jagged edges that no training image has; Lanczos' filter would make an edge
   stronger than it is. A smaller picture is enlarged linearly, which stays within the range too.

A process of their own decodes uploads, which are untrusted (`cnnlab.photo_decoding`), with limits on pixels, memory and
time; whatever is wrong becomes one sentence. A system without resource limits has those on pixels and wall-clock time.
Left out: color profiles (a wide-gamut photo comes out slightly pale), animations beyond their first picture.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import PIL
from PIL import Image, ImageDraw

from cnnlab import settings
from cnnlab.array_types import PixelArray
from cnnlab.operating_system.resource_limits import limit_exit_codes
from cnnlab.photo_decoding import process as decoding_process
from cnnlab.photo_decoding.conversion import MAX_COPY_SIDE
from cnnlab.photo_decoding.decoder import DecodedPhoto, PhotoError
from cnnlab.photo_decoding.process import Limits, read_answer
from cnnlab.storage import files, process_lock
from cnnlab.storage.background_process import run_to_end
from cnnlab.storage.limited_process import isolated_command, limited_environment
from cnnlab.storage.process_lock import ProcessLock

IMAGE_SIZE = 32
MAX_ZOOM = 4.0
MAX_DECODERS = 2  # pictures that are decoded at once on one host
DECODER_MEMORY = 300 * 10**6  # bytes of address space
DECODER_CPU_SECONDS = 2.0
DECODER_TIMEOUT = 15.0  # seconds of wall-clock time, for a busy host
QUEUE_TIMEOUT = 20.0  # seconds to wait for other pictures
TOO_SLOW = "This picture takes too long to read: save it smaller, or as a plain JPEG, and choose it again."
EXIF_TRANSFORMS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, "mirrored"),
    3: (Image.Transpose.ROTATE_180, "turned upside down"),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, "mirrored"),
    5: (Image.Transpose.TRANSPOSE, "turned and mirrored"),
    6: (Image.Transpose.ROTATE_270, "turned right"),
    7: (Image.Transpose.TRANSVERSE, "turned and mirrored"),
    8: (Image.Transpose.ROTATE_90, "turned left"),
}


class DecodersBusy(PhotoError):
    """No decoding process became free in time; the same picture may be read a moment later."""


@dataclass(frozen=True)
class PreparedPhoto:
    """A photo and every step on its way to the network; all pictures are in mode RGB.

    `size` is the file's own (width, height); `original` and `oriented` may be smaller copies, the latter smaller still
    where the picture was padded. `box` is the square on `oriented` as (left, top, right, bottom), in its pixels; where
    the picture was padded it reaches beyond the edges.
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
    """`crop_photo` of `decode_photo`: the photo in `data`, the bytes of an image file, on its way to 32x32."""
    return crop_photo(decode_photo(data), pad=pad, horizontal=horizontal, vertical=vertical, zoom=zoom)


# Decoding, in a process of its own


def decode_photo(data: bytes, poll: Callable[[], None] = lambda: None) -> DecodedPhoto:
    """Decode an image file in a process with limits on memory and time.

    `poll` is called about every 50 ms; what it raises kills the process and is passed on. Raises DecodersBusy, and
    PhotoError, one clear sentence, for anything that is not a picture within the settings' `upload_megabytes` and
    `upload_megapixels` and the limits of its format, or that cannot be decoded within the process's limits.
    """
    _check_bytes(data)
    return read_answer(run_decoder(data, poll))


def run_decoder(
    data: bytes, poll: Callable[[], None], module: str = decoding_process.__name__, pictures: int = 1
) -> bytes:
    """The output of a decoding process: `main` of `module`, with the processor time of so many pictures.

    Raises DecodersBusy, PhotoError.
    """
    limits = Limits(settings.current().upload_megapixels, DECODER_MEMORY, DECODER_CPU_SECONDS * pictures)
    command, variables = _decoder_command(limits, module), limited_environment()
    timeout = DECODER_TIMEOUT + DECODER_CPU_SECONDS * (pictures - 1)
    try:
        with _wait_for_decoder(poll) as lock:
            code, output = run_to_end(command, data, environment=variables, timeout=timeout, poll=poll, lock=lock)
    except TimeoutError as error:
        raise PhotoError(TOO_SLOW) from error
    except OSError as error:
        raise PhotoError(files.disk_error_message(error, settings.home(), 1)) from error
    if code in limit_exit_codes():
        raise PhotoError(TOO_SLOW)
    return output


def _check_bytes(data: bytes) -> None:
    if problem := bytes_problem(data):
        raise PhotoError(problem)


def bytes_problem(data: bytes) -> str:
    """What is wrong with the size of a file; "" for nothing."""
    most = settings.current().upload_megabytes
    if len(data) > most * 10**6:
        return f"Choose a picture file of at most {most:g} MB. Received: {math.ceil(len(data) / 10**6)} MB"
    return "" if data else "This file is empty: choose a picture."


def _wait_for_decoder(poll: Callable[[], None]) -> ProcessLock:
    """One of the host's MAX_DECODERS places, a file lock that ends with the last process that holds it."""
    places = [settings.home() / "photos" / f".decoder-{number}.lock" for number in range(MAX_DECODERS)]
    if lock := process_lock.acquire_any(places, timeout=QUEUE_TIMEOUT, poll=poll):
        return lock
    raise DecodersBusy("Many pictures are being read at this moment: choose this one again in half a minute.")


def _decoder_command(limits: Limits, module: str = decoding_process.__name__) -> list[str]:
    return isolated_command(module, [json.dumps(limits._asdict())], (PIL, np))


# From a picture to 32x32


def crop_photo(
    photo: DecodedPhoto, *, pad: bool = False, horizontal: float = 0.5, vertical: float = 0.5, zoom: float = 1.0
) -> PreparedPhoto:
    """A decoded photo, turned upright, cut and brought to 32x32.

    The square is as large as fits, divided by `zoom` (1..MAX_ZOOM), and stands `horizontal` of the way from the left
    edge to the right and `vertical` of the way from top to bottom (0..1 each). With `pad` the whole picture is kept
    instead, centered on a square of its average color. Raises PhotoError for values out of range.
    """
    across, down = _check_range("horizontal", horizontal, 0, 1), _check_range("vertical", vertical, 0, 1)
    zoom = _check_range("zoom", zoom, 1, MAX_ZOOM)
    notes = list(photo.notes)
    oriented = _orient(photo.image, photo.orientation, notes.append)
    if pad:
        oriented = _reduce(oriented)
        box, square = _pad(oriented, notes.append)
    else:
        box = _crop_box(oriented, across, down, zoom)
        square = oriented.crop(box)
    pixels = _resize(square, max(photo.size) / max(oriented.size), notes.append)
    return PreparedPhoto(photo.size, photo.image, oriented, box, square, pixels, tuple(notes))


def _check_range(name: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise PhotoError(f"Choose {name} between {low:g} and {high:g}. Received: {name}={value!r}")
    return value


def _reduce(image: Image.Image) -> Image.Image:
    """A copy no longer than MAX_COPY_SIDE."""
    factor = math.ceil(max(image.size) / MAX_COPY_SIDE)
    return image.reduce(factor) if factor > 1 else image


def _orient(image: Image.Image, orientation: int, note: Callable[[str], None]) -> Image.Image:
    if orientation not in EXIF_TRANSFORMS:
        return image
    operation, words = EXIF_TRANSFORMS[orientation]
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
        note("Bars of the image's average color were added.")
    average = np.rint(np.asarray(image).reshape(-1, 3).mean(axis=0)).astype(int).tolist()
    square = Image.new("RGB", (side, side), tuple(average))
    square.paste(image, (left, top))
    return (-left, -top, side - left, side - top), square


def _resize(square: Image.Image, scale: float, note: Callable[[str], None]) -> PixelArray:
    """The square in 32x32; `scale` is how many pixels of the file a side one of its pixels stands for."""
    if square.width < IMAGE_SIZE:
        side = round(square.width * scale)
        if side < IMAGE_SIZE:
            note(f"The square has only {side}x{side} pixels and was enlarged.")
        else:
            small, large = f"{square.width}x{square.width}", f"{side}x{side}"
            note(f"The square was enlarged from {small} pixels of the copy, about {large} of the original.")
        square = square.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR)
    elif square.width > IMAGE_SIZE:
        square = square.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BOX)
    return np.array(square)
