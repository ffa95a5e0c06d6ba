"""Linear probes of layers, and the files of probes and of shipped top images, against direct solutions and damage."""

import json

import numpy as np
import pytest
from keras_reference import some_images
from run_factories import write_run

from cnnlab import data, settings
from cnnlab.analysis import linear_probe
from cnnlab.analysis.top_activations import FilterExamples, SelectedImages
from cnnlab.data import Dataset
from cnnlab.experiment import Experiment
from cnnlab.explanations import notices
from cnnlab.jobs import probe_job, shipped_top_images
from cnnlab.jobs.run_computation import ComputationError
from cnnlab.jobs.top_activations_file import TopActivations
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import network_layers

SMALL = Experiment(depth=1, filters=4, dense=8, epochs=2)


def test_maps_are_averaged_over_cells_and_units_stay():
    maps = np.arange(2 * 4 * 4 * 3, dtype=np.float32).reshape(2, 4, 4, 3)
    expected = maps.reshape(2, 2, 2, 2, 2, 3).mean(axis=(2, 4)).reshape(2, -1)
    np.testing.assert_allclose(linear_probe.pooled_features(maps, grid=2), expected)
    np.testing.assert_array_equal(linear_probe.pooled_features(maps[:, :1, :1]), maps[:, 0, 0])
    np.testing.assert_array_equal(linear_probe.pooled_features(maps[:, 0, 0]), maps[:, 0, 0])
    assert linear_probe.pooled_features(np.ones((1, 30, 30, 5)), grid=4).shape == (1, 16 * 5)


def test_a_probe_reads_a_class_that_is_linear_in_the_features_and_no_other():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 500)
    features = np.eye(10)[labels] + rng.normal(0, 0.05, (500, 10))
    assert linear_probe.probe_accuracy(features, labels) == 1
    assert linear_probe.probe_accuracy(rng.normal(0, 1, (500, 10)), labels) < 0.25
    constant = np.hstack([features, np.ones((500, 2))])
    assert linear_probe.probe_accuracy(constant, labels) == 1


def test_a_probe_is_the_ridge_regression_of_the_augmented_least_squares_problem():
    rng = np.random.default_rng(1)
    labels, features = rng.integers(0, 3, 100), rng.normal(0, 1, (100, 6))
    train = (features[:80] - features[:80].mean(0)) / features[:80].std(0)
    rows = np.vstack([train, np.sqrt(0.5 * 80) * np.eye(6)])
    targets = np.where(labels[:80, None] == np.arange(10), 1.0, -1.0)
    kernel = np.linalg.lstsq(rows, np.vstack([targets - targets.mean(0), np.zeros((6, 10))]), rcond=None)[0]
    test = (features[80:] - features[:80].mean(0)) / features[:80].std(0)
    expected = ((test @ kernel + targets.mean(0)).argmax(axis=1) == labels[80:]).mean()
    assert linear_probe.probe_accuracy(features, labels, penalty=0.5) == pytest.approx(expected)


@pytest.mark.parametrize("features", [np.full((20, 2), np.nan), np.zeros((5, 2))], ids=["no numbers", "too few"])
def test_a_probe_refuses_what_it_cannot_fit(features):
    with pytest.raises(ValueError, match="Received"):
        linear_probe.probe_accuracy(features, np.zeros(len(features), int))


def test_features_of_all_layers_come_from_one_forward_pass():
    layers = network_layers(SMALL)
    from test_input_gradients import random_weights

    weights, images, seen = random_weights(layers), some_images(20), []
    names = linear_probe.probed_layers(layers)
    assert names == ["rescale", "relu1", "dense1"]
    found = linear_probe.layer_features(layers, weights, images, names, lambda done, total: seen.append((done, total)))
    activations = numpy_forward.compute_activations(layers, weights, images)
    np.testing.assert_allclose(found["dense1"], activations["dense1"], atol=1e-5)
    np.testing.assert_allclose(found["relu1"], linear_probe.pooled_features(activations["relu1"]), atol=1e-5)
    assert seen == [(16, 20), (20, 20)]


