"""The images that a page can show: ten thousand test images, or the twenty samples where the data set is missing.

Every image has a name in the URL (see `selection`): sample-0 and test-0 are the same cat, because the samples are
the first twenty of CIFAR-10's test set. A network trained on Shapes gets images of shapes, one trained on one's own
pictures gets those; where they are not on this machine, it gets CIFAR-10's.
"""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab.array_types import PixelArray
from cnnlab.data import is_dataset_available
from cnnlab.data.samples import sample_images
from cnnlab.datasets import DATASETS, is_own_dataset
from cnnlab.rendering.color_scale import image_grid_png
from cnnlab.storage.imported_networks import ImportedNetwork, StoredNetwork
from cnnlab.storage.uploads import UnknownUpload, load_upload
from cnnlab.ui import cache


def network_classes(network: StoredNetwork) -> tuple[str, ...]:
    """The names of the network's classes by output."""
    return network.classes if isinstance(network, ImportedNetwork) else network.dataset_info.classes


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images uint8 (n, 32, 32, 3) and labels (n,) of one data set. `complete`: all test images, not only samples."""

    dataset: str
    classes: tuple[str, ...]
    images: PixelArray
    labels: PixelArray
    complete: bool

    @property
    def prefix(self) -> str:
        """The word for its images in the address."""
        if not self.complete:
            return "sample"
        return "own" if is_own_dataset(self.dataset) else DATASETS[self.dataset].image_prefix

    def indices(self, label: int | None) -> NDArray[np.int64]:
        """The images of this class, or all, as numbers."""
        return np.flatnonzero(self.labels == label) if label is not None else np.arange(len(self.labels))

    def image_name(self, number: int) -> str:
        """The image's name in the address."""
        return f"{self.prefix}-{number}"

    def neighbor(self, number: int, label: int | None, by: int) -> int:
        """The index of the image `by` steps further in the class, cyclic; `number` itself where the class is empty."""
        here = self.indices(label)
        if not len(here):
            return number
        after = int(np.searchsorted(here, number, side="right" if by > 0 else "left"))
        return int(here[(after + by - (by > 0)) % len(here)])


@dataclass(frozen=True, kw_only=True, eq=False)
class SelectedImage:
    """The selected image: uint8 (32, 32, 3), its true class or None, and its title.

    `index` is its index in the image set, None for a photo; `problem` a sentence where the requested one is missing.
    """

    pixels: PixelArray
    true_class: int | None
    title: str
    index: int | None
    problem: str = ""


def load_image_set(dataset: str) -> ImageSet:
    """The images for networks that were trained on this data set; CIFAR-10's where one's own pictures are missing."""
    if is_own_dataset(dataset) and not is_dataset_available(dataset):
        dataset = "cifar10"
    if dataset == "cifar10" and not is_dataset_available("cifar10"):
        return ImageSet(dataset, DATASETS[dataset].classes, *sample_images(), complete=False)
    data = cache.dataset(dataset)
    return ImageSet(dataset, data.classes, data.x_test, data.y_test, complete=True)


def missing_images(network: StoredNetwork) -> str:
    """Which test images a computation lacks on this machine, in one sentence; "" where they are here."""
    info = network.dataset_info
    if is_dataset_available(info.name):
        return ""
    if is_own_dataset(info.name):
        return f"The pictures of {info.title} are not on this machine: import them again under that name."
    return f"This needs all test images, which are not on this machine: prepare {info.title} on the page Train."


def select_image(reference: str, image_set: ImageSet) -> SelectedImage:
    """The image that the URL names; the first of the set, and a sentence, where there is none."""
    kind, _, rest = reference.partition("-")
    if kind == "photo":
        try:
            return SelectedImage(pixels=load_upload(rest), true_class=None, title="your image", index=None)
        except UnknownUpload as problem:
            return _test_image(image_set, 0, str(problem))
    of_cifar10 = ("sample", DATASETS["cifar10"].image_prefix)  # the samples are the first of them
    number = int(rest) if kind == image_set.prefix or {kind, image_set.prefix} <= set(of_cifar10) else 0
    if number >= len(image_set.labels) and is_own_dataset(image_set.dataset):
        return _test_image(image_set, 0, f"There are {len(image_set.labels):,} test images; the first one is shown.")
    if number >= len(image_set.labels):
        have = f"This machine has only the first {len(image_set.labels)} test images"
        return _test_image(image_set, 0, f"{have}; prepare CIFAR-10 on the page Train to see image {number:,}.")
    return _test_image(image_set, number)


def _test_image(image_set: ImageSet, number: int, problem: str = "") -> SelectedImage:
    label = int(image_set.labels[number])
    return SelectedImage(
        pixels=np.asarray(image_set.images[number]),
        true_class=label,
        title=f"test image {number:,}",
        index=number,
        problem=problem,
    )


@st.cache_data(max_entries=32, show_spinner=False)
def thumbnails(dataset: str, numbers: tuple[int, ...], columns: int) -> bytes:
    """The images with these numbers side by side, as a PNG."""
    return image_grid_png(load_image_set(dataset).images[list(numbers)], columns)
