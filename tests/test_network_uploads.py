"""A `.keras` file from elsewhere: computed as Keras computes it, or refused in one sentence."""

import io
import json
import struct
import zipfile

import h5py
import numpy as np
import pytest
from keras_models import SHAPES, functional, keras_bytes, sequential
from keras_reference import some_images

from cnnlab import settings
from cnnlab.analysis import pixel_trace, receptive_field
from cnnlab.cli import main
from cnnlab.data import Dataset, shapes
from cnnlab.jobs import network_uploads
from cnnlab.models import numpy_backward, numpy_forward
from cnnlab.models.keras_config import network_from_config
from cnnlab.storage import bounded_files, imported_networks
from cnnlab.storage.network_import import MAX_FILE_BYTES, NetworkDescription, NetworkImportError, import_network
from cnnlab.storage.runs import DamagedRun, UnknownRun

pytestmark = pytest.mark.slow  # Keras makes the files


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def plain_file(tmp_path_factory):
    return keras_bytes(sequential("plain"), tmp_path_factory.mktemp("keras"))


def described(count=10, **fields):
    classes = tuple(f"kind {number}" for number in range(count))
    values = {"title": "mine", "owner": "ann", "classes": classes, "dataset": "cifar10", "pixels": "0-1"}
    return NetworkDescription(**(values | fields))


def bring_in(model, tmp_path, **fields):
    return import_network(keras_bytes(model, tmp_path), described(model.output_shape[-1], **fields))


def keras_input(name, images):
    """Pixels as the model was trained with: the one that begins with Rescaling takes 0 to 255."""
    return images.astype(np.float32) / (1 if name == "strided" else 255)


@pytest.mark.parametrize("build", [sequential, functional])
@pytest.mark.parametrize("name", SHAPES)
def test_an_imported_network_predicts_what_keras_predicts(name, build, tmp_path):
    model, images = build(name), some_images(3)
    network = bring_in(model, tmp_path)
    logits = numpy_forward.logits(network.layers, network.weights(), images)
    expected = model.predict(keras_input(name, images), verbose=0)
    ends_with_softmax = np.allclose(expected.sum(axis=1), 1)
    ours = numpy_forward.softmax(logits) if ends_with_softmax else logits
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_every_feature_map_is_that_of_the_keras_layer(name, tmp_path):
    import keras

    model, images = functional(name), some_images(2)
    network = bring_in(model, tmp_path)
    ours = numpy_forward.compute_activations(network.layers, network.weights(), images)
    config = json.loads(zipfile.ZipFile(tmp_path / "model.keras").read("config.json"))
    names = network_from_config(config, "0-1").keras_names
    shown = [layer for layer in network.layers[1:-1] if layer.kind in ("conv", "bn", "pool") and layer.has_feature_maps]
    theirs = {layer.name: model.get_layer(names[layer.name]) for layer in shown}
    every = keras.Model(model.input, [one.output for one in theirs.values()])
    for layer, expected in zip(shown, every(keras_input(name, images), training=False), strict=True):
        if (layer.kind, name) == ("pool", "strided"):
            continue  # its ReLU stands before it here
        inside = getattr(theirs[layer.name], "activation", None) is keras.activations.relu
        values = ours[layer.name.replace("conv", "relu") if inside else layer.name]
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5, err_msg=layer.name)


