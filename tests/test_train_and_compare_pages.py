"""The pages as a person meets them, without a browser: what they say, what they ask for, and what they never load."""

import dataclasses
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import streamlit as st
from history_factories import columns, history, write, write_report
from streamlit.testing.v1 import AppTest

from cnnlab import data, formatting, settings, training_packages
from cnnlab.analysis.statistics import accuracy_interval, seed_difference, seed_mean
from cnnlab.data import cifar10, download, shapes
from cnnlab.data.samples import sample_images
from cnnlab.datasets import DATASETS
from cnnlab.experiment import Experiment
from cnnlab.explanations import conclusions, curves, training_progress
from cnnlab.explanations.conclusions import WHAT_THE_REPORT_IS
from cnnlab.jobs import dispatcher_process, nicknames
from cnnlab.jobs.next_seed import submit_next_seed
from cnnlab.jobs.queue import Queue
from cnnlab.operating_system import machine
from cnnlab.pages.compare import new_seeds
from cnnlab.pages.train import welcome
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.report_models import REPORT, models_on
from cnnlab.storage import files, process_lock, runs
from cnnlab.storage.run_record import RunRecord
from cnnlab.storage.series import series_experiment
from cnnlab.ui import browser_identity, cache, training_corner, training_status
from cnnlab.ui.experiment_params import experiment_params

APP = settings.REPOSITORY / "cnnlab" / "pages" / "entrypoint.py"
SMALL = Experiment(dataset="shapes", depth=2, epochs=4)
LEARNED = history([0.1, 0.4, 0.6, 0.7, 0.75], [0.1, 0.4, 0.55, 0.6, 0.62])


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Nothing shipped, nothing trained, nobody working."""
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    monkeypatch.setattr(dispatcher_process, "ensure_running", lambda: None)
    st.cache_data.clear()
    st.cache_resource.clear()
    return tmp_path / "home"


@pytest.fixture
def no_cifar10(monkeypatch):
    monkeypatch.setattr(data, "is_dataset_available", lambda name: name == "shapes")


def opened(**words):
    """The app at its first page, with these words in the address."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params.update(words)
    return app.run()


def at(page, **words):
    """One page by itself."""
    script = f"from cnnlab.pages import {page}\n{page}.page()\n"
    app = AppTest.from_string(script, default_timeout=60)
    app.query_params.update(words)
    return app.run()


def small(**more):
    return {"dataset": "shapes", "depth": "2", "regularizer": "none", "epochs": "4"} | more


def text(app):
    """Everything the page says."""
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption, app.warning, app.info, app.error)
    return "\n".join(str(element.value) for kind in kinds for element in kind).replace("\N{NO-BREAK SPACE}", " ")


def trained_here(experiment, **record):
    """A finished run with weights: one without was imported from another machine."""
    folder = write(settings.runs_dir() / experiment.key, experiment, LEARNED, **record)
    files.write_npz(folder / "weights" / "000.npz", {"conv1/bias": np.zeros(1, np.float32)})
    return folder


def button(app, label):
    return next(one for one in app.button if label in one.label)


# -- what a page never does --------------------------------------------------------------------------------------------


