"""What a damaged run is: the sentences, what stays whole, what a worker discards; and the typed record."""

import gc
import json
import os
import shutil
import weakref

import damage
import numpy as np
import pytest
from history_factories import history, write
from run_factories import write_run

from cnnlab import report, settings
from cnnlab.doctor import stored_files
from cnnlab.doctor.finding import NOTE
from cnnlab.experiment import Experiment
from cnnlab.jobs.queue import Queue, has_finished_run
from cnnlab.jobs.worker_outcome import outcome_from_record, read_tail
from cnnlab.report_models import REPORT
from cnnlab.storage import bounded_files, files, run_damage, run_files, run_retention, runs
from cnnlab.storage.history_file import REESTIMATED_COLUMNS
from cnnlab.storage.run_record import RunRecord, read_record, write_record
from cnnlab.storage.runs import DamagedRun, Run

SMALL = Experiment(dataset="shapes", depth=2, filters=4, dense=10, epochs=2)
FIGURES = {"seconds": 2.2, "epoch_seconds": [1.0, 1.2]}

PIPE = pytest.param("pipe", marks=pytest.mark.posix)


@pytest.fixture
def run(home):
    """A finished run with the weights of two epochs."""
    folder = settings.runs_dir() / SMALL.key
    write_run(folder, SMALL, (0, 1, 2), **FIGURES)
    return runs.open_run(SMALL.key)


def damaged_by(run, file, name, path=None):
    next(case for case in damage.cases(file) if case.name == name).apply(run.path / (path or file))
    return run


# -- the typed record --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REPORT)
def test_a_shipped_record_is_written_again_byte_for_byte(name, tmp_path):
    shipped = settings.PRETRAINED / name
    write_record(tmp_path, read_record(shipped))
    assert (tmp_path / "record.json").read_bytes() == (shipped / "record.json").read_bytes()
    assert runs.open_run(name).record == read_record(shipped) and runs.open_run(name).damages() == {}


class Page:
    """What a page holds while it reads a run."""


def read_by_a_page(run):
    page = Page()
    damages = run.damages()
    return damages, weakref.ref(page)


@pytest.mark.parametrize("file", ["experiment.json", "record.json", "history.csv", "model.keras"])
def test_a_remembered_damage_holds_nothing_of_the_page_that_found_it(run, file):
    damaged_by(run, file, "emptied")
    damages, page = read_by_a_page(run)
    gc.collect()
    assert file in damages and page() is None


def test_fields_of_a_newer_version_are_kept_and_named(run):
    value = json.loads((run.path / "record.json").read_text()) | {"watts": [3, {"peak": 7}]}
    (run.path / "record.json").write_text(json.dumps(value))
    assert run.newer_fields == ["watts"] and run.state == "done" and run.damages() == {}
    write_record(run.path, run.record)
    assert json.loads((run.path / "record.json").read_text())["watts"] == [3, {"peak": 7}]
    assert any("newer version: watts" in found.message for found in stored_files.check_runs(thorough=False))


def test_a_newer_experiment_is_named_by_its_fields_and_not_taken_for_another(run):
    damaged_by(run, "experiment.json", "a field of a newer version")
    with pytest.raises(DamagedRun, match=r"has fields of a newer version: label_smoothing\.$"):
        runs.open_run(SMALL.key)


@pytest.mark.parametrize("value", ["abc", [], None, {"state": 7}, {"state": "failed", "reason": ["x"]}])
def test_a_worker_with_a_broken_record_counts_as_crashed(tmp_path, value):
    (tmp_path / "record.json").write_text(json.dumps(value))
    assert outcome_from_record(tmp_path, None).kind in ("crashed", "failed")
    assert outcome_from_record(tmp_path, None).reason


