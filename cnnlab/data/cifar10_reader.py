"""Reads CIFAR-10 from the forms in which it is distributed: the official archive, its folder, a folder of images.

- `cifar-10-python.tar.gz`, the official archive;
- `cifar-10-batches-py/`, the folder in that archive;
- a folder of images `train/<class>/*.png` and `test/<class>/*.png`, 50,000 and 10,000 of them.

The official files are pickles, and loading a pickle can run arbitrary code. So each file is first compared with its
published MD5, and then read by an unpickler that accepts three names of NumPy and nothing else. Of an archive only the
files with known names are read, into memory: no path in it is followed or created.

**The order matters**, because the report trains on the first 40,000 training images and validates on the last 10,000.
The official files define an order. For a folder of images:

- where the file names carry one number through all ten classes (`train/cat/00001.png`, `train/ship/00002.png`, or
  fast.ai's `10008_airplane.png`) and the order by that number mixes the classes, it is the order;
- else the classes are interleaved: sorted by name within each class, then the first image of every class, the second of
  every class, and so on, so that every part contains all classes equally. (Sorted by class, the validation images would
  be ships and trucks only.) The split then differs from the report's, and the fingerprint shows it.
"""

import hashlib
import io
import lzma
import pickle
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cnnlab.array_types import PixelArray
from cnnlab.data import array_store
from cnnlab.datasets import DATASETS
from cnnlab.operating_system import file_operations

ProgressCallback = Callable[[str, float], None]

CLASSES = DATASETS["cifar10"].classes
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000
MIN_DIFFERENT = 0.95  # share of different images in CIFAR-10, at least; really all but a few are
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
MAX_IMAGE_BYTES = 1_000_000  # of a picture of 32x32 pixels
MAX_FILE_BYTES = 64 * 2**20  # bytes; the official ones have 31 MB


class CifarError(Exception):
    """CIFAR-10 could not be imported. The message is one sentence with the remedy."""


def read_source(path: Path, progress: ProgressCallback) -> array_store.Arrays:
    """The four arrays by name: x uint8 (n, 32, 32, 3), y uint8 (n,), from an archive or a folder. Raises CifarError."""
    if path.is_dir():
        folder = path / BATCHES_DIRECTORY if (path / BATCHES_DIRECTORY).is_dir() else path
        if (folder / "train").is_dir() or (folder / "test").is_dir():
            return _arrays_from_image_folder(folder, progress)
        return _arrays_from_batches(_files_in_folder(folder), folder, progress)
    if not path.is_file():
        raise CifarError(f"There is no file at {path}: give the path of cifar-10-python.tar.gz or of a folder.")
    return _arrays_from_batches(_files_in_archive(path), path, progress)


# The official files


def _files_in_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for name in MD5:
        if (path / name).is_file():
            if (path / name).stat().st_size > MAX_FILE_BYTES:
                raise CifarError(_hash_mismatch_message(name))
            yield name, (path / name).read_bytes()


def _files_in_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of the files with known names; links and all other members of the archive are skipped."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                yield from _known_file(archive, member, path.name)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise CifarError(f"{path.name} is incomplete or damaged: download or copy it again.") from error
    except tarfile.TarError as error:
        damaged = "unexpected end" in str(error) or "truncated" in str(error)
        remedy = "is incomplete: download or copy it again" if damaged else "is not the archive cifar-10-python.tar.gz"
        raise CifarError(f"{path.name} {remedy}.") from error


