"""CIFAR-10: 60,000 colour pictures of ten kinds of things, 32x32 pixels each (Krizhevsky, "Learning Multiple Layers of
Features from Tiny Images", 2009; https://www.cs.toronto.edu/~kriz/cifar.html).

A teacher brings it in any of three forms, and `prepare` makes the same four arrays of each:

- `cifar-10-python.tar.gz`, the official archive;
- `cifar-10-batches-py/`, the folder that is in it;
- a folder of pictures `train/<class>/*.png` and `test/<class>/*.png`, 50,000 and 10,000 of them.

The official files are pickles, and a pickle can run any program on the machine that reads it. So each file is first
compared with its published MD5, and then read by an unpickler that knows three names of NumPy and nothing else. Of an
archive only the files we know by name are read, into memory: no path in it is ever followed or created.

**The order matters**, because the report trains on the first 40,000 training images and validates on the last 10,000.
The official files have one order. A folder of pictures has none of its own:

- where the file names carry one count through all ten classes (`train/cat/00001.png`, `train/ship/00002.png`, or
  fast.ai's `10008_airplane.png`) and that count mixes the classes, it is the order;
- else the classes take turns: within a class by name, then the first of every class, the second of every class, and so
  on, so that every stretch holds all classes alike (sorted by class alone, the validation images would be nothing but
  ships and trucks). The split is then another one than the report's, and the fingerprint shows it.
"""

import datetime
import hashlib
import io
import lzma
import pickle
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cnnlab import settings
from cnnlab.array_types import PixelArray
from cnnlab.data import Dataset, DatasetMissing, array_store

ProgressCallback = Callable[[str, float], None]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000
BATCHES_DIRECTORY = "cifar-10-batches-py"
MD5 = {  # published at https://www.cs.toronto.edu/~kriz/cifar.html and used by every framework's loader
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}
BATCHES = tuple(name for name in MD5 if name != "batches.meta")
MAX_FILE_BYTES = 64 * 2**20  # bytes; the official ones have 31 MB
MIN_DIFFERENT = 0.95  # share of different images in CIFAR-10, at least; really all but a few are
OFFICIAL_FINGERPRINT = "80387ddb9a0edf3fc4a964ee3770296169bb26a651050df20035579673099660"


class CifarError(Exception):
    """CIFAR-10 could not be brought in. The message is one sentence for the person who tried."""


class CifarWriteError(CifarError):
    """CIFAR-10 was read and is whole, but this machine has no place for it."""


@dataclass(frozen=True)
class Status:
    """What `data status` says: is CIFAR-10 here, how many images, from where, since when, and is it official."""

    ready: bool
    message: str
    train_images: int = 0
    test_images: int = 0
    fingerprint: str = ""
    source: str = ""
    prepared: str = ""

    @property
    def official(self) -> bool:
        """Whether these are the official arrays in the official order, so that the split is the report's."""
        return self.fingerprint == OFFICIAL_FINGERPRINT


def directory() -> Path:
    """Where the prepared arrays are kept."""
    return settings.data_dir() / "cifar10"


def is_available() -> bool:
    """Whether `load` would succeed."""
    try:
        load_arrays()
    except DatasetMissing:
        return False
    return True


def load() -> Dataset:
    """CIFAR-10: x_train (50000, 32, 32, 3), x_test (10000, 32, 32, 3), uint8 RGB, memory-mapped; labels uint8.

    Raises DatasetMissing, with the way to get it, where it was not prepared or cannot be trusted.
    """
    arrays, manifest = load_arrays()
    return Dataset(name="cifar10", classes=CLASSES, fingerprint=manifest["fingerprint"], **arrays)


def load_arrays() -> tuple[array_store.Arrays, dict[str, Any]]:
    """The four arrays by name, memory-mapped, and the manifest. Raises DatasetMissing."""
    try:
        arrays, manifest = array_store.read(directory())
    except array_store.ArrayStoreError as error:
        raise DatasetMissing(
            f"{error} Get CIFAR-10 with `python -m cnnlab data download`, or bring it in with "
            "`python -m cnnlab data import PATH`."
        ) from error
    if (len(arrays["x_train"]), len(arrays["x_test"])) != (TRAIN_IMAGES, TEST_IMAGES):
        raise DatasetMissing(f"CIFAR-10 in {directory()} is not whole: delete that folder and import it again.")
    return arrays, manifest


