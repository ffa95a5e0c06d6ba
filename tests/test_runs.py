"""A run on disk: what is written comes back, what is missing or strange is said in a sentence."""

import json
import os

import numpy as np
import pytest
from run_factories import some_weights

from cnnlab.experiment import Experiment
from cnnlab.report_models import REPORT
from cnnlab.storage import compression, files, process_lock, run_files, runs

ROW = dict.fromkeys(runs.HISTORY_COLUMNS, 0.1) | {"epoch": 0}


def make(folder, experiment, **record):
    files.write_bytes(folder / "experiment.json", experiment.to_json().encode())
    files.write_json(folder / "record.json", {"state": "done", "epochs_done": 1, "seconds": 1.0} | record)
    runs.write_history(folder / "history.csv", [ROW, ROW | {"epoch": 1}])
    return runs.read_run(folder)


def test_history_comes_back_digit_for_digit_with_nan_where_there_is_no_figure(home):
    rows = [{name: value for name, value in ROW.items() if name != "accuracy"}, ROW | {"epoch": 1, "loss": 1 / 3}]
    runs.write_history(home / "r" / "history.csv", rows)
    history = runs.Run(home / "r", Experiment()).history()
    assert np.isnan(history["accuracy"][0]) and history["loss"][1] == 1 / 3
    assert list(history["epoch"]) == [0, 1]


def test_a_run_without_history_has_empty_columns(home):
    assert all(len(column) == 0 for column in runs.Run(home, Experiment()).history().values())


@pytest.mark.parametrize("reference", ["", "../../etc", "a/b", "no-such-run", "x" * 65, "A\x00", "..", "run\n"])
def test_a_stranger_word_for_a_run_gets_one_sentence(home, reference):
    with pytest.raises(runs.UnknownRun) as problem:
        runs.open_run(reference)
    assert "\n" not in str(problem.value) or reference.endswith("\n")


def test_a_shipped_run_is_found_before_one_trained_here(home):
    experiment = REPORT["3conv-dropout"].experiment
    make(home / "runs" / experiment.key, experiment)
    assert not runs.find_run(experiment).is_pretrained
    make(home / "pretrained" / "3conv-dropout", experiment)
    assert runs.find_run(experiment).is_pretrained
    assert runs.open_run("3conv-dropout").key == runs.open_run(experiment.key).key
    assert [run.name for run in runs.list_runs()] == ["3conv-dropout", experiment.key]


def test_a_run_trained_here_has_another_title_than_the_shipped_one(home):
    experiment = REPORT["3conv-dropout"].experiment
    make(home / "pretrained" / "3conv-dropout", experiment)
    for trained in (experiment, Experiment(depth=1)):
        make(home / "runs" / trained.key, trained)
    titles = [run.title for run in runs.list_runs()]
    assert titles[0] == "3-conv, dropout 0.1"
    assert set(titles[1:]) == {"3-conv, dropout 0.1, trained here", "1-conv, no regularizer"}


@pytest.mark.parametrize("broken", [b"{half", b"\xff\xfe{}", b"[" * 100_000], ids=["half", "no text", "nested"])
def test_a_directory_with_a_broken_experiment_is_passed_over(home, broken):
    make(home / "runs" / Experiment().key, Experiment())
    files.write_bytes(home / "runs" / "bbbb" / "experiment.json", broken)
    assert [run.name for run in runs.list_runs()] == [Experiment().key]
    (folder,) = runs.damaged_folders()
    assert folder.name == "bbbb" and folder.damage.startswith("The run bbbb is damaged: experiment.json is")


def test_a_run_that_says_running_without_a_living_worker_is_interrupted(home):
    run = make(home / "runs" / "aaaa", Experiment(), state="running")
    assert run.state == "interrupted"
    with process_lock.acquire(run.path / "lock"):
        assert run.state == "running" and run.is_live


def test_weights_of_an_epoch_that_was_not_kept_are_refused_with_those_that_were(home):
    run = make(home / "runs" / "aaaa", Experiment())
    weights = {name: values.astype(np.float16) for name, values in some_weights(Experiment(), seed=0).items()}
    files.write_npz(run.path / "weights" / "003.npz", weights)
    assert run.snapshot_epochs() == [3] and run.weights(3)["conv1/kernel"].dtype == np.float32
    with pytest.raises(runs.UnknownRun, match=r"\[3\].*epoch=7"):
        run.weights(7)


