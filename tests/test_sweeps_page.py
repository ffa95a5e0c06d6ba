"""The page Sweeps: every kind is drawn, a sweep is started and stopped, bad input is one sentence."""

import dataclasses

import numpy as np
import pytest
import streamlit as st
from history_factories import history, write
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.jobs.queue import Queue
from cnnlab.pages.sweeps import progress
from cnnlab.storage import files, sweep_files
from cnnlab.storage.history_file import CHANGED_ACCURACY, CLEAN_ACCURACY, TRUE_ACCURACY
from cnnlab.sweeps import SHIPPED_SWEEPS, create_sweep

pytestmark = pytest.mark.slow


def sweeps_page():
    from cnnlab.pages import sweeps

    sweeps.page()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    monkeypatch.setattr(progress, "ensure_running", lambda: None)
    st.cache_data.clear()
    st.cache_resource.clear()
    return tmp_path


def open_page(**params):
    app = AppTest.from_function(sweeps_page, default_timeout=60)
    for name, value in params.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def finish(home, sweep):
    for one in sweep.experiments():
        rows = history([0.1, *[0.9] * one.epochs], [0.1, *[0.7] * one.epochs])
        if one.label_noise:
            rows = [row | {CLEAN_ACCURACY: 0.9, CHANGED_ACCURACY: 0.8, TRUE_ACCURACY: 0.1} for row in rows]
        write(home / "runs" / one.key, one, rows, test_accuracy=0.7)


@pytest.mark.parametrize("name", SHIPPED_SWEEPS)
def test_a_finished_sweep_is_drawn_and_offers_nothing_to_train(home, name):
    finish(home, SHIPPED_SWEEPS[name])
    app = open_page(sweep=name)
    assert "train_sweep" not in {button.key for button in app.button}
    assert any("| Network |" in one.value for one in app.markdown)
    charts, menus = app.get("vega_lite_chart"), [one for one in app.get("popover") if "Save figure" in str(one.proto)]
    assert len(charts) == len(menus) > 0
    assert "Save table (CSV)" in {button.label for button in app.get("download_button")}


@pytest.mark.parametrize(("minutes", "warned"), [("240", False), ("1", True)])
def test_trainings_of_a_sweep_beyond_the_time_limit_are_told_before_the_click(home, monkeypatch, minutes, warned):
    """An epoch with 2,000 images took 30 s here: thirty take 15 minutes."""
    monkeypatch.setenv("CNNLAB_JOB_MINUTES", minutes)
    sweep = SHIPPED_SWEEPS["shapes-size"]
    done = sweep.experiments()[-1]
    folder = write(
        home / "runs" / done.key, done, history([0.1, *[0.9] * 30], [0.1, *[0.7] * 30]), epoch_seconds=[30.0] * 30
    )
    files.write_npz(folder / "weights" / "000.npz", {"conv1/bias": np.zeros(1, np.float32)})
    app = open_page(sweep="shapes-size")
    assert [("missing trainings would be ended" in one.value) for one in app.warning] == [True] * warned
    assert app.button(key="train_sweep").label.startswith("Train the 7 missing: about ")


def test_a_sweep_is_started_and_stopped(home):
    app = open_page(sweep="shapes-size")
    sweep = SHIPPED_SWEEPS["shapes-size"]
    app.button(key="train_sweep").click().run()
    assert not app.exception and len(sweep_files.read_requests(sweep)) == 1
    assert [job.experiment for job in Queue().waiting()] == sweep.experiments()[:2]
    stop = next(button for button in app.button if "Stop" in button.label)
    stop.click().run()
    assert not app.exception and sweep_files.read_requests(sweep) == [] and Queue().active() == []


def test_a_sweep_that_cannot_be_stored_costs_one_sentence(home):
    app = open_page(sweep="shapes-size")
    sweep_files.directory().write_text("a file in the place of the folder")
    app.button(key="train_sweep").click().run()
    assert not app.exception and "sweeps could not be written" in app.error[0].value


def test_the_form_defines_a_sweep_and_refuses_values_that_are_none(home):
    app = open_page()
    values = next(one for one in app.text_input if one.label == "Values")
    submit = next(one for one in app.button if one.label == "Show this sweep")
    values.set_value("few")
    submit.click().run()
    assert [error.value for error in app.error] and not app.exception
    next(one for one in app.text_input if one.label == "Values").set_value("100, 200")
    next(one for one in app.button if one.label == "Show this sweep").click().run()
    assert not app.exception and not app.error
    experiment = SHIPPED_SWEEPS["shapes-size"].base
    expected = {"train_images": (100, 200), "augment": ("none", "flip_shift")}
    assert app.query_params["sweep"] == create_sweep(dataclasses.replace(experiment, filters=64), expected).to_json()


@pytest.mark.parametrize("word", ["nothing", "0123456789abcdef", "{", '{"axes": 1, "base": {}}'])
def test_an_address_without_a_sweep_shows_another_one_and_says_so(home, word):
    app = open_page(sweep=word)
    assert any("Received" in warning.value for warning in app.warning)
