"""What a worker does, in real processes: it trains, stops, is killed, goes on, and says why when it cannot."""

import csv
import errno
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from cnnlab import data
from cnnlab.analysis import metrics
from cnnlab.cli import main
from cnnlab.cli.output import print_event
from cnnlab.experiment import Experiment
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import network_layers
from cnnlab.storage import files, run_files, runs, stop_request
from cnnlab.training import evaluation, trainer
from cnnlab.training.compilation import steps_per_execution

pytestmark = pytest.mark.slow

SMALL = {"dataset": "shapes", "train_images": 320, "filters": 4, "dense": 16, "epochs": 4, "depth": 2}


def command(experiment):
    return [sys.executable, "-m", "cnnlab", "train", "--threads", "1", "--json", experiment.to_json()]


def environment(home):
    return os.environ | {"CNNLAB_HOME": str(home)}


def start(experiment, home, **more):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command(experiment), env=environment(home), **pipes, **more)


def finish(experiment, home, **more):
    process = start(experiment, home, **more)
    output, _ = process.communicate(timeout=240)
    return process.returncode, output


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One home for this file, with the Shapes data set drawn once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def whole(home):
    """A run with dropout, trained without interruption; and what its worker printed."""
    experiment = Experiment(**SMALL, regularizer="dropout")
    code, output = finish(experiment, home)
    assert code == 0, output
    return runs.read_run(home / "runs" / experiment.key), output


def test_a_finished_run_holds_everything_that_the_format_promises(whole):
    run, output = whole
    files = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    snapshots = {f"weights/{epoch:03}.npz" for epoch in (0, 1, 2, 3, 4)}
    assert {"experiment.json", "record.json", "history.csv", "model.keras", "predictions.npz"} | snapshots <= files
    assert not {"checkpoint.npz", "progress.json"} & files
    assert run.state == "done" and run.record.epochs_done == 4 and run.record.threads == 1
    assert {"versions", "device", "fingerprint", "seed", "commit", "seconds", "started", "finished"} <= set(
        run.record.to_json()
    )
    assert output.count("epoch ") == 5 and "batches" in output and "left" in output


@pytest.mark.nightly
def test_the_history_is_what_the_kept_predictions_and_weights_say(whole):
    run, _ = whole
    history, predictions = run.history(), run.predictions()
    assert list(history["epoch"]) == [0, 1, 2, 3, 4]
    assert np.isnan(history["accuracy"][0]) and np.isfinite(history["val_accuracy"]).all()
    measured = metrics.accuracy(predictions["validation"], predictions["validation_labels"])
    assert measured == pytest.approx(history["val_accuracy"][-1], abs=0.002)
    assert run.record.final["val_loss"] == history["val_loss"][-1]
    assert run.weights(4)["conv1/kernel"].shape == (3, 3, 3, 4)


def test_the_kept_model_opens_with_keras_alone_and_says_what_the_run_says(whole, home, monkeypatch):
    run, _ = whole
    monkeypatch.setenv("CNNLAB_HOME", str(home))
    model = keras.models.load_model(run.path / "model.keras")
    images = data.load_dataset("shapes").x_test[:50]
    np.testing.assert_allclose(model.predict(images, verbose=0), run.predictions()["test"][:50], rtol=2e-3, atol=2e-3)
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)


@pytest.mark.parametrize("regularizer", ["none", "batchnorm"])
def test_the_weights_in_the_keras_file_are_read_without_keras(tmp_path, regularizer):
    from cnnlab.training.keras_model import build_model, get_weights

    experiment = Experiment(depth=3, regularizer=regularizer, filters=5)
    model = build_model(experiment, plain=True)
    model.save(tmp_path / "model.keras")
    read = run_files.read_weights(tmp_path / "model.keras", experiment)
    for name, values in get_weights(model).items():
        np.testing.assert_array_equal(read[name], values)