def test_a_reader_never_sees_half_a_file(home):
    path = home / "value.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        files.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1} and list(home.iterdir()) == [path]


@pytest.mark.parametrize("bits", [5, 8, 10])
def test_rounded_numbers_are_as_near_as_their_bits_allow(bits):
    """Half a unit of the last bit kept, and half of float16's own for the first rounding."""
    error = 2.0 ** -(bits + 1) + 2.0**-11
    values = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    away = np.abs(compression.round_mantissa(values, bits).astype(np.float64) - values) / np.abs(values)
    assert away[np.abs(values) > 1e-3].max() <= error
    np.testing.assert_array_equal(compression.round_mantissa(np.array([0.0, 1.0, -2.0]), bits), [0, 1, -2])


def test_compact_arrays_are_read_by_numpy_as_they_were_written(home):
    arrays = {"conv1/kernel": np.arange(12, dtype=np.float16).reshape(3, 4), "labels": np.arange(3, dtype=np.uint8)}
    files.write_npz_bzip2(home / "a.npz", arrays)
    with np.load(home / "a.npz") as read:
        for name, values in arrays.items():
            np.testing.assert_array_equal(read[name], values)
            assert read[name].dtype == values.dtype


def test_a_run_that_goes_while_the_runs_are_listed_is_left_out(home, monkeypatch):
    """The dispatcher makes room at any moment."""
    gone, kept = Experiment(seed=1), Experiment(seed=2)
    for experiment in (gone, kept):
        make(home / "runs" / experiment.key, experiment)
    remaining = files.modified_time

    def and_then_it_is_gone(path):
        changed = remaining(path)
        if path.parent.name == gone.key:
            path.parent.rename(home / "removed")
        return changed

    monkeypatch.setattr(files, "modified_time", and_then_it_is_gone)
    assert [run.name for run in runs.list_runs()] == [kept.key]
    assert remaining(home / "runs" / gone.key / "experiment.json") == 0


@pytest.mark.parametrize("looks", [1, 2, 3, 4])
def test_a_run_that_ends_while_it_is_looked_at_is_done_afterwards(home, monkeypatch, looks):
    """The worker writes its last record and goes between any two looks: no state that never was is reported."""
    run = make(home / "runs" / Experiment().key, Experiment(), state="running")
    seen, written = [], run_files.read_record

    def ends_meanwhile(path, experiment):
        seen.append(path)
        if len(seen) == looks:
            make(run.path, Experiment())
        return written(path, experiment)

    monkeypatch.setattr(run_files, "read_record", ends_meanwhile)
    assert run.state in ("done", "interrupted") and run.state == "done"


def test_numbers_too_large_for_half_precision_are_kept_in_single():
    assert compression.to_float16(np.float32([1 / 3, -65504])).tolist() == [np.float16(1 / 3), -65504]
    for large in ([70_000.0, 1 / 3], [-1e9], [np.inf]):
        assert compression.to_float16(np.float32(large)).tolist() == np.float32(large).tolist()


def test_rounded_logits_give_the_same_answers():
    logits = np.random.default_rng(0).normal(0, 4, (4_000, 10)).astype(np.float32)
    logits[:, 1] = logits.max(axis=1) * np.float32(1.0001)  # by a hair
    logits[:, 0] = logits.max(axis=1) * np.float32(0.9999)
    for bits in (4, 8):
        small = compression.round_mantissa(logits, bits)
        assert (small.argmax(axis=1) != logits.argmax(axis=1)).mean() > 0.1
        kept = compression.preserve_argmax(small.copy(), logits)
        assert (kept.argmax(axis=1) == logits.argmax(axis=1)).all()
        assert kept.dtype == np.float16 and np.abs(kept - small).max() <= 0.02


def test_a_folder_that_is_taken_away_while_its_lock_is_taken_is_made_again(home, monkeypatch):
    path, opened, away = home / "runs" / "aaaa" / "lock", os.open, []

    def taken_away_first(name, *rest):
        if name == path and not away:
            away.append(path.parent.rename(home / "removed"))
        return opened(name, *rest)

    monkeypatch.setattr(os, "open", taken_away_first)
    with process_lock.acquire(path) as lock:
        assert away and lock.path == path and process_lock.is_locked(path)
