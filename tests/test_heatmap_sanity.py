"""Sanity checks of heat maps, masks of Shapes, and the purity of top images, against counts and definitions."""

import itertools

import numpy as np
import pytest
from keras_reference import some_images

from cnnlab.analysis import class_purity, heatmap_sanity
from cnnlab.analysis.attribution import grad_cam
from cnnlab.data import shape_drawing
from cnnlab.experiment import Experiment
from cnnlab.models.architecture import network_layers, weight_shapes

NORMED = Experiment(depth=2, regularizer="batchnorm", filters=4, dense=8)


def trained_weights(layers):
    rng = np.random.default_rng(3)
    return {name: np.abs(rng.normal(1, 0.3, shape)).astype(np.float32) for name, shape in weight_shapes(layers).items()}


def test_weights_are_randomized_from_the_last_layer_to_the_named_one():
    layers = network_layers(NORMED)
    weights = trained_weights(layers)
    changed = heatmap_sanity.randomize_weights(layers, weights, "conv2")
    same = {name for name in weights if np.array_equal(changed[name], weights[name])}
    assert {name.partition("/")[0] for name in same} == {"conv1", "bn1"}
    limit = np.sqrt(6 / (9 * 4 + 9 * 4))
    assert 0.8 * limit < np.abs(changed["conv2/kernel"]).max() <= limit
    assert (changed["bn2/moving_variance"] == 1).all() and not changed["logits/bias"].any()
    with pytest.raises(ValueError, match="Received"):
        heatmap_sanity.randomize_weights(layers, weights, "conv7")


def test_each_step_randomizes_one_more_layer_with_a_kernel():
    layers = network_layers(NORMED)
    weights, image = trained_weights(layers), some_images(1)[0]
    found = heatmap_sanity.randomized_cams(layers, weights, image, 3, "relu2")
    assert [one.layer_name for one in found] == ["logits", "dense1", "conv2", "conv1"]
    by_hand = grad_cam(layers, heatmap_sanity.randomize_weights(layers, weights, "dense1"), image, 3, "relu2")
    np.testing.assert_array_equal(found[1].cam.coarse, by_hand.coarse)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 400], 1),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1),
        ([1, 2, 3], [1, 3, 2], 0.5),
        ([1, 2, 2, 3], [1, 2, 3, 4], 4.5 / np.sqrt(4.5 * 5)),  # the tie gets rank 2.5 twice
    ],
)
def test_rank_correlation_is_spearmans(first, second, expected):
    assert heatmap_sanity.rank_correlation(np.array(first), np.array(second)) == pytest.approx(expected)


def test_a_constant_map_has_no_rank_correlation():
    assert np.isnan(heatmap_sanity.rank_correlation(np.zeros(4), np.arange(4)))


def test_the_share_inside_a_mask_counts_positive_heat_only():
    heatmap, mask = np.array([[3.0, 1.0], [-5.0, 0.0]]), np.array([[1.0, 0.5], [1.0, 0.0]])
    assert heatmap_sanity.share_inside(heatmap, mask) == pytest.approx(3.5 / 4)
    assert np.isnan(heatmap_sanity.share_inside(-np.abs(heatmap), mask))


def test_a_mask_of_shapes_covers_the_pixels_that_the_shape_colors(monkeypatch):
    """Without noise and strokes over it, an image differs from the one without its shape inside the mask only."""
    monkeypatch.setattr(shape_drawing, "NOISE_STD", 0.0)
    monkeypatch.setattr(shape_drawing, "OCCLUDING_STROKES", 0)
    images, _ = shape_drawing.generate(20, 5)
    masks = np.stack([shape_drawing.shape_mask(index, 20, 5) for index in range(20)])
    original = shape_drawing._shape_coverage
    monkeypatch.setattr(shape_drawing, "_shape_coverage", lambda rng, labels: 0 * original(rng, labels))
    without, _ = shape_drawing.generate(20, 5)
    changed = (images.astype(int) != without).any(axis=-1)
    assert not (changed & (masks == 0)).any()
    assert (changed[masks == 1]).mean() > 0.99
    with pytest.raises(ValueError, match="Received"):
        shape_drawing.shape_mask(20, 20, 5)


# ---- class purity ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "classes"), [(1, 10), (2, 2), (3, 2), (4, 3)])
def test_the_purity_of_random_images_is_the_mean_over_all_draws(count, classes):
    draws = [max(np.bincount(draw)) for draw in itertools.product(range(classes), repeat=count)]
    assert class_purity.expected_purity(count, classes) == pytest.approx(np.mean(draws))


def test_purity_counts_the_most_frequent_class_of_each_filter():
    labels = np.array([0, 0, 1, 2, 2, 2])
    assert class_purity.most_frequent_class(labels) == (2, 3)
    assert class_purity.class_purity(labels, np.array([[0, 1, 2], [3, 4, 5]])) == pytest.approx(2.5)
    with pytest.raises(ValueError, match="Received"):
        class_purity.expected_purity(0, 10)
