"""Runs that differ in their seed alone form a series."""

import dataclasses

import numpy as np
import pytest
from history_factories import history, write

from cnnlab import settings
from cnnlab.experiment import REPORT, Experiment
from cnnlab.storage import runs, series

PLAIN = Experiment(depth=3, epochs=3)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    return tmp_path


def make(home, experiment, seed, last=0.7, state="done", **record):
    member = dataclasses.replace(experiment, seed=seed)
    rows = history([0.1, 0.5, 0.8, last + 0.1], [0.1, 0.5, 0.6, last])
    return write(home / "runs" / member.key, member, rows, state, **record)


def test_runs_equal_but_for_the_seed_are_one_series_with_figures_by_seed(home):
    for seed, last in ((4, 0.74), (0, 0.70), (2, 0.72)):
        make(home, PLAIN, seed, last)
    make(home, Experiment(depth=3, epochs=3, regularizer="dropout"), 1, 0.9)
    found = {one.experiment.regularizer: one for one in series.group_into_series(runs.list_runs())}
    assert set(found) == {"none", "dropout"}
    assert found["none"].seeds == (0, 2, 4) and found["none"].experiment.seed == 0
    assert found["none"].figures("val_accuracy") == pytest.approx({0: 0.70, 2: 0.72, 4: 0.74})
    assert found["none"].gaps() == pytest.approx({0: 0.1, 2: 0.1, 4: 0.1})
    assert found["none"].figures("val_accuracy_reestimated") == {}
    assert found["dropout"].experiment.seed == 0 and found["dropout"].seeds == (1,)


def test_curves_have_a_row_for_each_seed_and_nan_where_there_is_no_value(home):
    make(home, PLAIN, 0, 0.70)
    make(home, PLAIN, 1, 0.75)
    curves = series.find_series(PLAIN).curves("val_accuracy")
    np.testing.assert_allclose(curves, [[0.1, 0.5, 0.6, 0.70], [0.1, 0.5, 0.6, 0.75]])
    assert np.isnan(series.find_series(PLAIN).curves("accuracy")[:, 0]).all()


def test_unfinished_runs_are_no_members_but_their_seeds_are_not_trained_twice(home):
    for seed, state in ((0, "done"), (1, "stopped"), (3, "done")):
        make(home, PLAIN, seed, state=state)
    member = dataclasses.replace(PLAIN, seed=3)
    assert series.find_series(member).seeds == (0, 3)
    assert series.next_seed(member) == 2
    assert series.next_seed(member, taken=(2, 4)) == 5


def test_runs_on_other_data_are_another_series(home):
    for seed, fingerprint in ((0, "a"), (1, "b"), (2, "a")):
        make(home, PLAIN, seed, fingerprint=fingerprint)
    found = {one.fingerprint: one.seeds for one in series.group_into_series(runs.list_runs())}
    assert found == {"a": (0, 2), "b": (1,)}
    assert series.find_series(PLAIN).seeds == (0, 2)


def test_a_shipped_run_counts_before_one_of_the_same_experiment_trained_here(home):
    experiment = REPORT["2conv-none"].experiment
    rows = history(np.linspace(0.1, 0.9, 31), np.linspace(0.1, 0.6, 31))
    write(home / "runs" / experiment.key, experiment, rows)
    write(home / "pretrained" / "2conv-none", experiment, rows)
    assert series.find_series(experiment).runs[0].name == "2conv-none"


def test_an_experiment_that_nobody_trained_has_an_empty_series_and_seed_0_next(home):
    empty = series.find_series(dataclasses.replace(PLAIN, seed=7))
    assert empty.seeds == () and empty.experiment == PLAIN and empty.gaps() == {}
    assert series.next_seed(PLAIN) == 0
