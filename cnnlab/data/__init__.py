"""The data sets: CIFAR-10 (downloaded or imported), Shapes (drawn on this machine), one's own pictures (imported).

A data set is four arrays, memory-mapped so that several workers share the same pages of memory, and a fingerprint that
is written into the record of every run trained on it.
"""

import importlib
from dataclasses import dataclass
from typing import Any

from cnnlab.array_types import PixelArray
from cnnlab.datasets import DATASETS, DatasetInfo, experiment_fields, is_own_dataset
from cnnlab.experiment import Experiment


class DatasetMissing(LookupError):
    """The data set is not on this machine. The message is one sentence that says how to get it."""


@dataclass(frozen=True)
class Dataset:
    """Images uint8 (n, 32, 32, 3), 0..255, RGB; labels uint8 (n,), from 0; class names by label.

    `fingerprint` is the SHA-256 over the raw bytes of x_train, y_train, x_test and y_test, in that order, as hex.
    """

    name: str
    classes: tuple[str, ...]
    x_train: PixelArray
    y_train: PixelArray
    x_test: PixelArray
    y_test: PixelArray
    fingerprint: str


@dataclass(frozen=True)
class DataSplit:
    """The images of one experiment: training, validation after each epoch, test after the last; as in Dataset."""

    x_train: PixelArray
    y_train: PixelArray
    x_val: PixelArray
    y_val: PixelArray
    x_test: PixelArray
    y_test: PixelArray


def is_dataset_available(name: str) -> bool:
    """Whether `load_dataset(name)` would succeed; creates and downloads nothing."""
    if is_own_dataset(name):
        from cnnlab.data import own_pictures  # it imports this package

        return own_pictures.is_available(name)
    return bool(_module(name).is_available())


def load_dataset(name: str) -> Dataset:
    """The data set of this name. Raises DatasetMissing where it is not on this machine."""
    if is_own_dataset(name):
        from cnnlab.data import own_pictures  # it imports this package

        return own_pictures.load(name)
    dataset: Dataset = _module(name).load()
    return dataset


def known_datasets() -> dict[str, DatasetInfo]:
    """The built-in data sets, be they prepared or not, and those of one's own pictures on this machine, by name."""
    from cnnlab.data import own_pictures  # it imports this package

    return DATASETS | {info.name: info for info in own_pictures.list_datasets()}


def dataset_fields(name: str) -> dict[str, Any]:
    """The fields of an experiment on the data set of this name, or of this title: "shapes", "own-...-leaves", "leaves".

    Raises DatasetMissing where there is none.
    """
    known = known_datasets()
    info = known.get(name) or next(
        (candidate for candidate in known.values() if candidate.title.lower() == name.lower()), None
    )
    if info is None:
        words = ", ".join(key if key in DATASETS else info.title for key, info in known.items())
        raise DatasetMissing(f"There is no such data set here; choose from {words}. Received: {name!r:.60}")
    return experiment_fields(info)


def _module(name: str):  # type: ignore[no-untyped-def]
    if name not in DATASETS:
        raise DatasetMissing(f"There is no such data set; choose from {', '.join(DATASETS)}. Received: {name!r}")
    return importlib.import_module(f"cnnlab.data.{name}")


def split_dataset(dataset: Dataset, experiment: Experiment) -> DataSplit:
    """The images an experiment uses, as views on the data set's arrays.

    The report's split: train on the first 40,000 training images, validate on the last 10,000; its final models train
    on all 50,000 and are validated, as in the report, on the 10,000 test images. One's own pictures likewise. Raises
    DatasetMissing where the data set has other classes or numbers of images than the experiment.
    """
    info = experiment.dataset_info
    if is_own_dataset(dataset.name) and known_datasets().get(dataset.name) != info:
        raise DatasetMissing(f"The pictures of {info.title} on this machine are others than those of this experiment.")
    end, start = experiment.train_images, info.train_images
    if experiment.split == "test":
        x_val, y_val = dataset.x_test, dataset.y_test
    else:
        x_val, y_val = dataset.x_train[start:], dataset.y_train[start:]
    return DataSplit(dataset.x_train[:end], dataset.y_train[:end], x_val, y_val, dataset.x_test, dataset.y_test)
