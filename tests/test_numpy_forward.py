"""The forward pass and the way back, against Keras, TensorFlow's gradients, and examples done by hand."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from keras_reference import keras_reference, some_images

from cnnlab.experiment import REGULARIZERS, Experiment
from cnnlab.models import numpy_backward, numpy_forward
from cnnlab.models.architecture import DROPOUT_POSITIONS, Layer, LayerOrder, network_layers

SIZES = ({"kernel": 3, "filters": 64}, {"kernel": 5, "filters": 7, "dense": 11})
SMALL = Experiment(depth=3, regularizer="batchnorm", kernel=3, filters=6, dense=9)


def assert_equal_to_keras(network, images, within=1e-5):
    ours, theirs = numpy_forward.compute_activations(network.layers, network.weights, images), network.stages(images)
    assert list(ours) == ["input", *theirs]
    for name, expected in theirs.items():
        assert ours[name].shape == expected.shape
        assert ours[name].dtype == np.float32
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=within, err_msg=name)


@pytest.mark.parametrize("size", SIZES, ids=["3x3x64", "5x5x7"])
@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.slow
def test_every_activation_is_what_keras_computes(depth, regularizer, size):
    network = keras_reference(Experiment(depth=depth, regularizer=regularizer, **size))
    for count in (1, 7):
        assert_equal_to_keras(network, some_images(count, seed=count))


@pytest.mark.parametrize("kernel", [1, 7])
def test_the_smallest_and_the_largest_kernel_are_what_keras_computes(kernel):
    assert_equal_to_keras(keras_reference(Experiment(depth=4, kernel=kernel, filters=5)), some_images(2))


@pytest.mark.parametrize("place", ["after_relu", "after_pool"])
def test_the_order_of_the_layers_is_the_lists_and_not_assumed(place):
    network = keras_reference(SMALL, LayerOrder(batchnorm=place))
    assert_equal_to_keras(network, some_images(2))


@pytest.mark.parametrize("place", DROPOUT_POSITIONS)
def test_dropout_changes_nothing_after_training_wherever_it_stands(place):
    network = keras_reference(Experiment(depth=3, regularizer="dropout", filters=5), LayerOrder(dropout=place))
    assert_equal_to_keras(network, some_images(2))


def test_logits_of_many_images_are_those_of_each_by_itself():
    network = keras_reference(SMALL)
    images = some_images(2 * numpy_forward.BATCH_SIZE + 1)
    together = numpy_forward.logits(network.layers, network.weights, images)
    alone = [
        numpy_forward.compute_activations(network.layers, network.weights, image[None])["logits"][0] for image in images
    ]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_float_images_on_the_same_scale_give_the_same_result():
    network = keras_reference(SMALL)
    images = some_images(2)
    whole = numpy_forward.logits(network.layers, network.weights, images)
    np.testing.assert_array_equal(
        whole, numpy_forward.logits(network.layers, network.weights, images.astype(np.float32))
    )


def test_a_convolution_by_hand():
    image = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    kernel = np.array([[1, 0], [0, -1]], np.float32).reshape(2, 2, 1, 1)
    result = numpy_forward.conv2d(image, kernel, np.float32([10]))
    np.testing.assert_array_equal(result[0, :, :, 0], [[10 + 0 - 4, 10 + 1 - 5], [10 + 3 - 7, 10 + 4 - 8]])


def test_a_same_convolution_sees_zeros_outside():
    ones = np.ones((1, 3, 3, 1), np.float32)
    result = numpy_forward.conv2d(ones, np.ones((3, 3, 1, 1), np.float32), np.float32([0]), "same")
    np.testing.assert_array_equal(result[0, :, :, 0], [[4, 6, 4], [6, 9, 6], [4, 6, 4]])


def test_pooling_drops_an_odd_last_row_and_column():
    maps = np.arange(25, dtype=np.float32).reshape(1, 5, 5, 1)
    np.testing.assert_array_equal(numpy_forward.max_pool(maps)[0, :, :, 0], [[6, 8], [16, 18]])


def test_softmax_adds_up_to_one_and_survives_large_logits():
    result = numpy_forward.softmax(np.float32([[1000, 1000, -1000], [0, np.log(3), -np.inf]]))
    np.testing.assert_allclose(result, [[0.5, 0.5, 0], [0.25, 0.75, 0]], atol=1e-6)


def test_an_edit_changes_what_follows_and_nothing_before():
    network = keras_reference(SMALL)
    images = some_images(2)
    plain = numpy_forward.compute_activations(network.layers, network.weights, images)

    def double(layer, values):
        return 2 * values if layer.name == "relu2" else values

    edited = numpy_forward.compute_activations(network.layers, network.weights, images, hook=double)
    by_keras = network.stages(images, lambda name, values: 2 * values if name == "relu2" else values)
    np.testing.assert_array_equal(edited["conv2"], plain["conv2"])
    np.testing.assert_allclose(edited["logits"], by_keras["logits"], rtol=0, atol=1e-5)
    assert np.abs(edited["logits"] - plain["logits"]).max() > 1e-3
    np.testing.assert_array_equal(
        numpy_forward.logits(network.layers, network.weights, images, hook=double), edited["logits"]
    )


def gradient_by_tensorflow(network, images, target, at):
    import tensorflow as tf

    images = tf.constant(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        found = network.outputs(images)
        score = tf.reduce_sum(found["logits"][:, target])
    return tape.gradient(score, found[at]).numpy()


@pytest.mark.parametrize(
    "experiment",
    [
        SMALL,
        Experiment(depth=4, kernel=5, filters=7, regularizer="dropout"),
        Experiment(depth=2, filters=64),
    ],
    ids=["batchnorm", "same padding", "64 filters"],
)
@pytest.mark.slow
def test_the_way_back_is_tensorflows_gradient_at_every_stage(experiment):
    network = keras_reference(experiment)
    images = some_images(3)
    maps = numpy_forward.compute_activations(network.layers, network.weights, images)
    for at in maps:
        ours = numpy_backward.gradient(network.layers, network.weights, maps, 3, at)
        np.testing.assert_allclose(ours, gradient_by_tensorflow(network, images, 3, at), rtol=0, atol=1e-5, err_msg=at)


@pytest.mark.parametrize("place", ["after_relu", "after_pool"])
def test_the_way_back_follows_the_list_too(place):
    network = keras_reference(SMALL, LayerOrder(batchnorm=place))
    images = some_images(2)
    maps = numpy_forward.compute_activations(network.layers, network.weights, images)
    for at in ("relu1", "pool1", "conv2", "bn2"):
        ours = numpy_backward.gradient(network.layers, network.weights, maps, 0, at)
        np.testing.assert_allclose(ours, gradient_by_tensorflow(network, images, 0, at), rtol=0, atol=1e-5)


def test_the_images_and_the_weights_are_not_written_to():
    network = keras_reference(SMALL)
    images = some_images(2)
    images.flags.writeable = False
    weights = {name: values.copy() for name, values in network.weights.items()}
    for values in weights.values():
        values.flags.writeable = False
    maps = numpy_forward.compute_activations(network.layers, weights, images)
    for values in maps.values():
        values.flags.writeable = False
    numpy_backward.gradient(network.layers, weights, maps, 1, "input")


def test_many_threads_get_their_own_answers():
    network = keras_reference(SMALL)
    images = some_images(40)
    wanted = [numpy_forward.logits(network.layers, network.weights, image[None]) for image in images]
    with ThreadPoolExecutor(8) as pool:
        computed = list(
            pool.map(lambda image: numpy_forward.logits(network.layers, network.weights, image[None]), images)
        )
    np.testing.assert_array_equal(computed, wanted)


def test_a_single_image_without_a_batch_is_refused_with_the_remedy():
    network = keras_reference(SMALL)
    with pytest.raises(ValueError, match=r"Received: shape=\(32, 32, 3\).*image\[None\]"):
        numpy_forward.compute_activations(network.layers, network.weights, some_images(1)[0])


@pytest.mark.parametrize("other", [{"depth": 4}, {"filters": 7}])
def test_weights_of_another_network_are_refused(other):
    network = keras_reference(SMALL)
    fields = SMALL.to_dict() | other
    with pytest.raises(ValueError, match="Take layers and weights from the same run"):
        numpy_forward.logits(network_layers(Experiment.from_dict(fields)), network.weights, some_images(1))


def test_unknown_stages_and_classes_are_refused():
    network = keras_reference(SMALL)
    maps = numpy_forward.compute_activations(network.layers, network.weights, some_images(1))
    with pytest.raises(ValueError, match="Received: 'conv9'"):
        numpy_backward.gradient(network.layers, network.weights, maps, 0, "conv9")
    with pytest.raises(ValueError, match="Received: target=10"):
        numpy_backward.gradient(network.layers, network.weights, maps, 10, "relu1")


def test_a_layer_that_only_works_in_training_has_no_slope():
    network = keras_reference(Experiment(dataset="shapes", depth=1, filters=4, dense=8, regularizer="dropout"))
    maps = numpy_forward.compute_activations(network.layers, network.weights, some_images(1))
    with pytest.raises(ValueError, match=r"conv1, relu1, pool1.*Received: layer_name='dropout1'"):
        numpy_backward.gradient(network.layers, network.weights, maps, 0, "dropout1")


def test_looking_inside_loads_neither_keras_nor_streamlit():
    heavy = "{'keras', 'tensorflow', 'streamlit', 'pandas'}"
    code = (
        "import sys, cnnlab.models.numpy_forward, cnnlab.analysis.attribution, cnnlab.analysis.perturbations;"
        f" print(sorted({heavy} & set(sys.modules)))"
    )
    root = Path(__file__).parents[1]
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert out.stdout.strip() == "[]"


def test_a_layer_reads_the_layers_it_names_and_not_the_one_before_it():
    network = skip_network()
    images = some_images(2)
    activations = numpy_forward.compute_activations(network, SKIP_WEIGHTS, images)
    flat = images.reshape(2, -1) * np.float32(1 / 255)
    np.testing.assert_allclose(activations["logits"], flat @ SKIP_WEIGHTS["logits/kernel"], atol=1e-4)
    grad = numpy_backward.gradient(network, SKIP_WEIGHTS, activations, 3, "flatten")
    np.testing.assert_allclose(grad[0], SKIP_WEIGHTS["logits/kernel"][:, 3], atol=1e-6)


SKIP_WEIGHTS = {
    "dense1/kernel": np.ones((3072, 5), np.float32),
    "dense1/bias": np.zeros(5, np.float32),
    "logits/kernel": np.random.default_rng(0).normal(0, 0.1, (3072, 10)).astype(np.float32),
    "logits/bias": np.zeros(10, np.float32),
}


def skip_network() -> list[Layer]:
    """A network whose output layer reads `flatten` and skips the hidden layer between them."""
    return [
        Layer(name="rescale", kind="rescale", inputs=("input",), output_shape=(32, 32, 3)),
        Layer(name="flatten", kind="flatten", inputs=("rescale",), output_shape=(3072,)),
        Layer(name="dense1", kind="dense", inputs=("flatten",), output_shape=(5,), activation="relu"),
        Layer(name="logits", kind="dense", inputs=("flatten",), output_shape=(10,), is_output=True),
    ]
