"""Re-estimated batch normalization against Keras, and the figures that runs keep of it."""

import json

import numpy as np
import pytest
import run_factories
from keras_reference import keras_reference, some_images

from cnnlab import data
from cnnlab.analysis import batchnorm, metrics
from cnnlab.cli import main
from cnnlab.experiment import Experiment
from cnnlab.explanations import moving_averages
from cnnlab.jobs import batchnorm_job
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import LayerOrder, layer_names, network_layers
from cnnlab.report_models import REPORT
from cnnlab.storage import files, runs
from cnnlab.storage.history_file import REESTIMATED_COLUMNS

SMALL = {"dataset": "shapes", "regularizer": "batchnorm", "train_images": 300, "filters": 4, "dense": 16, "epochs": 2}
NETWORKS = [(1, "before_relu"), (2, "before_relu"), (3, "before_relu"), (3, "after_relu"), (3, "after_pool")]


def network(depth, position):
    order = LayerOrder(batchnorm=position)
    return keras_reference(Experiment(depth=depth, regularizer="batchnorm", filters=8, dense=20), order)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "position"), NETWORKS)
def test_inference_with_reestimated_weights_is_keras_in_training_mode_on_one_batch(depth, position):
    """In training mode Keras normalizes every layer by the moments of the batch itself, layer by layer."""
    reference, images = network(depth, position), some_images(50)
    renewed = batchnorm.reestimate(reference.layers, reference.weights, images)
    ours = numpy_forward.logits(reference.layers, renewed, images)
    before = {variable.path: variable.numpy() for variable in reference.model.variables}
    expected = np.asarray(reference.model(images, training=True))
    for variable in reference.model.variables:  # a pass in training mode moves the averages
        variable.assign(before[variable.path])
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3)
    stored = numpy_forward.logits(reference.layers, reference.weights, images)
    assert np.abs(stored - expected).max() > 0.1  # else the test would say nothing


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "position"), NETWORKS)
def test_each_mean_and_variance_is_that_of_the_layers_input_in_keras(depth, position):
    from cnnlab.training import keras_model

    reference, images = network(depth, position), some_images(30, seed=1)
    renewed = batchnorm.reestimate(reference.layers, reference.weights, images)
    keras_model.set_weights(reference.model, renewed)
    stages = reference.stages(images)
    keras_model.set_weights(reference.model, reference.weights)
    for layer in reference.layers:
        if layer.kind == "bn":
            values = stages[layer.inputs[0]].astype(np.float64)
            np.testing.assert_allclose(renewed[f"{layer.name}/moving_mean"], values.mean((0, 1, 2)), atol=1e-5)
            np.testing.assert_allclose(renewed[f"{layer.name}/moving_variance"], values.var((0, 1, 2)), rtol=1e-3)


def test_the_given_weights_stay_as_they_are_and_only_moments_are_new():
    experiment = Experiment(depth=2, regularizer="batchnorm", filters=4, dense=10)
    layers, weights = network_layers(experiment), run_factories.some_weights(experiment, seed=0)
    before = {name: values.copy() for name, values in weights.items()}
    renewed = batchnorm.reestimate(layers, weights, some_images(6))
    assert all(np.array_equal(weights[name], before[name]) for name in before)
    changed = {name for name in weights if renewed[name] is not weights[name]}
    assert changed == {f"bn{block}/{role}" for block in (1, 2) for role in ("moving_mean", "moving_variance")}
    assert all(renewed[name].dtype == np.float32 for name in renewed)


def test_a_network_without_batch_normalization_keeps_every_weight():
    experiment = Experiment(depth=2, filters=4, dense=10)
    weights = run_factories.some_weights(experiment, seed=0)
    renewed = batchnorm.reestimate(network_layers(experiment), weights, some_images(2))
    assert all(renewed[name] is weights[name] for name in weights)


