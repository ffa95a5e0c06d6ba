"""The Python API: its examples run as written, and its answers are those of the parts that the app uses."""

import doctest
import json
import os
import subprocess
import sys

import numpy as np
import pytest

import cnnlab
from cnnlab import api, settings, training_packages
from cnnlab.data import samples
from cnnlab.experiment import ExperimentError
from cnnlab.storage.network_import import NetworkImportError
from cnnlab.storage.runs import UnknownRun

NOTEBOOKS = sorted((settings.REPOSITORY / "deploy" / "notebooks").glob("*.ipynb"))
TRAINING_EXAMPLES = {"cnnlab.api.train"}


def examples():
    found = [one for module in (api, api.network) for one in doctest.DocTestFinder().find(module, "cnnlab.api")]
    return {one.name: one for one in found if one.examples}


def run_example(name):
    found = doctest.DocTestRunner(verbose=False).run(examples()[name])
    assert found.failed == 0 and found.attempted > 0


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))


@pytest.mark.parametrize("name", sorted(examples().keys() - TRAINING_EXAMPLES))
def test_an_example_of_the_documentation_prints_what_it_shows(name):
    run_example(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TRAINING_EXAMPLES))
def test_an_example_that_trains_prints_what_it_shows(name):
    run_example(name)


def test_every_public_function_has_an_example():
    functions = {f"cnnlab.api.{name}" for name in cnnlab.__all__} - {"cnnlab.api.Network"}
    methods = {f"cnnlab.api.Network.{name}" for name in ("feature_maps", "predict", "receptive_field", "at_epoch")}
    assert functions | methods <= examples().keys()


def test_importing_the_package_imports_neither_numpy_nor_the_api():
    script = (
        "import sys, cnnlab; print([name for name in ('numpy', 'cnnlab.api', 'tensorflow') if name in sys.modules])"
    )
    told = subprocess.check_output([sys.executable, "-c", script], text=True, cwd=settings.REPOSITORY)
    assert told.strip() == "[]"


def test_one_image_and_a_batch_give_the_same_maps_and_probabilities():
    network, (images, _) = cnnlab.load("2conv-batchnorm"), cnnlab.sample_images()
    one, batch = network.feature_maps(images[2]), network.feature_maps(images[:3])
    assert one.keys() == batch.keys() and one["conv1"].shape == (30, 30, 64)
    np.testing.assert_allclose(one["conv2"], batch["conv2"][2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(network.predict(images[2]), network.predict(images)[2], rtol=1e-4, atol=1e-6)
    assert network.predict(images).sum(axis=1) == pytest.approx(np.ones(20), abs=1e-5)


@pytest.mark.parametrize("shape", [(32, 32), (3, 32, 32), (1, 28, 28, 3), (0,)])
def test_an_image_of_another_shape_is_refused_with_what_was_expected(shape):
    with pytest.raises(ValueError, match="Expected one image"):
        cnnlab.load("2conv-none").predict(np.zeros(shape, np.uint8))


def test_numbers_that_are_no_pixels_from_0_to_255_are_refused():
    network, (images, _) = cnnlab.load("2conv-none"), cnnlab.sample_images()
    for wrong in (images[0] / 255, images[:2] / np.float32(255), images[0] - 128.0, np.full((32, 32, 3), np.nan)):
        with pytest.raises(ValueError, match="Expected pixels from 0 to 255"):
            network.predict(wrong)
    expected = network.predict(images[:2])
    for same in (images[:2].astype(np.float64), images[:2].astype(int), images[:2].tolist()):
        np.testing.assert_array_equal(network.predict(same), expected)
        assert network.predict(same).dtype == np.float32


def test_the_functions_of_the_api_are_listed_for_completion():
    assert set(cnnlab.__all__) <= set(dir(cnnlab))


def test_a_sample_image_read_from_its_file_is_the_sample_image():
    images, _ = cnnlab.sample_images()
    assert np.array_equal(cnnlab.read_image(samples.SAMPLE_DIRECTORY / "cifar10_00_3.png"), images[0])


def test_comparing_networks_is_the_difference_of_their_final_accuracies():
    first, second = cnnlab.load("3conv-none"), cnnlab.load("2conv-l2")
    expected = first.history["val_accuracy"][-1] - second.history["val_accuracy"][-1]
    found = cnnlab.compare(first, second)
    assert found.value == pytest.approx(expected, abs=1e-6) and found.low < found.value < found.high
    seeds = cnnlab.compare(cnnlab.load_seeds("3conv-none"), cnnlab.load_seeds("2conv-l2"))
    assert seeds.n[0] >= 2 and seeds.chance == "seeds"


def test_what_cannot_be_compared_or_loaded_is_said():
    with pytest.raises(ValueError, match="same images"):
        cnnlab.compare(cnnlab.load("3conv-none"), cnnlab.load("final-3conv-batchnorm"))
    with pytest.raises(ValueError, match="Received: Network and dict"):
        cnnlab.compare(cnnlab.load("3conv-none"), cnnlab.load_seeds("3conv-none"))
    with pytest.raises(UnknownRun):
        cnnlab.load("no-such-network")
    with pytest.raises(ValueError, match="weights were kept"):
        cnnlab.load("3conv-none").at_epoch(7_000)
    with pytest.raises(ExperimentError):
        cnnlab.train(depth=99)
    with pytest.raises(AttributeError):
        cnnlab.no_such_name  # noqa: B018


def test_an_imported_network_is_found_by_its_name_and_has_no_history(tmp_path):
    own = cnnlab.import_network(cnnlab.load("2conv-none").run.path / "model.keras")
    assert cnnlab.networks()[-1] == own.run.name
    again, image = cnnlab.load(own.run.name), cnnlab.sample_images()[0][0]
    assert np.array_equal(again.feature_maps(image)["logits"], own.feature_maps(image)["logits"])
    for refused in (lambda: own.history, lambda: cnnlab.compare(own, cnnlab.load("2conv-none"))):
        with pytest.raises(ValueError, match="from a file"):
            refused()
    (tmp_path / "no.keras").write_bytes(b"no network")
    with pytest.raises(NetworkImportError):
        cnnlab.import_network(tmp_path / "no.keras")


def test_without_tensorflow_a_training_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(training_packages, "TRAINING_PACKAGES", ("no_such_package",))
    with pytest.raises(api.TrainingError, match="TensorFlow"):
        cnnlab.train(dataset="shapes", epochs=1)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(path, tmp_path):
    cells = json.loads(path.read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    environment = os.environ | {"CNNLAB_HOME": str(tmp_path), "PYTHONPATH": str(settings.REPOSITORY)}
    script = code + "\nassert len(rows) == 3 and all(row['low'] <= row['difference'] <= row['high'] for row in rows)"
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_notebook_comes_without_outputs():
    assert NOTEBOOKS
    cells = [cell for path in NOTEBOOKS for cell in json.loads(path.read_text())["cells"]]
    assert not any(cell.get("outputs") for cell in cells)
