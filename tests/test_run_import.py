"""Runs that another machine trained come in as they are, or not at all, with the reason."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from cnnlab import settings
from cnnlab.analysis import metrics
from cnnlab.cli import main
from cnnlab.report import report_rows
from cnnlab.report_models import REPORT
from cnnlab.reproduce import missing_experiments, publish_results, publishable_experiments, series_experiments
from cnnlab.storage import compression, files, run_import, runs


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def foreign(tmp_path):
    """A finished run of model 7 with a seed of its own, as a folder from elsewhere."""
    experiment = dataclasses.replace(REPORT["3conv-dropout"].experiment, seed=77)
    folder = tmp_path / "foreign" / experiment.key
    shutil.copytree(settings.PRETRAINED / "3conv-dropout", folder)
    (folder / "experiment.json").write_text(experiment.to_json())
    return folder


def edit_record(folder, **fields):
    record = json.loads((folder / "record.json").read_text())
    (folder / "record.json").write_text(json.dumps(record | fields))


def test_a_folder_of_runs_is_imported_with_its_results_and_without_weights(home, foreign, capsys):
    assert main(["runs", "import", str(foreign.parent)]) == 0
    run = runs.open_run(foreign.name)
    assert {file.name for file in run.path.iterdir()} == set(run_import.IMPORTED_FILES)
    assert np.array_equal(run.history()["val_accuracy"], runs.open_run("3conv-dropout").history()["val_accuracy"])
    assert foreign.name in capsys.readouterr().out
    row = next(row for row in report_rows() if row.model.name == "3conv-dropout")
    assert row.by_seed[77].validation == row.ours.validation
    assert main(["runs", "import", str(foreign)]) == 2  # twice is refused and changes nothing
    assert "is here already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"state": "stopped"}, "has not finished its 30 epochs"),
        ({"epochs_done": 29}, "has not finished its 30 epochs"),
        ({"fingerprint": "0" * 64}, "other images"),
        ({"test_accuracy": 0.9}, "do not give the test accuracy"),
    ],
)
def test_a_run_whose_record_does_not_fit_is_not_imported(home, foreign, fields, reason):
    edit_record(foreign, **fields)
    with pytest.raises(run_import.RunImportError, match=reason):
        run_import.import_run(foreign)
    assert not settings.runs_dir().exists() or not list(settings.runs_dir().iterdir())


def shortened_history(folder):
    lines = (folder / "history.csv").read_text().splitlines()
    (folder / "history.csv").write_text("\n".join(lines[:-1]))


def other_predictions(folder):
    arrays = runs.read_run(folder).predictions()
    files.write_npz(folder / "predictions.npz", arrays | {"validation": np.roll(arrays["validation"], 1, axis=0)})


def no_predictions(folder):
    (folder / "predictions.npz").unlink()


def no_experiment(folder):
    (folder / "experiment.json").write_text("{}}")


@pytest.mark.parametrize("damage", [shortened_history, other_predictions, no_predictions, no_experiment])
def test_a_damaged_run_is_not_imported_and_leaves_nothing(home, foreign, damage):
    damage(foreign)
    result = run_import.import_runs(foreign)[0]
    assert result.run is None and result.problem.endswith((".", "epochs")) and "\n" not in result.problem
    assert not settings.runs_dir().exists() or not list(settings.runs_dir().iterdir())


def test_a_folder_without_runs_is_said_so(home, tmp_path, capsys):
    assert main(["runs", "import", str(tmp_path)]) == 2
    assert "Expected a run directory" in capsys.readouterr().err


def test_logits_in_steps_keep_every_prediction_and_almost_the_loss():
    predictions = runs.open_run("3conv-none").predictions()
    logits, labels = predictions["test"], predictions["test_labels"]
    steps = compression.quantize_logits(logits)
    restored = compression.dequantize_logits(steps)
    assert steps.dtype == np.uint8 and steps.shape == (10, 10_000)
    assert np.array_equal(restored.argmax(axis=1), logits.argmax(axis=1))
    loss = metrics.cross_entropy(logits, labels)
    assert metrics.cross_entropy(restored, labels) == pytest.approx(loss, rel=0.005)


def test_a_series_is_eight_models_with_each_seed_and_only_missing_ones_are_trained(home, foreign, monkeypatch):
    wanted = series_experiments(REPORT, 3)
    assert len(wanted) == len({one.key for one in wanted}) == 16  # seed 0 is shipped as the ten
    assert {one.seed for one in wanted} == {1, 2} and {one.split for one in wanted} == {"validation"}
    assert len(series_experiments(REPORT, 5, "shapes")) == 40
    run = run_import.import_run(foreign)
    monkeypatch.setattr(settings, "PRETRAINED", home / "pretrained")
    assert missing_experiments([run.experiment]) == [] and publishable_experiments([run.experiment]) == [run.experiment]
    answers = run.predictions()["test"].argmax(axis=1)
    shipped = runs.read_run(publish_results(run.experiment))
    shutil.rmtree(run.path)
    assert missing_experiments([run.experiment]) == [] == publishable_experiments([run.experiment])
    assert np.array_equal(shipped.predictions()["test"].argmax(axis=1), answers)
    assert sum(file.stat().st_size for file in shipped.path.iterdir()) < 120_000
