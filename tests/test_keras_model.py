"""The Keras model is the network of the report, however it is written down."""

import keras
import numpy as np
import pytest

from cnnlab.experiment import Experiment
from cnnlab.lesson_report.keras_script import keras_script
from cnnlab.models.architecture import network_layers
from cnnlab.regularizers import REGULARIZERS
from cnnlab.training.compilation import compile_model
from cnnlab.training.keras_model import BUILD_STYLES, build_model, get_weights, set_weights

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), np.uint8)


@pytest.mark.parametrize(("depth", "count"), [(2, 270_230), (3, 112_458)])
def test_the_two_networks_have_the_parameter_counts_of_the_report(depth, count):
    assert build_model(Experiment(depth=depth)).count_params() == count


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_keras_agrees_with_the_list_of_layers_on_names_shapes_and_counts(depth, regularizer):
    experiment = Experiment(depth=depth, regularizer=regularizer, filters=7, kernel=5)
    made = [layer for layer in build_model(experiment).layers if layer.name != "image"]
    listed = network_layers(experiment)
    assert [layer.name for layer in made] == [layer.name for layer in listed]
    assert [layer.output.shape[1:] for layer in made] == [layer.output_shape for layer in listed]
    assert [layer.count_params() for layer in made] == [layer.parameters for layer in listed]


def test_every_style_of_writing_the_model_gives_the_same_feature_maps():
    """The report could not get feature maps out of the style it wrote first."""
    experiment = Experiment(depth=3, regularizer="batchnorm")
    seen = []
    for style in BUILD_STYLES:
        model = build_model(experiment, style)
        model(IMAGES[:1])
        maps = keras.Model(model.inputs, [model.get_layer(name).output for name in ("conv1", "relu2", "pool3")])
        seen.append([np.asarray(stage) for stage in maps(IMAGES)])
    for other in seen[1:]:
        for stage, first in zip(other, seen[0], strict=True):
            np.testing.assert_array_equal(stage, first)


def test_an_unknown_style_is_refused():
    with pytest.raises(ValueError, match="Received: style='magic'"):
        build_model(Experiment(), "magic")


def test_the_fused_batch_normalization_gives_the_numbers_of_keras_own():
    """Same start, same images: outputs, moving averages and the trained weights agree to rounding."""
    trained = []
    for plain in (False, True):
        model = build_model(Experiment(depth=2, regularizer="batchnorm", filters=8), plain=plain)
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(IMAGES, np.arange(7), batch_size=7, epochs=3, verbose=0)
        trained.append((get_weights(model), model.predict(IMAGES, verbose=0)))
    assert (
        type(build_model(Experiment(regularizer="batchnorm")).get_layer("bn1")) is not keras.layers.BatchNormalization
    )
    for name, values in trained[1][0].items():
        np.testing.assert_allclose(trained[0][0][name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(trained[0][1], trained[1][1], rtol=1e-4, atol=1e-4)


def test_weights_read_and_written_give_the_same_predictions():
    source, target = (build_model(Experiment(depth=3, seed=seed)) for seed in (1, 2))
    assert not np.allclose(source.predict(IMAGES, verbose=0), target.predict(IMAGES, verbose=0))
    set_weights(target, get_weights(source))
    np.testing.assert_array_equal(source.predict(IMAGES, verbose=0), target.predict(IMAGES, verbose=0))


def test_dropout_layers_of_one_network_do_not_share_their_random_numbers():
    model = build_model(Experiment(depth=3, regularizer="dropout"))
    seeds = [layer.seed for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert len(set(seeds)) == len(seeds) == 3 + 2  # behind each pooling and each hidden dense layer


@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_the_program_in_a_report_builds_the_model_that_was_trained(regularizer):
    experiment = Experiment(depth=3, regularizer=regularizer)
    script = keras_script(experiment, "script.py")
    names = {"keras": keras}
    exec(script[script.index("image = ") : script.index("def batches")], names)
    (_, *written), (_, *trained) = names["model"].layers, build_model(experiment, plain=True).layers
    assert [layer.get_config() for layer in written] == [layer.get_config() for layer in trained]
    labels, logits = np.arange(10)[:, None], np.random.default_rng(1).normal(size=(10, 10)).astype(np.float32)
    losses = [np.mean(model.loss(labels, logits)) for model in (names["model"], compile_model(experiment))]
    assert losses[0] == pytest.approx(losses[1])
