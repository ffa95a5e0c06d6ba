"""Uploads are decoded by a process with limits: what it may take, how many there are, and when it ends."""

import contextlib
import functools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hostile_images import ATTACKS, decoded_with_meter, jpeg_of_scans, rgba_png, saved
from PIL import Image

from cnnlab import settings
from cnnlab.data import photo_preprocessing
from cnnlab.data.photo_preprocessing import DecodersBusy, decode_photo, prepare_photo
from cnnlab.data.samples import SAMPLE_DIRECTORY, sample_images
from cnnlab.operating_system import processes
from cnnlab.photo_decoding.decoder import DAMAGED, FORMAT_MEGAPIXELS, PhotoError
from cnnlab.photo_decoding.process import Limits
from cnnlab.storage import process_lock
from cnnlab.storage.limited_process import limited_environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of a Linux machine"),
]
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    return tmp_path


def decoders(parent: int | None = None) -> list[int]:
    """The process ids of the living children of a process, of this one by default, that decode a picture."""
    found, line = [], f"PPid:\t{parent or os.getpid()}\n"
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and b"cnnlab.photo_decoding" in (entry / "cmdline").read_bytes():
                found += [int(entry.name)] if line in (entry / "status").read_text() else []
    return found


def wait_until(condition: object, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


@functools.cache
def slow_picture() -> bytes:
    """A picture that is decoded until its time is up."""
    return jpeg_of_scans(4000)


@contextlib.contextmanager
def decoding(data: bytes) -> Iterator[threading.Thread]:
    """Decode in a thread, whatever comes of it."""

    def work() -> None:
        with contextlib.suppress(PhotoError):
            decode_photo(data)

    thread = threading.Thread(target=work)
    thread.start()
    yield thread
    thread.join()


# What it may take


@pytest.mark.linux
@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_picture_takes_more_than_its_two_seconds_or_300_mb(attack: str) -> None:
    used = decoded_with_meter(ATTACKS[attack]())
    assert used.cpu_seconds <= 2.0
    assert used.megabytes <= 300
    assert used.problem.count("\n") == 0


def largest(kind: str) -> bytes:
    """A picture of a format with as many pixels as are allowed, in the mode that takes most memory."""
    width = 4000
    size = (width, int(FORMAT_MEGAPIXELS[kind] * 10**6) // width)
    if kind == "PNG":
        return rgba_png(*size)
    if kind == "TIFF":
        return saved(Image.new("F", size), "TIFF", compression="tiff_lzw")
    if kind == "progressive JPEG":
        return saved(Image.new("CMYK", size, "red"), "JPEG", progressive=True)
    if kind == "WEBP":
        return saved(Image.new("RGBA", size), "WEBP", lossless=True)
    if kind == "AVIF":
        return saved(Image.new("RGBA", size), "AVIF", speed=10, subsampling="4:4:4")
    return saved(Image.new("RGB" if kind == "BMP" else "P", (size[0], size[1] // (4 if kind == "BMP" else 1))), kind)


@pytest.mark.linux
@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMAT_MEGAPIXELS)
def test_the_largest_picture_of_each_format_fits_the_limits(kind: str) -> None:
    used = decoded_with_meter(largest(kind))
    assert used.problem == ""
    assert used.megabytes <= 300
    assert used.cpu_seconds <= 2.0


@pytest.mark.linux
@pytest.mark.slow
def test_a_jpeg_of_60_million_pixels_is_decoded_smaller() -> None:
    used = decoded_with_meter(saved(Image.new("RGB", (10_000, 6000), "red"), "JPEG"))
    assert used.problem == ""
    assert used.megabytes < 60  # whole it would be 180 or more


@pytest.mark.posix
def test_the_process_that_takes_too_long_is_ended_with_a_sentence() -> None:
    started = time.process_time(), os.times().children_user
    with pytest.raises(PhotoError, match=r"^This picture takes too long to read: [^\n]*$"):
        decode_photo(slow_picture())
    assert os.times().children_user - started[1] <= 2.05
    assert time.process_time() - started[0] < 1.0


@pytest.mark.linux
def test_a_process_that_needs_too_much_memory_ends_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_preprocessing, "DECODER_MEMORY", 60 * 10**6)
    with pytest.raises(PhotoError, match=r"too much memory|damaged"):
        decode_photo(saved(Image.new("RGB", (4800, 4800)), "PNG"))


def test_the_process_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNLAB_TEACHER_KEY", "correct horse battery")
    assert not [name for name in limited_environment() if name.startswith("CNNLAB")]


def test_without_resource_limits_a_picture_is_decoded_all_the_same() -> None:
    limits = json.dumps(Limits(64, 10**9, 2)._asdict())
    code = "import sys; sys.modules['resource'] = None; from cnnlab.photo_decoding.process import main; main()"
    command = [sys.executable, "-c", code, limits]
    data = min(SAMPLE_DIRECTORY.glob("*.png")).read_bytes()
    done = subprocess.run(command, input=data, capture_output=True, check=True, env=settings.subprocess_environment())
    assert done.stdout.endswith(sample_images()[0][0].tobytes())


def test_through_the_process_a_cifar_image_is_unchanged_and_quick() -> None:
    data = sorted(SAMPLE_DIRECTORY.glob("*.png"))[3].read_bytes()
    seconds = []
    for _ in range(3):
        before = os.times()
        assert np.array_equal(prepare_photo(data).pixels, sample_images()[0][3])
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(seconds) < 0.3  # of CPU; 0.1 where it was measured


@pytest.mark.parametrize("output", [b"", b"{}", b"[]", b"null\n", b'{"image": [9, 9], "size": [9, 9]}\nabc', b"\xff\n"])
def test_an_answer_that_makes_no_sense_is_a_damaged_picture(output: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_preprocessing, "run_to_end", lambda *_, **__: (0, output))
    with pytest.raises(PhotoError, match=DAMAGED):
        decode_photo(b"\x89PNG")


# How many there are, and when they end


@pytest.mark.linux
def test_two_pictures_are_decoded_at_once_and_the_third_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_preprocessing, "QUEUE_TIMEOUT", 0.2)
    most = 0
    with decoding(slow_picture()), decoding(slow_picture()):
        wait_until(lambda: len(decoders()) == 2)
        with pytest.raises(DecodersBusy, match=r"^Many pictures are being read[^\n]*$"):
            decode_photo(saved(Image.new("RGB", (9, 9)), "PNG"))
        most = len(decoders())
    assert most <= 2
    assert decode_photo(saved(Image.new("RGB", (9, 9)), "PNG")).size == (9, 9)  # the places are free again


@pytest.mark.linux
def test_a_decoder_that_is_killed_leaves_its_place() -> None:
    for _ in range(3):
        with decoding(slow_picture()):
            wait_until(decoders)
            for process in decoders():
                processes.kill(process)
    assert decode_photo(saved(Image.new("RGB", (9, 9)), "PNG")).size == (9, 9)


@pytest.mark.linux
def test_the_place_is_held_until_the_decoder_has_ended_though_its_starter_was_killed(home: Path) -> None:
    code = "import sys; from cnnlab.data.photo_preprocessing import decode_photo; decode_photo(sys.stdin.buffer.read())"
    starter = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, env=settings.subprocess_environment()
    )
    assert starter.stdin
    starter.stdin.write(slow_picture())
    starter.stdin.close()
    place = home / "photos" / ".decoder-0.lock"
    wait_until(lambda: decoders(starter.pid))
    starter.kill()
    starter.wait()
    assert process_lock.is_locked(place)
    wait_until(lambda: not process_lock.is_locked(place))


class PageWasClosedError(BaseException):
    """As Streamlit ends the run of a page."""


@pytest.mark.linux
def test_the_decoder_is_killed_when_the_page_goes() -> None:
    polls = []

    def poll() -> None:
        polls.append(len(decoders()))
        if polls[-1]:
            raise PageWasClosedError

    started = time.monotonic()
    with pytest.raises(PageWasClosedError):
        decode_photo(slow_picture(), poll)
    assert decoders() == []
    assert polls[-1] == 1 and time.monotonic() - started < 10
    assert not process_lock.is_locked(settings.home() / "photos" / ".decoder-0.lock")
