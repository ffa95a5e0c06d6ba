"""The twenty images that come with the code."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from cnnlab.data import cifar10, cifar10_reader
from cnnlab.data.samples import SAMPLE_DIRECTORY, sample_images


def test_there_are_twenty_colour_images_and_the_first_is_the_cat() -> None:
    images, labels = sample_images()
    assert images.shape == (20, 32, 32, 3)
    assert images.dtype == np.uint8
    assert labels.tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1, 0, 9, 5, 7, 9, 8, 5, 7, 8, 6]
    assert cifar10.CLASSES[labels[0]] == "cat"


def test_the_notice_names_the_source_and_its_licence() -> None:
    notice = (SAMPLE_DIRECTORY / "NOTICE").read_text(encoding="utf-8")
    assert "foolbox" in notice
    assert "MIT License" in notice


def test_nobody_can_paint_on_the_shared_samples() -> None:
    images, _ = sample_images()
    with pytest.raises(ValueError, match="read-only"):
        images[0, 0, 0] = 0


@pytest.mark.cifar
@pytest.mark.slow
def test_the_samples_are_the_first_twenty_test_images() -> None:
    with tarfile.open(Path(os.environ["CNNLAB_TEST_ARCHIVE"])) as archive:
        batch = archive.extractfile(f"{cifar10_reader.BATCHES_DIRECTORY}/test_batch")
        assert batch is not None
        test_images, test_labels = cifar10_reader.read_batch(batch.read())
    images, labels = sample_images()
    assert np.array_equal(images, test_images[:20])
    assert np.array_equal(labels, test_labels[:20])
