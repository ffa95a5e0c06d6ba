"""CIFAR-10 from archives and folders, good and bad. Small batch files are put together by hand, opcode by opcode."""

import errno
import gzip
import hashlib
import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.data import DatasetMissing, array_store, cifar10, cifar10_reader, is_dataset_available, load_dataset
from cnnlab.data.cifar10_reader import BATCHES, CLASSES, CifarError

ARCHIVE = os.environ.get("CNNLAB_TEST_ARCHIVE")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def batch_file(images: np.ndarray, labels: list[int]) -> bytes:
    """A batch as Python 2 pickled it in 2009: {'data': rows of red, green and blue planes, 'labels': [...]}."""
    rows = images.transpose(0, 3, 1, 2).tobytes()
    count = b"J" + struct.pack("<i", len(images))
    return (
        b"\x80\x02}(U\x04data"
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
        b"(K\x01(" + count + b"M\x00\x0ct"
        b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89T" + struct.pack("<i", len(rows)) + rows + b"tb"
        b"U\x06labels(" + b"".join(b"K" + bytes([label]) for label in labels) + b"lu."
    )


class RunsCode:
    """A pickle of this calls os.system where a careless program reads it."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Six small batch files of ten images each, standing in for the published ones."""
    rng = np.random.default_rng(0)
    files = {name: batch_file(rng.integers(0, 256, (10, 32, 32, 3), np.uint8), list(range(10))) for name in BATCHES}
    publish(files, monkeypatch)
    monkeypatch.setattr(cifar10_reader, "TRAIN_IMAGES", 50)
    monkeypatch.setattr(cifar10_reader, "TEST_IMAGES", 10)
    return files


