"""Effective receptive fields, adversarial steps and activation maximization, against finite differences and Keras."""

import numpy as np
import pytest
from keras_reference import keras_reference, some_images

from cnnlab.analysis import activation_maximization, adversarial, effective_receptive_field, receptive_field
from cnnlab.experiment import Experiment
from cnnlab.models import numpy_backward, numpy_forward
from cnnlab.models.architecture import network_layers, weight_shapes

PLAIN = Experiment(depth=2, filters=4, dense=8)
NORMED = Experiment(depth=3, regularizer="batchnorm", filters=4, dense=8)
PADDED = Experiment(depth=4, kernel=5, filters=3, dense=8, regularizer="batchnorm")
DROPPING = Experiment(depth=3, regularizer="dropout", strength=0.3, filters=4, dense=8)


def random_weights(layers, seed=0):
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in weight_shapes(layers).items()}
    return {name: np.abs(value) + 0.5 if "variance" in name else value for name, value in weights.items()}


def finite_difference(function, image, place, step=0.5):
    """The central difference of a function of an image at one value."""
    low, high = image.astype(np.float64), image.astype(np.float64)
    low[place] -= step
    high[place] += step
    return (function(high.astype(np.float32)) - function(low.astype(np.float32))) / (2 * step)


# ---- effective receptive field --------------------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", [PLAIN, NORMED, PADDED, DROPPING], ids=["plain", "normed", "padded", "dropout"])
def test_the_gradient_of_a_pixel_is_what_a_small_change_of_the_image_does(experiment):
    layers = network_layers(experiment)
    weights, images = random_weights(layers), some_images(2).astype(np.float32)
    name = [layer.name for layer in layers if layer.kind == "conv"][-1]
    factors = np.random.default_rng(1).normal(0, 1, (2, experiment.filters)).astype(np.float32)
    row, column = effective_receptive_field.center_pixel(layers, name)

    def value(image):
        maps = numpy_forward.compute_activations(layers, weights, image[None])[name]
        return float(maps[0, row, column].astype(np.float64) @ factors[1])

    gradient = effective_receptive_field.input_gradient(layers, weights, images, name, factors)[1]
    box = receptive_field.receptive_field(layers, name, row, column)
    middle = ((box.top + box.bottom) // 2, (box.left + box.right) // 2)
    for place in [(*middle, 0), (middle[0] - 1, middle[1], 2), (middle[0], middle[1] + 1, 1)]:
        assert gradient[place] == pytest.approx(finite_difference(value, images[1], place, 0.05), rel=0.05, abs=2e-4)
    outside = np.ones((32, 32), bool)
    outside[box.top : box.bottom, box.left : box.right] = False
    assert not gradient[outside].any()


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [PLAIN, NORMED, PADDED, DROPPING], ids=["plain", "normed", "padded", "dropout"])
def test_the_gradient_of_a_pixel_is_tensorflows(experiment):
    import tensorflow as tf

    network = keras_reference(experiment)
    images = some_images(3)
    for name in [layer.name for layer in network.layers if layer.kind == "conv"]:
        factors = np.random.default_rng(1).normal(0, 1, (3, experiment.filters)).astype(np.float32)
        row, column = effective_receptive_field.center_pixel(network.layers, name)
        pixels = tf.constant(images.astype(np.float32))
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            score = tf.reduce_sum(network.outputs(pixels)[name][:, row, column] * factors)
        ours = effective_receptive_field.input_gradient(network.layers, network.weights, images, name, factors)
        np.testing.assert_allclose(ours, tape.gradient(score, pixels).numpy(), rtol=0, atol=1e-6, err_msg=name)


def test_the_energy_estimates_the_sum_of_the_squared_gradients_of_all_filters():
    layers = network_layers(PLAIN)
    weights, images = random_weights(layers), some_images(200)
    found = effective_receptive_field.effective_receptive_field(layers, weights, images, "conv1")
    squared = (weights["conv1/kernel"].astype(np.float64) ** 2).sum(axis=(2, 3))  # the first layer is linear
    box = found.theoretical
    np.testing.assert_allclose(
        found.energy[box.top : box.bottom, box.left : box.right], squared / squared.sum(), atol=0.02
    )
    assert found.energy.sum() == pytest.approx(1, abs=1e-5) and found.images == 200


def test_the_size_counts_the_fewest_pixels_with_nine_tenths_of_the_energy():
    energy = np.array([[0.05, 0.5], [0.3, 0.15]])
    assert effective_receptive_field.pixels_holding(energy, 0.9) == 3
    assert effective_receptive_field.pixels_holding(np.full((3, 3), 1 / 9), 1.0) == 9
    assert effective_receptive_field.pixels_holding(np.zeros((2, 2)), 0.9) == 0


