"""No option of any widget, in any state that a page can be left in, ends in an exception.

The fast part visits one view; the slow one every view of a network of each depth and regularizer, with and without
CIFAR-10, every option of the other pages, a fresh clone, own pictures and own networks. `page_sweep` reads the options
from the pages.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from page_sweep import Report, random_walk, sweep
from run_factories import write_run
from test_own_pictures import write_pictures

from cnnlab import settings
from cnnlab.data import dataset_fields, download, load_dataset
from cnnlab.data.picture_import import import_pictures
from cnnlab.experiment import Experiment
from cnnlab.jobs import dispatcher_process, network_uploads
from cnnlab.jobs.run_computation import RunComputation
from cnnlab.lessons import classes
from cnnlab.pages import look_inside
from cnnlab.regularizers import REGULARIZERS
from cnnlab.storage import files
from cnnlab.storage.network_import import NetworkDescription, import_network
from cnnlab.ui import app_shell, download_panel, lesson_store, training_corner
from cnnlab.ui.app_shell import SESSION_TEACHER_KEY
from cnnlab.ui.image_source import load_image_set
from cnnlab.ui.selection import SELECTION_PARAMS
from cnnlab.ui.state import url_params_of

pytestmark = pytest.mark.slow

OWN_MODEL = "pretrained/3conv-batchnorm/model.keras"
SMALL = {"filters": 8, "dense": 8, "epochs": 2}
RUN_MENU, VIEW_MENU = "inspect.image_controls.run", "url.view"
SAME_IN_EVERY_VIEW = {  # swept in the first view only
    RUN_MENU, VIEW_MENU, "url.from", "inspect.image_controls.class", "inspect.image_controls.number",
    "url.gallery", "inspect.image_controls.back", "inspect.image_controls.next",
    "inspect.epoch_slider.play", "inspect.epoch_slider.pause", "inspect.map_controls.layer",
}  # fmt: skip
NETWORKS = [(regularizer, depth) for regularizer in REGULARIZERS for depth in (1, 2, 3, 4)]
TEACHER_KEY = "the key of the sweep"
STEPS_OF_A_WALK, SEED = 400, 20261124
WALKS = [*4 * ["look_inside"], "mistakes", "train", "compare", "sweeps", "lesson", "lesson_board"]  # pages


def inside():
    from cnnlab.pages import look_inside

    look_inside.page()


def training():
    from cnnlab.pages import train

    train.page()


def comparison():
    from cnnlab.pages import compare

    compare.page()


def errors():
    from cnnlab.pages import mistakes

    mistakes.page()


def administration():
    from cnnlab.pages import admin

    admin.page()


def sweeps_of_fields():
    from cnnlab.pages import sweeps

    sweeps.page()


def lab_sheets():
    import test_page_sweep

    test_page_sweep.framed("lesson")


def board():
    import test_page_sweep

    test_page_sweep.framed("lesson_board")


def framed(first: str) -> None:
    """The app with this page first: the lesson panel stands beside every page, and these pages lead to others."""
    names = [first, *({"train", "compare", "look_inside", "mistakes", "lesson", "lesson_board", "admin"} - {first})]
    pages = [app_shell.make_page(name, name, default=name == first) for name in names]
    app_shell.run_app(pages, training_corner.training_corner)


PAGES = {
    "train": training, "compare": comparison, "mistakes": errors, "admin": administration, "sweeps": sweeps_of_fields,
    "lesson": lab_sheets, "lesson_board": board,
}  # fmt: skip
SCRIPTS = {"look_inside": inside, **PAGES}
FOR_TEACHERS = ("admin", "lesson", "lesson_board")  # parts of them, at least


def teacher_session(page: str) -> dict[str, str]:
    """The session of a teacher, where parts of the page are for teachers."""
    return {SESSION_TEACHER_KEY: TEACHER_KEY} if page in FOR_TEACHERS else {}


def beginning(page: str) -> tuple[dict[str, str], dict[str, str]]:
    """The address and the session in which a page is swept; for the board of a class, which it starts."""
    session = teacher_session(page)
    if page != "lesson_board":
        return {}, session
    sheet = next(found.sheet for found in lesson_store.list_sheets() if found.sheet)
    return {"board": classes.start_class(lesson_store.lesson_file(), sheet).code}, session


@contextlib.contextmanager
def home_of_runs(
    home: Path, networks: list[tuple[str, int]], data: Path | None = None, shipped: bool = False
) -> Iterator[dict]:
    """A home with a tested run of each of these networks, and the data sets of `data`; nothing starts a process.

    With `shipped` also the runs that came with the program: without networks and data, a fresh clone.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        if not shipped:
            patch.setattr(settings, "PRETRAINED", home / "pretrained")
        if data:
            (home / "data").symlink_to(data)
        patch.setattr(dispatcher_process, "ensure_running", lambda: None)
        patch.setattr(download_panel, "start_download", lambda: None)
        patch.setattr(download, "cancel", lambda: None)
        patch.setattr(RunComputation, "start", lambda computation, run: None)
        patch.setattr(network_uploads, "start_test", lambda network: None)
        st.cache_data.clear()
        st.cache_resource.clear()
        yield {network: with_answers(home, *network) for network in networks}


def with_answers(home: Path, regularizer: str, depth: int):
    experiment = Experiment(depth=depth, regularizer=regularizer, **SMALL)
    run = write_run(home / "runs" / experiment.key, experiment)
    labels = load_image_set("cifar10").labels
    logits = np.random.default_rng(depth).normal(size=(len(labels), 10)).astype(np.float16)
    files.write_npz(run.path / "predictions.npz", {"test": logits, "test_labels": np.asarray(labels, np.uint8)})
    return run


