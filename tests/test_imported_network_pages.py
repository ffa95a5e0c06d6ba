"""Look inside and Mistakes for a network that somebody imported: its maps, its classes, and its removal."""

import numpy as np
import pytest
import streamlit as st
from app_pages import opened, words
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.data import shapes
from cnnlab.inspect import imported_network
from cnnlab.jobs import network_uploads
from cnnlab.pages import look_inside
from cnnlab.storage import files, imported_networks
from cnnlab.storage.network_import import NetworkDescription, import_network
from cnnlab.ui import streamlit_memory


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def shapes_file(tmp_path_factory):
    """The weights of a shipped network as somebody's own file."""
    return (settings.PRETRAINED / "3conv-batchnorm" / "model.keras").read_bytes()


def imported(content, owner="", classes=shapes.CLASSES, dataset="shapes", title="my net"):
    description = NetworkDescription(title=title, owner=owner, classes=classes, dataset=dataset, pixels="0-255")
    return import_network(content, description)


def test_the_form_offers_no_file_larger_than_the_server_takes():
    uploaders = opened("look_inside").get("file_uploader")
    sizes = [one.proto.max_upload_size_mb for one in uploaders if one.proto.label == "Keras file"]
    assert len(sizes) == 1 and 0 < sizes[0] <= st.get_option("server.maxUploadSize")


@pytest.mark.nightly
def test_views_of_look_inside_show_it_and_those_that_need_a_training_are_not_offered(shapes_file):
    network = imported(shapes_file)
    test = opened("look_inside", run=network.name)
    for view in ("blocks", "map", "field"):
        test.query_params["view"] = view
        test.run()
        assert not test.exception and not test.error and "Your own network" in words(test)
    assert set(look_inside.NEED_TRAINING) < set(look_inside.VIEWS)


def test_classes_of_its_own_are_predicted_and_no_image_has_a_true_class(shapes_file):
    network = imported(shapes_file, classes=tuple(f"kind {n}" for n in range(10)), dataset="cifar10")
    shown = words(opened("look_inside", run=network.name))
    assert "Prediction: **kind " in shown and "True class" not in shown
    assert "The network knows only 10 classes (kind 0," in shown


@pytest.mark.nightly
def test_its_menu_entry_is_its_owners_alone_and_a_link_opens_it_for_everybody(shapes_file):
    network = imported(shapes_file, owner="somebody else")
    menu = opened("look_inside").selectbox(key="inspect.image_controls.run").options
    assert not [title for title in menu if "my net" in title]
    test = opened("look_inside", run=network.name)
    assert "my net (your own network)" in test.selectbox(key="inspect.image_controls.run").options
    assert not [button for button in test.button if button.label == "Yes, remove it"]


@pytest.mark.nightly
def test_its_owner_removes_it_after_a_question(shapes_file, monkeypatch):
    monkeypatch.setattr(imported_network.app_shell, "current_person", lambda: "ann")
    network = imported(shapes_file, owner="ann")
    test = opened("look_inside", run=network.name)
    assert "Remove **my net** from this server?" in words(test)
    next(button for button in test.button if button.label == "Yes, remove it").click().run()
    assert not test.exception and not imported_networks.list_imported()
    assert test.query_params["run"] != [network.name]


def test_a_file_that_is_refused_costs_one_sentence_and_changes_nothing(home, monkeypatch):
    test = AppTest.from_function(import_page, default_timeout=60)
    test.run()
    assert not test.exception
    (problem,) = test.error
    assert problem.value == "This file is no whole zip archive; expected a .keras file, saved by Keras 3."
    assert not imported_networks.list_imported()


def import_page():
    from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

    from cnnlab.inspect import imported_network

    file = UploadedFile(UploadedFileRec("1", "net.keras", "", b"not a zip"), None)
    imported_network.import_upload(file, "key", "mine", "", "0-1")


def test_the_bytes_of_a_file_that_was_imported_are_freed(shapes_file, monkeypatch):
    freed = []

    def discard(file, widget_key):
        freed.append((file.name, widget_key))
        streamlit_memory.discard_uploaded_file(file, widget_key)
        assert file.getvalue() == b""

    monkeypatch.setattr(imported_network, "discard_uploaded_file", discard)
    monkeypatch.setattr(network_uploads, "start_test", lambda network: None)
    test = opened("look_inside")
    test.file_uploader(key=f"{imported_network.FILE}0").upload("net.keras", shapes_file)
    next(button for button in test.button if button.label == "Look inside it").click()
    test.run()
    assert not test.exception and len(imported_networks.list_imported()) == 1
    assert freed == [("net.keras", f"{imported_network.FILE}0")]


@pytest.mark.nightly
def test_mistakes_shows_its_predictions_and_compares_it_with_a_run(shapes_file, monkeypatch):
    network = imported(shapes_file)
    assert "has no predictions" in words(opened("mistakes", run=network.name))
    labels = np.arange(1000) % 10
    logits = np.eye(10, dtype=np.float32)[np.where(np.arange(1000) < 250, (labels + 1) % 10, labels)] * 5
    files.write_npz(network.path / "predictions.npz", {"test": logits, "test_labels": labels.astype(np.uint8)})
    assert "my net misclassifies 250 of 1,000 test images" in words(opened("mistakes", run=network.name))
    assert "**75.0 %** of 1,000 test images correct" in words(opened("look_inside", run=network.name))


@pytest.mark.nightly
def test_the_page_train_opens_after_it_with_an_experiment_of_its_own(shapes_file):
    network = imported(shapes_file)
    test = opened("look_inside", run=network.name)
    test.query_params.clear()
    test.session_state["page"] = "train"
    test.run()
    assert not test.exception and not test.error