# -- whole or damaged --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "name", "sentence"),
    [
        ("record.json", "epoch_seconds is abc", "record.json has a wrong epoch_seconds: expected a list of numbers"),
        ("record.json", "a deep field of its own", "record.json is nested more than 16 levels deep."),
        ("record.json", "without seconds", "record.json lacks seconds."),
        ("history.csv", "one epoch less", "history.csv has 2 rows; expected 3, as record.json counts the epochs."),
        ("history.csv", "cut at 99 %", "history.csv ends in the middle of a row."),
        ("history.csv", "without a column", "history.csv lacks the column val_accuracy."),
        ("experiment.json", "emptied", "experiment.json is empty."),
        ("experiment.json", "link", "experiment.json is a link; expected a file."),
    ],
)
def test_a_run_whose_description_is_damaged_is_damaged_with_the_reason(run, file, name, sentence):
    damaged_by(run, file, name)
    assert run.state == "damaged" and run.damage.startswith(sentence) and list(run.damages()) == [file]
    assert not has_finished_run(SMALL)
    assert runs.find_run(SMALL).state == "damaged"  # there all the same, for whoever asks for this experiment


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("texts", "weights/001.npz holds conv1/kernel as <U3; expected floats."),
        ("another shape", "weights/001.npz is that of another network: conv1/kernel has the shape (3, 3, 3, 3)"),
        ("an array less", "weights/001.npz lacks conv1/kernel."),
        ("one byte changed", "weights/001.npz has other content than was written"),
    ],
)
def test_a_snapshot_is_found_damaged_when_it_is_opened_and_left_out_from_then_on(run, name, sentence):
    damaged_by(run, "weights/001.npz", name)
    assert run.snapshot_epochs() == [0, 1, 2] and run.damages() == {} and has_finished_run(SMALL)
    assert not has_finished_run(SMALL, thorough=True) and run.damages() != {}
    with pytest.raises(DamagedRun) as said:
        run.weights(1)
    assert f"is damaged: {sentence[:40]}" in str(said.value)
    assert run.snapshot_epochs() == [0, 2] and run.damage.startswith(sentence) and run.state == "done"
    assert run.weights(2)["conv1/kernel"].shape == (3, 3, 3, 4)
    assert not has_finished_run(SMALL)
    write_run(run.path, SMALL, (0, 1, 2), **FIGURES)
    assert run.weights(1) and run.damages() == {}


def test_a_whole_file_is_read_once_for_as_long_as_it_does_not_change(run, monkeypatch):
    opened, open_file = [], bounded_files.open_file

    def counted(path, max_bytes):
        opened.append(path.name)
        return open_file(path, max_bytes)

    monkeypatch.setattr(bounded_files, "open_file", counted)
    os.utime(run.path / "history.csv", (1, 1))
    for _ in range(5):
        assert run.state == "done" and run.damages() == {} and len(run.history()["epoch"]) == 3
    assert sorted(set(opened)) == sorted(opened)
    write_record(run.path, RunRecord(state="stopped", epochs_done=2, seconds=7.0))
    assert run.state == "stopped" and run.record.seconds == 7.0


def test_an_experiment_that_is_not_the_folders_is_no_run_of_it(run, home):
    (settings.runs_dir() / "0123456789abcdef").mkdir()
    shutil.copytree(run.path, settings.runs_dir() / "0123456789abcdef", dirs_exist_ok=True)
    shutil.copytree(run.path, home / "pretrained" / "2conv-l2")
    assert [found.name for found in runs.list_runs()] == [SMALL.key]
    assert {folder.name for folder in runs.damaged_folders()} == {"0123456789abcdef", "2conv-l2"}
    for name in ("0123456789abcdef", "2conv-l2"):
        with pytest.raises(DamagedRun, match=f"describes another experiment, .* with the key {SMALL.key}"):
            runs.open_run(name)


def test_a_whole_run_is_preferred_to_a_damaged_shipped_one(home):
    experiment = REPORT["2conv-l2"].experiment
    rows = history(np.linspace(0.1, 0.9, 31), np.linspace(0.1, 0.6, 31))
    shipped = write(home / "pretrained" / "2conv-l2", experiment, rows)
    write(settings.runs_dir() / experiment.key, experiment, rows)
    assert runs.find_run(experiment).is_pretrained
    files.write_npz(shipped / "predictions.npz", {"test": np.zeros((3, 7))})
    assert runs.find_run(experiment).is_pretrained
    with pytest.raises(DamagedRun, match=r"predictions.npz lacks test_labels\.$"):
        runs.find_run(experiment).predictions()
    assert not runs.find_run(experiment).is_pretrained  # now that it is known
    (shipped / "history.csv").write_text("epoch\n")
    assert not runs.find_run(experiment).is_pretrained
    shutil.rmtree(settings.runs_dir())
    assert runs.find_run(experiment).is_pretrained and runs.find_run(experiment).state == "damaged"


