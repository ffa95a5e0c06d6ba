"""The photos that are kept: two people at once, and a disk that is full."""

import errno
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.storage import uploads

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
real_save, real_utime = Image.Image.save, os.utime


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))


def files() -> list[str]:
    return sorted(path.name for path in uploads.directory().iterdir())


def test_two_people_can_keep_the_same_photo_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []

    def save(image: Image.Image, *where: object) -> None:
        """The first one's file is written; before it gets its name, the second one keeps the photo."""
        monkeypatch.setattr(Image.Image, "save", real_save)
        real_save(image, *where)
        second = threading.Thread(target=lambda: kept.append(uploads.save_upload(PIXELS)))
        second.start()
        second.join()

    monkeypatch.setattr(Image.Image, "save", save)
    assert [uploads.save_upload(PIXELS)] == kept
    assert (uploads.load_upload(kept[0]) == PIXELS).all()
    assert files() == [f"{kept[0]}.png"]


def test_a_photo_that_another_person_has_half_written_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    half, go_on = threading.Event(), threading.Event()

    def save_half(image: Image.Image, where: Path, kind: str) -> None:
        Path(where).write_bytes(b"\x89PNG, and so on")
        half.set()
        go_on.wait(60)
        real_save(image, where, kind)

    def save(image: Image.Image, *where: object) -> None:
        real_save(image, *where)
        monkeypatch.setattr(Image.Image, "save", save_half)
        second.start()
        half.wait(60)

    second = threading.Thread(target=uploads.save_upload, args=(PIXELS,))
    monkeypatch.setattr(Image.Image, "save", save)
    try:
        assert (uploads.load_upload(uploads.save_upload(PIXELS)) == PIXELS).all()
    finally:
        go_on.set()
        second.join()


def test_a_full_disk_leaves_no_part_of_a_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_image: Image.Image, where: Path, _kind: str) -> None:
        Path(where).write_bytes(b"\x89PNG")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space left"):
        uploads.save_upload(PIXELS)
    assert files() == []


def test_a_photo_that_had_to_make_room_just_now_is_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    name = uploads.save_upload(PIXELS)

    def too_late(path: Path, *when: object) -> None:
        Path(path).unlink(missing_ok=True)
        real_utime(path, *when)

    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", too_late)
        assert uploads.save_upload(PIXELS) == name
    assert (uploads.load_upload(name) == PIXELS).all()
