"""The measured times of an epoch: the file that ships, the benchmark that writes it, and what a network costs."""

import dataclasses
import json

import pytest
from history_factories import write_report

from cnnlab import settings
from cnnlab.bench import epochs
from cnnlab.bench.options import BenchOptions
from cnnlab.experiment import Experiment
from cnnlab.explanations.epoch_times import describe_depth_time, describe_extremes, describe_measurement
from cnnlab.models.architecture import network_layers
from cnnlab.models.network_cost import multiply_adds
from cnnlab.report_models import REPORT
from cnnlab.storage.epoch_times import (
    EPOCH_TIMES_FILE,
    EpochTimes,
    load_epoch_times,
    measured_path,
    read_epoch_times,
    write_epoch_times,
)

EIGHT = [name for name, model in REPORT.items() if model.experiment.split == "validation"]
TIMES = EpochTimes(
    machine="AMD EPYC, 1 of 2 cores",
    cores=2,
    threads=1,
    batches=25,
    epoch_batches=625,
    load=1.5,
    finished="2026-11-25T00:00:00+00:00",
    versions={"keras": "3.15.1"},
    seconds={"2conv-none": (40.0, 42.0, 41.0), "3conv-none": (60.0, 84.0, 61.5)},
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    return tmp_path


def test_the_shipped_file_has_every_model_measured_equally_often():
    times = read_epoch_times(settings.PRETRAINED / EPOCH_TIMES_FILE)
    assert sorted(times.seconds) == sorted(EIGHT)
    assert {len(values) for values in times.seconds.values()} == {times.rounds} and times.rounds >= 5
    assert times.threads == 1 and times.epoch_batches == 625


def test_the_times_of_this_machine_stand_before_the_shipped_ones(home):
    assert load_epoch_times().seconds.keys() == set(EIGHT)
    write_epoch_times(measured_path(), TIMES)
    assert load_epoch_times() == TIMES


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        json.dumps(dataclasses.asdict(TIMES) | {"seconds": {"2conv-none": [0.0]}}).encode(),
        json.dumps(dataclasses.asdict(TIMES) | {"seconds": {"2conv-none": ["fast"]}}).encode(),
        json.dumps(dataclasses.asdict(TIMES) | {"seconds": {}}).encode(),
        json.dumps(dataclasses.asdict(TIMES) | {"versions": 3}).encode(),
    ],
)
def test_a_file_that_holds_no_times_is_passed_over(home, content):
    measured_path().write_bytes(content)
    assert read_epoch_times(measured_path()) is None
    assert load_epoch_times().rounds >= 5  # the shipped ones


def test_how_many_times_as_long_is_counted_round_by_round():
    """Medians 41 and 61.5; the ratios of the rounds are 1.5, 2.0 and 1.5."""
    said = describe_extremes(TIMES, ["2conv-none", "3conv-none"])
    assert "41 s" in said and "62 s" in said and "1.5 times as long (1.5 to 2.0 in 3 rounds)" in said
    assert describe_extremes(TIMES, ["2conv-none"]) == ""
    assert "n = 3" in describe_measurement(TIMES) and "25 of 625 batches" in describe_measurement(TIMES)


def test_the_time_of_depth_is_the_mean_over_the_regularizers_round_by_round():
    """Ratios of 1.5, 2.0, 1.5 without a regularizer and of 0.96, 0.5, 0.96 with L2: of their product the root."""
    both = {"2conv-l2": (100.0, 100.0, 100.0), "3conv-l2": (96.0, 50.0, 96.0)}
    times = dataclasses.replace(TIMES, seconds={**TIMES.seconds, **both})
    said = describe_depth_time(times, list(times.seconds))
    assert "**1.20 times**" in said and "(1.00 to 1.20 in 3 rounds, mean of 2 regularizers)" in said
    assert "in some rounds longer, in some shorter" in said
    alone = describe_depth_time(times, ["2conv-none", "3conv-none"])
    assert "**1.50 times**" in alone and alone.endswith("in all rounds longer.")
    assert describe_depth_time(times, ["2conv-none", "3conv-l2"]) == ""


def test_a_network_that_was_as_fast_in_one_round_is_named():
    close = {"2conv-none": (40.0, 42.0, 41.0), "2conv-l2": (39.0, 44.0, 45.0), "3conv-none": (60.0, 84.0, 61.5)}
    said = describe_extremes(dataclasses.replace(TIMES, seconds=close), list(close))
    assert said.endswith("As fast in some rounds: 2-conv L2 0.00001.")
    assert "in some rounds" not in describe_extremes(TIMES, ["2conv-none", "3conv-none"])


def test_multiply_adds_are_those_counted_by_hand():
    """Maps of 30 and 13 pixels, then 6 * 6 * 64 inputs of the dense layer; 13 * 13 is half of the 30 * 30 pooled."""
    convolutions = 30 * 30 * 64 * 9 * 3 + 13 * 13 * 64 * 9 * 64
    dense = 6 * 6 * 64 * 100 + 100 * 10
    assert multiply_adds(network_layers(Experiment())) == convolutions + dense
    assert multiply_adds(network_layers(Experiment(regularizer="dropout"))) == convolutions + dense


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.cifar
def test_the_benchmark_measures_all_eight_and_keeps_them(home_with_cifar10, monkeypatch, capsys):
    monkeypatch.setenv("CNNLAB_HOME", str(home_with_cifar10))
    monkeypatch.setattr("cnnlab.training.process_setup.prepare_process", lambda threads, core: None)
    epochs.bench_epochs(BenchOptions(rounds=1, batches=5))
    times = read_epoch_times(measured_path())
    measured_path().unlink()
    assert set(times.seconds) == set(EIGHT) and times.batches == 5 and times.rounds == 1
    assert all(values[0] > 1 for values in times.seconds.values())  # no machine trains 40,000 images in a second
    assert f"n={times.rounds}" in capsys.readouterr().out


@pytest.mark.nightly
@pytest.mark.slow
def test_without_measured_times_the_page_offers_the_counted_costs(home, monkeypatch):
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    monkeypatch.setattr(settings, "PRETRAINED", home / "pretrained")
    st.cache_resource.clear()
    write_report(settings.PRETRAINED)
    app = AppTest.from_string("from cnnlab.pages import compare\ncompare.page()\n", default_timeout=60).run()
    assert not app.exception
    assert app.button_group(key="url.cost").value == "multiply_adds"
