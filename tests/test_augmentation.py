"""Augmentation and label noise: what they change, what they leave, and that the seed alone decides."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from cnnlab.data import load_dataset
from cnnlab.data.augmentation import MAX_SHIFT, augment, draw_transforms
from cnnlab.data.label_noise import noisy_labels
from cnnlab.experiment import Experiment
from cnnlab.storage import runs
from cnnlab.ui.augmentation_preview import augmented_variants

IMAGES = np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)


def by_hand(image: np.ndarray, flip: int, down: int, right: int) -> np.ndarray:
    """One image, flipped by NumPy and moved pixel by pixel."""
    image, moved = image[:, ::-1] if flip else image, np.zeros_like(image)
    for row in range(32):
        for column in range(32):
            if 0 <= row - down < 32 and 0 <= column - right < 32:
                moved[row, column] = image[row - down, column - right]
    return moved


def test_an_augmented_image_is_the_image_flipped_and_shifted_by_hand():
    transforms = np.array([[0, 0, 0], [1, 0, 0], [0, 3, -4], [1, -2, 1], [1, 4, 4]], np.int32)
    result = augment(IMAGES[:5], transforms)
    for image, row, augmented in zip(IMAGES, transforms, result, strict=False):
        np.testing.assert_array_equal(augmented, by_hand(image, *row))


def test_half_of_the_images_are_flipped_and_every_shift_is_equally_likely():
    flips, down, right = draw_transforms(90_000, seed=0, epoch=1).T
    assert flips.mean() == pytest.approx(0.5, abs=0.01)
    for shifts in (down, right):
        found, counts = np.unique(shifts, return_counts=True)
        assert list(found) == list(range(-MAX_SHIFT, MAX_SHIFT + 1))
        np.testing.assert_allclose(counts, 10_000, rtol=0.05)
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.02


def test_seed_and_epoch_alone_decide_what_an_image_becomes():
    first = draw_transforms(100, seed=3, epoch=5)
    np.testing.assert_array_equal(first, draw_transforms(100, seed=3, epoch=5))
    assert (first != draw_transforms(100, seed=3, epoch=6)).any()
    assert (first != draw_transforms(100, seed=4, epoch=5)).any()


@pytest.mark.slow
def test_the_pictures_on_train_are_those_of_the_first_image_in_the_first_epochs():
    image = np.random.default_rng(0).integers(256, size=(32, 32, 3), dtype=np.uint8)
    shown = augmented_variants(image, Experiment(dataset="shapes", train_images=500, seed=3))
    for epoch, variant in enumerate(shown, start=1):
        training_set = np.broadcast_to(image, (500, 32, 32, 3))
        np.testing.assert_array_equal(variant, augment(training_set, draw_transforms(500, 3, epoch))[0])


def test_the_pipeline_of_tensorflow_augments_as_numpy_does():
    from cnnlab.training.input_pipeline import InputPipeline, NumpyBatches

    labels = np.arange(200, dtype=np.uint8) % 10
    order, transforms = np.random.default_rng(1).permutation(200), draw_transforms(200, 0, 1)
    pipeline = InputPipeline(IMAGES, labels)
    pipeline.images = IMAGES  # for the batches of the other backends
    other = NumpyBatches(pipeline, order, 64, transforms)
    batches = list(pipeline.batches(order, 64, transforms))
    assert len(batches) == len(other) == 4
    for index, (images, of_images) in enumerate(batches):
        indices = order[64 * index : 64 * (index + 1)]
        np.testing.assert_array_equal(images, augment(IMAGES[indices], transforms[indices]))
        np.testing.assert_array_equal(of_images, labels[indices])
        np.testing.assert_array_equal(images, other[index][0])


@pytest.mark.slow
def test_a_pipeline_without_transforms_leaves_the_images_as_they_are():
    from cnnlab.training.input_pipeline import InputPipeline

    images, _ = next(iter(InputPipeline(IMAGES, np.zeros(200, np.uint8)).batches(np.arange(200), 200)))
    np.testing.assert_array_equal(images, IMAGES)


# -- label noise ------------------------------------------------------------------------------------------------------

LABELS = np.arange(20_000, dtype=np.uint8) % 10


def test_without_noise_every_label_stays_and_the_given_array_is_never_changed():
    np.testing.assert_array_equal(noisy_labels(LABELS, 10, 0.0, seed=0), LABELS)
    before = LABELS.copy()
    noisy_labels(LABELS, 10, 1.0, seed=0)
    np.testing.assert_array_equal(LABELS, before)


@pytest.mark.parametrize("share", [0.1, 0.4, 1.0])
def test_nine_tenths_of_the_replaced_labels_change_to_any_other_class(share):
    noisy = noisy_labels(LABELS, 10, share, seed=0)
    changed = noisy != LABELS
    assert changed.mean() == pytest.approx(0.9 * share, abs=0.01)
    distances = np.bincount((noisy[changed].astype(int) - LABELS[changed]) % 10, minlength=10)
    assert distances[0] == 0
    np.testing.assert_allclose(distances[1:], changed.sum() / 9, rtol=0.15)
    assert noisy.dtype == np.uint8 and noisy.max() == 9


def test_the_seed_decides_which_labels_change():
    first = noisy_labels(LABELS, 10, 0.4, seed=1)
    np.testing.assert_array_equal(first, noisy_labels(LABELS, 10, 0.4, seed=1))
    assert (first != noisy_labels(LABELS, 10, 0.4, seed=2)).mean() > 0.3


def test_a_share_outside_0_to_1_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        noisy_labels(LABELS, 10, 1.2, seed=0)


# -- in a training ----------------------------------------------------------------------------------------------------

SMALL = Experiment(
    dataset="shapes", train_images=320, filters=4, dense=16, epochs=6, augment="flip_shift", label_noise=0.5
)


def start(experiment, home):
    command = [sys.executable, "-m", "cnnlab", "train", "--threads", "1", "--json", experiment.to_json()]
    return subprocess.Popen(command, env=os.environ | {"CNNLAB_HOME": str(home)}, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with augmentation and label noise, trained without interruption, and its home."""
    home = tmp_path_factory.mktemp("home")
    assert start(SMALL, home).wait(timeout=240) == 0
    return runs.read_run(home / "runs" / SMALL.key), home