def status(verify: bool = False) -> Status:
    """What is there. With `verify`, every pixel is read again and compared with the fingerprint (half a second)."""
    try:
        arrays, manifest = load_arrays()
    except DatasetMissing as error:
        return Status(ready=False, message=str(error))
    if verify and array_store.fingerprint(arrays) != manifest["fingerprint"]:
        damaged = f"CIFAR-10 in {directory()} has changed since it was written: delete that folder and import it again."
        return Status(ready=False, message=damaged)
    counts = len(arrays["x_train"]), len(arrays["x_test"])
    sentence = f"CIFAR-10 is ready in {directory()}: {counts[0]:,} training and {counts[1]:,} test images."
    origin = str(manifest.get("source", "")), str(manifest.get("prepared", ""))
    return Status(True, sentence, *counts, manifest["fingerprint"], *origin)


def prepare(source: Path | str, progress: ProgressCallback | None = None) -> Path:
    """Bring CIFAR-10 in from an archive or a folder, and return the folder of the prepared arrays.

    `progress` is called with a few words and the fraction done, 0..1. Takes about five seconds for the archive.

    Raises CifarError, one clear sentence, for anything that is not CIFAR-10, and CifarNotKept where it cannot be
    written; what was there before stays as it was.
    """
    path = Path(source).expanduser()
    tell = progress or (lambda _words, _fraction: None)
    try:
        arrays = _read_source(path, tell)
        tell("Writing", 0.9)
        array_store.write(directory(), arrays, _manifest(path, arrays))
    except array_store.ArrayStoreError as error:
        raise CifarWriteError(str(error)) from error
    except OSError as error:
        raise CifarError(f"{path} could not be read ({error.strerror or error}): copy it again.") from error
    tell("Ready", 1.0)
    return directory()


def _manifest(path: Path, arrays: array_store.Arrays) -> dict[str, Any]:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    images = {"train_images": len(arrays["x_train"]), "test_images": len(arrays["x_test"])}
    return {"source": path.name, "prepared": today, **images, "classes": list(CLASSES)}


def _read_source(path: Path, progress: ProgressCallback) -> array_store.Arrays:
    if path.is_dir():
        inner = path / BATCHES_DIRECTORY if (path / BATCHES_DIRECTORY).is_dir() else path
        if (inner / "train").is_dir() or (inner / "test").is_dir():
            return _arrays_from_image_folder(inner, progress)
        return _arrays_from_batches(_files_in_folder(inner), inner, progress)
    if not path.exists():
        raise CifarError(f"There is nothing at {path}: give the path of cifar-10-python.tar.gz or of a folder.")
    return _arrays_from_batches(_files_in_archive(path), path, progress)


# The official files


def _files_in_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for name in MD5:
        if (path / name).is_file():
            if (path / name).stat().st_size > MAX_FILE_BYTES:
                raise CifarError(_hash_mismatch_message(name))
            yield name, (path / name).read_bytes()


def _files_in_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """The files we know by name, read into memory; links and everything else in the archive are passed over."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.size > MAX_FILE_BYTES:
                    raise CifarError(f"{path.name} is not the CIFAR-10 archive: {member.name!r} in it is too large.")
                name = member.name.rpartition("/")[2]
                if name in MD5 and member.isreg() and (file := archive.extractfile(member)):
                    yield name, file.read()
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise CifarError(f"{path.name} is incomplete or damaged: download or copy it again.") from error
    except tarfile.TarError as error:
        damaged = "unexpected end" in str(error) or "truncated" in str(error)
        remedy = "is incomplete: download or copy it again" if damaged else "is not the archive cifar-10-python.tar.gz"
        raise CifarError(f"{path.name} {remedy}.") from error


def _arrays_from_batches(
    files: Iterator[tuple[str, bytes]], path: Path, progress: ProgressCallback
) -> array_store.Arrays:
    batches: dict[str, tuple[PixelArray, PixelArray]] = {}
    for name, content in files:
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != MD5[name]:
            raise CifarError(_hash_mismatch_message(name))
        if name in BATCHES:
            batches[name] = read_batch(content)
            progress(f"Reading {name}", 0.85 * len(batches) / len(BATCHES))
    if missing := [name for name in BATCHES if name not in batches]:
        raise CifarError(
            f"{path.name} holds no {missing[0]}: expected cifar-10-python.tar.gz, the folder {BATCHES_DIRECTORY} that"
            " is in it, or a folder with train/<class>/*.png and test/<class>/*.png."
        )
    x_train, y_train = (np.concatenate(parts) for parts in zip(*(batches[name] for name in BATCHES[:5]), strict=True))
    x_test, y_test = batches["test_batch"]
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _hash_mismatch_message(name: str) -> str:
    return f"{name} is not the published file (its MD5 differs): download or copy the archive again."


class _RestrictedUnpickler(pickle.Unpickler):
    """Knows the three names that stand in the official files; a file that asks for anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """The object a pickle asks for, where it is one of the three."""
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # NumPy has moved it since 2009
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise CifarError(f"A batch file asks to run foreign code ({module}.{name}): it was refused, do not use it.")
        return allowed[module, name]


