"""The process that decodes one uploaded picture within limits, and its answer.

`storage.limited_process` makes the command; its first argument is a JSON object with the fields of `Limits`. Standard
input is the file; standard output is one line of JSON, {"error": sentence} or the fields of `DecodedPhoto`, its image's
size in the place of the image, followed by the RGB bytes.

Where Python has no `resource` module the process sets no limits on itself; those on pixels and on wall-clock time,
which the caller keeps, remain.
"""

import json
import sys
from typing import Any, NamedTuple

from PIL import Image

from cnnlab.operating_system.resource_limits import limit_resources
from cnnlab.photo_decoding.decoder import DAMAGED, TOO_MUCH_MEMORY, DecodedPhoto, PhotoError, decode


class Limits(NamedTuple):
    """What a picture may have and its decoding may take: million pixels; bytes of memory and seconds of CPU."""

    megapixels: float
    memory: int
    cpu_seconds: float


def main() -> None:
    """Decode standard input within the limits of the first argument; write the answer to standard output."""
    limits = Limits(**json.loads(sys.argv[1]))
    limit_resources(limits.memory, limits.cpu_seconds)
    Image.MAX_IMAGE_PIXELS = None  # `decode` checks the size itself, before it makes room for the pixels
    sys.stdout.buffer.write(encode_answer(sys.stdin.buffer.read(), limits.megapixels))


def encode_answer(data: bytes, megapixels: float) -> bytes:
    """The answer about one file, which `read_answer` reads."""
    answer: dict[str, Any]
    pixels = b""
    try:
        photo = decode(data, megapixels)
        answer, pixels = photo._asdict() | {"image": photo.image.size}, photo.image.tobytes()
    except PhotoError as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": TOO_MUCH_MEMORY}
    return json.dumps(answer).encode() + b"\n" + pixels


def read_answer(output: bytes) -> DecodedPhoto:
    """The photo that the process wrote. Nothing in it is trusted. Raises PhotoError."""
    header = output[: output.find(b"\n") + 1]
    try:
        answer = json.loads(header)
        if "error" in answer:
            raise PhotoError(str(answer["error"]))
        width, height = map(int, answer["image"])
        image = Image.frombytes("RGB", (width, height), memoryview(output)[len(header) :])  # not copied once more
        size = (int(answer["size"][0]), int(answer["size"][1]))
        return DecodedPhoto(size, image, int(answer["orientation"]), tuple(map(str, answer["notes"])))
    except PhotoError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError) as error:  # the process ended before it answered
        raise PhotoError(DAMAGED) from error