def _known_file(archive: tarfile.TarFile, member: tarfile.TarInfo, source: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of the member where it is a regular file with a known name; nothing of any other."""
    if member.size > MAX_FILE_BYTES:
        raise CifarError(f"{source} is not the CIFAR-10 archive: {member.name!r} in it is too large.")
    name = member.name.rpartition("/")[2]
    if name in MD5 and member.isreg() and (file := archive.extractfile(member)):
        yield name, file.read()


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
    """Accepts the three names that the official files contain. Raises CifarError for any other name."""

    def find_class(self, module: str, name: str) -> Any:
        """The object of this name, if it is one of the three."""
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # NumPy has moved it since 2009
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise CifarError(f"A batch file asks to run foreign code ({module}.{name}): it was refused, do not use it.")
        return allowed[module, name]


def read_batch(content: bytes) -> tuple[PixelArray, PixelArray]:
    """Images uint8 (n, 32, 32, 3) and labels uint8 (n,) of one official batch file, which is untrusted input.

    A row of the file is one image: 1,024 red, 1,024 green, 1,024 blue values.

    Raises CifarError where the pickle contains other names, is truncated, or holds other data.
    """
    try:
        batch = _RestrictedUnpickler(io.BytesIO(content), encoding="bytes").load()
        rows, labels = batch[b"data"], np.asarray(batch[b"labels"])
        is_valid = (
            rows.dtype == np.uint8 and rows.shape == (len(labels), 3072) and set(labels.tolist()) <= set(range(10))
        )
    except CifarError:
        raise
    except Exception as error:  # a crafted pickle can raise any exception
        raise CifarError("A batch file is damaged: download or copy the archive again.") from error
    if not is_valid:
        raise CifarError("A batch file does not hold CIFAR-10 images: download or copy the archive again.")
    images = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), labels.astype(np.uint8)


# A folder of images


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
        check_variety(path / part, images)
        arrays[f"x_{part}"] = images
        arrays[f"y_{part}"] = np.array([label for label, _ in files], np.uint8)
    return arrays


def check_variety(path: Path, images: PixelArray) -> None:
    """Raises CifarError where many images are equal to another one, as 60,000 black ones are."""
    different = len({hashlib.md5(image, usedforsecurity=False).digest() for image in images})
    if different < MIN_DIFFERENT * len(images):
        raise CifarError(
            f"{path.parent.name}/{path.name} is not CIFAR-10: only {different:,} of its {len(images):,} images differ."
            " Export the images again."
        )


def _image_files(path: Path) -> list[list[Path]]:
    """The .png files of each class, sorted by name. Raises CifarError where a class has no folder or no file."""
    classes = [sorted((path / name).glob("*.png")) for name in CLASSES]
    if missing := [name for name, files in zip(CLASSES, classes, strict=True) if not files]:
        raise CifarError(
            f"{path.parent.name}/{path.name} needs a folder with .png files for each of the ten classes "
            f"{', '.join(CLASSES)}. Missing: {', '.join(missing)}"
        )
    return classes


def _training_order(classes: list[list[Path]]) -> list[tuple[int, Path]]:
    """(label, file) in the order that the module docstring describes: by number, else interleaved by class."""
    labelled = [(label, file) for label, files in enumerate(classes) for file in files]
    numbers = [int(match[0]) if (match := re.search(r"\d+", file.stem)) else -1 for _, file in labelled]
    if len(set(numbers)) == len(numbers):
        by_number = [pair for _, pair in sorted(zip(numbers, labelled, strict=True))]
        if {label for label, _ in by_number[len(by_number) * 4 // 5 :]} == set(range(10)):
            return by_number
    interleaved = [
        ((rank + 0.5) / len(files), label, file)
        for label, files in enumerate(classes)
        for rank, file in enumerate(files)
    ]
    return [(label, file) for _, label, file in sorted(interleaved)]


def _read_image(file: Path) -> PixelArray:
    try:
        content = file_operations.read_regular_file(file, MAX_IMAGE_BYTES)
        with Image.open(io.BytesIO(content)) as image:
            if image.size == (32, 32):
                return np.asarray(image.convert("RGB"))
            size = image.size
    except Exception as error:  # Pillow raises exceptions of many types for a damaged file
        raise CifarError(f"{file} is not a readable image: copy the folder again.") from error
    raise CifarError(f"{file} must be 32x32 pixels. Received: {size[0]}x{size[1]}")
