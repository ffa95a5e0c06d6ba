"""The pictures to choose from: ten thousand test images, or the twenty samples where the data set is not here.

Every picture has a name in the address (see `selection`): sample-0 and test-0 are the same cat, because the samples are
the first twenty of CIFAR-10's test set. A network trained on Shapes gets pictures of shapes.
"""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab import datasets
from cnnlab.datasets import cifar10, shapes
from cnnlab.datasets.album import UnknownPhoto, photo
from cnnlab.datasets.samples import samples
from cnnlab.pages import cached
from cnnlab.walls import mosaic

Bytes = NDArray[np.uint8]

CLASSES = {"cifar10": cifar10.CLASSES, "shapes": shapes.CLASSES}
TEST_IMAGES = {"cifar10": "test", "shapes": "shapes"}  # the word in the address for a data set's test images


@dataclass(frozen=True, eq=False)
class Shelf:
    """Pictures uint8 (n, 32, 32, 3) and labels (n,) of one data set. `whole`: all its test images, not only samples."""

    dataset: str
    pictures: Bytes
    labels: Bytes
    whole: bool

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes by label."""
        return CLASSES[self.dataset]

    def numbers(self, label: int | None) -> NDArray[np.int64]:
        """The pictures of this class, or all, as numbers."""
        return np.flatnonzero(self.labels == label) if label is not None else np.arange(len(self.labels))

    def reference(self, number: int) -> str:
        """The picture's name in the address."""
        return f"{TEST_IMAGES[self.dataset] if self.whole else 'sample'}-{number}"

    def step(self, number: int, label: int | None, by: int) -> int:
        """The picture `by` places further among those of the class, round and round."""
        here = self.numbers(label)
        after = int(np.searchsorted(here, number, side="right" if by > 0 else "left"))
        return int(here[(after + by - (by > 0)) % len(here)])


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """The picture that is looked at: uint8 (32, 32, 3), its true class where it is known, and its name.

    `number` is its place on the shelf, None for a photo; `problem` a sentence where another one was asked for.
    """

    pixels: Bytes
    truth: int | None
    name: str
    number: int | None
    problem: str = ""


def shelf(dataset: str) -> Shelf:
    """The pictures for networks that were trained on this data set."""
    if dataset == "cifar10" and not datasets.available("cifar10"):
        return Shelf(dataset, *samples(), whole=False)
    data = cached.dataset(dataset)
    return Shelf(dataset, data.x_test, data.y_test, whole=True)


def subject(reference: str, pictures: Shelf) -> Subject:
    """The picture that the address names; the first of the shelf, and a sentence, where there is none."""
    kind, _, rest = reference.partition("-")
    if kind == "photo":
        try:
            return Subject(pixels=photo(rest), truth=None, name="your picture", number=None)
        except UnknownPhoto as problem:
            return _of(pictures, 0, str(problem))
    fits = (kind == "shapes") == (pictures.dataset == "shapes")
    number = int(rest) if fits else 0
    if number >= len(pictures.labels):
        have = f"This machine has only the first {len(pictures.labels)} test images"
        return _of(pictures, 0, f"{have}; prepare CIFAR-10 on the page Train to see image {number:,}.")
    return _of(pictures, number)


def _of(pictures: Shelf, number: int, problem: str = "") -> Subject:
    label = int(pictures.labels[number])
    return Subject(
        pixels=np.asarray(pictures.pictures[number]),
        truth=label,
        name=f"test image {number:,}",
        number=number,
        problem=problem,
    )


@st.cache_data(max_entries=32, show_spinner=False)
def thumbnails(dataset: str, numbers: tuple[int, ...], columns: int) -> bytes:
    """The pictures with these numbers side by side, as a PNG."""
    return mosaic(shelf(dataset).pictures[list(numbers)], columns)
