"""Look inside, as Streamlit's own tester sees it: what is drawn, what is said, what stands in the address."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_runs import EPOCHS, write_home, write_run
from streamlit.testing.v1 import AppTest

from cnnlab import forward, runs, settings
from cnnlab.datasets import album
from cnnlab.datasets.samples import samples
from cnnlab.experiment import Experiment


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with a run for each regularizer, and no data set: the twenty samples are all there is to see."""
    home = tmp_path_factory.mktemp("inside")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        patch.setattr(settings, "PRETRAINED", home / "pretrained")
        yield write_home(home)


def opened(**address: object) -> AppTest:
    def script():
        from cnnlab.pages.look_inside import page

        page()

    test = AppTest.from_function(script, default_timeout=30)
    for name, value in address.items():
        test.query_params[name] = str(value)
    test.run()
    assert not test.exception, test.exception[0].message
    return test


def charts(test: AppTest) -> dict[str, str]:
    """The alternative text of every chart, by its key (or, without one, its order)."""
    found = {}
    for place, element in enumerate(test.get("vega_lite_chart")):
        key = element.proto.id.rpartition("-")[2] if element.proto.id else ""
        found[key if key not in ("", "None") else str(place)] = element.proto.alt
    return found


def words(test: AppTest) -> str:
    kinds = (test.header, test.markdown, test.caption, test.warning, test.info, test.error)
    return "\n".join(element.value for kind in kinds for element in kind)


def key(made, regularizer: str) -> str:
    return made[regularizer].name


def test_without_a_run_the_page_says_where_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    assert "train one on the page Train" in words(opened())


def test_the_first_screen_shows_the_picture_the_answer_and_a_wall_for_each_convolution(made):
    test = opened(run=key(made, "dropout"))
    said = words(test)
    for layer, size in (("conv1", "30x30"), ("conv2", "13x13"), ("conv3", "4x4")):
        assert f"**{layer}** 64 of 64 maps, {size}" in said
        assert any(f"64 maps of {layer}" in alt for alt in charts(test).values())
    assert any(alt.startswith("What the network says:") and "cat (truth)" in alt for alt in charts(test).values())
    assert "test image 0: cat" in said


def test_the_answer_is_the_networks_own(made):
    run = made["l2"]
    images, _ = samples()
    shares = forward.softmax(forward.logits(run.layers, run.weights(EPOCHS[-1]), images[3:4]))[0]
    said = words(opened(run=run.name, image="sample-3"))
    best = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")[shares.argmax()]
    assert f"It says **{best}**, {100 * shares.max():.0f} %" in said


def test_every_picture_and_chart_has_an_alternative_text_with_content(made):
    test = opened(run=key(made, "batchnorm"), layer="conv2", map=5)
    assert all(len(alt) > 15 for alt in charts(test).values())
    assert "Map 5 of conv2, enlarged" in "".join(charts(test).values())


def test_the_count_on_the_page_is_the_networks_own(made, tmp_path):
    experiment = Experiment(depth=1, filters=7, kernel=5, epochs=2)
    run = write_run(settings.runs_dir() / experiment.key, experiment)
    assert "**conv1** 7 of 7 maps, 28x28" in words(opened(run=run.name))


def test_an_address_opens_the_view_it_names(made):
    test = opened(run=key(made, "batchnorm"), image="sample-4", epoch=1, layer="conv2", map=17, scale="map")
    assert "**Map 17 of conv2**, enlarged" in words(test)
    assert test.select_slider(key="inside epoch").value == 1
    assert test.number_input(key="inside number").value == 4
    assert "Each map has its own scale" in words(test)
    assert test.query_params["epoch"] == "1" and test.query_params["map"] == "17"


def test_what_is_chosen_is_written_into_the_address(made):
    test = opened(run=key(made, "dropout"))
    test.number_input(key="inside map").set_value(12).run()
    assert (test.query_params["layer"], test.query_params["map"]) == ("conv1", "12")
    test.select_slider(key="inside epoch").set_value(0).run()
    test.number_input(key="inside number").set_value(7).run()
    assert (test.query_params["epoch"], test.query_params["image"]) == ("0", "sample-7")
    assert test.query_params["map"] == "12"
    assert not test.exception


@pytest.mark.parametrize(
    "address",
    [
        {"run": "no-such-run"},
        {"run": "../../etc/passwd"},
        {"image": "test-99999"},
        {"image": "photo-0123456789abcdef"},
        {"image": "<script>"},
        {"epoch": "77"},
        {"epoch": "-1"},
        {"layer": "conv9"},
        {"layer": "dense1"},
        {"map": "64"},
        {"map": "x"},
        {"view": "nonsense", "scale": "nonsense", "order": "nonsense", "from": "nonsense"},
        {"image": "test-5000"},
    ],
)
def test_a_strangers_address_costs_at_most_a_sentence(made, address):
    test = opened(**address)
    assert "64 of 64 maps" in words(test) or "of 7 maps" in words(test)
    assert len(test.warning) <= 2


