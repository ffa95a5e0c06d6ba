"""What excites a filter, found by a worker: checked image by image against plain forward passes."""

import dataclasses
import errno
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from run_factories import write_run
from streamlit.testing.v1 import AppTest

from cnnlab import data, settings
from cnnlab.data import Dataset
from cnnlab.data.cifar10 import CLASSES
from cnnlab.data.samples import sample_images
from cnnlab.experiment import Experiment
from cnnlab.jobs import run_computation, top_activations_file, top_activations_job
from cnnlab.jobs.run_computation import ComputationError, JobStatus, RunComputation
from cnnlab.jobs.top_activations_file import COMPUTATION
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import network_layers
from cnnlab.storage import background_process, files, process_lock


@pytest.fixture
def run(home, monkeypatch):
    """A small run, and the twenty samples as its test set."""
    images, labels = sample_images()
    monkeypatch.setattr(
        data, "load_dataset", lambda name: Dataset(name, CLASSES, images, labels, images, labels, "samples")
    )
    monkeypatch.setattr(top_activations_job, "SLICE_IMAGES", 6)  # the last slice is not full
    experiment = Experiment(depth=2, filters=5, epochs=2)
    return write_run(settings.runs_dir() / experiment.key, experiment)


def test_the_top_images_are_those_with_the_largest_pixel(run):
    result = top_activations_job.run_job(run)
    maxima = numpy_forward.compute_activations(network_layers(run.experiment), run.weights(2), sample_images()[0])[
        "relu2"
    ].max(axis=(1, 2))
    for number in range(5):
        expected = np.sort(maxima[:, number])[::-1][:9]
        np.testing.assert_allclose(result.examples["relu2"].top.values[number], expected, rtol=1e-5, atol=1e-6)


def test_selectivity_is_there_for_every_class_and_zero_for_one_that_no_image_shows(run):
    result = top_activations_job.run_job(run).selectivity["relu1"]
    assert result.shape == (10, 5)
    shown = np.isin(np.arange(10), sample_images()[1])
    assert (result[~shown] == 0).all() and (np.abs(result[shown]) > 0).any()


def test_what_was_written_comes_back(run):
    assert top_activations_file.load(run) is None and COMPUTATION.status(run) is None
    updates = []
    made = top_activations_job.run_job(run, lambda done, of: updates.append((done, of)))
    read = top_activations_file.load(run)
    assert read is not None and (read.images, read.epoch) == (20, 2)
    for stage, gallery in made.examples.items():
        for name in ("images", "values", "rows", "columns"):
            np.testing.assert_array_equal(getattr(read.examples[stage].middle, name), getattr(gallery.middle, name))
        np.testing.assert_array_equal(read.examples[stage].dead, gallery.dead)
    assert updates[-1] == (20, 20)
    assert COMPUTATION.status(run) == JobStatus("done")


def test_answers_of_an_earlier_epoch_are_not_taken_for_the_last_ones(run):
    top_activations_job.run_job(run)
    (run.path / "weights" / "002.npz").rename(run.path / "weights" / "003.npz")
    assert top_activations_file.load(run) is None


def test_answers_about_other_images_are_not_taken_for_those_about_these(run, monkeypatch):
    top_activations_job.run_job(run)
    other = dataclasses.replace(data.load_dataset("cifar10"), fingerprint="other images")
    monkeypatch.setattr(data, "load_dataset", lambda name: other)
    assert top_activations_file.load(run) is None
    assert top_activations_job.run_job(run).fingerprint == "other images"
    assert top_activations_file.load(run) is not None


def test_answers_from_before_they_named_their_images_are_not_trusted(run):
    top_activations_job.run_job(run)
    with np.load(run.path / "top.npz") as file:
        before = {name: file[name] for name in file.files if name != "fingerprint"}
    files.write_npz(run.path / "top.npz", before | {"format": np.array(1)})
    assert top_activations_file.load(run) is None


def test_answers_stay_when_the_images_are_gone(run, monkeypatch):
    def missing(name):
        raise data.DatasetMissing("CIFAR-10 is not here.")

    top_activations_job.run_job(run)
    monkeypatch.setattr(data, "load_dataset", missing)
    assert top_activations_file.load(run) is not None


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("begin", [top_activations_job.run_job, COMPUTATION.start])
def test_a_full_disk_is_one_sentence_with_a_remedy(run, monkeypatch, begin):
    monkeypatch.setattr(files, "write_bytes", full)
    with pytest.raises(ComputationError, match=r"The disk is full: free about 1 MB for .*CNNLAB_HOME"):
        begin(run)
    monkeypatch.setattr(process_lock, "acquire", full)
    with pytest.raises(ComputationError, match=r"The disk is full: free about 1 MB for .*CNNLAB_HOME"):
        begin(run)


