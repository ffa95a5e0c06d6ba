"""Decodes several untrusted pictures in one process: an import of thousands would take too long with one for each."""

import json
from collections.abc import Callable, Sequence

from cnnlab.data import photo_preprocessing
from cnnlab.data.photo_preprocessing import DecodersBusy
from cnnlab.photo_decoding import batch
from cnnlab.photo_decoding.decoder import DecodedPhoto, PhotoError


def decode_photos(
    contents: Sequence[bytes], poll: Callable[[], None] = lambda: None
) -> list[DecodedPhoto | PhotoError]:
    """Each image file as `decode_photo` of `photo_preprocessing` gives it, or the PhotoError that it raises.

    Where one process exceeds its limits with all of them, each is decoded by itself, which says which one does it.
    `poll` as there. Raises DecodersBusy.
    """
    usable = [content for content in contents if not photo_preprocessing.bytes_problem(content)]
    data = json.dumps([len(content) for content in usable]).encode() + b"\n" + b"".join(usable)
    try:
        output = photo_preprocessing.run_decoder(data, poll, batch.__name__, max(1, len(usable)))
        answers = iter(batch.read_answers(output, len(usable)))
    except DecodersBusy:
        raise
    except PhotoError:
        return [_decode_or_problem(content, poll) for content in contents]
    problems = map(photo_preprocessing.bytes_problem, contents)
    return [PhotoError(problem) if problem else next(answers) for problem in problems]


def _decode_or_problem(data: bytes, poll: Callable[[], None]) -> DecodedPhoto | PhotoError:
    try:
        return photo_preprocessing.decode_photo(data, poll)
    except DecodersBusy:
        raise
    except PhotoError as problem:
        return problem