def publish(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        cifar10_reader, "MD5", {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    )


def pack(path: Path, files: dict[str, bytes], folder: str = "cifar-10-batches-py/", mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(folder + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def assert_nothing_is_kept(home: Path) -> None:
    assert not is_dataset_available("cifar10")
    kept = [path.name for path in (home / "data").iterdir()] if (home / "data").exists() else []
    assert kept in ([], [".cifar10.lock"])


# The real one


@pytest.mark.cifar
@pytest.mark.slow
def test_the_official_archive_gives_all_images_in_the_official_order(home: Path) -> None:
    cifar10.prepare(str(ARCHIVE))
    data = load_dataset("cifar10")
    assert data.x_train.shape == (50_000, 32, 32, 3)
    assert data.x_test.shape == (10_000, 32, 32, 3)
    assert np.bincount(data.y_train).tolist() == [5_000] * 10
    assert np.bincount(data.y_test).tolist() == [1_000] * 10
    assert CLASSES[data.y_test[0]] == "cat"
    raw = b"".join(np.ascontiguousarray(a).tobytes() for a in (data.x_train, data.y_train, data.x_test, data.y_test))
    assert data.fingerprint == hashlib.sha256(raw).hexdigest() == cifar10.OFFICIAL_FINGERPRINT
    assert "official files" not in cifar10.status(verify=True).message


@pytest.mark.cifar
@pytest.mark.slow
def test_half_of_the_official_archive_is_incomplete(tmp_path: Path, home: Path) -> None:
    half = tmp_path / "cifar-10-python.tar.gz"
    with open(str(ARCHIVE), "rb") as whole:
        half.write_bytes(whole.read(80_000_000))
    with pytest.raises(CifarError, match="incomplete"):
        cifar10.prepare(half)
    assert_nothing_is_kept(home)


# Archives and folders of batch files


def test_archive_and_extracted_folder_give_the_same_arrays(batches: dict[str, bytes], tmp_path: Path) -> None:
    cifar10.prepare(pack(tmp_path / "a.tar.gz", batches))
    from_archive = load_dataset("cifar10")
    (tmp_path / "cifar-10-batches-py").mkdir()
    for name, content in batches.items():
        (tmp_path / "cifar-10-batches-py" / name).write_bytes(content)
    for source in (tmp_path, tmp_path / "cifar-10-batches-py"):
        cifar10.prepare(source)
        assert load_dataset("cifar10").fingerprint == from_archive.fingerprint
    assert from_archive.y_train.tolist() == list(range(10)) * 5
    assert "not those of the official files" in cifar10.status().message


def test_pixels_and_labels_come_out_as_they_went_in() -> None:
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8)
    read, labels = cifar10_reader.read_batch(batch_file(images, [9, 0, 4]))
    assert np.array_equal(read, images)
    assert labels.tolist() == [9, 0, 4]
    assert labels.dtype == np.uint8


def test_progress_grows_to_one(batches: dict[str, bytes], tmp_path: Path) -> None:
    fractions: list[float] = []
    cifar10.prepare(pack(tmp_path / "a.tar.gz", batches), lambda _words, fraction: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(fractions) > 6


def test_the_arrays_are_mapped_from_disk_and_nobody_can_change_them(batches: dict[str, bytes], tmp_path: Path) -> None:
    cifar10.prepare(pack(tmp_path / "a.tar.gz", batches))
    data = load_dataset("cifar10")
    assert isinstance(data.x_train, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        data.x_train[0] = 0


def test_a_file_that_is_not_the_published_one_is_refused(batches: dict[str, bytes], tmp_path: Path, home: Path) -> None:
    changed = {**batches, "data_batch_3": batches["data_batch_3"].replace(b"labels", b"LABELS")}
    with pytest.raises(CifarError, match="data_batch_3 is not the published file"):
        cifar10.prepare(pack(tmp_path / "a.tar.gz", changed))
    assert_nothing_is_kept(home)


def test_foreign_code_in_a_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    with pytest.raises(CifarError, match=r"foreign code \((posix|nt)\.system\)"):
        cifar10_reader.read_batch(pickle.dumps(RunsCode(f"touch {ran}"), protocol=2))
    with pytest.raises(CifarError, match="foreign code"):
        cifar10_reader.read_batch(b"cnumpy\nload\n(U\x01xtR.")
    assert not ran.exists()


def test_an_archive_with_foreign_code_is_refused_even_under_a_published_hash(
    batches: dict[str, bytes], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    evil = {**batches, "test_batch": pickle.dumps(RunsCode(f"touch {ran}"), protocol=2)}
    with pytest.raises(CifarError, match="not the published file"):
        cifar10.prepare(pack(tmp_path / "a.tar.gz", evil))
    publish(evil, monkeypatch)
    with pytest.raises(CifarError, match="foreign code"):
        cifar10.prepare(tmp_path / "a.tar.gz")
    assert not ran.exists()
    assert_nothing_is_kept(home)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02}.",
        b"\x80\x02]q\x00.",
        batch_file(np.zeros((2, 32, 32, 3), np.uint8), [0, 10]),
        batch_file(np.zeros((2, 32, 32, 3), np.uint8), [0]),
        batch_file(np.zeros((2, 32, 32, 3), np.uint8), [0, 1])[:-40],
    ],
)
def test_a_damaged_batch_is_one_sentence(content: bytes) -> None:
    with pytest.raises(CifarError, match="download or copy the archive again"):
        cifar10_reader.read_batch(content)


def test_a_truncated_archive_is_incomplete(batches: dict[str, bytes], tmp_path: Path, home: Path) -> None:
    path = pack(tmp_path / "a.tar.gz", batches)
    whole = path.read_bytes()
    for keep in (len(whole) // 2, len(whole) - 100, 30):
        path.write_bytes(whole[:keep])
        with pytest.raises(CifarError, match="incomplete"):
            cifar10.prepare(path)
    path.write_bytes(whole[:5000] + b"spoilt" + whole[5006:])
    with pytest.raises(CifarError, match=r"incomplete|not the published file"):
        cifar10.prepare(path)
    assert_nothing_is_kept(home)


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2"])
def test_an_archive_that_is_damaged_anywhere_is_one_sentence(
    batches: dict[str, bytes], tmp_path: Path, home: Path, mode: str
) -> None:
    path = pack(tmp_path / "a.tar", batches, mode=mode)
    whole = path.read_bytes()
    for place in range(len(whole) // 10, len(whole) * 9 // 10, len(whole) // 40):  # between what nobody reads
        path.write_bytes(whole[:place] + bytes(8) + whole[place + 8 :])
        with pytest.raises(CifarError, match=r"copy it again|copy the archive again|is not the archive"):
            cifar10.prepare(path)
    assert_nothing_is_kept(home)


def test_something_else_than_the_archive_is_refused(batches: dict[str, bytes], tmp_path: Path, home: Path) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    for content in (b"a letter to my aunt", b"", gzip.compress(b"a letter to my aunt")):
        path.write_bytes(content)
        with pytest.raises(CifarError, match=r"is not the archive|holds no data_batch_1|is incomplete"):
            cifar10.prepare(path)
    with pytest.raises(CifarError, match="holds no data_batch_1"):
        cifar10.prepare(pack(path, {"train": b"the archive of CIFAR-100"}))
    with pytest.raises(CifarError, match="holds no data_batch_5"):
        cifar10.prepare(pack(path, {name: content for name, content in batches.items() if name != "data_batch_5"}))
    assert_nothing_is_kept(home)


def test_paths_that_lead_out_of_the_archive_create_nothing(batches: dict[str, bytes], tmp_path: Path) -> None:
    inside = tmp_path / "a" / "b" / "c"
    inside.mkdir(parents=True)
    before = {path for path in tmp_path.rglob("*") if "home" not in path.parts}
    cifar10.prepare(pack(inside / "a.tar.gz", {**batches, "evil.txt": b"evil"}, folder="../../"))
    after = {path for path in tmp_path.rglob("*") if "home" not in path.parts}
    assert after - before == {inside / "a.tar.gz"}


def test_a_link_in_the_archive_is_not_followed(batches: dict[str, bytes], tmp_path: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            link = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
        with pytest.raises(CifarError, match="holds no data_batch_1"):
            cifar10.prepare(tmp_path / "a.tar")


def test_an_archive_with_a_huge_member_is_refused_at_its_header(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("data_batch_1")
        member.size = 2**40
        archive.addfile(member)
    with pytest.raises(CifarError, match="too large"):
        cifar10.prepare(tmp_path / "a.tar")


def test_a_missing_path_and_an_empty_folder_are_one_sentence_each(tmp_path: Path) -> None:
    with pytest.raises(CifarError, match="There is no file at"):
        cifar10.prepare(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CifarError, match="empty holds no data_batch_1"):
        cifar10.prepare(tmp_path / "empty")


# Folders of pictures


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10_reader, "TRAIN_IMAGES", 50)
    monkeypatch.setattr(cifar10_reader, "TEST_IMAGES", 10)


def draw(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), (shade, 1, 2)).save(path)


def test_without_a_count_the_classes_take_turns(small: None, tmp_path: Path) -> None:
    for label, name in enumerate(CLASSES):
        for number in range(5):
            draw(tmp_path / "train" / name / f"{number:04}.png", 10 * label + number)
        draw(tmp_path / "test" / name / "picture.png", label)
    cifar10.prepare(tmp_path)
    data = load_dataset("cifar10")
    assert data.y_train.tolist() == list(range(10)) * 5
    assert data.x_train[:, 0, 0, 0].tolist() == [10 * label + number for number in range(5) for label in range(10)]
    assert data.y_test.tolist() == list(range(10))


def test_one_count_through_mixed_classes_is_the_order(small: None, tmp_path: Path) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 5))
    labels[-10:] = np.arange(10)
    for index, label in enumerate(labels):
        draw(tmp_path / "train" / CLASSES[label] / f"{index}_{CLASSES[label]}.png", index)
    for label, name in enumerate(CLASSES):
        draw(tmp_path / "test" / name / f"{label:05}.png", label)
    cifar10.prepare(tmp_path)
    data = load_dataset("cifar10")
    assert data.y_train.tolist() == labels.tolist()
    assert data.x_train[:, 0, 0, 0].tolist() == list(range(50))


def test_a_count_that_only_runs_through_sorted_classes_is_no_order(small: None, tmp_path: Path) -> None:
    for index in range(50):
        draw(tmp_path / "train" / CLASSES[index // 5] / f"{index}.png", index)
    for label, name in enumerate(CLASSES):
        draw(tmp_path / "test" / name / f"{label}.png", label)
    cifar10.prepare(tmp_path)
    assert load_dataset("cifar10").y_train.tolist() == list(range(10)) * 5


def test_every_mistake_in_a_folder_of_pictures_is_one_sentence(small: None, tmp_path: Path, home: Path) -> None:
    for name in CLASSES[:9]:
        for number in range(5):
            draw(tmp_path / "train" / name / f"{number}.png", 0)
    with pytest.raises(CifarError, match="Missing: truck"):
        cifar10.prepare(tmp_path)
    draw(tmp_path / "train" / "truck" / "0.png", 0)
    with pytest.raises(CifarError, match=r"train must hold all 50 images of CIFAR-10. Received: 46"):
        cifar10.prepare(tmp_path)
    for number in range(1, 5):
        draw(tmp_path / "train" / "truck" / f"{number}.png", 0)
    Image.new("RGB", (64, 48)).save(tmp_path / "train" / "cat" / "3.png")
    with pytest.raises(CifarError, match=r"3.png must be 32x32 pixels. Received: 64x48"):
        cifar10.prepare(tmp_path)
    (tmp_path / "train" / "cat" / "3.png").write_text("a cat")
    with pytest.raises(CifarError, match=r"3.png is not a readable image"):
        cifar10.prepare(tmp_path)
    assert_nothing_is_kept(home)


@pytest.mark.parametrize("value", [0, 7])
def test_equal_pictures_are_no_cifar10(small: None, tmp_path: Path, home: Path, value: int) -> None:
    for name in CLASSES:
        for number in range(5):
            draw(tmp_path / "train" / name / f"{number}.png", value)
        draw(tmp_path / "test" / name / "0.png", value)
    with pytest.raises(CifarError, match=r"/train is not CIFAR-10: only 1 of its 50 images differ"):
        cifar10.prepare(tmp_path)
    assert_nothing_is_kept(home)


@pytest.mark.cifar
def test_the_real_cifar10_has_hardly_any_equal_images(
    home_with_cifar10: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNLAB_HOME", str(home_with_cifar10))
    images = load_dataset("cifar10").x_test
    cifar10_reader.check_variety(tmp_path / "test", images)
    assert len({image.tobytes() for image in images}) > 0.99 * len(images)


# What is kept, and when it is trusted


def test_a_full_disk_is_one_sentence_and_what_was_there_stays(
    batches: dict[str, bytes], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar10.prepare(pack(tmp_path / "a.tar.gz", batches))
    before = load_dataset("cifar10").fingerprint
    other = {**batches, "test_batch": batch_file(np.full((10, 32, 32, 3), 7, np.uint8), list(range(10)))}
    publish(other, monkeypatch)

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    pack(tmp_path / "b.tar.gz", other)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CifarError, match="The disk is full"):
            cifar10.prepare(tmp_path / "b.tar.gz")
    assert load_dataset("cifar10").fingerprint == before
    assert {path.name for path in (home / "data").iterdir()} == {"cifar10", ".cifar10.lock"}
    cifar10.prepare(tmp_path / "b.tar.gz")
    assert load_dataset("cifar10").fingerprint != before


def test_a_home_that_is_a_file_is_one_sentence(batches: dict[str, bytes], tmp_path: Path, home: Path) -> None:
    home.write_text("not a folder")
    with pytest.raises(CifarError, match="could not be written"):
        cifar10.prepare(pack(tmp_path / "a.tar.gz", batches))


@pytest.mark.posix
@pytest.mark.parametrize("moment", [1, 2, 3, 4, 5, 6])
@pytest.mark.slow
def test_an_import_killed_at_any_moment_leaves_nothing_that_is_trusted(home: Path, moment: int) -> None:
    script = f"""
import os, signal, numpy as np
from pathlib import Path
from cnnlab.data import array_store as store
fsync, calls = os.fsync, []
def count(handle):
    calls.append(handle)
    if len(calls) == {moment}:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(handle)
os.fsync = count
images, labels = np.zeros((10, 32, 32, 3), np.uint8), np.zeros(10, np.uint8)
store.write(Path({str(home / "data" / "cifar10")!r}), dict(zip(store.ARRAY_NAMES, (images, labels) * 2)), {{}})
"""
    killed = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parent.parent, check=False)
    assert killed.returncode == -9
    assert not cifar10.is_available()
    images, labels = np.ones((10, 32, 32, 3), np.uint8), np.ones(10, np.uint8)
    arrays = dict(zip(array_store.ARRAY_NAMES, (images, labels) * 2, strict=True))
    array_store.write(home / "data" / "cifar10", arrays, {})
    assert array_store.read(home / "data" / "cifar10")[0]["x_train"].all()
    assert {path.name for path in (home / "data").iterdir()} == {"cifar10", ".cifar10.lock"}


def test_without_data_the_message_says_how_to_get_it() -> None:
    assert not is_dataset_available("cifar10")
    assert not cifar10.status().ready
    with pytest.raises(DatasetMissing, match=r"data download`.*data import PATH`"):
        load_dataset("cifar10")


@pytest.mark.parametrize("name", [*(f"{name}.npy" for name in array_store.ARRAY_NAMES), "manifest.json"])
def test_a_damaged_file_is_never_trusted(batches: dict[str, bytes], tmp_path: Path, name: str) -> None:
    kept = cifar10.prepare(pack(tmp_path / "a.tar.gz", batches)) / name
    whole = kept.read_bytes()
    for content in (whole[:-5], whole[:10], b"", whole.replace(b"|u1", b"|i1").replace(b"fingerprint", b"f")):
        kept.write_bytes(content)
        with pytest.raises(DatasetMissing, match="delete that folder"):
            load_dataset("cifar10")
    kept.unlink()
    assert not is_dataset_available("cifar10")


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900, b"[]", b" " * 2_000_000 + b"{}"]
)
def test_a_manifest_that_is_no_small_object_is_one_sentence(
    batches: dict[str, bytes], tmp_path: Path, content: bytes
) -> None:
    (cifar10.prepare(pack(tmp_path / "a.tar.gz", batches)) / "manifest.json").write_bytes(content)
    with pytest.raises(DatasetMissing, match="delete that folder"):
        load_dataset("cifar10")


def test_a_changed_pixel_is_found_by_the_fingerprint(batches: dict[str, bytes], tmp_path: Path) -> None:
    path = cifar10.prepare(pack(tmp_path / "a.tar.gz", batches)) / "x_train.npy"
    assert cifar10.status(verify=True).ready
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert not cifar10.status(verify=True).ready
