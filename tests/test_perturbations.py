"""Small changes to a picture, checked on pictures where the outcome is plain."""

import numpy as np
import pytest
from keras_reference import some_images

from cnnlab.analysis import perturbations
from cnnlab.analysis.perturbations import Perturbation


@pytest.fixture
def picture():
    return some_images(1)[0]


def test_asking_for_no_change_gives_an_equal_picture(picture):
    np.testing.assert_array_equal(Perturbation()(picture), picture)


def test_mirroring_twice_gives_the_picture_back(picture):
    np.testing.assert_array_equal(perturbations.flip(picture)[:, 0], picture[:, -1])
    np.testing.assert_array_equal(perturbations.flip(perturbations.flip(picture)), picture)


def test_a_shift_moves_every_pixel_and_repeats_the_border(picture):
    moved = perturbations.shift(picture, down=3, right=-2)
    np.testing.assert_array_equal(moved[3:, :-2], picture[:-3, 2:])
    np.testing.assert_array_equal(moved[0, :-2], picture[0, 2:])
    np.testing.assert_array_equal(moved[3:, -1], picture[:-3, -1])


def test_a_shift_beyond_the_picture_leaves_its_border(picture):
    assert (perturbations.shift(picture, down=99, right=0) == picture[0]).all()


@pytest.mark.parametrize("degrees, turns", [(90, 1), (180, 2), (-90, 3), (360, 0)])
def test_right_angles_turn_exactly_and_counter_clockwise(picture, degrees, turns):
    np.testing.assert_array_equal(perturbations.rotate(picture, degrees), np.rot90(picture, turns))


def test_turning_leaves_no_black_corners():
    white = np.full((32, 32, 3), 255, np.uint8)
    assert (perturbations.rotate(white, 33) == 255).all()


def test_brightness_stops_at_black_and_white():
    grey = np.full((2, 2, 3), 200, np.uint8)
    assert (perturbations.brighten(grey, 30) == 230).all()
    assert (perturbations.brighten(grey, 100) == 255).all()
    assert (perturbations.brighten(grey, -255) == 0).all()


def test_noise_has_the_deviation_asked_for_and_its_seed_repeats_it():
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = perturbations.add_noise(grey, 10, seed=1).astype(float)
    assert noisy.mean() == pytest.approx(128, abs=0.2)
    assert noisy.std() == pytest.approx(10, abs=0.2)
    np.testing.assert_array_equal(noisy, perturbations.add_noise(grey, 10, seed=1))
    assert (noisy != perturbations.add_noise(grey, 10, seed=2)).any()


def test_negative_noise_is_refused(picture):
    with pytest.raises(ValueError, match="Received: std=-1"):
        perturbations.add_noise(picture, -1)


def test_all_changes_together_leave_the_picture_itself_alone(picture):
    before = picture.copy()
    changed = Perturbation(flipped=True, down=2, right=3, degrees=15, brightness=-20, noise=5)(picture)
    assert changed.shape == (32, 32, 3) and changed.dtype == np.uint8
    np.testing.assert_array_equal(picture, before)