def test_a_page_hears_that_the_answers_found_no_room(run, monkeypatch):
    monkeypatch.setattr(top_activations_file, "write_npz", full)
    with pytest.raises(ComputationError) as error_info:
        top_activations_job.run_job(run)
    assert COMPUTATION.status(run) == JobStatus("failed", message=str(error_info.value))
    assert "CNNLAB_HOME" in str(error_info.value)


def test_nothing_is_written_into_a_shipped_run(run, tmp_path):
    shipped = write_run(tmp_path / "pretrained" / "2conv-none", run.experiment)
    before = sorted(path.name for path in shipped.path.iterdir())
    top_activations_job.run_job(shipped)
    assert sorted(path.name for path in shipped.path.iterdir()) == before
    assert (tmp_path / "top" / shipped.key / "top.npz").exists()


def test_a_missing_data_set_is_one_sentence_for_the_page(run, monkeypatch):
    def missing(name):
        raise data.DatasetMissing("CIFAR-10 is not here.")

    monkeypatch.setattr(data, "load_dataset", missing)
    with pytest.raises(ComputationError):
        top_activations_job.run_job(run)
    assert COMPUTATION.status(run) == JobStatus("failed", message="CIFAR-10 is not here.")


def test_two_workers_do_not_do_the_same_work(run):
    with (
        process_lock.acquire(run.path / "top.lock"),
        pytest.raises(ComputationError, match="already"),
    ):
        top_activations_job.run_job(run)


@pytest.mark.slow
@pytest.mark.linux
@pytest.mark.slow
def test_a_worker_is_niced_and_leaves_no_zombie(run, monkeypatch):
    seen = []
    started = background_process.start_detached
    monkeypatch.setattr(
        run_computation, "start_detached", lambda *words, **how: seen.append(started(*words, **how)) or seen[-1]
    )
    COMPUTATION.start(run)
    [process] = seen
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)
    give_up = time.monotonic() + 60
    while os.path.exists(f"/proc/{process.pid}") and time.monotonic() < give_up:
        time.sleep(0.1)  # nobody asks for its exit code
    assert not os.path.exists(f"/proc/{process.pid}")


def test_a_worker_that_was_killed_is_seen_as_interrupted(run):
    script = (
        "import sys, time; sys.path.insert(0, sys.argv[2]); from cnnlab.storage import process_lock; from pathlib"
        " import Path; "
    )
    script += "lock = process_lock.acquire(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", script, str(run.path / "top.lock"), str(settings.REPOSITORY)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout.readline() == "held\n"
        files.write_json(run.path / "top.json", {"state": "running", "done": 3, "total": 20, "message": ""})
        assert COMPUTATION.status(run).state == "running"
        worker.kill()
        worker.wait()
    assert COMPUTATION.status(run).state == "interrupted"


@pytest.mark.slow
def test_a_page_starts_a_worker_of_its_own(run, monkeypatch):
    monkeypatch.setattr(settings, "PRETRAINED", settings.REPOSITORY / "pretrained")
    COMPUTATION.start(run)
    give_up = time.monotonic() + 60
    while COMPUTATION.status(run).is_live and time.monotonic() < give_up:
        time.sleep(0.1)
    now = COMPUTATION.status(run)
    assert now.state == "failed" and now.message  # the worker's own home has no CIFAR-10, and it says so


def test_a_click_that_cannot_start_the_work_gets_the_reason_and_no_error_page(run, monkeypatch):
    def full(computation, run):
        raise ComputationError("The disk is full: free about 1 MB.")

    def script(name):
        from cnnlab.inspect.computation_panel import computation_panel
        from cnnlab.jobs.top_activations_file import COMPUTATION
        from cnnlab.storage import runs

        computation_panel(runs.open_run(name), COMPUTATION, "Why?")

    monkeypatch.setattr(RunComputation, "start", full)
    page = AppTest.from_function(script, kwargs={"name": run.name}, default_timeout=60).run()
    page.button[0].click().run()
    assert not page.exception
    assert [warning.value for warning in page.warning] == ["The disk is full: free about 1 MB."]