def own_addresses(home: Path) -> list[dict[str, str]]:
    """The addresses of a run on own pictures and of an own network, both imported into this home."""
    info = import_pictures(write_pictures(home / "pictures"), "leaves").info
    experiment = Experiment(**dataset_fields(info.name), depth=3, regularizer="dropout", **SMALL)
    run = write_run(home / "runs" / experiment.key, experiment)
    labels = load_dataset(info.name).y_test
    logits = np.random.default_rng(0).normal(size=(len(labels), info.class_count)).astype(np.float16)
    files.write_npz(run.path / "predictions.npz", {"test": logits, "test_labels": np.asarray(labels, np.uint8)})
    classes = tuple(f"kind {number}" for number in range(10))
    description = NetworkDescription(title="my net", owner="", classes=classes, dataset="cifar10", pixels="0-255")
    network = import_network((settings.REPOSITORY / OWN_MODEL).read_bytes(), description)
    return [{"run": run.name}, {"run": network.name}]


@pytest.fixture(params=["samples", "cifar10"])
def data(request):
    """No data set, so the twenty samples; or the real CIFAR-10, where it is at hand."""
    if request.param == "samples":
        return None
    if not os.environ.get("CNNLAB_TEST_ARCHIVE"):
        pytest.skip("needs CNNLAB_TEST_ARCHIVE, the real CIFAR-10")
    return request.getfixturevalue("home_with_cifar10") / "data"


def check(report: Report, name: str) -> None:
    print(f"\n{name}: {report}")
    assert not report.crashes, str(report)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_every_option_of_the_first_view_and_the_next_picture_and_a_reload_work(tmp_path):
    with home_of_runs(tmp_path, [("none", 1)]) as runs:
        skip = {RUN_MENU, VIEW_MENU, "url.from", "url.class"}
        report = sweep(inside, {"run": runs["none", 1].name, "order": "class"}, skip)
        check(report, "first view")
        assert report.params["image"] > {"sample-0"} and len(report.params["order"]) == 3


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("regularizer", "depth"), NETWORKS)
def test_every_option_of_every_view_works(regularizer, depth, data, tmp_path):
    total = Report()
    with home_of_runs(tmp_path, [(regularizer, depth), ("none", 5 - depth)], data) as runs:
        for view in look_inside.VIEWS:
            address = {"run": runs[regularizer, depth].name, "view": view}
            total.add(sweep(inside, address, {RUN_MENU, VIEW_MENU} if view == "maps" else SAME_IN_EVERY_VIEW))
        check(total, f"{depth}-conv, {regularizer}, {'CIFAR-10' if data else 'samples'}")
        assert {action.value for action in total.actions if action.name == "url.order"} >= {"by a class"}


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", PAGES)
def test_every_option_of_every_other_page_works(page, data, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_TEACHER_KEY", TEACHER_KEY)
    with home_of_runs(tmp_path, [("none", 2), ("dropout", 3), ("batchnorm", 2)], data):
        address, session = beginning(page)
        check(sweep(PAGES[page], address, session=session), f"{page}, {'CIFAR-10' if data else 'samples'}")


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
def test_the_sweep_forgets_no_parameter_of_an_address(tmp_path):
    """Those that no menu sets, as a compared run, are named by the pages too: each has been seen in an address."""
    seen = Report()
    runs = [("dropout", 2), ("l2", 2), ("batchnorm", 2)]
    with home_of_runs(tmp_path, runs) as made:
        for network, view in (*((runs[0], view) for view in look_inside.VIEWS), (runs[1], "xray"), (runs[2], "xray")):
            seen.add(sweep(inside, {"run": made[network].name, "view": view}, SAME_IN_EVERY_VIEW - {"url.from"}))
    declared = {*SELECTION_PARAMS, *url_params_of("cnnlab.inspect")}
    assert declared - set(seen.params) == set()


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", SCRIPTS)
def test_every_option_of_every_page_of_a_fresh_clone_works(page, tmp_path, monkeypatch):
    """With the runs that came with the program: the first visit, all of Compare, the results of the page Sweeps."""
    monkeypatch.setenv("CNNLAB_TEACHER_KEY", TEACHER_KEY)
    with home_of_runs(tmp_path, [], shipped=True):
        address, session = beginning(page)
        check(sweep(SCRIPTS[page], address, {VIEW_MENU}, session), f"{page}, fresh clone")


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", ["look_inside", "mistakes", "train", "compare"])
def test_every_option_works_for_own_pictures_and_own_networks(page, tmp_path):
    total = Report()
    with home_of_runs(tmp_path, [("none", 2)]):
        for address in own_addresses(tmp_path):
            if page != "look_inside":
                total.add(sweep(SCRIPTS[page], address))
                continue
            for view in look_inside.VIEWS:
                skip = {RUN_MENU, VIEW_MENU} if view == "maps" else SAME_IN_EVERY_VIEW
                total.add(sweep(inside, address | {"view": view}, skip))
        check(total, f"{page}, own pictures and own networks")


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("number", "page"), list(enumerate(WALKS)))
def test_four_thousand_random_steps_end_in_no_exception(number, page, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_TEACHER_KEY", TEACHER_KEY)
    networks = [("none", 1), ("l2", 2), ("dropout", 3), ("batchnorm", 4)]
    with home_of_runs(tmp_path, networks):
        address, session = beginning(page)
        walk = random_walk(SCRIPTS[page], address, STEPS_OF_A_WALK, SEED + number, session=session)
        check(walk, f"walk {number}, {page}")
