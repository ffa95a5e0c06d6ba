"""What the page Compare shows is computed once for everybody, and anew at the moment a training ends."""

import dataclasses
import os

import pytest
import streamlit as st
from history_factories import history, write, write_report
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.claims import Verdict
from cnnlab.jobs.queue import Queue
from cnnlab.pages.compare import results
from cnnlab.report_models import models_on
from cnnlab.ui import cache

PLAIN = models_on("shapes")["2conv-none"].experiment
SEED_1 = dataclasses.replace(PLAIN, seed=1)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Nothing shipped, one finished run."""
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    st.cache_data.clear()
    st.cache_resource.clear()
    write_seed(PLAIN, 0.6)


def write_seed(experiment, accuracy, **record):
    """A run with this validation accuracy, by default a finished one."""
    rows = history([0.1, *[0.9] * 30], [0.1, *[accuracy] * 30])
    return write(settings.runs_dir() / experiment.key, experiment, rows, **record)


def test_what_compare_shows_is_computed_once_for_everybody():
    first = results.load_results("shapes")
    assert results.load_results("shapes") is first
    assert first.series() is first.series() and first.claims is first.claims
    assert first.cached("words", lambda: "said") == first.cached("words", lambda: "said otherwise") == "said"
    other = results.load_results("cifar10")
    assert other.series() == [] and len(other.rows) == 10


def test_a_training_that_ends_counts_at_once_in_every_verdict():
    queue = Queue()
    job = queue.submit(SEED_1, "somebody")
    write_seed(SEED_1, 0.7, state="running")
    before = results.load_results("shapes")
    assert before.series()[0].seeds == (0,) and len(before.series_runs["2conv-none"]) == 1
    write_seed(SEED_1, 0.7)
    queue.cancel(job, "somebody")  # leaves the queue, as a training does at its end
    after = results.load_results("shapes")
    assert after.series()[0].seeds == (0, 1) and len(after.series_runs["2conv-none"]) == 2
    assert {one.verdict for one in after.claims} == {Verdict.MISSING}
    assert cache.report_rows("shapes") == list(after.rows)


def test_each_changed_result_file_of_a_finished_run_makes_results_anew():
    folder, keys = settings.runs_dir() / PLAIN.key, [cache.finished_runs().key]
    for name in cache.RESULT_FILES:
        (folder / name).touch()
        os.utime(folder / name, ns=(1, 1))
        cache.clear_run_lists()
        keys.append(cache.finished_runs().key)
    assert len(set(keys)) == 1 + len(cache.RESULT_FILES)


def test_a_conclusion_is_drawn_when_it_is_opened():
    write_report(settings.PRETRAINED)
    app = AppTest.from_string("from cnnlab.pages import compare\ncompare.page()\n", default_timeout=60).run()
    assert len([one for one in app.expander if one.label.startswith("**")]) == 4
    assert "closest comparison" not in said(app)
    app.session_state["compare.conclusion1"] = True
    assert said(app.run()).count("closest comparison") == 1 and "adjusted p" not in said(app)
    app.session_state["compare.conclusion.all1"] = True
    assert said(app.run()).count("adjusted p") == 1 and not app.exception


def said(app):
    return "\n".join(one.value for one in app.markdown)


def test_a_queue_that_cannot_be_read_leaves_the_results(monkeypatch):
    (settings.home() / "jobs.sqlite").write_bytes(b"no database" * 100)
    assert results.load_results("shapes").series()[0].seeds == (0,)
