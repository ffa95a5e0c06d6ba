"""The shipped runs are what they say: whole, small, rebuilt from their own JSON, and as accurate as stated."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.analysis import metrics
from cnnlab.data import load_dataset, split_dataset
from cnnlab.data.samples import sample_images
from cnnlab.inspect.epoch_slider import ROUNDING_DIFFERENCE
from cnnlab.jobs import probe_job, shipped_top_images
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import network_layers
from cnnlab.report_models import REPORT
from cnnlab.storage import run_import, runs
from cnnlab.sweeps import SHIPPED_SWEEPS
from cnnlab.training.keras_model import build_model, set_weights

pytestmark = pytest.mark.slow


def rebuilt(run):
    """The run's network, built from its experiment.json and filled with the weights that its pages show."""
    model = build_model(run.experiment)
    set_weights(model, run.weights(run.experiment.epochs))
    return model


@pytest.fixture(scope="module")
def test_images(home_with_cifar10):
    """The first thousand real test images, their labels, and the fingerprint of the data set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home_with_cifar10))
        data = load_dataset("cifar10")
    return np.array(data.x_test[:1000]), np.array(data.y_test[:1000]), data.fingerprint


def test_all_ten_together_are_at_most_25_megabytes():
    files = [path for name in REPORT for path in (settings.PRETRAINED / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 25e6


@pytest.mark.parametrize("name", REPORT)
def test_a_shipped_run_is_whole_and_says_how_it_was_made(name):
    run = runs.open_run(name)
    assert run.experiment == REPORT[name].experiment and run.state == "done"
    assert run.record.precision == "float32" and run.record.device and run.record.versions["keras"]
    assert run.record.epochs_done == len(run.history()["epoch"]) - 1 == 30
    assert run.snapshot_epochs() == [0, 1, 2, 3, 5, 10, 20, 30]
    assert (
        json.loads((run.path / "record.json").read_text())["final"]["val_accuracy"] == run.history()["val_accuracy"][-1]
    )


@pytest.mark.parametrize("name", REPORT)
def test_the_kept_predictions_have_the_stated_accuracy_to_the_last_picture(name):
    run = runs.open_run(name)
    kept = run.predictions()
    stated = run.history()["val_accuracy"][-1]
    if run.experiment.split == "validation":
        assert metrics.accuracy(kept["validation"], kept["validation_labels"]) == stated
    else:
        assert run.record.test_accuracy == stated
    assert metrics.accuracy(kept["test"], kept["test_labels"]) == run.record.test_accuracy


@pytest.mark.nightly(but=["2conv-none", "3conv-batchnorm", "3conv-dropout"])
@pytest.mark.parametrize("name", REPORT)
def test_a_shipped_run_its_keras_file_and_the_forward_pass_give_the_same_logits(name):
    run, images = runs.open_run(name), sample_images()[0]
    expected = keras.models.load_model(run.path / "model.keras").predict(images, verbose=0)
    np.testing.assert_allclose(rebuilt(run).predict(images, verbose=0), expected, rtol=1e-5, atol=1e-5)
    ours = numpy_forward.logits(network_layers(run.experiment), run.weights(30), images)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run.predictions()["test"][: len(images)], expected, rtol=0.01, atol=0.01)


@pytest.mark.nightly(but=["2conv-none", "3conv-batchnorm", "final-3conv-dropout"])
@pytest.mark.cifar
@pytest.mark.parametrize("name", REPORT)
def test_a_shipped_run_has_its_stated_accuracy_on_a_thousand_test_images(name, test_images):
    run = runs.open_run(name)
    images, labels, fingerprint = test_images
    assert run.record.fingerprint == fingerprint
    logits = rebuilt(run).predict(images, batch_size=500, verbose=0)
    kept = run.predictions()["test"][:1000]
    assert metrics.accuracy(logits, labels) == pytest.approx(metrics.accuracy(kept, labels), abs=0.005)
    assert metrics.accuracy(logits, labels) == pytest.approx(run.record.test_accuracy, abs=0.05)


@pytest.mark.parametrize("name", REPORT)
def test_early_snapshots_still_predict_about_as_well_as_the_history_says(name):
    """They are rounded to six bits: good enough for pictures, and for the first twenty test images no nonsense."""
    run = runs.open_run(name)
    images, labels = sample_images()
    right = metrics.accuracy(numpy_forward.logits(network_layers(run.experiment), run.weights(20), images), labels)
    assert right > 0.4


@pytest.mark.cifar
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", REPORT)
def test_a_rounded_snapshot_is_as_accurate_as_the_page_states(name, home_with_cifar10):
    run = runs.open_run(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home_with_cifar10))
        kept = split_dataset(load_dataset("cifar10"), run.experiment)
    images, labels, history = np.asarray(kept.x_val), np.asarray(kept.y_val), run.history()
    for epoch in run.snapshot_epochs()[1:-1]:
        parts = [
            numpy_forward.logits(network_layers(run.experiment), run.weights(epoch), images[start : start + 500])
            for start in range(0, len(images), 500)
        ]
        stated = history["val_accuracy"][history["epoch"] == epoch][0]
        assert abs(metrics.accuracy(np.concatenate(parts), labels) - stated) < ROUNDING_DIFFERENCE + 0.0005


@pytest.mark.parametrize(("epoch", "rounded"), [(10, True), (30, False)])
def test_the_page_says_where_the_weights_of_an_epoch_are_rounded(epoch, rounded):
    def script():
        from cnnlab.pages.look_inside import page

        page()

    app = AppTest.from_function(script, default_timeout=90)
    app.query_params.update(run="3conv-none", epoch=str(epoch))
    said = " ".join(one.value for one in app.run().caption)
    assert ("rounded to six significant bits" in said) is rounded
    assert (f"by up to {100 * ROUNDING_DIFFERENCE:.1f} points" in said) is rounded


def test_the_ten_of_the_report_are_shipped_and_further_seeds_and_nothing_else():
    assert {path.name for path in Path(settings.PRETRAINED).iterdir()} == {*REPORT, "seeds", "epoch_seconds.json"}
    assert {path.name for path in SEEDS.iterdir()} == {run.key for run in runs.shipped_seeds()}


SEEDS = settings.PRETRAINED / "seeds"


@pytest.mark.parametrize("name", REPORT)
def test_shipped_probes_read_more_from_a_trained_layer_than_from_pixels(name):
    found = probe_job.load(runs.open_run(name))
    best = max(found.trained, key=found.trained.get)
    assert best.startswith("dense") and found.test_images == 1000
    assert found.trained[best] > max(found.trained["rescale"], found.untrained[best]) + 0.1


@pytest.mark.cifar
@pytest.mark.slow
@pytest.mark.parametrize("name", ["3conv-dropout", "2conv-batchnorm"])
def test_the_shipped_top_images_activate_their_filters_more_than_other_images(name, home_with_cifar10, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(home_with_cifar10))
    run, data = runs.open_run(name), load_dataset("cifar10")
    images, found = data.x_test, shipped_top_images.load(run, data.fingerprint)
    layers, relu = network_layers(run.experiment), list(found.examples)[-1]
    others = numpy_forward.compute_activations(layers, run.weights(30), np.asarray(images[5000:5300]))[relu].max(
        axis=(1, 2)
    )
    for number in range(0, 64, 9):
        chosen = found.examples[relu].images[number]
        maps = numpy_forward.compute_activations(layers, run.weights(30), np.asarray(images[chosen]))[relu][..., number]
        np.testing.assert_allclose(maps.max(axis=(1, 2)), found.examples[relu].values[number], rtol=2e-3)
        strangers = np.setdiff1d(np.arange(5000, 5300), chosen) - 5000
        assert others[strangers, number].max(initial=0) <= maps.max(axis=(1, 2)).min() * 1.002


@pytest.mark.parametrize("key", sorted(path.name for path in SEEDS.iterdir()))
def test_a_shipped_seed_is_whole_small_and_gives_the_accuracies_of_its_history(key):
    run = runs.read_run(SEEDS / key)
    reestimated = {runs.REESTIMATED_FILE} if run.experiment.regularizer == "batchnorm" else set()
    assert run.key == key and {file.name for file in run.path.iterdir()} == {*run_import.IMPORTED_FILES, *reestimated}
    run_import.check_finished(run)
    run_import.check_predictions(run)
    assert sum(file.stat().st_size for file in run.path.iterdir()) < 120_000
    predictions, history = run.predictions(), run.history()
    loss = metrics.cross_entropy(predictions["validation"], predictions["validation_labels"])
    assert loss == pytest.approx(history["val_loss"][-1], rel=0.02)
    assert bool(len(run.reestimated_history()["epoch"])) == (run.experiment.regularizer == "batchnorm")
    is_model = replace(run.experiment, seed=0, dataset="cifar10", train_images=None) in {
        model.experiment for model in REPORT.values()
    }
    assert is_model or run.experiment in {one for sweep in SHIPPED_SWEEPS.values() for one in sweep.experiments()}