def test_a_history_ahead_of_its_record_belongs_to_a_training_at_work(run):
    """A worker writes the history first; whoever looks in between sees one epoch more than the record counts."""
    write_record(run.path, RunRecord(state="stopped", epochs_done=1, epoch_seconds=(1.0,), seconds=1.0))
    assert run.state == "stopped" and len(run.history()["epoch"]) == 3
    write_record(run.path, RunRecord(state="stopped", epochs_done=2, epoch_seconds=(1.0, 1.0), seconds=2.0))
    damaged_by(run, "history.csv", "one epoch less")
    assert run.state == "damaged"


def test_progress_of_another_type_is_left_out(run):
    told = {"phase": "training", "epoch": 2, "batches": "abc", "batch": [1], "seconds_left": float("nan"), "loss": -1}
    (run.path / "progress.json").write_text(json.dumps(told))
    assert run.progress() == {"phase": "training", "epoch": 2}


# -- ways out ----------------------------------------------------------------------------------------------------------


def test_a_damaged_run_is_asked_for_again_and_a_whole_one_is_not(run):
    assert Queue().submit(SMALL, "ada").state == "done"
    damaged_by(run, "record.json", "seconds is abc")
    assert Queue().submit(SMALL, "ada").state == "queued"


@pytest.mark.parametrize(
    ("file", "name"), [("weights/001.npz", "no array"), ("record.json", "emptied"), ("history.csv", "folder")]
)
def test_a_worker_discards_every_result_of_a_damaged_finished_run(run, file, name):
    damaged_by(run, file, name)
    assert list(run_damage.discard_damaged_files(run.path, SMALL)) == [file]
    assert [path.name for path in run.path.iterdir()] == ["experiment.json"]
    assert run.state == "stopped" and run.damages() == {} and run.snapshot_epochs() == []


def test_a_training_with_a_checkpoint_keeps_it_and_what_is_whole(run):
    files.write_npz(run.path / "checkpoint.npz", {"0000": np.zeros(3)})
    write_record(run.path, RunRecord(state="stopped", epochs_done=2, epoch_seconds=(1.0, 1.0), seconds=2.0))
    damaged_by(run, "history.csv", "a word")
    damaged_by(run, "weights/001.npz", "another shape")
    assert set(run_damage.discard_damaged_files(run.path, SMALL)) == {"history.csv", "weights/001.npz"}
    assert {"checkpoint.npz", "record.json"} <= {path.name for path in run.path.iterdir()}
    assert [path.name for path in sorted((run.path / "weights").iterdir())] == ["000.npz", "002.npz"]


def test_the_results_of_another_experiment_are_discarded_with_its_checkpoint(run):
    (run.path / "checkpoint.npz").write_bytes(b"x")
    damaged_by(run, "experiment.json", "of another seed")
    run_damage.discard_damaged_files(run.path, SMALL)
    assert list(run.path.iterdir()) == []


def test_nothing_is_discarded_of_a_whole_run(run):
    before = sorted(run.path.rglob("*"))
    assert run_damage.discard_damaged_files(run.path, SMALL) == {}
    assert sorted(run.path.rglob("*")) == before


def test_a_damaged_run_is_removed_and_nothing_beside_it(run, home):
    for name in ("../../etc", "..", "", "no-such-run", f"{SMALL.key}/weights"):
        with pytest.raises(runs.UnknownRun):
            run_retention.remove_run(name)
    damaged_by(run, "experiment.json", "binary")
    run_retention.remove_run(SMALL.key)
    assert not run.path.exists() and runs.damaged_folders() == []


def test_the_doctor_names_each_damaged_run_with_what_to_do(run):
    damaged_by(run, "weights/001.npz", "an array less")
    (settings.runs_dir() / "bbbb").mkdir()
    (settings.runs_dir() / "bbbb" / "record.json").write_text("{}")
    found = list(stored_files.check_runs(thorough=True))
    assert [one.state for one in found] == [NOTE, NOTE]
    assert "weights/001.npz lacks conv1/kernel" in found[0].message and "again" in found[0].remedy
    assert "The run bbbb is damaged: experiment.json is missing." in found[1].message


# -- bounds ------------------------------------------------------------------------------------------------------------


