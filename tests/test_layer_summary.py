"""The table below "All maps", against the shipped files that it is made from."""

import re
import shutil

import numpy as np
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.data.cifar10 import CLASSES


def all_maps():
    from cnnlab.pages.look_inside import page

    page()


def test_the_table_says_without_the_data_set_what_activates_the_strongest_maps(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    shipped = settings.PRETRAINED / "3conv-dropout"
    labels = np.load(shipped / "predictions.npz")["test_labels"]
    page = AppTest.from_function(all_maps, default_timeout=90)
    page.query_params["run"] = "3conv-dropout"
    page.run()
    table = next(one.value for one in page.markdown if one.value.startswith("| layer"))
    rows = [line for line in table.splitlines() if line.startswith("| conv")]
    with np.load(shipped / "top_images.npz") as top:
        for row, relu in zip(rows, ("relu1", "relu2", "relu3"), strict=True):
            described = re.findall(r"(\d+) \((\w+) (\d) of 9\)", row)
            assert len(described) == 3
            for number, name, count in described:
                counts = np.bincount(labels[top[f"{relu}/images"][int(number)]], minlength=10)
                assert counts[CLASSES.index(name)] == counts.max() == int(count)


def test_without_the_data_set_top_images_are_counted_among_all_test_images(tmp_path, monkeypatch):
    """The twenty samples, two or three of a class, cannot show which class a filter responds to."""
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    shipped = settings.PRETRAINED / "3conv-dropout"
    labels = np.load(shipped / "predictions.npz")["test_labels"]
    page = AppTest.from_function(all_maps, default_timeout=90)
    page.query_params["run"] = "3conv-dropout"
    page.query_params["view"] = "top"
    page.run()
    words = " ".join(one.value for one in page.markdown)
    headings = re.findall(
        r"\*\*conv(\d)\*\*, map (\d+): \*\*(\d) of 9\*\* strongest of 10,000 test images show the class (\w+)", words
    )
    with np.load(shipped / "top_images.npz") as top:
        for layer, number, count, name in headings:
            counts = np.bincount(labels[top[f"relu{layer}/images"][int(number)]], minlength=10)
            assert counts[CLASSES.index(name)] == counts.max() == int(count)
        alive = top["relu3/images"][~top["relu3/dead"]]
        purity = np.mean([np.bincount(labels[images]).max() for images in alive])
    assert len(headings) == 3
    assert f"**{purity:.1f}** for those of conv3; 2.6 for 9 random images" in words  # simulated: 2.60


def test_without_its_predictions_the_table_names_the_strongest_maps_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    shutil.copytree(settings.PRETRAINED / "3conv-dropout", tmp_path / "pretrained" / "3conv-dropout")
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    (tmp_path / "pretrained" / "3conv-dropout" / "predictions.npz").write_bytes(b"damaged")
    page = AppTest.from_function(all_maps, default_timeout=90)
    page.query_params["run"] = "3conv-dropout"
    page.run()
    assert not page.exception
    table = next(one.value for one in page.markdown if one.value.startswith("| layer"))
    assert re.search(r"^\| conv1 .*\| \d+, \d+, \d+ \|$", table, re.MULTILINE)