def test_the_number_of_images_needs_not_divide_into_batches():
    rng = np.random.default_rng(0)
    values = rng.normal(3, 2, (11, 5, 5, 6)).astype(np.float32)
    mean, variance = batchnorm.channel_moments(values[first : first + 4] for first in range(0, 11, 4))
    np.testing.assert_allclose(mean, values.mean((0, 1, 2), dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(variance, values.var((0, 1, 2), dtype=np.float64), rtol=1e-5)


def test_a_variance_far_below_the_mean_keeps_its_digits():
    values = np.random.default_rng(0).normal(1000, 0.1, (40, 8, 8, 2)).astype(np.float32)
    _, variance = batchnorm.channel_moments(iter(np.split(values, 10)))
    np.testing.assert_allclose(variance, values.var((0, 1, 2), dtype=np.float64), rtol=1e-3)


def test_no_image_is_refused():
    experiment = Experiment(regularizer="batchnorm", filters=4)
    with pytest.raises(ValueError, match="Received"):
        batchnorm.reestimate(network_layers(experiment), {}, some_images(1)[:0])
    with pytest.raises(ValueError, match="Received"):
        batchnorm.channel_moments([])


def test_the_lag_is_in_population_standard_deviations_and_signed():
    experiment = Experiment(depth=1, regularizer="batchnorm", filters=3, dense=10)
    layers, weights = network_layers(experiment), run_factories.some_weights(experiment, seed=0)
    renewed = batchnorm.reestimate(layers, weights, some_images(6))
    renewed["bn1/moving_variance"] = np.float32([4, 1, 0])
    shifted = renewed | {"bn1/moving_mean": renewed["bn1/moving_mean"] + np.float32([2.6, -0.5, 0])}
    np.testing.assert_allclose(batchnorm.moving_mean_lag(layers, shifted, renewed)["bn1"], [1.3, -0.5, 0], atol=1e-5)


# -- the figures that runs keep ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with the Shapes data set and one small run with batch normalization that was trained for real."""
    from cnnlab.training import trainer

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        assert trainer.train(Experiment(**SMALL)) == "done"
    return home


@pytest.fixture
def trained(home, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(home))
    return runs.open_run(Experiment(**SMALL).key)


@pytest.mark.nightly
@pytest.mark.slow
def test_a_training_records_both_accuracies_after_every_epoch(trained):
    history, both = trained.history(), trained.reestimated_history()
    assert list(both["epoch"]) == [0, 1, 2] and trained.record.reestimation_images == 300
    assert trained.record.final["val_accuracy_reestimated"] == both["val_accuracy_reestimated"][-1]
    split = data.split_dataset(data.load_dataset("shapes"), trained.experiment)
    layers, weights = network_layers(trained.experiment), trained.weights(2)
    renewed = batchnorm.reestimate(layers, weights, np.array(split.x_train[:300]))
    for suffix, parameters in (("", weights), (runs.REESTIMATED, renewed)):
        logits = numpy_forward.logits(layers, parameters, np.array(split.x_val))
        assert metrics.accuracy(logits, split.y_val) == pytest.approx(history[f"val_accuracy{suffix}"][2], abs=0.003)
        assert metrics.cross_entropy(logits, split.y_val) == pytest.approx(history[f"val_loss{suffix}"][2], rel=1e-3)


@pytest.mark.nightly
@pytest.mark.slow
def test_recording_them_changes_nothing_else_of_a_training(trained, tmp_path, monkeypatch):
    from cnnlab.training import evaluation, trainer

    monkeypatch.setattr(evaluation, "layer_names", lambda *_: [])
    assert trainer.train(trained.experiment, tmp_path / "plain") == "done"
    plain = runs.read_run(tmp_path / "plain")
    assert len(plain.reestimated_history()["epoch"]) == 0
    for name in runs.HISTORY_COLUMNS:
        np.testing.assert_array_equal(plain.history()[name], trained.history()[name])
    for name, values in trained.weights(2).items():
        np.testing.assert_array_equal(plain.weights(2)[name], values)
    for name, values in trained.predictions().items():
        np.testing.assert_array_equal(plain.predictions()[name], values)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train_images", "used"), [(40_000, 2000), (50_000, 2000), (20_000, 1000), (2_000, 500), (80, 80)]
)
def test_a_training_reestimates_from_a_twentieth_of_its_images_within_limits(train_images, used):
    from cnnlab.training.trainer import reestimation_count

    assert reestimation_count(train_images) == used


@pytest.mark.slow
@pytest.mark.nightly
def test_the_weights_of_the_epoch_that_gains_most_from_reestimation_are_kept_too(home, tmp_path, monkeypatch):
    from cnnlab.training import keras_model, trainer

    monkeypatch.setenv("CNNLAB_HOME", str(home))
    worker = trainer.Trainer(Experiment(**SMALL | {"epochs": 12}), tmp_path, lambda event: None)
    weights = keras_model.get_weights(worker.model)
    gains = {0: 0.9, 4: 0.1, 7: 0.3, 8: 0.2, 10: 0.25}  # epoch 0 is before training; 4 is surpassed by 7
    for epoch in range(13):
        row = {"epoch": epoch, "val_accuracy": 0.5, "val_accuracy_reestimated": 0.5 + gains.get(epoch, 0.0)}
        worker.writer.history_rows.append(row)
        worker.writer.keep_snapshots(epoch, weights)
    assert [int(file.stem) for file in worker.writer.snapshot_files()] == [0, 1, 2, 3, 5, 7, 10, 12]
    plain = trainer.Trainer(Experiment(**SMALL | {"regularizer": "none"}), tmp_path / "plain", lambda event: None)
    plain.writer.history_rows = [{"epoch": 1, "val_accuracy": 0.5}]
    assert plain.writer.worst_epoch() is None


def unrecorded(trained, folder):
    """A copy of the run as a version before the optional columns would have left it."""
    for file in ("experiment.json", "record.json", "weights/000.npz", "weights/001.npz", "weights/002.npz"):
        files.write_bytes(folder / file, (trained.path / file).read_bytes())
    history = trained.history()
    rows = [{name: history[name][epoch] for name in runs.HISTORY_COLUMNS} for epoch in range(3)]
    runs.write_history(folder / "history.csv", rows)
    return runs.read_run(folder)


@pytest.mark.slow
def test_the_command_gives_an_older_run_the_figures_that_a_newer_one_recorded(trained, tmp_path):
    run = unrecorded(trained, tmp_path / "old")
    assert len(run.reestimated_history()["epoch"]) == 0
    result = batchnorm_job.run_job(run, images=300)
    computed, recorded = run.reestimated_history(), trained.reestimated_history()
    assert list(computed["epoch"]) == [0, 1, 2]
    for name in REESTIMATED_COLUMNS:
        np.testing.assert_allclose(computed[name], recorded[name], rtol=0.01, atol=0.02)  # early weights are float16
    assert result["images"] == result["train_eval_images"] == 300 and result["epochs"][0]["largest_lag"]["bn1"] > 0


@pytest.mark.slow
def test_the_last_epoch_alone_can_be_computed_and_the_rest_later(trained, tmp_path):
    run = unrecorded(trained, tmp_path / "old")
    batchnorm_job.run_job(run, images=300, last_only=True)
    assert list(run.reestimated_history()["epoch"]) == [2]
    batchnorm_job.run_job(run, images=300)
    assert list(run.reestimated_history()["epoch"]) == [0, 1, 2]


@pytest.mark.nightly
@pytest.mark.slow
def test_an_interrupted_command_goes_on_and_a_complete_one_does_nothing(trained, tmp_path):
    run, lines = unrecorded(trained, tmp_path / "old"), []
    whole = batchnorm_job.run_job(run, images=50)
    files.write_json(run.path / runs.REESTIMATED_FILE, whole | {"epochs": whole["epochs"][:1]})
    assert batchnorm_job.run_job(run, 50, lines.append) == whole
    assert sum("largest lag" in line for line in lines) == 2
    lines.clear()
    assert batchnorm_job.run_job(run, 50, lines.append) == whole and lines == []
    assert batchnorm_job.run_job(run, 60)["images"] == 60


@pytest.mark.slow
def test_what_cannot_be_reestimated_is_said_in_one_sentence(trained, tmp_path, capsys, monkeypatch):
    assert main(["batchnorm", "2conv-none"]) == 2
    assert capsys.readouterr().err.startswith("Choose a run with batch normalization. Received: 2conv-none")
    assert main(["batchnorm", trained.key, "--images", "0"]) == 2
    assert "Received: images=0" in capsys.readouterr().err
    stranger = run_factories.write_run(tmp_path / "x", Experiment(**SMALL), fingerprint="of other images")
    with pytest.raises(batchnorm_job.BatchnormError, match="other images"):
        batchnorm_job.run_job(stranger)
    assert not (stranger.path / runs.REESTIMATED_FILE).exists()


def test_a_history_from_before_these_columns_is_read_and_written_as_ever(tmp_path):
    rows = [dict.fromkeys(runs.HISTORY_COLUMNS, 0.5) | {"epoch": epoch} for epoch in range(2)]
    runs.write_history(tmp_path / "history.csv", rows)
    assert (tmp_path / "history.csv").read_text().splitlines()[0] == ",".join(runs.HISTORY_COLUMNS)
    history = runs.Run(tmp_path, Experiment()).history()
    assert np.isnan(history["val_accuracy_reestimated"]).all() and list(history["val_accuracy"]) == [0.5, 0.5]
    rows[1]["val_accuracy_reestimated"] = 0.7  # a run that was resumed with a newer version
    runs.write_history(tmp_path / "history.csv", rows)
    assert np.isnan(runs.Run(tmp_path, Experiment()).history()["val_accuracy_reestimated"][0])
    assert runs.Run(tmp_path, Experiment()).history()["val_accuracy_reestimated"][1] == 0.7


# -- the shipped runs --------------------------------------------------------------------------------------------------

SHIPPED = [name for name, model in REPORT.items() if layer_names(network_layers(model.experiment), "bn")]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_batchnorm_run_has_both_accuracies_at_every_snapshot_epoch(name):
    run = runs.open_run(name)
    written = json.loads((run.path / runs.REESTIMATED_FILE).read_text())
    assert written["images"] == 2000 and written["fingerprint"] == run.record.fingerprint
    assert [row["epoch"] for row in written["epochs"]] == run.snapshot_epochs()
    assert (written["train_eval_images"], written["val_images"]) == (5_000, 10_000)
    assert name not in [pending.name for pending in batchnorm_job.pending_runs()]


def test_both_accuracies_of_an_epoch_are_told_as_the_files_have_them():
    run = runs.open_run("3conv-batchnorm")
    lines = (run.path / "history.csv").read_text().splitlines()
    moving = [float(dict(zip(lines[0].split(","), line.split(","), strict=True))["val_accuracy"]) for line in lines[1:]]
    rows = json.loads((run.path / runs.REESTIMATED_FILE).read_text())["epochs"]
    anew = {row["epoch"]: row["val_accuracy_reestimated"] for row in rows}
    both = run.history(), run.reestimated_history()
    told = moving_averages.describe_moving_averages(*both, 20, run.experiment)
    assert f"**{100 * moving[20]:.1f} %** of the 10,000 validation images" in told
    assert f"**{100 * anew[20]:.1f} %**" in told and f"{100 * (anew[20] - moving[20]):+.1f} points" in told
    assert moving_averages.describe_moving_averages(*both, 17, run.experiment) == ""  # no weights were kept
    changes = [100 * (anew[epoch] - moving[epoch]) for epoch in anew if epoch]
    sentence = moving_averages.describe_differences(*both)
    assert f"{min(changes):+.1f} points to {max(changes):+.1f} points" in sentence and "At 7 epochs" in sentence


@pytest.mark.nightly
@pytest.mark.cifar
@pytest.mark.parametrize("name", SHIPPED[:1])
def test_the_shipped_figures_are_those_of_keras_with_the_populations_moments(name, home_with_cifar10, monkeypatch):
    """Keras computes the moments, layer by layer, and the accuracy; nothing of ours but the weights is used."""
    from cnnlab.training.keras_model import build_model, set_weights

    monkeypatch.setenv("CNNLAB_HOME", str(home_with_cifar10))
    import keras

    run, dataset = runs.open_run(name), data.load_dataset("cifar10")
    model = build_model(run.experiment)
    set_weights(model, run.weights(30))
    for layer in [layer for layer in model.layers if layer.name.startswith("bn")]:
        inputs = keras.Model(model.input, layer.input).predict(dataset.x_train[:2000], batch_size=250, verbose=0)
        layer.moving_mean.assign(inputs.mean((0, 1, 2), dtype=np.float64))
        layer.moving_variance.assign(inputs.var((0, 1, 2), dtype=np.float64))
    measured = metrics.accuracy(
        model.predict(dataset.x_train[:5000], batch_size=250, verbose=0), dataset.y_train[:5000]
    )
    figures = run.reestimated_history()
    assert measured == pytest.approx(figures["train_eval_accuracy_reestimated"][-1], abs=0.0005)
    assert measured > run.history()["train_eval_accuracy"][-1] + 0.05