def test_nesting_is_counted_without_recursion():
    value: object = 7
    for _ in range(100_000):
        value = [value]
    assert bounded_files.nesting(value) == 100_000
    assert bounded_files.nesting({"a": [{"b": 1}], "c": 2}) == 3
    while isinstance(value, list):  # taken apart by hand: the interpreter frees it by recursion
        value = value[0]


def test_arrays_come_back_as_numpy_wrote_them(tmp_path):
    arrays = {
        "a/kernel": np.arange(24, dtype=np.float16).reshape(2, 3, 4),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "labels": np.arange(5, dtype=np.uint8),
        "scalar": np.array(7),
        "text": np.array("abc"),
        "none": np.zeros((0, 10), np.float32),
    }
    np.savez(tmp_path / "stored.npz", **arrays)
    np.savez_compressed(tmp_path / "deflated.npz", **arrays)
    files.write_npz_bzip2(tmp_path / "bzip2.npz", arrays)
    for path in tmp_path.glob("*.npz"):
        found = bounded_files.read_npz(path, 100_000)
        assert set(found) == set(arrays)
        for name, values in arrays.items():
            np.testing.assert_array_equal(found[name], values)
            assert found[name].dtype == values.dtype


def test_a_run_may_be_as_large_as_its_network_and_no_larger(run):
    path = run.path / "weights" / "001.npz"
    small, large = SMALL, Experiment(filters=256, dense=1024, depth=1)
    assert run_files.max_archive_bytes(path, small) < 3e6 < 300e6 < run_files.max_archive_bytes(path, large) < 500e6


@pytest.mark.posix
def test_a_pipe_in_place_of_a_lock_does_not_stop_whoever_asks(run):
    os.mkfifo(run.path / "lock")
    assert not run.is_live


WHOLE = {"epochs": [dict.fromkeys(REESTIMATED_COLUMNS, 0.4) | {"epoch": epoch} for epoch in (1, 2)]}


@pytest.mark.parametrize("case", list(damage.cases("reestimated.json")), ids=str)
def test_damaged_figures_of_batch_normalization_are_not_believed(run, case):
    files.write_json(run.path / "reestimated.json", WHOLE)
    assert report.reestimated_accuracies(run) == {"train_eval_accuracy": 0.4, "val_accuracy": 0.4}
    case.apply(run.path / "reestimated.json")
    if case.name == "one byte changed":
        return
    with pytest.raises(DamagedRun, match=r"^The run .* is damaged: reestimated\.json [^\n]{5,150}\.$"):
        run.reestimated_history()
    assert report.reestimated_accuracies(run) == {} and run.damages() == {}


def test_figures_of_batch_normalization_end_with_the_history(run):
    files.write_json(run.path / "reestimated.json", WHOLE)
    write(run.path, SMALL, history([0.1, 0.4], [0.1, 0.4]), state="stopped", epochs_done=1)
    with pytest.raises(DamagedRun, match="has other epochs than the run, which ends with 1"):
        run.reestimated_history()


@pytest.mark.parametrize("name", [PIPE, "endless link", "link", "huge", "folder", "emptied", "too deep to parse"])
def test_a_status_that_is_no_small_file_is_read_as_none(run, name):
    path = run.path / "reestimated.json"  # any file: `read_json` serves progress, sweeps and presence too
    files.write_json(path, WHOLE)
    assert files.read_json(path) == WHOLE
    damaged_by(run, "reestimated.json", name)
    assert files.read_json(path) == {}


@pytest.mark.parametrize("name", [PIPE, "endless link", "folder", "link to nothing"])
def test_what_is_no_log_has_no_end_to_be_read(run, name):
    (run.path / "worker.log").write_text("first\nlast\n")
    assert read_tail(run.path / "worker.log", 5) == "last\n"
    damaged_by(run, "reestimated.json", name, "worker.log")
    assert set(read_tail(run.path / "worker.log", 5)) <= {"\0"}


def test_a_removed_run_is_unknown_and_not_damaged(run):
    shutil.rmtree(run.path)
    gone = Run(run.path, SMALL)
    assert gone.damages() == {} and gone.snapshot_epochs() == [] and gone.predictions() == {}
    with pytest.raises(runs.UnknownRun) as said:
        gone.weights(1)
    assert not isinstance(said.value, DamagedRun)
