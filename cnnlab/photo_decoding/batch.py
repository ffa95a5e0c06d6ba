"""The process that decodes several pictures within limits, for an import: one process for each would take longer.

Its first argument is a JSON object with the fields of `process.Limits`, for all pictures together. Standard input is
one line of JSON, the sizes of the files in bytes, followed by the files; standard output is the answer of
`process.main` for each of them, in order.
"""

import json
import sys

from PIL import Image

from cnnlab.operating_system.resource_limits import limit_resources
from cnnlab.photo_decoding.decoder import DAMAGED, DecodedPhoto, PhotoError
from cnnlab.photo_decoding.process import Limits, encode_answer, read_answer


def main() -> None:
    """Decode the files of standard input within the limits of the first argument; write the answers."""
    limits = Limits(**json.loads(sys.argv[1]))
    limit_resources(limits.memory, limits.cpu_seconds)
    Image.MAX_IMAGE_PIXELS = None  # `decode` checks the size itself, before it makes room for the pixels
    for size in json.loads(sys.stdin.buffer.readline()):
        sys.stdout.buffer.write(encode_answer(sys.stdin.buffer.read(size), limits.megapixels))


def read_answers(output: bytes, count: int) -> list[DecodedPhoto | PhotoError]:
    """The photo of each file, or why there is none. Nothing in the output is trusted.

    Raises PhotoError where the process ended before it had answered for all of them.
    """
    answers: list[DecodedPhoto | PhotoError] = []
    start = 0
    for _ in range(count):
        end = output.find(b"\n", start) + 1
        if not end:
            raise PhotoError(DAMAGED)
        length = end - start + _pixel_bytes(output[start:end])
        try:
            answers.append(read_answer(output[start : start + length]))
        except PhotoError as problem:
            answers.append(problem)
        start += length
    return answers


def _pixel_bytes(header: bytes) -> int:
    """How many bytes of RGB follow this line. Raises PhotoError."""
    try:
        answer = json.loads(header)
        width, height = (0, 0) if "error" in answer else map(int, answer["image"])
    except (ValueError, TypeError, LookupError):
        raise PhotoError(DAMAGED) from None
    return max(0, 3 * width * height)
