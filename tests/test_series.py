"""Runs that differ in their seed alone form a series."""

import dataclasses

import numpy as np
from history_factories import history, write

from cnnlab.experiment import Experiment
from cnnlab.report_models import REPORT
from cnnlab.storage import runs, series

PLAIN = Experiment(depth=3, epochs=3)


def make(home, experiment, seed, last=0.7, state="done", **record):
    member = dataclasses.replace(experiment, seed=seed)
    rows = history([0.1, 0.5, 0.8, last + 0.1], [0.1, 0.5, 0.6, last])
    return write(home / "runs" / member.key, member, rows, state, **record)


def test_runs_equal_but_for_the_seed_are_one_series_by_seed(home):
    for seed, last in ((4, 0.74), (0, 0.70), (2, 0.72)):
        make(home, PLAIN, seed, last)
    make(home, Experiment(depth=3, epochs=3, regularizer="dropout"), 1, 0.9)
    found = {one.experiment.regularizer: one for one in series.group_into_series(runs.list_runs())}
    assert set(found) == {"none", "dropout"}
    assert found["none"].seeds == (0, 2, 4) and found["none"].experiment.seed == 0
    assert [run.history()["val_accuracy"][-1] for run in found["none"].runs.values()] == [0.70, 0.72, 0.74]
    assert found["dropout"].experiment.seed == 0 and found["dropout"].seeds == (1,)


def test_unfinished_runs_are_no_members(home):
    for seed, state in ((0, "done"), (1, "stopped"), (3, "done")):
        make(home, PLAIN, seed, state=state)
    member = dataclasses.replace(PLAIN, seed=3)
    assert series.find_series(member, runs.list_runs()).seeds == (0, 3)


def test_runs_on_other_data_are_another_series(home):
    for seed, fingerprint in ((0, "a"), (1, "b"), (2, "a")):
        make(home, PLAIN, seed, fingerprint=fingerprint)
    found = {one.fingerprint: one.seeds for one in series.group_into_series(runs.list_runs())}
    assert found == {"a": (0, 2), "b": (1,)}
    assert series.find_series(PLAIN, runs.list_runs()).seeds == (0, 2)


def test_a_shipped_run_counts_before_one_of_the_same_experiment_trained_here(home):
    experiment = REPORT["2conv-none"].experiment
    rows = history(np.linspace(0.1, 0.9, 31), np.linspace(0.1, 0.6, 31))
    write(home / "runs" / experiment.key, experiment, rows)
    write(home / "pretrained" / "2conv-none", experiment, rows)
    assert series.find_series(experiment, runs.list_runs()).runs[0].name == "2conv-none"


def test_an_experiment_that_nobody_trained_has_an_empty_series(home):
    empty = series.find_series(dataclasses.replace(PLAIN, seed=7), runs.list_runs())
    assert empty.seeds == () and empty.experiment == PLAIN