@pytest.mark.nightly
@pytest.mark.slow
def test_an_augmented_training_that_was_killed_ends_with_the_same_history(whole, tmp_path):
    run, home = whole
    (tmp_path / "data").symlink_to(home / "data")
    history = tmp_path / "runs" / SMALL.key / "history.csv"
    process = start(SMALL, tmp_path)
    while process.poll() is None and not (history.exists() and len(history.read_text().splitlines()) > 3):
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert start(SMALL, tmp_path).wait(timeout=240) == 0
    assert history.read_bytes() == (run.path / "history.csv").read_bytes()


@pytest.mark.nightly
@pytest.mark.slow
def test_the_history_keeps_clean_and_changed_labels_apart(whole, monkeypatch):
    run, home = whole
    monkeypatch.setenv("CNNLAB_HOME", str(home))
    history, true = run.history(), load_dataset("shapes").y_train[: SMALL.train_images]
    clean = noisy_labels(true, 10, SMALL.label_noise, SMALL.seed) == true
    shares = [history[f"train_eval_accuracy_{name}"] for name in ("clean", "changed", "true")]
    assert all(np.isfinite(share).all() and (share >= 0).all() and (share <= 1).all() for share in shares)
    mean = clean.mean() * shares[0] + (~clean).mean() * shares[1]
    np.testing.assert_allclose(mean, history["train_eval_accuracy"], atol=1e-9)
    from cnnlab.models import numpy_forward
    from cnnlab.models.architecture import network_layers

    images = load_dataset("shapes").x_train[: SMALL.train_images]
    logits = numpy_forward.logits(network_layers(SMALL), run.weights(SMALL.epochs), images)
    assert shares[2][-1] == pytest.approx((logits.argmax(axis=1) == true)[~clean].mean(), abs=0.01)
