"""The data set Shapes: reproducible, recognizable, of the stated difficulty."""

import errno
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from cnnlab.data import is_dataset_available, load_dataset, shape_drawing, shapes
from cnnlab.experiment import Experiment
from cnnlab.storage.runs import read_run
from cnnlab.training import trainer

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRAIN_POOL", "VALIDATION", "TEST"):
        monkeypatch.setattr(shapes, name, 20)


def test_images_have_the_shape_of_cifar10_and_classes_are_balanced() -> None:
    images, labels = shape_drawing.generate(1_000, seed=3)
    assert images.shape == (1_000, 32, 32, 3)
    assert images.dtype == labels.dtype == np.uint8
    assert np.bincount(labels).tolist() == [100] * 10
    assert len(set(labels[:50].tolist())) == 10
    assert len(shapes.CLASSES) == 10


def test_the_same_seed_draws_the_same_images_and_another_seed_others() -> None:
    first, again, other = shape_drawing.generate(300, 1), shape_drawing.generate(300, 1), shape_drawing.generate(300, 2)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert (first[0] != other[0]).mean() > 0.9


def test_the_images_are_those_on_which_the_documented_accuracies_were_measured() -> None:
    images, labels = shape_drawing.generate(100, shapes.SEED)
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest[:16] == "91410c31c5b4be5b", "the images changed: measure again, and increase VERSION"


def test_no_two_images_are_equal() -> None:
    images, _ = shape_drawing.generate(2_000, seed=0)
    assert len({image.tobytes() for image in images}) == 2_000


@pytest.mark.parametrize("name", shapes.CLASSES)
def test_every_shape_covers_its_area_and_fits_into_the_image(name: str) -> None:
    y, x = np.mgrid[-1.5:1.5:301j, -1.5:1.5:301j].astype(np.float32)
    distance = shape_drawing.signed_distance(name, x, y)
    inside = distance < 0
    assert 0.7 < inside.sum() * 0.01**2 < 2.8
    assert not inside[np.hypot(x, y) > 1.15].any()
    assert np.isfinite(distance).all()


def test_the_edge_of_a_shape_is_smooth() -> None:
    line = np.linspace(-16, 16, 65, dtype=np.float32)[None]
    coverage = shape_drawing._coverage(shape_drawing.signed_distance("circle", line / 10, np.zeros_like(line)) * 10)
    assert set(np.unique(coverage)) > {0.0, 1.0}
    assert np.abs(np.diff(coverage)).max() <= 0.51


def test_the_color_of_a_shape_differs_from_its_background() -> None:
    rng = shape_drawing._ChunkRandom(500, 0, 0)
    canvas = shape_drawing._background(rng)
    coverage = shape_drawing._shape_coverage(rng, (np.arange(500) % 10).astype(np.uint8))
    color = shape_drawing._contrasting_color(rng, canvas, coverage)
    weight = coverage[:, None]
    behind = (canvas * weight).sum(axis=(2, 3)) / weight.sum(axis=(2, 3))
    color_distance = np.sqrt(((color - behind) ** 2).sum(axis=1))
    assert np.quantile(color_distance, 0.02) > 0.2
    assert color_distance.mean() > 0.4


def test_images_are_drawn_once_and_then_memory_mapped(few: None, home: Path) -> None:
    assert is_dataset_available("shapes")
    first = load_dataset("shapes")
    written = (home / "data" / "shapes" / "x_train.npy").stat().st_mtime_ns
    again = load_dataset("shapes")
    assert isinstance(again.x_train, np.memmap)
    assert (home / "data" / "shapes" / "x_train.npy").stat().st_mtime_ns == written
    assert first.fingerprint == again.fingerprint
    assert first.classes == shapes.CLASSES
    assert (len(first.x_train), len(first.x_test)) == (40, 20)


def test_images_of_an_older_version_are_drawn_again(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(shape_drawing, "NOISE_STD", 0.5)
        before.setattr(shapes, "VERSION", shapes.VERSION - 1)
        old = load_dataset("shapes").fingerprint
    assert load_dataset("shapes").fingerprint != old
    assert load_dataset("shapes").fingerprint == load_dataset("shapes").fingerprint


def test_shapes_load_on_a_full_disk(few: None, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    data = load_dataset("shapes")
    assert len(data.x_train) == 40
    assert not (home / "data" / "shapes").exists()


@pytest.mark.nightly
def test_a_network_memorizes_the_training_images_and_does_worse_on_new_ones(tmp_path: Path) -> None:
    experiment = Experiment(dataset="shapes", train_images=600, epochs=12, batch=16, filters=32)
    assert trainer.train(experiment, tmp_path / "run") == "done"
    history = read_run(tmp_path / "run").history()
    train, validation = history["train_eval_accuracy"], history["val_accuracy"]
    assert validation[0] < 0.2
    assert train[-1] > 0.6
    assert 0.3 < validation[-1] < 0.6
    assert train[-1] - validation[-1] > 0.2
