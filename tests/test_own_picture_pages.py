"""A training on one's own pictures by the real worker, and its run on every page, with and without the pictures."""

import subprocess

import numpy as np
import pytest
from app_pages import opened, words
from test_own_pictures import CLASSES, write_pictures, zipped

from cnnlab.data import dataset_fields, load_dataset, own_pictures
from cnnlab.data.picture_import import import_pictures
from cnnlab.experiment import Experiment
from cnnlab.lesson_report.keras_script import keras_script
from cnnlab.pages import look_inside
from cnnlab.pages.train import own_pictures as train_pictures
from cnnlab.storage import runs
from cnnlab.storage.background_process import cnnlab_command
from cnnlab.ui import cache, streamlit_memory


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A home with pictures and the key of a run of two epochs on them."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        info = import_pictures(write_pictures(tmp_path_factory.mktemp("pictures")), "leaves").info
        experiment = Experiment(**dataset_fields("leaves"), filters=4, epochs=2, batch=8)
        command = cnnlab_command("train", "--threads", "1", "--dataset", "leaves")
        flags = ["--filters", "4", "--epochs", "2", "--batch", "8"]
        done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        yield info, experiment


@pytest.fixture
def without_pictures(trained):
    """The pictures are removed for one test."""
    info, _ = trained
    folder = own_pictures.settings.data_dir() / info.name
    aside = folder.with_name("aside")
    folder.rename(aside)
    cache.st.cache_resource.clear()
    yield
    aside.rename(folder)
    cache.st.cache_resource.clear()


def test_the_worker_trains_a_network_with_as_many_outputs_as_classes(trained):
    info, experiment = trained
    run = runs.find_run(experiment)
    assert run is not None and run.state == "done" and not run.damages(thorough=True)
    assert run.record.fingerprint == load_dataset(info.name).fingerprint
    assert len(run.history()["epoch"]) == 3
    found = run.predictions()
    assert found["test"].shape == (info.test_images, 3) and found["validation"].shape == (info.validation_images, 3)
    np.testing.assert_array_equal(found["test_labels"], load_dataset(info.name).y_test)
    assert run.weights(2)["logits/kernel"].shape[1] == 3


@pytest.mark.nightly
def test_look_inside_shows_its_pictures_and_its_classes_in_every_view(trained):
    info, experiment = trained
    test = opened("look_inside", run=experiment.key, image="own-3")
    label = int(load_dataset(info.name).y_test[3])
    assert f"test image 3: {CLASSES[label]}" in words(test) and not test.warning
    for view in look_inside.VIEWS:
        test.query_params["view"] = view
        test.run()
        assert not test.exception and not test.error, view
    assert test.query_params["image"] == "own-3"
    told = f"There are {info.test_images} test images; the first one is shown"
    assert told in words(opened("look_inside", run=experiment.key, image="own-50000"))


@pytest.mark.nightly
def test_mistakes_counts_its_classes(trained):
    info, experiment = trained
    run = runs.find_run(experiment)
    wrong = int((run.predictions()["test"].argmax(1) != run.predictions()["test_labels"]).sum())
    test = opened("mistakes", run=experiment.key)
    assert f"misclassifies {wrong} of {info.test_images} test images" in words(test)
    (menu,) = [one for one in test.selectbox if one.label == "True class"]
    assert menu.options == ["any class", *CLASSES]


def test_the_page_train_offers_it_and_keeps_the_other_data_sets_ten_classes(trained):
    info, experiment = trained
    test = opened("train", dataset=info.name, filters=4, epochs=2, batch=8, depth=2, regularizer="none")
    (menu,) = [one for one in test.selectbox if one.label == "Data set"]
    assert menu.options == ["CIFAR-10", "Shapes", "leaves"] and menu.value == info.name
    assert "3 classes" in words(test) and f"{experiment.title}" in words(test)
    menu.select("shapes").run()
    assert not test.exception and test.query_params["dataset"] == "shapes"
    assert "class_names" not in test.query_params and "10 classes" in words(test)
    (menu,) = [one for one in test.selectbox if one.label == "Data set"]
    menu.select(info.name).run()
    assert test.query_params["class_names"] == ",".join(CLASSES) and not test.error


@pytest.mark.nightly
def test_compare_puts_it_beside_another_data_set_and_says_so(trained):
    _, experiment = trained
    test = opened("compare", add=f"{experiment.key},3conv-none")
    assert "trained on leaves and CIFAR-10" in words(test) or "trained on CIFAR-10 and leaves" in words(test)


@pytest.mark.nightly
def test_without_the_pictures_its_run_opens_with_one_sentence(trained, without_pictures):
    info, experiment = trained
    missing = "The pictures of leaves are not on this machine"
    test = opened("look_inside", run=experiment.key)
    assert missing in words(test) and "knows only 3 classes (birch tree, maple, oak)" in words(test)
    for view in look_inside.VIEWS:
        test.query_params["view"] = view
        test.run()
        assert not test.exception, view
    assert missing in words(opened("mistakes", run=experiment.key))
    assert experiment.title in words(opened("train", run=experiment.key))
    other = opened(
        "train", dataset=info.name, depth=3, class_names=",".join(CLASSES), image_counts=experiment.image_counts
    )
    assert missing in words(other)
    assert "describes no experiment" in words(opened("train", dataset=info.name, depth=3))


def test_the_keras_script_of_its_run_reads_the_archive_of_its_pictures(trained):
    info, experiment = trained
    script = keras_script(experiment, "x.py")
    assert f'with_name("{info.name}.npz")' in script and "Dense(units=3, " in script
    compile(script, "x.py", "exec")


def test_an_uploaded_archive_is_selected_freed_and_removed_by_its_owner(tmp_path, monkeypatch):
    freed = []

    def discard(file, widget_key):
        streamlit_memory.discard_uploaded_file(file, widget_key)
        freed.append((widget_key, file.getvalue()))

    monkeypatch.setattr(train_pictures, "discard_uploaded_file", discard)
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    test = opened("train", dataset="shapes", depth=2, regularizer="none")
    archive = zipped(write_pictures(tmp_path / "pictures"))
    (name,) = [one for one in test.text_input if one.label == "Name"]
    (file,) = test.get("file_uploader")
    name.set_value("trees")
    file.set_value(("pictures.zip", archive, "application/zip"))
    (submit,) = [one for one in test.button if one.label == "Import them"]
    submit.click().run()
    assert not test.exception and not test.error
    (info,) = own_pictures.list_datasets()
    assert test.query_params["dataset"] == info.name and "3 classes" in words(test)
    assert own_pictures.owner(info.name) and freed == [(f"{train_pictures.FILE}0", b"")]
    (remove,) = [one for one in test.button if one.label == "Yes, remove them"]
    remove.click().run()
    assert not test.exception and own_pictures.list_datasets() == [] and test.query_params["dataset"] == "shapes"


def test_own_pictures_are_not_taken_before_the_class_code(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CNNLAB_CLASS_CODE", "open sesame")
    test = opened("train", dataset="shapes", depth=2, regularizer="none")
    assert "Type the class code first" in words(test) and not test.get("file_uploader")
