"""Data sets of one's own pictures: opened, listed, removed; `picture_import` makes one of a folder.

    data_dir()/own-<12 hex digits>-<title>/     x_train.npy, y_train.npy, x_test.npy, y_test.npy, manifest.json

The training array holds the training images, then the validation images. The digits are a digest of the pictures and
the class names: equal data sets have one name, and an experiment's key changes with its pictures.
"""

import shutil
import time
from typing import Any

from cnnlab import settings
from cnnlab.data import Dataset, DatasetMissing, array_store
from cnnlab.datasets import DatasetInfo, is_own_dataset, own_dataset_info
from cnnlab.operating_system import file_operations
from cnnlab.storage import bounded_files
from cnnlab.storage.bounded_files import DamagedFile

MAX_MANIFEST_BYTES = 10_000


def read_info(name: str) -> DatasetInfo:
    """The description of the data set of this name. Raises DatasetMissing."""
    return _info(name, _manifest(name))


def owner(name: str) -> str:
    """The person who brought these pictures in, "" for the command line. Raises DatasetMissing."""
    return str(_manifest(name).get("owner", ""))


def load(name: str) -> Dataset:
    """The data set of this name, its arrays memory-mapped. Raises DatasetMissing."""
    arrays, manifest = _read(name)
    info = _info(name, manifest)
    counts = info.train_images + info.validation_images, info.test_images
    labels = max(int(arrays["y_train"].max()), int(arrays["y_test"].max()))
    if (len(arrays["x_train"]), len(arrays["x_test"])) != counts or labels >= info.class_count:
        raise _missing(name)
    return Dataset(name=name, classes=info.classes, fingerprint=manifest["fingerprint"], **arrays)


def is_available(name: str) -> bool:
    """Whether the pictures of this data set are on this machine, so that `load` succeeds."""
    try:
        return bool(load(name))
    except DatasetMissing:
        return False


def list_datasets() -> list[DatasetInfo]:
    """Every data set of one's own that can be opened, by title."""
    found = []
    for folder in settings.data_dir().glob("own-*"):
        try:
            found.append(read_info(folder.name))
        except DatasetMissing:
            continue
    return sorted(found, key=lambda info: (info.title.lower(), info.name))


def remove(name: str) -> None:
    """Remove the pictures of this data set; the runs that were trained on it stay. Raises DatasetMissing, OSError."""
    folder = settings.data_dir() / name
    if not is_own_dataset(name) or not folder.is_dir():
        raise _missing(name)
    bin_ = folder.with_name(f".removed-{name}-{time.time_ns()}")
    file_operations.replace(folder, bin_)
    shutil.rmtree(bin_, ignore_errors=True)


def _manifest(name: str) -> dict[str, Any]:
    """What is known of the pictures, without opening their arrays. Raises DatasetMissing."""
    if not is_own_dataset(name):
        raise _missing(name)
    try:
        content = bounded_files.read_file(settings.data_dir() / name / "manifest.json", MAX_MANIFEST_BYTES)
        return bounded_files.parse_json_object(content)
    except (OSError, DamagedFile):
        raise _missing(name) from None


def _read(name: str) -> tuple[array_store.Arrays, dict[str, Any]]:
    if not is_own_dataset(name):
        raise _missing(name)
    try:
        return array_store.read(settings.data_dir() / name)
    except array_store.ArrayStoreError:
        raise _missing(name) from None


def _info(name: str, manifest: dict[str, Any]) -> DatasetInfo:
    try:
        return own_dataset_info(name, ",".join(manifest["classes"]), str(manifest["image_counts"]))
    except (KeyError, TypeError, ValueError):
        raise _missing(name) from None


def _missing(name: str) -> DatasetMissing:
    title = name.split("-", 2)[-1] if is_own_dataset(name) else name[:60]
    return DatasetMissing(
        f"The pictures of {title} are not on this machine: import them again with"
        f" `python -m cnnlab data import FOLDER --name {title}`."
    )