@pytest.mark.parametrize("name", SHAPES)
def test_the_gradient_of_the_image_is_tensorflows(name, tmp_path):
    import tensorflow as tf

    model, images = functional(name), some_images(2)
    network = bring_in(model, tmp_path)
    scaled = tf.Variable(keras_input(name, images))
    head = model.layers[-1]
    linear = head.__class__.__name__ == "Dense" and head.activation.__name__ == "linear"
    with tf.GradientTape() as tape:
        outputs = model(scaled, training=False)
        target = outputs[:, 1] if linear else tf.math.log(outputs[:, 1])
    expected = tape.gradient(target, scaled).numpy() / (1 if name == "strided" else 255)
    activations = numpy_forward.compute_activations(network.layers, network.weights(), images)
    grad = np.zeros(activations["logits"].shape, np.float32)
    grad[:, 1] = 1
    if not linear:
        grad -= numpy_forward.softmax(activations["logits"])
    ours = numpy_backward.backpropagate(network.layers, network.weights(), activations, {"logits": grad})
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", SHAPES)
def test_a_pixel_outside_the_receptive_field_changes_nothing(name, tmp_path):
    network, images = bring_in(functional(name), tmp_path), some_images(1)
    weights = network.weights()
    before = numpy_forward.compute_activations(network.layers, weights, images)
    for layer in network.layers:
        if layer.kind not in ("conv", "pool"):
            continue
        row, column = layer.output_shape[0] // 3, layer.output_shape[1] // 2
        box = receptive_field.receptive_field(network.layers, layer.name, row, column)
        outside = np.zeros_like(images)
        outside[:, box.top : box.bottom, box.left : box.right] = images[:, box.top : box.bottom, box.left : box.right]
        after = numpy_forward.compute_activations(network.layers, weights, outside)
        np.testing.assert_allclose(after[layer.name][0, row, column], before[layer.name][0, row, column], atol=1e-5)
        if layer.kind == "conv":
            found = pixel_trace.trace_pixel(network.layers, weights, before, layer.name, row, column, 1)
            assert found.total == pytest.approx(found.value, abs=1e-4)
        else:
            window = pixel_trace.trace_pool(network.layers, before, layer.name, row, column, 1)
            assert window.value == pytest.approx(float(before[window.input_name][0, *window.winner, 1]))


def layered(*layers):
    def build(keras):
        return keras.Sequential([keras.Input((32, 32, 3)), *(layer(keras.layers) for layer in layers)])

    return build


def conv(layers):
    return layers.Conv2D(2, 3, activation="relu", name="edges")


def flat(layers):
    return layers.Flatten()


def logits(layers):
    return layers.Dense(10)


def with_lambda(keras):
    return layered(conv, lambda one: one.Lambda(lambda x: x * 2, name="evil"), flat, logits)(keras)


def with_lstm(keras):
    shape = keras.layers.Reshape((32, 96), name="rows")
    return keras.Sequential(
        [keras.Input((32, 32, 3)), shape, keras.layers.LSTM(4, name="memory"), keras.layers.Dense(10)]
    )


def two_inputs(keras):
    one, two = keras.Input((32, 32, 3)), keras.Input((32, 32, 3))
    both = keras.layers.Add(name="sum")([one, two])
    return keras.Model([one, two], logits(keras.layers)(flat(keras.layers)(conv(keras.layers)(both))))


def residual(keras):
    image = keras.Input((32, 32, 3))
    maps = conv(keras.layers)(image)
    both = keras.layers.Add(name="shortcut")([maps, keras.layers.Conv2D(2, 3, activation="relu")(image)])
    return keras.Model(image, logits(keras.layers)(flat(keras.layers)(both)))


def two_outputs(keras):
    image = keras.Input((32, 32, 3))
    maps = flat(keras.layers)(conv(keras.layers)(image))
    return keras.Model(image, [keras.layers.Dense(10, name="a")(maps), keras.layers.Dense(10, name="b")(maps)])


def other_input(keras):
    return keras.Sequential([keras.Input((28, 28, 1)), conv(keras.layers), flat(keras.layers), logits(keras.layers)])


def some_conv(**fields):
    """A convolution called "edges"."""
    return lambda layers: layers.Conv2D(**({"filters": 2, "kernel_size": 3, "name": "edges"} | fields))


def wide_conv(layers):
    return layers.Conv2D(512, 3, activation="relu")


def late_relu(keras):
    pool, norm, relu = keras.layers.MaxPooling2D, keras.layers.BatchNormalization, keras.layers.ReLU
    return layered(some_conv(), lambda one: pool(), lambda one: norm(), lambda one: relu(), flat, logits)(keras)


def leaky(layers):
    return layers.ReLU(negative_slope=0.1, name="leaky")


def last(units, **fields):
    return lambda layers: layers.Dense(units, name="last", **fields)