@pytest.mark.linux
@pytest.mark.skipif(len(machine.cores()) < 2, reason="needs two cores to have two threads")
@pytest.mark.parametrize(("package", "alone"), [("cnnlab.ui", True), ("cnnlab", False)])
def test_the_pages_multiply_matrices_in_one_thread(package, alone, monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    script = f"""
import {package}, numpy, pathlib
numpy.ones((600, 600)) @ numpy.ones((600, 600))
print(len(list(pathlib.Path("/proc/self/task").iterdir())))
"""
    told = subprocess.check_output([sys.executable, "-c", script], text=True, cwd=settings.REPOSITORY)
    assert (int(told) == 1) is alone


@pytest.mark.slow
def test_no_page_brings_tensorflow_or_keras_into_its_process(home):
    script = f"""
import sys
from streamlit.testing.v1 import AppTest
exceptions = len(AppTest.from_file({str(APP)!r}, default_timeout=200).run().exception)
for page in ("compare", "look_inside", "mistakes", "sweeps", "lesson"):
    code = f"from cnnlab.pages import {{page}}\\n{{page}}.page()"
    exceptions += len(AppTest.from_string(code, default_timeout=200).run().exception)
print("exceptions", exceptions)
print("loaded", sorted({{"tensorflow", "keras"}} & {{name.split(".")[0] for name in sys.modules}}))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=settings.REPOSITORY)
    assert "exceptions 0\nloaded []" in done.stdout, done.stdout + done.stderr


# -- Train: choosing ---------------------------------------------------------------------------------------------------


def test_without_cifar10_the_first_page_offers_shapes(no_cifar10):
    app = opened()
    assert not app.exception
    assert app.title[0].value == "Does your network learn, or does it memorize?"
    assert app.query_params["dataset"] == "shapes"
    assert button(app, "Train it")


def test_a_shipped_run_is_what_the_first_page_opens_with(home, no_cifar10):
    write_report(settings.PRETRAINED, ["3conv-dropout"])
    app = opened()
    assert app.query_params["dataset"] == "cifar10"
    assert "It was still learning at the end" in text(app)
    assert "trained 23 November 2026 on AMD EPYC, 2 of 2 cores, 11 min; it came with the program" in text(app)


@pytest.mark.parametrize("words", [{}, {"depth": 3, "regularizer": "dropout"}])
def test_a_home_whose_queue_cannot_be_opened_shows_the_shipped_results(words, home, no_cifar10):
    write_report(settings.PRETRAINED, ["3conv-dropout"])
    (home / "jobs.sqlite").mkdir(parents=True)  # SQLite says what it says of a folder that nobody may write into
    app = opened(**words)
    assert not app.exception and app.metric and len(app.get("vega_lite_chart")) == 2


def test_the_form_shows_what_the_address_says():
    app = opened(**small(seed="5"))
    assert app.number_input(key="f_epochs").value == 4
    assert app.number_input(key="f_seed").value == 5
    assert app.radio(key="f_regularizer").value == "none"
    assert app.segmented_control(key="f_dataset").value == "shapes"


def test_a_changed_field_writes_the_address_at_once():
    app = opened(**small())
    app.radio(key="f_regularizer").set_value("l2")
    app.number_input(key="f_epochs").set_value(7)
    app.run()
    assert app.query_params["regularizer"] == "l2"
    assert app.query_params["epochs"] == "7"
    assert "3-conv" not in text(app)
    assert "2-conv, L2 0.00001, shapes, 7 epochs is not trained yet" in text(app)


def test_a_new_regularizer_takes_its_own_default_strength():
    app = opened(**small(regularizer="dropout"))
    assert app.number_input(key="f_strength").value == 0.1
    app.radio(key="f_regularizer").set_value("l2")
    app.run()
    assert app.number_input(key="f_strength").value == 0.00001


def test_a_strength_is_asked_for_only_where_the_regularizer_has_one():
    app = opened(**small(regularizer="dropout", strength="0.3"))
    for regularizer, strengths in (("none", []), ("l2", [0.00001]), ("batchnorm", []), ("dropout", [0.1])):
        app.radio(key="f_regularizer").set_value(regularizer).run()
        assert [one.value for one in app.number_input if one.key == "f_strength"] == strengths
        assert app.query_params["regularizer"] == regularizer and "strength" not in app.query_params


def test_the_other_data_set_is_one_click_and_takes_all_of_its_training_images():
    app = opened(**small(train_images="500"))
    app.segmented_control(key="f_dataset").set_value("cifar10").run()
    assert app.query_params["dataset"] == "cifar10" and "train_images" not in app.query_params


@pytest.mark.slow
def test_a_result_opens_at_once_when_its_depth_is_chosen():
    deeper = dataclasses.replace(SMALL, depth=3)
    write(settings.runs_dir() / deeper.key, deeper, LEARNED)
    app = opened(**small())
    assert not app.metric and button(app, "Train it")
    app.segmented_control(key="f_depth").set_value(3).run()
    assert [metric.value for metric in app.metric] == ["75.0 %", "62.0 %", "13.0 points"]


@pytest.mark.slow
def test_the_first_visit_trains_a_small_network_in_one_click_for_a_whole_class():
    first, second = opened(), opened()
    assert button(first, "Train a small network now").proto.type == "primary"
    for app in (first, second):
        button(app, "Train a small network now").click().run()
        assert app.query_params["dataset"] == "shapes"
        assert "Next in the queue" in text(app)
        assert not [one for one in app.button if "small network" in one.label]
    [job] = Queue().active()
    assert len(job.requesters) == 2
    Queue().claim()
    Queue().finish(job, "done")
    write(settings.runs_dir() / job.key, job.experiment, LEARNED)
    button(opened(), "Train a small network now").click().run()
    assert [job.experiment.seed for job in Queue().active()] == [1]


def test_the_first_visit_opens_the_report_network_with_the_highest_test_accuracy():
    write_report(settings.PRETRAINED)
    app = opened()
    [named] = [one.value for one in app.caption if WHAT_THE_REPORT_IS in one.value]  # where the report is first named
    assert "0.1 points more than 3-conv batch norm" in named and "not beyond chance" in named
    button(app, "Open the report's most accurate network").click().run()
    best = max(
        REPORT["final-3conv-dropout"], REPORT["final-3conv-batchnorm"], key=lambda model: model.validation_accuracy
    )
    assert app.query_params["split"] == "test" and app.query_params["regularizer"] == best.experiment.regularizer
    assert len(app.metric) == 3
    assert not [one for one in opened(**small()).button if "most accurate network" in one.label]


def test_the_samples_of_the_first_visit_are_one_of_each_class():
    html = welcome.shapes_html()
    assert re.findall("<figcaption>(.*?)</figcaption>", html) == list(shapes.CLASSES)
    assert len(set(re.findall(r'src="(data:image/png;base64,[^"]+)"', html))) == 10


def test_a_class_without_a_picture_here_is_named_all_the_same():
    images, names = welcome.first_of_each_class(*sample_images(), cifar10.CLASSES)
    page = welcome.samples_html(DATASETS["cifar10"], images, names)
    assert page.count("<img") == 8 and page.count("<figure>") == 10
    assert "2 of them without a picture here" in page and ">bird<" in page and ">deer<" in page


@pytest.mark.parametrize(
    ("field", "number", "sentence"),
    [
        ("epochs", 1000, "Choose the number of epochs between 1 and 500. Received: epochs=1000"),
        ("epochs", 0, "Choose the number of epochs between 1 and 500. Received: epochs=0"),
        ("train_images", 0, "Choose the number of training images between 1 and 10000. Received: train_images=0"),
        ("learning_rate", 11.0, "Choose the learning rate between 0.000001 and 10. Received: learning_rate=11.0"),
    ],
)
@pytest.mark.slow
def test_a_number_out_of_its_range_is_one_sentence_at_the_button(field, number, sentence):
    """No field has bounds of its own: a browser would not send the form, and would not say why."""
    app = opened(**small())
    fields = [one for one in app.number_input if str(one.key).startswith("f_")]
    assert len(fields) == 9 and all(one.min is None or one.min < -(2**31) for one in fields)
    app.number_input(key=f"f_{field}").set_value(number)
    app.run()
    assert [error.value for error in app.error] == [escape_markdown(sentence)]


@pytest.mark.slow
def test_one_step_of_the_strength_fits_its_regularizer():
    steps = {kind: opened(**small(regularizer=kind)).number_input(key="f_strength").step for kind in ("l2", "dropout")}
    assert steps == {"l2": pytest.approx(0.00001), "dropout": pytest.approx(0.05)}


def test_a_form_that_makes_no_experiment_says_so_and_keeps_what_was_typed():
    app = opened(**small())
    app.number_input(key="f_kernel").set_value(4)
    app.run()
    assert [error.value for error in app.error] == ["Choose an odd kernel size: 1, 3, 5 or 7. Received: kernel=4"]
    assert app.number_input(key="f_kernel").value == 4
    assert "kernel" not in app.query_params


@pytest.mark.slow
def test_augmentation_is_shown_as_pictures_also_beside_a_field_that_is_out_of_bounds():
    app = opened(**small(augment="flip_shift"))
    shown = [str(one.proto.body) for one in app.get("html")]
    assert any("eight random variants" in body and "data:image/png" in body for body in shown)
    app.number_input(key="f_seed").set_value(-1).run()
    assert not app.exception and len(app.error) == 1


@pytest.mark.parametrize("words", [{"depth": "99"}, {"regularizer": "<b>"}, {"epochs": "many"}, {"depth": "1" * 500}])
@pytest.mark.slow
def test_nonsense_in_the_address_is_one_sentence(words):
    app = opened(**words)
    assert not app.exception
    assert len(app.warning) == 1
    assert "This address describes no experiment; the default one is shown." in app.warning[0].value


# -- Train: results, trainings, ends -----------------------------------------------------------------------------------


def test_a_finished_run_opens_at_once_with_its_figures():
    write(settings.runs_dir() / SMALL.key, SMALL, LEARNED, test_accuracy=0.61)
    app = opened(**small())
    assert [metric.value for metric in app.metric] == ["75.0 %", "62.0 %", "13.0 points"]
    assert "correct on 75 % of the training images and on 62 % of new ones, gap 13.0 points" in text(app)
    assert "trained 23 November 2026 on AMD EPYC, 2 of 2 cores, 11 min" in text(app)
    assert "highest validation accuracy of any epoch 62.0 %, after epoch 4; accuracy on the test set 61.0 %" in text(
        app
    )
    assert not [one for one in app.button if "Train it" in one.label]


@pytest.mark.slow
def test_asking_for_a_training_puts_it_in_the_queue_once():
    app = opened(**small())
    button(app, "Train it: time unknown (first run)").click().run()
    job = Queue().for_key(SMALL.key)
    assert job.state == "queued"
    assert len(job.requesters) == 1
    assert "Next in the queue" in text(app)
    opened(**small())
    assert len(Queue().active()) == 1


def test_who_comes_later_is_told_the_place_and_the_time():
    trained_here(SMALL, epoch_seconds=[30.0] * 4)
    for seed in (1, 2):
        Queue().submit(Experiment(dataset="shapes", depth=2, epochs=4, seed=seed), "somebody")
    app = opened(**small(seed="3"))
    assert button(app, "Train it: about 2 min, 3rd in the queue")


def test_the_time_of_an_imported_run_is_not_that_of_this_machine():
    write(settings.runs_dir() / SMALL.key, SMALL, LEARNED, epoch_seconds=[30.0] * 4)
    assert button(opened(**small(seed="3")), "Train it: time unknown (first run)")


@pytest.mark.parametrize(("minutes", "warned"), [("240", False), ("1", True)])
def test_a_training_beyond_the_time_limit_says_so_before_the_click(monkeypatch, minutes, warned):
    """4 epochs of 30 s and the start take 130 s: a limit of 60 s ends it within epoch 2."""
    monkeypatch.setenv("CNNLAB_JOB_MINUTES", minutes)
    trained_here(SMALL, epoch_seconds=[30.0] * 4)
    app = opened(**small(seed="3"))
    assert button(app, "Train it")
    assert [("one training may take 60 s here" in one.value) for one in app.warning] == [True] * warned
    assert all("after about epoch 1 of 4" in one.value for one in app.warning)


@pytest.mark.slow
def test_a_result_that_is_shown_counts_among_the_finished_seeds_at_once(monkeypatch):
    """The list of finished runs is two seconds old: a training that has just ended is not in it."""
    monkeypatch.setattr(cache, "finished_runs", lambda: cache.FinishedRuns((), "none"))
    write(settings.runs_dir() / SMALL.key, SMALL, LEARNED)
    assert "Finished seeds: 0. " in text(opened(**small()))


@pytest.mark.slow
def test_another_seed_is_the_smallest_that_nobody_has_trained_or_queued():
    accuracies = {0: 0.60, 1: 0.62, 4: 0.66}
    for seed, accuracy in accuracies.items():
        member = dataclasses.replace(SMALL, seed=seed)
        rows = history([0.1, 0.4, 0.6, 0.7, 0.75], [0.1, 0.4, 0.55, 0.6, accuracy])
        write(settings.runs_dir() / member.key, member, rows)
    Queue().submit(dataclasses.replace(SMALL, seed=2), "somebody")
    app = opened(**small())
    mean = seed_mean(accuracies)
    told = f"Finished seeds: 0, 1, 4 (3). Validation accuracy: {100 * mean.value:.1f} % ± {100 * mean.margin:.1f}"
    assert told in text(app)
    button(app, "Train another seed").click().run()
    assert app.query_params["seed"] == "3"
    assert Queue().for_key(dataclasses.replace(SMALL, seed=3).key).state == "queued"


def test_thirty_people_who_ask_for_a_series_at_once_get_thirty_seeds():
    for seed in (0, 2):
        member = dataclasses.replace(SMALL, seed=seed)
        write(settings.runs_dir() / member.key, member, LEARNED)
    queues = [Queue() for _ in range(6)]  # six processes with their own connections
    with ThreadPoolExecutor(30) as threads:
        asked = [threads.submit(submit_next_seed, queues[n % 6], SMALL, f"person{n}") for n in range(30)]
        seeds = sorted(one.result().experiment.seed for one in asked)
    assert seeds == [1, *range(3, 32)]


def shipped_results(experiment, rows):
    """Results that come with the program without weights."""
    write(settings.PRETRAINED / "seeds" / experiment.key, experiment, rows, test_accuracy=0.61)


@pytest.mark.slow
def test_shipped_results_without_weights_are_shown_at_a_switch_and_can_be_trained():
    """Not at once: a lesson asks for a prediction before anything is shown."""
    shipped_results(SMALL, LEARNED)
    app = opened(**small())
    assert "is not trained yet" in text(app) and "62 % of new ones" not in text(app)
    app.toggle(key="url.shipped").set_value(True).run()
    assert "62 % of new ones" in text(app) and "it came with the program" in text(app)
    assert "train it here to look inside" in text(app) and button(app, "Train it")
    assert app.query_params["shipped"] == "yes"
    assert "Look inside this network" not in {one.proto.label for one in app.get("page_link")}


@pytest.mark.slow
def test_overfitting_is_relative_to_a_plain_network_that_only_came_as_results():
    shipped_results(SMALL, history([0.1, 0.5, 0.8, 0.9, 0.95], [0.1, 0.4, 0.5, 0.5, 0.5]))
    dropout = dataclasses.replace(SMALL, regularizer="dropout", strength=None)
    trained_here(dropout)
    app = opened(**small(regularizer="dropout"))
    assert "(29 % of the gap without a regularizer)" in text(app)  # 13 points of 45


@pytest.mark.slow
def test_overfitting_is_relative_to_a_plain_network_of_another_seed_where_needed():
    shipped_results(SMALL, history([0.1, 0.5, 0.8, 0.9, 0.95], [0.1, 0.4, 0.5, 0.5, 0.5]))
    trained_here(dataclasses.replace(SMALL, regularizer="dropout", strength=None, seed=7))
    app = opened(**small(regularizer="dropout", seed="7"))
    assert "(29 % of the gap without a regularizer)" in text(app)


def test_only_who_asked_can_leave_the_queue():
    Queue().submit(SMALL, "somebody-else")
    app = opened(**small())
    assert "Next in the queue" in text(app)
    assert not [one for one in app.button if "Leave" in one.label or "Stop" in one.label]


@pytest.mark.slow
def test_who_asked_can_leave_the_queue():
    app = opened(**small())
    button(app, "Train it").click().run()
    button(app, "Leave the queue").click().run()
    assert Queue().for_key(SMALL.key).state == "cancelled"
    assert button(app, "Train it")


def test_a_live_training_shows_how_far_it_is():
    folder = write(settings.runs_dir() / SMALL.key, SMALL, LEARNED[:3], state="running")
    progress = {"phase": "training", "epoch": 3, "batch": 8, "batches": 32, "seconds_left": 240.0, "accuracy": 0.6}
    files.write_json(folder / "progress.json", progress | {"loss": 1.0})
    with process_lock.acquire(folder / "lock"):
        app = opened(**small())
        assert app.get("progress")[0].proto.text == f"**{SMALL.title}**: epoch 3 of 4, batch 8 of 32, 4 min left"
        assert [metric.value for metric in app.metric] == ["60.0 %", "55.0 %", "5.0 points"]
        assert not [one for one in app.button if "Train it" in one.label or "Stop" in one.label]


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        ("stopped", None, "This training was stopped. The first 2 epochs are kept; Continue resumes after them."),
        ("running", None, "This training was interrupted: its process has ended. The first 2 epochs are kept"),
        ("failed", "The disk was full.", "This training failed. The disk was full. The first 2 epochs are kept"),
    ],
)
@pytest.mark.slow
def test_a_training_that_ended_early_says_why_and_goes_on(state, reason, said):
    write(settings.runs_dir() / SMALL.key, SMALL, LEARNED[:3], state=state, reason=reason)
    app = opened(**small())
    assert said in app.warning[0].value
    assert len(app.metric) == 3
    button(app, "Continue").click().run()
    assert Queue().for_key(SMALL.key).state == "queued"


@pytest.mark.parametrize("label", ["Train it", "Continue"])
@pytest.mark.slow
def test_who_presses_the_button_wants_the_training_although_somebody_was_faster(label):
    if label == "Continue":
        write(settings.runs_dir() / SMALL.key, SMALL, LEARNED[:3], state="stopped")
    app = opened(**small())
    Queue().submit(SMALL, "somebody")
    button(app, label).click().run()
    assert len(Queue().for_key(SMALL.key).requesters) == 2
    assert "in the queue" in text(app)


def test_a_worker_that_never_came_to_write_anything_says_why():
    job = Queue().submit(SMALL, "somebody")
    Queue().claim()
    Queue().finish(job, "failed", "No worker could be started: Cannot allocate memory.")
    app = opened(**small())
    assert "This training failed. No worker could be started" in app.warning[0].value
    assert button(app, "Continue")


def test_without_cifar10_the_page_offers_a_download_and_shapes(no_cifar10):
    app = opened(dataset="cifar10", depth="2", regularizer="none")
    assert "CIFAR-10 is missing on this machine" in text(app)
    assert button(app, "Download CIFAR-10")
    button(app, "Train on Shapes instead").click().run()
    assert app.query_params["dataset"] == "shapes"


def test_without_cifar10_shapes_leads_and_the_download_of_170_mb_comes_second(no_cifar10):
    app = opened(dataset="cifar10", depth="2", regularizer="none")
    order = [one.label for one in app.button if one.label in ("Train on Shapes instead", "Download CIFAR-10")]
    assert order == ["Train on Shapes instead", "Download CIFAR-10"]
    kinds = [button(app, label).proto.type for label in order]
    assert kinds == ["primary", "secondary"]


def test_a_download_shows_its_bytes(no_cifar10, monkeypatch):
    now = download.DownloadStatus("downloading", bytes=85_000_000, message="Downloading CIFAR-10: 85 MB")
    monkeypatch.setattr(download, "download_status", lambda: now)
    app = opened(dataset="cifar10", depth="2", regularizer="none")
    assert app.get("progress")[0].proto.text == "Downloading CIFAR-10: 85 of 170 MB"
    assert button(app, "Cancel the download")


def test_a_download_that_failed_says_why(no_cifar10, monkeypatch):
    monkeypatch.setattr(
        download, "download_status", lambda: download.DownloadStatus("failed", message="There is no network.")
    )
    app = opened(dataset="cifar10", depth="2", regularizer="none")
    assert [warning.value for warning in app.warning] == ["There is no network."]
    assert button(app, "Download CIFAR-10")


@pytest.mark.parametrize(
    ("state", "job", "stage"),
    [
        ("done", "queued", "done"),
        ("running", "running", "live"),
        ("interrupted", "running", "starting"),
        (None, "running", "starting"),
        ("running", None, "live"),
        ("stopped", "queued", "waiting"),
        (None, "queued", "waiting"),
        ("stopped", "cancelled", "broken"),
        (None, "failed", "broken"),
        (None, "cancelled", "nothing"),
        (None, None, "nothing"),
    ],
)
def test_disk_and_queue_together_make_one_stage(state, job, stage):
    asked = None
    if job:
        asked = Queue().submit(SMALL, "somebody")
        asked = Queue().claim() if job == "running" else asked
        asked = Queue().finish(asked, job) if job in ("failed", "cancelled") else asked
    assert training_status.training_phase(state, asked) == stage


@pytest.mark.parametrize("of_the_run", ["running", None])
@pytest.mark.slow
def test_where_all_processes_are_gone_who_watches_sees_to_it_that_a_dispatcher_works(monkeypatch, of_the_run):
    started = []
    monkeypatch.setattr(dispatcher_process, "ensure_running", lambda: started.append(True))
    Queue().submit(SMALL, "somebody")
    Queue().claim()
    if of_the_run:  # no process holds its lock
        write(settings.runs_dir() / SMALL.key, SMALL, LEARNED[:3], state=of_the_run)
    app = at("train", **small())
    assert len(app.get("progress")) == 1
    assert started


def test_who_watches_a_live_training_starts_nothing(monkeypatch):
    started = []
    monkeypatch.setattr(dispatcher_process, "ensure_running", lambda: started.append(True))
    Queue().submit(SMALL, "somebody")
    Queue().claim()
    run = write(settings.runs_dir() / SMALL.key, SMALL, LEARNED[:3], state="running")
    with process_lock.acquire(run / "lock"):
        at("train", **small())
    assert not started


def test_a_training_that_nobody_wants_any_more_is_stopping():
    Queue().submit(SMALL, "somebody")
    job = Queue().cancel(Queue().claim(), "somebody")
    assert training_status.training_phase("running", job) == "stopping"


def test_a_queue_that_cannot_be_used_is_one_sentence(home):
    home.mkdir(parents=True)
    (home / "jobs.sqlite").write_text("this is no database, and never was one" * 100)
    app = opened(**small())
    assert not app.exception
    assert "is damaged: move it away" in app.error[0].value


def test_a_home_that_cannot_be_written_shows_shipped_results_all_the_same(home):
    write_report(settings.PRETRAINED, ["3conv-dropout"])
    (home / "jobs.sqlite").mkdir(parents=True)  # SQLite says so as for a folder without permission
    app = opened(depth="3", regularizer="dropout")
    assert not app.exception and not app.error
    assert [one.label for one in app.metric][:1] == ["Training accuracy"]


def test_a_run_whose_description_is_damaged_can_be_trained_again():
    folder = write(settings.runs_dir() / SMALL.key, SMALL, LEARNED)
    (folder / "experiment.json").write_text("{")
    assert button(opened(**small()), "Train it")


@pytest.mark.slow
def test_an_address_that_names_a_run_shows_its_experiment():
    write(settings.runs_dir() / SMALL.key, SMALL, LEARNED)
    app = opened(run=SMALL.key)
    assert app.query_params["depth"] == "2"
    assert [metric.value for metric in app.metric] == ["75.0 %", "62.0 %", "13.0 points"]
    assert "There is no run called 'nobody' here." in opened(run="nobody").warning[0].value


@pytest.mark.slow
def test_a_refusal_is_one_sentence(home):
    home.mkdir(parents=True)
    (home / "settings.json").write_text('{"epochs": 3}')
    app = opened(**small())
    button(app, "Train it").click().run()
    assert [error.value for error in app.error] == ["At most 3 epochs are trained here. Received: epochs=4"]
    assert button(app, "Train it")


# -- the frame ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("running", "waiting", "said"), [(0, 0, ""), (3, 0, "3 running"), (1, 2, "1 running, 2 waiting")]
)
def test_the_corner_counts_what_runs_and_waits(running, waiting, said):
    assert training_corner.status_line(running, waiting).endswith(said)
    assert bool(training_corner.status_line(running, waiting)) == bool(said)


@pytest.mark.slow
def test_a_training_that_ends_is_announced_once():
    app = opened(**small())
    button(app, "Train it").click().run()
    Queue().claim()
    time.sleep(0.01)
    write(settings.runs_dir() / SMALL.key, SMALL, LEARNED)
    Queue().finish(Queue().for_key(SMALL.key), "done")
    app.run()
    said = f"**{SMALL.title}** has finished training: open it under Train."
    assert [said in one.value for one in app.markdown].count(True) == 1
    assert len(notices(app)) == 1
    app.run()
    assert len(notices(app)) == 1  # it stays until it is closed or its time is over
    button(app, "Close").click().run()
    assert not notices(app)
    assert not notices(app.run())


def notices(app):
    """The notices on the page."""
    return [one for one in app.markdown if "has finished training" in one.value]


@pytest.mark.slow
def test_my_trainings_lists_state_result_and_link_of_mine_only():
    deeper = dataclasses.replace(SMALL, depth=3)
    app = opened(**small())
    for experiment in (SMALL, deeper):
        Queue().submit(experiment, frame_person(app))
    Queue().claim()
    write(settings.runs_dir() / SMALL.key, SMALL, LEARNED, final={"val_accuracy": 0.62})
    Queue().finish(Queue().for_key(SMALL.key), "done")
    Queue().submit(dataclasses.replace(SMALL, depth=4), "somebody-else")
    rows = [one.proto.label for one in app.run().get("page_link")]
    assert [row for row in rows if ": " in row and "conv" in row] == [
        f"2nd in the queue: {deeper.title}",  # somebody who has had no turn yet is before it
        f"validation 62.0 %: {SMALL.title}",
    ]


@pytest.mark.slow
def test_a_nickname_is_kept_for_the_person_and_a_wrong_one_is_one_sentence():
    app = opened(**small())
    app.text_input(key="my_trainings.nickname").set_value("  Ada   <b>*L*</b> ").run()
    assert nicknames.read_nickname(Queue(), frame_person(app)) == "Ada <b>*L*</b>"
    app.text_input(key="my_trainings.nickname").set_value("x" * 29 + "\u0007").run()
    assert [error.value for error in app.error] == [
        escape_markdown(f"A nickname has at most 30 visible characters. Received: nickname={'x' * 29 + chr(7)!r}")
    ]
    assert nicknames.read_nickname(Queue(), frame_person(app)) == "Ada <b>*L*</b>"


@pytest.mark.slow
def test_any_open_page_starts_a_dispatcher_again_while_something_waits_or_runs(monkeypatch):
    seen = []
    monkeypatch.setattr(dispatcher_process, "ensure_running", lambda: seen.append(len(Queue().active())))
    app = opened(**small())
    assert seen == []
    Queue().submit(SMALL, "b0123456789ab")
    app.run()
    started = list(seen)  # by the corner of every page, and by what watches this training
    assert started and set(started) == {1}
    Queue().finish(Queue().claim(), "done")
    app.run()
    assert seen == started


def test_a_result_that_was_there_already_is_not_announced():
    write(settings.runs_dir() / SMALL.key, SMALL, LEARNED)
    app = opened(**small())
    Queue().submit(SMALL, frame_person(app))
    assert not notices(app.run())


def frame_person(app):
    return browser_identity.person_name(app.session_state[browser_identity.SESSION_TOKEN])


# -- in words ----------------------------------------------------------------------------------------------------------


def test_places_in_line_are_counted_as_people_count():
    said = [formatting.ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)]
    assert said == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]


def test_durations_are_as_exact_as_anybody_wants():
    said = [formatting.duration(seconds) for seconds in (0.2, 40, 89, 95, 540, 3600, 4800)]
    assert said == ["1 s", "40 s", "89 s", "2 min", "9 min", "1 h", "1 h 20 min"]


def test_bfloat16_is_named_where_it_was_used():
    record = RunRecord(finished="2026-11-23T13:00:00+00:00", precision="bfloat16")
    assert "in bfloat16" in training_progress.describe_origin(record, False)
    assert training_progress.describe_origin(RunRecord(), False) == "trained on an unknown day"


@pytest.mark.parametrize(
    ("progress", "done", "share", "said"),
    [
        ({"phase": "starting"}, 0, 0, "starting: loading TensorFlow and the images"),
        ({}, 3, 0.75, "resuming after epoch 3 of 4"),
        ({"phase": "training", "epoch": 1, "batch": 16, "batches": 32}, 0, 0.125, "epoch 1 of 4, batch 16 of 32"),
        ({"phase": "evaluating", "epoch": 4}, 3, 1, "epoch 4 of 4: evaluating"),
    ],
)
def test_progress_is_a_share_and_a_sentence(progress, done, share, said):
    found, words = training_progress.describe_progress(progress, done, 4)
    assert found == pytest.approx(share)
    assert words.startswith(said)


# -- Compare -----------------------------------------------------------------------------------------------------------


def test_compare_without_any_run_shows_the_report_and_what_is_missing():
    app = at("compare")
    assert not app.exception
    assert "0 of the report's eight networks are trained here" in text(app)
    assert "64.47 %" in text(app)
    assert text(app).count("not trained yet") >= 10


def test_compare_sets_ours_beside_the_report():
    write_report(settings.PRETRAINED)
    app = at("compare")
    assert not app.exception
    assert "**3-conv, batch norm** has the highest accuracy, 73.0 % ± 0.9 (1 seed); it leads in the report too" in text(
        app
    )
    assert "**3-conv, dropout 0.1** has the smallest gap" in text(app)
    verdicts = [one.label for one in app.expander if one.label.startswith("**")]
    assert [verdict.partition("**:")[0] for verdict in verdicts] == [
        *["**Holds in all seeds (1 seed)"] * 3,
        "**Cannot be said yet",  # no test accuracy
    ]
    row = next(line for line in text(app).splitlines() if line.startswith("| 7 |"))
    assert "| 71.61 % | 71.61 % | +0.0 points | 71.61 % | +0.0 points |" in row


def test_compare_leaves_the_place_of_a_missing_model_empty():
    write_report(settings.PRETRAINED, [name for name in REPORT if name != "2conv-l2"])
    app = at("compare")
    assert "7 of the report's eight networks are trained here" in text(app)
    assert any(one.label.startswith("**Cannot be said yet**") for one in app.expander)
    row = next(line for line in text(app).splitlines() if line.startswith("| 2 |"))
    assert "63.12 % | not trained yet" in row


def test_the_gap_can_be_read_with_training_measured_like_validation():
    write_report(settings.PRETRAINED)
    app = at("compare")
    assert "3-conv, dropout 0.1** has the smallest gap, 4.3 points" in text(app)
    app.button_group(key="url.measure").set_value("reported").run()
    assert "3-conv, dropout 0.1** has the smallest gap, 2.3 points" in text(app)


def test_train_and_compare_show_the_same_gap_and_say_on_which_images():
    write_report(settings.PRETRAINED)
    compared = text(at("compare"))
    assert "3-conv, dropout 0.1** has the smallest gap, 4.3 points" in compared
    assert "the training accuracy on the first 5,000 training images" in compared
    app = opened(dataset="cifar10", depth=3, regularizer="dropout")
    assert [one.value for one in app.metric if one.label.startswith("Gap")] == ["4.3 points"]
    assert "5,000 training and 10,000 validation images" in text(app)


def test_the_report_marks_stand_only_beside_the_measure_of_the_report():
    """The report's gaps are Keras's: beside gaps in inference mode there is no line and no sentence about them."""
    write_report(settings.PRETRAINED)
    app = at("compare")
    assert "the report has no figure of this measure" in text(app)
    app.button_group(key="url.measure").set_value("reported").run()
    assert "the report has no figure of this measure" not in text(app)


def test_both_readings_of_the_report_are_shown_and_the_choice_on_test_is_marked():
    write_report(settings.PRETRAINED)
    path = settings.PRETRAINED / "final-3conv-dropout" / "history.csv"
    rows = history([0.1, *[0.9] * 30], [0.1, *[0.8] * 29, 0.7361])
    runs.write_history(path, rows)
    app = at("compare")
    row = next(line for line in text(app).splitlines() if line.startswith("| 1 |") and "73.61 %" in line)
    assert "| 73.61 % | 73.61 % | +0.0 points | 80.00 % | +6.4 points |" in row
    assert text(app).count("chosen on the test images") == 1


def test_wall_times_are_not_compared_and_the_overlay_names_its_images():
    write_report(settings.PRETRAINED)
    said = text(at("compare", add="final-3conv-dropout"))
    assert said.count("which network is faster") == 2  # under both tables
    assert "**Test accuracy**" in said and "**Validation accuracy**" not in said


def test_what_a_final_model_is_measured_on_is_called_the_test_set():
    write_report(settings.PRETRAINED)
    app = at("train", **experiment_params(REPORT["final-3conv-dropout"].experiment))
    assert "highest test accuracy of any epoch" in text(app) and "highest validation accuracy" not in text(app)
    assert all('"title": "test"' in chart.proto.spec for chart in app.get("vega_lite_chart"))  # under the pointer
    assert "test 7" in curves.describe_accuracy(columns([0.1, 0.9], [0.1, 0.7]), "x", "test")


@pytest.mark.slow
def test_ones_own_run_joins_the_chart_and_the_address():
    write_report(settings.PRETRAINED)
    write(settings.runs_dir() / SMALL.key, SMALL, LEARNED)
    app = at("compare")
    app.multiselect(key="overlay runs cifar10").set_value(["3conv-none", SMALL.key]).run()
    assert app.query_params["add"] == f"3conv-none,{SMALL.key}"
    again = at("compare", add=f"3conv-none,{SMALL.key},gone")
    assert again.multiselect(key="overlay runs cifar10").value == ["3conv-none", SMALL.key]
    assert [warning.value for warning in again.warning] == ["There is no run called 'gone' here; the others are shown."]


@pytest.mark.slow
def test_a_class_that_trains_seeds_on_shapes_sees_its_interval_on_compare():
    models = models_on("shapes")
    for name, accuracies in {"2conv-none": (0.60, 0.62, 0.64), "2conv-dropout": (0.65, 0.68, 0.68)}.items():
        for seed, accuracy in enumerate(accuracies):
            member = dataclasses.replace(models[name].experiment, seed=seed)
            write(settings.runs_dir() / member.key, member, history([0.1, *[0.9] * 30], [0.1, *[accuracy] * 30]))
    Queue().submit(dataclasses.replace(models["2conv-none"].experiment, seed=3), "somebody")
    Queue().submit(REPORT["2conv-l2"].experiment, "somebody")
    app = at("compare", data="shapes")
    shown = "\n".join(str(one.proto.body) for one in app.get("html"))
    difference = seed_difference({0: 0.65, 1: 0.68, 2: 0.68}, {0: 0.60, 1: 0.62, 2: 0.64})
    assert f"against none +5.0 ± {100 * difference.margin:.1f} points" in shown and "Report:" not in shown
    assert "1 training of these networks under way" in text(app)
    assert "2 of the report's eight networks are trained here" in text(app) and "Table 1" not in text(app)
    app.button_group(key="url.data").set_value("cifar10").run()
    assert "data" not in app.query_params and "Table 1" in text(app)


@pytest.mark.slow
def test_the_overlay_begins_with_networks_of_the_data_set_that_is_compared():
    write_report(settings.PRETRAINED)
    shapes_runs = [models_on("shapes")[name].experiment for name in ("3conv-none", "3conv-dropout")]
    for one in shapes_runs:
        write(settings.runs_dir() / one.key, one, history([0.1, *[0.9] * 30], [0.1, *[0.7] * 30]))
    app = at("compare", data="shapes")
    assert app.multiselect(key="overlay runs shapes").value == [one.key for one in shapes_runs]
    assert "add" not in app.query_params
    app.button_group(key="url.data").set_value("cifar10").run()
    assert app.multiselect(key="overlay runs cifar10").value == ["3conv-none", "3conv-dropout"]


def test_compare_draws_itself_again_when_a_training_of_its_networks_ends(monkeypatch):
    plain = models_on("shapes")["2conv-none"].experiment
    series, reruns = {series_experiment(plain).key}, []
    monkeypatch.setattr(new_seeds.st, "rerun", lambda: reruns.append(1))
    job = Queue().submit(dataclasses.replace(plain, seed=7), "somebody")
    Queue().submit(SMALL, "somebody")  # another network
    seen = new_seeds.active_keys(series)
    assert seen == {job.key}
    new_seeds.watch(series, seen)
    assert not reruns
    Queue().cancel(job, "somebody")
    new_seeds.watch(series, seen)
    assert reruns == [1]


def test_the_overlay_offers_shipped_seeds_too():
    shipped_results(SMALL, LEARNED)
    app = at("compare", add=SMALL.key)
    assert app.multiselect(key="overlay runs cifar10").value == [SMALL.key] and not app.exception
    assert any('class="runs"' in one.proto.body and SMALL.title in one.proto.body for one in app.get("html"))


def test_the_leader_is_named_with_whom_the_report_names():
    ours = [seed_mean({0: 0.69, 1: 0.70, 2: 0.71}), accuracy_interval(0.6, 10_000)]
    said = conclusions.best_sentence(["a", "b"], ours, {"a": 0.5, "b": 0.8}, as_points=False)
    # t of two degrees, 4.303, times 0.01 / sqrt(3)
    assert said == "**a** has the highest accuracy, 70.0 % ± 2.5 (3 seeds); in the report it is b, with 80.00 %."
    said = conclusions.best_sentence(["a", "b"], ours, None, as_points=True)
    assert said.startswith("**b** has the smallest gap, 60.0 points ± 1.0 (1 seed)")


@pytest.mark.slow
def test_without_tensorflow_the_page_says_how_to_get_it_and_offers_no_training(monkeypatch):
    monkeypatch.setattr(training_packages, "TRAINING_PACKAGES", ("no_such_package",))
    app = opened(**small())
    assert not [one for one in app.button if one.key == "train_it"]
    assert [one for one in app.warning if "TensorFlow" in one.value]
    first = opened()
    assert [one.disabled for one in first.button if one.key == "train_small"] == [True]
    assert not Queue().active()