def test_probes_are_kept_with_the_run_and_damage_is_no_result(home, monkeypatch):
    run = write_run(settings.runs_dir() / SMALL.key, SMALL)
    images, labels = some_images(50), np.arange(50, dtype=np.uint8) % 10
    monkeypatch.setattr(data, "load_dataset", lambda name: Dataset(name, (), images, labels, images, labels, ""))
    assert probe_job.load(run) is None
    found = probe_job.run_job(run)
    assert probe_job.load(run) == found and (found.train_images, found.test_images) == (40, 10)
    assert list(found.trained) == list(found.untrained) == ["rescale", "relu1", "dense1"]
    assert found.trained["rescale"] == found.untrained["rescale"]  # the pixels are the same
    assert probe_job.COMPUTATION.status(run).state == "done"
    file = run.path / probe_job.FILE
    whole = json.loads(file.read_text())
    for damaged in (
        {"trained": {"relu1": 0.5}},
        {"trained": dict.fromkeys(whole["trained"], 2.0)},
        {"epoch": -1},
        {"x": 1},
    ):
        file.write_text(json.dumps(whole | damaged))
        assert probe_job.load(run) is None
    file.write_text("{")
    assert probe_job.load(run) is None


def test_weights_that_are_no_numbers_give_one_sentence(home, monkeypatch):
    run = write_run(settings.runs_dir() / SMALL.key, SMALL)
    images, labels = some_images(20), np.zeros(20, np.uint8)
    monkeypatch.setattr(data, "load_dataset", lambda name: Dataset(name, (), images, labels, images, labels, ""))
    weights = {name: values * np.nan for name, values in run.weights(2).items()}
    monkeypatch.setattr(type(run), "weights", lambda self, epoch: weights)
    with pytest.raises(ComputationError, match="not numbers"):
        probe_job.run_job(run)
    assert probe_job.COMPUTATION.status(run).message


def test_shipped_top_images_are_read_as_written_and_damage_is_no_result(home):
    run = write_run(settings.runs_dir() / SMALL.key, SMALL)
    shape = (4, 9)
    top = SelectedImages(
        np.arange(36, dtype=np.uint16).reshape(shape) % 20, np.ones(shape, np.float32), np.full(shape, 29, np.uint8),
        np.zeros(shape, np.uint8),
    )  # fmt: skip
    examples = FilterExamples(top, top, np.zeros(4), np.ones(4), np.array([True, False, False, False]))
    full = TopActivations({"relu1": examples}, {"relu1": np.zeros((10, 4), np.float32)}, 20, 2, "print")
    shipped_top_images.save(full, run.path)
    found = shipped_top_images.load(run, "print")
    np.testing.assert_array_equal(found.examples["relu1"].images, top.images)
    assert found.dead["relu1"].tolist() == [True, False, False, False] and found.images == 20
    for wrong in (
        TopActivations({"relu1": examples}, full.selectivity, 10, 2, "print"),  # images beyond those there are
        TopActivations({"relu1": examples}, full.selectivity, 20, 1, "print"),  # of another epoch
        TopActivations({"relu1": examples}, full.selectivity, 20, 2, "other"),  # of another data set
    ):
        shipped_top_images.save(wrong, run.path)
        assert shipped_top_images.load(run, "print") is None


def test_a_layer_whose_accuracy_lies_within_the_interval_of_the_best_is_named():
    """Of 1,000 images 78 % has an interval from 75.3 to 80.4 %."""
    told = notices.probe_notice({"rescale": 0.37, "relu1": 0.75, "dense1": 0.76, "dense2": 0.78}, {}, 1000)
    assert "from dense2" in told and told.endswith("perhaps as good: dense1.")
    assert "as good" not in notices.probe_notice({"rescale": 0.37, "relu1": 0.59, "dense1": 0.66}, {}, 1000)