def read_batch(content: bytes) -> tuple[PixelArray, PixelArray]:
    """Images uint8 (n, 32, 32, 3) and labels uint8 (n,) of one official batch file, which is never trusted.

    A row of the file is one image: 1,024 red, 1,024 green, 1,024 blue values.

    Raises CifarError where the pickle asks for code, is cut off, or holds something else.
    """
    try:
        batch = _RestrictedUnpickler(io.BytesIO(content), encoding="bytes").load()
        rows, labels = batch[b"data"], np.asarray(batch[b"labels"])
        whole = rows.dtype == np.uint8 and rows.shape == (len(labels), 3072) and set(labels.tolist()) <= set(range(10))
    except CifarError:
        raise
    except Exception as error:  # a made-up pickle can raise anything
        raise CifarError("A batch file is damaged: download or copy the archive again.") from error
    if not whole:
        raise CifarError("A batch file does not hold CIFAR-10 images: download or copy the archive again.")
    images = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels.astype(np.uint8)


# A folder of pictures


def _arrays_from_image_folder(path: Path, progress: ProgressCallback) -> array_store.Arrays:
    arrays: array_store.Arrays = {}
    for part, count, start in (("train", TRAIN_IMAGES, 0.0), ("test", TEST_IMAGES, 0.75)):
        files = _training_order(_image_files(path / part))
        if len(files) != count:
            raise CifarError(f"{path.name}/{part} must hold all {count:,} images of CIFAR-10. Received: {len(files):,}")
        images = np.empty((count, 32, 32, 3), np.uint8)
        for index, (_, file) in enumerate(files):
            images[index] = _read_image(file)
            if index % 1000 == 0:
                progress(f"Reading {part}", start + (0.75 if part == "train" else 0.15) * index / count)
        _check_variety(path / part, images)
        arrays[f"x_{part}"] = images
        arrays[f"y_{part}"] = np.array([label for label, _ in files], np.uint8)
    return arrays


def _check_variety(path: Path, images: PixelArray) -> None:
    """Raises CifarError where many images are equal to another one, as 60,000 black ones are."""
    different = len({hashlib.md5(image, usedforsecurity=False).digest() for image in images})
    if different < MIN_DIFFERENT * len(images):
        raise CifarError(
            f"{path.parent.name}/{path.name} is not CIFAR-10: only {different:,} of its {len(images):,} images differ."
            " Export the images again."
        )


def _image_files(path: Path) -> list[list[Path]]:
    """The .png files of each class, by name. Raises CifarError where a class has no folder or no picture."""
    classes = [sorted((path / name).glob("*.png")) for name in CLASSES]
    if missing := [name for name, files in zip(CLASSES, classes, strict=True) if not files]:
        raise CifarError(
            f"{path.parent.name}/{path.name} needs a folder with .png files for each of the ten classes "
            f"{', '.join(CLASSES)}. Missing: {', '.join(missing)}"
        )
    return classes


def _training_order(classes: list[list[Path]]) -> list[tuple[int, Path]]:
    """(label, file) in the order told at the top of this module: one count through the classes, else taking turns."""
    labelled = [(label, file) for label, files in enumerate(classes) for file in files]
    numbers = [int(found[0]) if (found := re.search(r"\d+", file.stem)) else -1 for _, file in labelled]
    if len(set(numbers)) == len(numbers):
        counted = [pair for _, pair in sorted(zip(numbers, labelled, strict=True))]
        if {label for label, _ in counted[len(counted) * 4 // 5 :]} == set(range(10)):
            return counted
    turns = [
        ((rank + 0.5) / len(files), label, file)
        for label, files in enumerate(classes)
        for rank, file in enumerate(files)
    ]
    return [(label, file) for _, label, file in sorted(turns)]


def _read_image(file: Path) -> PixelArray:
    try:
        with Image.open(file) as image:
            if image.size == (32, 32):
                return np.asarray(image.convert("RGB"))
            size = image.size
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise CifarError(f"{file} is not a readable picture: copy the folder again.") from error
    raise CifarError(f"{file} must be 32x32 pixels. Received: {size[0]}x{size[1]}")