def test_the_epoch_slider_walks_through_the_snapshots_from_before_the_training(made):
    test = opened(run=key(made, "none"))
    slider = test.select_slider(key="inside epoch")
    assert slider.options == [str(epoch) for epoch in EPOCHS]
    answers = {words(slider.set_value(epoch).run()).partition("It says")[2][:40] for epoch in EPOCHS}
    assert len(answers) == len(EPOCHS)


def test_play_walks_on_by_itself_and_stops_at_the_end(made, monkeypatch):
    monkeypatch.setattr("cnnlab.pages.inside.epochs.PAUSE", 0.0)
    test = opened(run=key(made, "none"))
    test.button(key="inside play").click().run()
    assert test.query_params["hold"] == "yes"  # one scale for all epochs, or nothing would seem to grow
    for _ in range(4):
        test.run()
    assert test.query_params["epoch"] == str(EPOCHS[-1])
    assert test.button(key="inside play")


def test_the_pictures_of_one_class_are_stepped_through_in_order(made):
    test = opened(run=key(made, "none"))
    test.selectbox(key="inside class").select("ship").run()
    ships = np.flatnonzero(samples()[1] == 8).tolist()
    seen = []
    for _ in ships:
        seen.append(int(test.query_params["image"].rpartition("-")[2]))
        test.button(key="inside Next picture").click().run()
    assert seen == ships
    assert test.query_params["image"] == f"sample-{ships[0]}"  # round and round
    test.button(key="inside Previous picture").click().run()
    assert test.query_params["image"] == f"sample-{ships[-1]}"


def test_silent_maps_are_counted_and_named(made):
    experiment = Experiment(depth=1, filters=8, epochs=3)
    run = write_run(settings.runs_dir() / experiment.key, experiment, epochs=(0,))
    weights = run.weights(0)
    weights["conv1/bias"][2] = -100  # this filter can never answer
    runs.write_arrays(run.path / "weights" / "000.npz", weights)
    test = opened(run=run.name, layer="conv1", map=2)
    assert "8 of 8 maps, 30x30, " in words(test) and "silent" in words(test)
    assert "silent on this image: zero everywhere" in words(test)


def test_a_training_that_diverged_is_said_and_shown(made):
    experiment = Experiment(depth=1, filters=8, epochs=4, learning_rate=10)
    run = write_run(settings.runs_dir() / experiment.key, experiment, epochs=(0,))
    weights = run.weights(0)
    weights["conv1/kernel"][...] = np.nan
    runs.write_arrays(run.path / "weights" / "000.npz", weights)
    assert "8 without numbers" in words(opened(run=run.name, layer="conv1", map=1))


# ---- a picture of one's own -----------------------------------------------------------------------------------------


def photo_bytes(size=(60, 40)) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_an_upload_is_shown_step_by_step_and_named_in_the_address(made):
    test = opened(run=key(made, "none"), **{"from": "upload"})
    test.file_uploader(key="inside upload").upload("me.png", photo_bytes()).run()
    assert not test.exception
    name = test.query_params["image"]
    assert name.startswith("photo-")
    assert album.photo(name[6:]).shape == (32, 32, 3)
    assert "ten classes only" in words(test)
    alts = [image.alt for element in test.get("image") for image in element.proto.imgs]
    steps = [alt for alt in alts if alt.startswith("Step")]
    assert [alt[:7] for alt in steps] == ["Step 1:", "Step 2:", "Step 3:", "Step 4:"]
    assert "your picture" in words(opened(run=key(made, "none"), image=name))  # a copied link shows it to others


def test_the_square_moves_where_the_slider_says(made):
    test = opened(run=key(made, "none"), **{"from": "upload"})
    test.file_uploader(key="inside upload").upload("me.png", photo_bytes()).run()
    first = test.query_params["image"]
    test.slider(key="inside across").set_value(0.0).run()
    assert test.query_params["image"] != first


@pytest.mark.parametrize("data", [b"no picture at all", b"", photo_bytes()[:60]])
def test_a_bad_upload_costs_one_sentence_and_the_picture_stays(made, data):
    test = opened(run=key(made, "none"), image="sample-2", **{"from": "upload"})
    test.file_uploader(key="inside upload").upload("me.jpg", data).run()
    assert not test.exception
    assert len(test.error) == 1 and "\n" not in test.error[0].value
    assert test.query_params["image"] == "sample-2"


def test_the_album_keeps_the_newest_photos_only(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(album, "MOST", 3)
    kept = []
    for shade in range(5):
        kept.append(album.keep(np.full((32, 32, 3), shade, np.uint8)))
        os.utime(album.folder() / f"{kept[-1]}.png", (shade, shade))
    assert sorted(path.stem for path in Path(album.folder()).glob("*.png")) == sorted(kept[2:])
    assert (album.photo(kept[4]) == 4).all()
    assert album.keep(np.full((32, 32, 3), 4, np.uint8)) == kept[4]  # the same pixels, the same name
    for name in (kept[0], "../" + kept[4], "0" * 16):
        with pytest.raises(album.UnknownPhoto):
            album.photo(name)
