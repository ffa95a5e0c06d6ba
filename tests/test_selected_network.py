"""One network on every page: what is chosen on one is what the next one shows, or says that it cannot show."""

import numpy as np
import pytest
import streamlit as st
from history_factories import history, write
from run_factories import write_run
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.inspect import compare_runs, upload
from cnnlab.jobs import dispatcher_process
from cnnlab.jobs.queue import Queue
from cnnlab.rendering import palette
from cnnlab.storage import files, runs
from cnnlab.ui import app_shell, training_corner
from cnnlab.ui.image_source import load_image_set

pytestmark = pytest.mark.slow

SMALL = {"filters": 8, "dense": 8, "epochs": 2}
PLAIN = Experiment(depth=2, **SMALL)
DROPOUT = Experiment(depth=3, regularizer="dropout", **SMALL)
FINAL = Experiment(depth=3, regularizer="dropout", split="test", **SMALL)
SHAPES = Experiment(dataset="shapes", depth=1, **SMALL)
UNTRAINED = Experiment(depth=4, regularizer="l2", **SMALL)


def script():
    import importlib

    import streamlit as st

    from cnnlab.ui import training_corner

    importlib.import_module(f"cnnlab.pages.{st.session_state['page']}").page()
    training_corner.training_corner()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home with four tested networks, the one that pages open by default among them."""
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    monkeypatch.setattr(dispatcher_process, "ensure_running", lambda: None)
    st.cache_data.clear()
    st.cache_resource.clear()
    for experiment in (PLAIN, DROPOUT, FINAL, SHAPES):
        with_answers(experiment)
    return tmp_path


def with_answers(experiment):
    """A run with weights and with answers to the test images."""
    run = write_run(settings.runs_dir() / experiment.key, experiment)
    labels = load_image_set(experiment.dataset).labels
    logits = np.random.default_rng(0).normal(size=(len(labels), 10)).astype(np.float16)
    files.write_npz(run.path / "predictions.npz", {"test": logits, "test_labels": labels})
    return run


def opened(page, **words):
    app = AppTest.from_function(script, default_timeout=60)
    app.session_state["page"] = page
    app.query_params.update(words)
    app.run()
    assert not app.exception
    return app


def go(app, page):
    """To another page, by a link without parameters."""
    app.session_state["page"] = page
    app.query_params.clear()
    app.run()
    assert not app.exception
    return app


def words_of(experiment):
    return {name: str(value) for name, value in experiment.to_dict().items() if value is not None}


def said(app):
    return "\n".join(element.value for kind in (app.info, app.warning, app.subheader) for element in kind)


@pytest.mark.nightly(but=["CIFAR-10"])
@pytest.mark.parametrize("experiment", [PLAIN, SHAPES], ids=["CIFAR-10", "Shapes"])
def test_the_network_chosen_on_train_is_the_one_of_look_inside_and_of_mistakes(experiment):
    app = opened("train", **words_of(experiment))
    assert go(app, "look_inside").selectbox(key="inspect.image_controls.run").value == experiment.key
    assert go(app, "mistakes").selectbox(key="mistakes run").value == experiment.key
    assert go(app, "train").query_params["depth"] == str(experiment.depth)


@pytest.mark.nightly
def test_the_network_chosen_inside_is_the_one_of_train_and_of_mistakes():
    app = opened("look_inside")
    app.selectbox(key="inspect.image_controls.run").select(PLAIN.key).run()
    go(app, "train")
    assert (app.query_params["depth"], app.query_params["regularizer"]) == ("2", "none")
    assert go(app, "mistakes").selectbox(key="mistakes run").value == PLAIN.key


def script_with_chip():
    import importlib

    import streamlit as st

    from cnnlab.ui import network_chip, presence

    page = st.session_state[presence.SESSION_PAGE] = st.session_state["page"]
    importlib.import_module(f"cnnlab.pages.{page}").page()
    network_chip.network_chip()
    if page != "admin":
        network_chip.network_menu()  # the popover around it is opened by a browser only


@pytest.mark.nightly(but=["mistakes"])
@pytest.mark.parametrize("page", ["train", "compare", "look_inside", "mistakes"])
def test_the_chip_chooses_a_network_on_any_page_and_keeps_the_picture(page):
    app = AppTest.from_function(script_with_chip, default_timeout=60)
    app.session_state["page"] = "look_inside"
    app.query_params.update(run=FINAL.key, image="sample-4", off="conv1-3")
    app.run()
    go(app, page)
    menu = app.selectbox(key="network_chip.network")
    assert (menu.value, len(menu.options)) == (FINAL.key, 4)
    menu.select(PLAIN.key).run()
    assert not app.exception
    assert app.selectbox(key="network_chip.network").value == PLAIN.key
    assert "off" not in app.query_params
    go(app, "look_inside")
    assert (app.query_params["run"], app.query_params["image"]) == (PLAIN.key, "sample-4")


@pytest.mark.nightly
def test_the_chip_has_the_color_of_the_regularizer_and_the_picture():
    app = AppTest.from_function(script_with_chip, default_timeout=60)
    app.session_state["page"] = "look_inside"
    app.query_params.update(run=DROPOUT.key)
    app.run()
    [style] = [one.proto.body for one in app.get("html") if "network_chip" in one.proto.body]
    assert palette.REGULARIZER_COLORS["dropout"] in style and "data:image/png;base64," in style
    app.session_state["page"] = "admin"
    app.query_params.clear()
    app.run()
    assert not [one for one in app.get("html") if "network_chip" in one.proto.body]


@pytest.mark.nightly(but=["look_inside"])
@pytest.mark.parametrize("page", ["look_inside", "mistakes"])
def test_a_page_that_cannot_show_the_selected_network_says_so_and_offers_others(page):
    app = go(opened("train", **words_of(UNTRAINED)), page)
    assert said(app) == f"**{UNTRAINED.title}** is not trained yet."
    assert app.query_params.get("run") in (None, UNTRAINED.key)  # and not, silently, another one
    menu = app.selectbox(key="selected_network.other")
    assert len(menu.options) == 4
    menu.select(PLAIN.key).run()
    assert app.query_params["run"] == PLAIN.key
    assert "not trained" not in said(app)


@pytest.mark.nightly
def test_an_address_without_a_run_keeps_the_selected_network():
    app = opened("train", **words_of(PLAIN))
    go(app, "look_inside")
    app.query_params.clear()
    app.query_params["image"] = "sample-4"
    app.run()
    assert (app.query_params["run"], app.query_params["image"]) == (PLAIN.key, "sample-4")


@pytest.mark.nightly
def test_mistakes_compares_networks_of_unequal_training_sets_only_when_asked():
    app = opened("look_inside", run=DROPOUT.key, view="versus", versus=PLAIN.key)
    assert go(app, "mistakes").selectbox(key="mistakes versus").value == PLAIN.key  # both learned from 40,000
    app.selectbox(key="mistakes run").select(FINAL.key).run()  # from 50,000
    assert app.selectbox(key="mistakes versus").value == ""
    app.selectbox(key="mistakes versus").select(PLAIN.key).run()
    assert app.selectbox(key="mistakes versus").value == PLAIN.key
    assert "50,000 images" in said(app) and "40,000" in said(app)
    app = opened("look_inside", run=FINAL.key, view="versus", versus=PLAIN.key)
    assert go(app, "mistakes").selectbox(key="mistakes versus").value == ""


@pytest.mark.nightly
def test_two_runs_opens_beside_one_that_learned_from_as_many_images():
    found = {experiment: runs.open_run(experiment.key) for experiment in (PLAIN, DROPOUT, FINAL)}
    other = Experiment(depth=3, split="test", **SMALL)
    plain = with_answers(other)
    assert compare_runs.default_second_run(found[FINAL], [found[PLAIN], found[DROPOUT], plain]) == plain
    assert compare_runs.default_second_run(found[DROPOUT], [plain, found[FINAL], found[PLAIN]]) == found[PLAIN]


# -- one's own trainings -----------------------------------------------------------------------------------------------


@pytest.mark.nightly
def test_a_new_tab_opens_ones_running_training_and_can_stop_it(monkeypatch):
    monkeypatch.setattr(app_shell, "current_person", lambda: "ada")
    Queue().submit(UNTRAINED, "ada")
    Queue().claim()
    waiting = Experiment(depth=2, seed=7, **SMALL)
    Queue().submit(waiting, "ada")
    Queue().submit(Experiment(depth=2, seed=8, **SMALL), "bob")
    app = opened("train")
    assert (app.query_params["depth"], app.query_params["regularizer"]) == ("4", "l2")
    next(one for one in app.button if one.label == "Stop").click().run()
    assert not Queue().for_key(UNTRAINED.key).is_wanted
    monkeypatch.setattr(app_shell, "current_person", lambda: "eve")
    assert opened("train").query_params["depth"] == "3"  # what the page opens with


def test_only_ones_own_trainings_are_offered_running_ones_first(monkeypatch):
    monkeypatch.setattr(app_shell, "current_person", lambda: "ada")
    for seed, person in ((1, "bob"), (2, "ada"), (3, "ada")):
        Queue().submit(Experiment(depth=2, seed=seed, **SMALL), person)
    started = [Queue().claim().experiment.seed for _ in range(2)]
    own = [job.experiment.seed for job in app_shell.own_active_jobs()]
    assert sorted(own) == [2, 3] and own[0] in started


@pytest.mark.nightly
def test_the_end_of_a_training_is_announced_where_the_menu_has_it(monkeypatch):
    monkeypatch.setattr(app_shell, "current_person", lambda: "ada")
    app = opened("look_inside")
    job = Queue().submit(UNTRAINED, "ada")
    Queue().claim()
    app.run()
    write_run(settings.runs_dir() / UNTRAINED.key, UNTRAINED)
    Queue().finish(job, "done")
    app.run()
    said = f"**{UNTRAINED.title}** has finished training: open it under Train or Look inside."
    assert [one.value for one in app.markdown if said in one.value] == [f":material/done_all: {said}"]
    assert UNTRAINED.title in app.selectbox(key="inspect.image_controls.run").options


def test_a_training_that_left_no_weights_is_not_offered_inside():
    bare = Experiment(depth=1, seed=9, **SMALL)
    write(settings.runs_dir() / bare.key, bare, history([0.1, 0.4], [0.1, 0.3]))
    job = Queue().submit(Experiment(depth=1, seed=10, **SMALL), "ada")
    assert training_corner.pages_that_show(job) == []
    assert training_corner.pages_that_show(Queue().submit(bare, "ada")) == ["Train"]
    assert training_corner.pages_that_show(Queue().submit(PLAIN, "ada")) == ["Train", "Look inside", "Mistakes"]


# -- pictures ----------------------------------------------------------------------------------------------------------


@pytest.mark.nightly(but=["bird"])
@pytest.mark.parametrize("name", ["bird", "deer"])
def test_a_class_without_a_picture_leads_nowhere_and_is_not_offered(name):
    pictures = load_image_set("cifar10")  # the twenty samples
    assert pictures.neighbor(7, pictures.classes.index(name), 1) == 7
    menu = opened("look_inside", run=PLAIN.key).selectbox(key="inspect.image_controls.class")
    assert name not in menu.options and "ship" in menu.options


@pytest.mark.nightly(but=["http://lab.school.example/-False"])
@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://192.168.1.20:8501/look_inside", False),
        ("http://lab.school.example/", False),
        ("https://lab.school.example/", True),
        ("http://localhost:8501/", True),
        ("http://127.0.0.1:8501/", True),
        (None, True),
    ],
)
def test_the_camera_is_offered_where_a_browser_can_allow_it(url, allowed, monkeypatch):
    monkeypatch.setattr(type(st.context), "url", url)
    app = opened("look_inside", **{upload.IMAGE_SOURCE_PARAM: "camera"})
    assert bool(app.get("camera_input")) == allowed
    assert ("https" in said(app)) != allowed


def test_every_class_of_the_samples_that_has_pictures_is_offered():
    pictures = load_image_set("cifar10")
    counts = [len(pictures.indices(label)) for label in range(10)]
    assert [pictures.classes[label] for label in range(10) if not counts[label]] == ["bird", "deer"]