REFUSED = {
    "lambda": (with_lambda, "'evil' .* 'Lambda', which holds code"),
    "lstm": (with_lstm, "'rows' is of the kind 'Reshape'"),
    "two inputs": (two_inputs, "one input. Received: 2"),
    "residual": (residual, "'shortcut' is of the kind 'Add'"),
    "two outputs": (two_outputs, "one layer behind the other"),
    "other input": (other_input, "32x32x3. Received: an input of '28x28x1'"),
    "no relu": (layered(some_conv(), flat, logits), "ReLU behind the layer 'edges'"),
    "relu late": (late_relu, "ReLU behind the layer 'edges', before pooling"),
    "tanh": (layered(some_conv(activation="tanh"), flat, logits), "'edges' .* 'tanh'"),
    "sigmoid at the end": (layered(conv, flat, last(10, activation="sigmoid")), "'last'"),
    "no convolution": (layered(flat, logits), "Conv2D layer before"),
    "dense on maps": (layered(conv, last(10)), "'last', Dense, behind Flatten"),
    "dilated": (layered(some_conv(dilation_rate=2), flat, logits), "'edges' has another dilation"),
    "leaky": (layered(some_conv(), leaky, flat, logits), "'leaky'"),
    "not square": (layered(some_conv(kernel_size=(3, 5)), flat, logits), "'edges' has another kernel_size"),
    "100 classes": (layered(conv, flat, last(100)), "2 to 10 classes. Received: 100"),
    "too large": (layered(conv, flat, last(4000), logits), "4,000,000 parameters"),
    "too slow": (layered(wide_conv, wide_conv, flat, logits), "parameters|multiply-adds"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_any_other_network_is_refused_in_a_sentence_that_names_the_layer(case, home, tmp_path):
    import keras

    build, reason = REFUSED[case]
    with pytest.raises(NetworkImportError, match=reason) as refused:
        import_network(keras_bytes(build(keras), tmp_path), described())
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300
    assert not list(home.glob("networks/*own-*"))


def repacked(content, **members):
    """The file with other content of config.json or model.weights.h5; None leaves a member out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            value = members.get(name.partition(".")[0], old.read(name))
            if value is not None:
                new.writestr(name, value)
    return buffer.getvalue()


def other_weights(change):
    def damage(content):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            buffer = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(buffer, "a") as file:
            change(file)
        return repacked(content, model=buffer.getvalue())

    return damage


def link_elsewhere(file):
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "/")


def external_storage(file):
    shape = file["layers/dense/vars/0"].shape
    del file["layers/dense/vars/0"]
    size = int(np.prod(shape)) * 4
    file.create_dataset("layers/dense/vars/0", shape, "f4", external=[("/dev/zero", 0, size)])


def huge_dataset(file):
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (10**6, 10**6), "f4", chunks=True, compression="gzip")


def bomb(content):
    return repacked(content, model=b"\0" * (MAX_FILE_BYTES + 1))


def lying_header(content):
    """The directory says that config.json expands to 20 bytes."""
    start = content.rindex(b"config.json") - 46  # of its entry, which ends with the name
    assert content[start : start + 4] == b"PK\x01\x02"
    return content[: start + 24] + struct.pack("<I", 20) + content[start + 28 :]


DAMAGES = {
    "no zip": lambda content: b"this is a text file, not a zip archive",
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "bomb": bomb,
    "lying header": lying_header,
    "no config": lambda content: repacked(content, config=None),
    "no weights": lambda content: repacked(content, model=None),
    "config is no JSON": lambda content: repacked(content, config=b"{"),
    "config is another JSON": lambda content: repacked(content, config=b'{"class_name": "Sequential", "config": []}'),
    "config is nested": lambda content: repacked(content, config=b'{"a":' * 100 + b"1" + b"}" * 100),
    "weights are no HDF5": lambda content: repacked(content, model=b"\x89HDF\r\n\x1a\n" + b"\xff" * 999),
    "weights are cut": other_weights(lambda file: file.__delitem__("layers/dense/vars/1")),
    "weights link elsewhere": other_weights(link_elsewhere),
    "weights lie elsewhere": other_weights(external_storage),
    "weights are huge": other_weights(huge_dataset),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_or_hostile_file_is_refused_in_one_sentence(case, home, plain_file):
    with pytest.raises(NetworkImportError) as refused:
        import_network(DAMAGES[case](plain_file), described())
    assert str(refused.value).endswith((".", "3")) and "\n" not in str(refused.value)
    assert not list(home.glob("networks/*own-*"))


def test_only_the_config_of_a_file_is_expanded_in_this_process(home, plain_file, monkeypatch):
    expand, names = bounded_files.expand_member, []

    def noted(content, member):
        names.append(member.filename)
        return expand(content, member)

    monkeypatch.setattr(bounded_files, "expand_member", noted)
    content = repacked(plain_file, model=bytes(40_000_000))
    assert len(content) < 100_000
    with pytest.raises(NetworkImportError, match=r"^This file is not what Keras writes\.$"):
        network_uploads.import_for_person(content, described())
    network_uploads.import_for_person(plain_file, described())
    assert set(names) == {"config.json"}


def test_a_python_object_in_the_place_of_a_known_layer_is_refused(plain_file):
    with zipfile.ZipFile(io.BytesIO(plain_file)) as archive:
        config = json.loads(archive.read("config.json"))
    config["config"]["layers"][1] |= {"registered_name": "evil>Conv2D", "module": "evil"}
    with pytest.raises(NetworkImportError, match="not known here"):
        import_network(repacked(plain_file, config=json.dumps(config)), described())


@pytest.mark.parametrize(
    "fields",
    [
        {"title": ""}, {"title": "x" * 61}, {"title": "[a](http://b)"}, {"title": "**bold**"}, {"pixels": "0-2"},
        {"classes": ("a",) * 10}, {"classes": ("a", "b")}, {"classes": (*tuple("abcdefghi"), "<b>")},
    ],
)  # fmt: skip
def test_a_description_that_cannot_be_shown_is_refused(fields, home, plain_file):
    with pytest.raises(NetworkImportError):
        import_network(plain_file, described(**fields))
    assert not list(home.glob("networks/*own-*"))


def test_a_network_is_kept_once_listed_and_removed(home, plain_file):
    network = import_network(plain_file, described(title=" my  net "))
    assert [one.title for one in imported_networks.list_imported()] == ["my net"]
    assert imported_networks.open_network(network.name) == network
    with pytest.raises(NetworkImportError, match="here already, as my net"):
        import_network(plain_file, described(title="another"))
    (network.path / "weights.npz").write_bytes(b"PK")
    with pytest.raises(DamagedRun, match="weights"):
        network.weights()
    imported_networks.remove_imported(network.name)
    assert not imported_networks.list_imported()
    for gone in (network.name, "own-../../etc", "own-0123456789ab"):
        with pytest.raises(UnknownRun):
            imported_networks.open_imported(gone)
        with pytest.raises(UnknownRun):
            imported_networks.remove_imported(gone)


def test_a_damaged_description_is_one_sentence_and_left_out_of_the_list(home, plain_file):
    network = import_network(plain_file, described())
    (network.path / "network.json").write_text('{"title": "x", "config": {"class_name": "Lambda"}}')
    with pytest.raises(DamagedRun, match="cannot be used"):
        imported_networks.open_imported(network.name)
    assert not imported_networks.list_imported()


def test_the_command_line_imports_lists_and_removes(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "none")
    (tmp_path / "model.keras").write_bytes(keras_bytes(sequential("overlapping"), tmp_path))
    file = str(tmp_path / "model.keras")
    assert main(["networks", "import", file]) == 2
    assert "Name the 3 classes" in capsys.readouterr().err
    assert main(["networks", "import", file, "--classes", "red, green, blue"]) == 0
    (network,) = imported_networks.list_imported()
    assert network.title == "model" and network.classes == ("red", "green", "blue") and network.owner == ""
    assert main(["networks", "list"]) == 0
    assert f"{network.name}  model" in capsys.readouterr().out
    assert main(["networks", "test", network.name]) == 2  # no test images of these classes
    assert main(["networks", "remove", network.name, "--yes"]) == 0
    assert not imported_networks.list_imported()


def test_its_predictions_on_the_test_images_are_those_of_keras(home, tmp_path, monkeypatch):
    model, images, labels = sequential("plain"), some_images(60), np.arange(60) % 10
    dataset = Dataset("shapes", shapes.CLASSES, images, labels, images, labels, "fingerprint")
    monkeypatch.setattr(network_uploads.data, "load_dataset", lambda name: dataset)
    content = keras_bytes(model, tmp_path)
    description = network_uploads.describe(content, "mine", "ann", ", ".join(shapes.CLASSES), "0-1")
    network = network_uploads.import_for_person(content, description)
    accuracy = network_uploads.write_predictions(network)
    expected = np.asarray(model(images / np.float32(255), training=False))
    np.testing.assert_allclose(network.predictions()["test"], expected, atol=1e-5)
    assert network.dataset == "shapes" and accuracy == (expected.argmax(axis=1) == labels).mean()


def test_one_person_may_keep_ten_networks(home, plain_file, monkeypatch):
    monkeypatch.setattr(network_uploads, "MAX_OF_ONE_PERSON", 1)
    network_uploads.import_for_person(plain_file, described())
    with pytest.raises(NetworkImportError, match="remove one first"):
        network_uploads.import_for_person(plain_file, described())
    network_uploads.import_for_person(plain_file, described(owner="bob"))