@pytest.mark.nightly(but=["1"])
@pytest.mark.parametrize("kills", [1, 3])
def test_a_worker_killed_at_random_moments_ends_with_the_same_history(whole, tmp_path, home, kills):
    run, _ = whole
    (tmp_path / "data").symlink_to(home / "data")
    folder = tmp_path / "runs" / run.key
    chance = random.Random(7)
    for kill in range(kills):
        process = start(run.experiment, tmp_path)
        wait_for(past_epoch(kill, folder, process))
        time.sleep(chance.uniform(0, 0.25))
        process.kill()
        process.communicate()
    code, output = finish(run.experiment, tmp_path)
    assert code == 0, output
    assert (folder / "history.csv").read_bytes() == (run.path / "history.csv").read_bytes()
    resumed = runs.read_run(folder)
    for name, values in run.weights(4).items():
        np.testing.assert_array_equal(resumed.weights(4)[name], values)


def past_epoch(epoch, folder, process):
    return lambda: rows(folder) > epoch or process.poll() is not None


def rows(folder: Path) -> int:
    try:
        return len(list(csv.DictReader((folder / "history.csv").read_text().splitlines())))
    except FileNotFoundError:
        return 0


@pytest.mark.nightly
def test_a_stopped_worker_leaves_a_run_that_can_go_on(home):
    experiment = Experiment(**SMALL | {"train_images": 5_000, "epochs": 500, "seed": 3})
    process = start(experiment, home)
    wait_for(lambda: rows(home / "runs" / experiment.key) >= 2)
    asked = time.monotonic()
    stop_request.send(home / "runs" / experiment.key, process.pid)
    process.communicate(timeout=60)
    run = runs.read_run(home / "runs" / experiment.key)
    assert process.returncode == 3 and run.state == "stopped" and time.monotonic() - asked < 10
    assert (run.path / "checkpoint.npz").exists() and run.record.epochs_done >= 1


@pytest.mark.nightly
def test_two_workers_never_train_the_same_run(home):
    experiment = Experiment(**SMALL | {"epochs": 500, "seed": 4})
    first = start(experiment, home)
    wait_for(lambda: rows(home / "runs" / experiment.key) >= 1)
    code, output = finish(experiment, home)
    stop_request.send(home / "runs" / experiment.key, first.pid)
    first.communicate(timeout=60)
    assert code == 1 and "Another worker" in output and "Traceback" not in output
    assert first.returncode == 3


@pytest.mark.nightly
def test_a_training_that_diverges_fails_with_a_sentence(home):
    wild = {"optimizer": "sgd", "learning_rate": 10.0, "regularizer": "l2", "strength": 0.1}
    experiment = Experiment(**SMALL | wild)
    code, output = finish(experiment, home)
    run = runs.read_run(home / "runs" / experiment.key)
    assert code == 1 and run.state == "failed", output
    assert "learning rate" in run.record.reason and "Traceback" not in output


@pytest.mark.nightly
@pytest.mark.posix
def test_a_full_disk_fails_the_run_with_the_reason_and_it_goes_on_when_there_is_room(home):
    """The system refuses every write past 20 KB: the record fits, the first snapshot does not."""
    import resource

    experiment = Experiment(**SMALL | {"dense": 400, "seed": 6, "epochs": 1})
    code, output = finish(
        experiment, home, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    )
    folder = home / "runs" / experiment.key
    assert code == 1 and "Traceback" not in output
    assert json.loads((folder / "record.json").read_text())["state"] == "failed"
    assert "could not be written" in json.loads((folder / "record.json").read_text())["reason"]
    assert not list(folder.rglob("*.part"))
    assert finish(experiment, home)[0] == 0