def test_a_layer_without_maps_has_no_effective_receptive_field():
    layers = network_layers(PLAIN)
    with pytest.raises(ValueError, match="feature maps"):
        effective_receptive_field.effective_receptive_field(layers, random_weights(layers), some_images(1), "dense1")


# ---- adversarial step -----------------------------------------------------------------------------------------------


def cross_entropy(layers, weights, image, label):
    scores = numpy_forward.logits(layers, weights, image[None])[0].astype(np.float64)
    return float(np.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[label])


def test_the_loss_gradient_is_what_a_small_change_of_the_image_does():
    layers = network_layers(PLAIN)
    weights, image = random_weights(layers), some_images(1)[0].astype(np.float32)
    gradient = adversarial.loss_gradient(layers, weights, image, 3)
    strongest = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
    measured = finite_difference(lambda one: cross_entropy(layers, weights, one, 3), image, strongest, 0.2)
    assert gradient[strongest] == pytest.approx(measured, rel=0.05)


def test_one_step_changes_each_value_by_the_strength_and_increases_the_loss():
    layers = network_layers(PLAIN)
    weights, image = random_weights(layers), np.clip(some_images(1)[0], 10, 240)
    step = adversarial.adversarial_step(layers, weights, image, 3, 2)
    change = step.image.astype(int) - image
    assert set(np.unique(np.abs(change))) <= {0, 2}
    assert (np.abs(change) == 2).mean() > 0.5
    before, after = (cross_entropy(layers, weights, one, 3) for one in (image, step.image))
    assert after > before
    expected = numpy_forward.softmax(numpy_forward.logits(layers, weights, step.image[None]))[0]
    np.testing.assert_allclose(step.probabilities, expected, atol=1e-6)


def test_strength_zero_changes_nothing_and_values_stay_within_a_byte():
    layers = network_layers(PLAIN)
    weights, image = random_weights(layers), some_images(1)[0]
    still = adversarial.adversarial_step(layers, weights, image, 0, 0)
    np.testing.assert_array_equal(still.image, image)
    assert still.control_agreement == still.controls
    strong = adversarial.adversarial_step(layers, weights, np.full_like(image, 250), 0, 32)
    assert set(np.unique(strong.image)) <= {218, 250, 255}


@pytest.mark.parametrize(("label", "strength"), [(10, 1), (-1, 1), (0, -1), (0, 33)])
def test_a_class_or_a_strength_that_does_not_exist_is_refused(label, strength):
    layers = network_layers(PLAIN)
    with pytest.raises(ValueError, match="Received"):
        adversarial.adversarial_step(layers, random_weights(layers), some_images(1)[0], label, strength)


# ---- activation maximization ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sign", "extreme"), [(1, 255), (-1, 0)])
def test_a_filter_that_adds_up_all_pixels_is_maximized_by_a_white_or_a_black_image(sign, extreme):
    layers = network_layers(Experiment(depth=1, filters=2))
    weights = random_weights(layers)
    weights["conv1/kernel"][..., 1] = sign * 0.1
    found = activation_maximization.maximize_activation(layers, weights, "conv1", 1)
    assert (found.image == extreme).mean() > 0.99
    assert found.end > found.start


def test_the_image_found_activates_a_deep_filter_more_than_photos_do():
    layers = network_layers(NORMED)
    weights = random_weights(layers)
    found = activation_maximization.maximize_activation(layers, weights, "bn3", 2, steps=20)
    photos = numpy_forward.compute_activations(layers, weights, some_images(50))["bn3"][..., 2].mean(axis=(1, 2))
    assert found.end > photos.max() and found.image.dtype == np.uint8


@pytest.mark.parametrize(
    ("layer", "number", "steps"), [("conv1", 4, 5), ("conv1", -1, 5), ("dense1", 0, 5), ("conv1", 0, 0)]
)
def test_a_filter_that_does_not_exist_is_refused(layer, number, steps):
    layers = network_layers(PLAIN)
    with pytest.raises(ValueError, match="Received"):
        activation_maximization.maximize_activation(layers, random_weights(layers), layer, number, steps)


def test_gradients_of_several_outputs_are_added():
    layers = network_layers(PLAIN)
    weights, images = random_weights(layers), some_images(1)
    activations = numpy_forward.compute_activations(layers, weights, images)
    seeds = {name: np.ones_like(activations[name]) for name in ("conv1", "relu2")}
    both = numpy_backward.backpropagate(layers, weights, activations, seeds)
    parts = [numpy_backward.backpropagate(layers, weights, activations, {name: seed}) for name, seed in seeds.items()]
    np.testing.assert_allclose(both, parts[0] + parts[1], atol=1e-5)