def test_the_command_line_answers_nonsense_in_one_sentence(tmp_path):
    nonsense = subprocess.run(
        [sys.executable, "-m", "cnnlab", "train", "--kernel", "4"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert nonsense.returncode == 2
    assert nonsense.stderr.strip().splitlines() == ["Choose an odd kernel size: 1, 3, 5 or 7. Received: kernel=4"]


@pytest.mark.nightly
def test_cifar_10_that_is_missing_is_said_with_the_way_to_get_it(tmp_path):
    code, output = finish(Experiment(epochs=1), tmp_path)
    assert code == 2 and "data download" in output and "data import" in output and "Traceback" not in output


def test_batches_run_together_only_in_numbers_that_divide_the_epoch():
    for batches in (1, 7, 32, 625, 782):
        assert batches % steps_per_execution(batches) == 0
    assert steps_per_execution(625) == 5


def broken(path, experiment):
    files.write_bytes(path, b"PK\x03\x04 and then nothing")


def half(path, experiment):
    files.write_npz(path, {"story": np.array("{}")})


def of_other_pictures(path, experiment):
    worker = trainer.Trainer(experiment, path.parent, lambda event: None)
    worker.writer.record = replace(worker.writer.record, fingerprint="of other pictures")
    worker.writer.save_checkpoint(worker.variables())


def of_a_wider_network(path, experiment):
    wider = Experiment.from_dict(experiment.to_dict() | {"filters": 5})
    worker = trainer.Trainer(wider, path.parent, lambda event: None)
    worker.writer.save_checkpoint(worker.variables())


@pytest.mark.parametrize(
    ("leave_behind", "why"),
    [
        (broken, "its checkpoint cannot be read"),
        (half, "its checkpoint cannot be read"),
        (of_other_pictures, "the pictures are others than when this training began"),
        (of_a_wider_network, "its checkpoint is that of another version of this network"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_said_and_not_gone_on_from(
    home, tmp_path, monkeypatch, caplog, leave_behind, why
):
    monkeypatch.setenv("CNNLAB_HOME", str(home))
    experiment = Experiment(**SMALL)
    leave_behind(tmp_path / "checkpoint.npz", experiment)
    files.write_npz(tmp_path / "weights" / "002.npz", {"of": np.zeros(1)})
    worker = trainer.Trainer(experiment, tmp_path, lambda event: None)
    worker.restore_checkpoint()
    assert caplog.messages == [f"This training begins anew: {why}."]
    assert worker.writer.history_rows == [] and not (tmp_path / "weights" / "002.npz").exists()


@pytest.mark.nightly
def test_a_training_whose_checkpoint_is_broken_begins_anew_and_ends_as_ever(home, whole):
    again = home / "runs" / whole[0].key
    broken(again / "checkpoint.npz", whole[0].experiment)
    history, record = (again / "history.csv").read_text(), files.read_json(again / "record.json")
    files.write_json(again / "record.json", record | {"state": "stopped"})
    code, output = finish(whole[0].experiment, home)
    assert code == 0 and "This training begins anew" in output, output
    assert (again / "history.csv").read_text() == history
    assert runs.read_run(again).state == "done" and not (again / "checkpoint.npz").exists()


@pytest.mark.nightly
def test_a_damaged_finished_run_is_trained_again_to_the_same_figures(home, whole):
    again = home / "runs" / whole[0].key
    history, snapshot = (again / "history.csv").read_text(), again / "weights" / "002.npz"
    snapshot.write_bytes(snapshot.read_bytes()[:2_000])
    code, output = finish(whole[0].experiment, home)
    assert code == 0 and "was damaged and is trained again: weights/002.npz is no whole zip archive." in output, output
    assert (again / "history.csv").read_text() == history
    assert runs.read_run(again).damages(thorough=True) == {} and runs.read_run(again).state == "done"


def test_after_a_failed_write_the_record_counts_the_epochs_of_the_history(home, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(home))
    written, write = [], runs.write_history

    def full_disk(path, rows):
        written.append(len(rows))
        if len(rows) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, rows)

    monkeypatch.setattr(runs, "write_history", full_disk)
    experiment = Experiment(**SMALL | {"seed": 9})
    assert trainer.train(experiment) == "failed"
    run = runs.read_run(home / "runs" / experiment.key)
    assert written == [1, 2, 3] and run.record.epochs_done == len(run.record.epoch_seconds) == 1
    assert run.state == "failed" and run.damages(thorough=True) == {}


def test_what_a_worker_killed_at_its_last_step_left_behind_is_cleared_away(whole, home):
    run, _ = whole
    before = sorted(run.path.rglob("*"))
    for leftover in ("checkpoint.npz", "progress.json", ".record.json.77.5.part", "weights/.003.npz.77.5.part"):
        (run.path / leftover).write_bytes(b"{}")
    assert trainer.train(run.experiment, run.path) == "done"
    assert sorted(run.path.rglob("*")) == before


@pytest.mark.nightly
def test_numbers_beyond_half_precision_are_kept_and_the_answers_with_them(home, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(home))
    wild = {"depth": 3, "regularizer": "batchnorm", "learning_rate": 10.0, "epochs": 2, "filters": 16, "dense": 50}
    experiment = Experiment(**SMALL | wild | {"train_images": 640})
    assert trainer.train(experiment) == "done"
    run = runs.read_run(home / "runs" / experiment.key)
    largest = [np.abs(values).max() for epoch in run.snapshot_epochs() for values in run.weights(epoch).values()]
    assert 65_504 < max(largest) < np.inf  # without numbers as large as that this test would say nothing
    kept = run.predictions()
    assert np.isfinite(kept["test"]).all()
    assert metrics.accuracy(kept["validation"], kept["validation_labels"]) == run.record.final["val_accuracy"]
    assert metrics.accuracy(kept["test"], kept["test_labels"]) == run.record.test_accuracy


def test_a_training_that_diverges_keeps_what_came_before_and_says_no_more(home, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(home))
    losses = iter([2.3, 2.3, 2.0, 2.0, float("nan"), float("nan")])
    monkeypatch.setattr(evaluation, "cross_entropy", lambda *_: next(losses))
    experiment = Experiment(**SMALL | {"seed": 8})
    assert trainer.train(experiment) == "failed"
    run = runs.read_run(home / "runs" / experiment.key)
    assert "after epoch 2" in run.record.reason
    assert (
        run.record.epochs_done
        == run.record.final["epoch"]
        == run.history()["epoch"][-1]
        == run.snapshot_epochs()[-1]
        == 1
    )


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--core", "99"], "Choose a core of "),
        (["--threads", "0"], "Choose at least one thread. Received: --threads 0"),
        (["--json", ""], "An experiment is written as JSON."),
        (["--json", "{}", "--epochs", "3", "--train-images", "9"], "leave out --epochs, --train-images."),
        (["--seed", "9" * 401], "Choose the seed between 0 and 2147483647."),
    ],
)
def test_a_flag_that_makes_no_sense_trains_nothing(flags, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.setenv(name, os.environ.get(name, "2"))
    assert main(["train", *flags]) == 2
    assert sentence in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_the_lines_of_a_training_name_the_images_that_it_is_measured_on(capsys):
    event = {"epoch": 3, "accuracy": 0.5, "val_accuracy": 0.4}
    print_event(event)
    print_event(event, split="test")
    assert capsys.readouterr().out.splitlines() == [
        "epoch 3: accuracy 0.5000, validation 0.4000",
        "epoch 3: accuracy 0.5000, test 0.4000",
    ]


def test_a_home_that_cannot_be_made_is_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "file"))
    assert main(["train", "--dataset", "shapes", "--epochs", "1"]) == 2
    assert "Not a directory" in capsys.readouterr().err


@pytest.mark.nightly
def test_the_predictions_of_a_bfloat16_run_are_those_of_its_stored_weights(home, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(home))
    experiment = Experiment(**SMALL | {"depth": 3, "regularizer": "batchnorm", "precision": "bfloat16", "epochs": 2})
    assert trainer.train(experiment) == "done"
    run = runs.read_run(home / "runs" / experiment.key)
    split, test = data.split_dataset(data.load_dataset("shapes"), experiment), data.load_dataset("shapes").x_test
    layers, stored = network_layers(experiment), run.predictions()
    for name, images in (("validation", split.x_val), ("test", test)):
        logits = numpy_forward.logits(layers, run.weights(2), np.array(images))
        np.testing.assert_allclose(stored[name], logits, rtol=1e-3, atol=1e-3)
    logits = numpy_forward.logits(layers, run.weights(2), np.array(split.x_val))
    assert metrics.accuracy(logits, split.y_val) == run.record.final["val_accuracy"]
    assert metrics.cross_entropy(logits, split.y_val) == pytest.approx(run.record.final["val_loss"], rel=1e-4)
