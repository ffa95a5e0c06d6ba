"""Look inside, as Streamlit's own tester sees it: what is drawn, what is said, what stands in the address."""

import errno
import gc
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
from page_sweep import params_of
from PIL import Image
from run_factories import EPOCHS, write_home, write_run
from streamlit.testing.v1 import AppTest

from cnnlab import data, settings
from cnnlab.analysis import adversarial, attribution, effective_receptive_field, heatmap_sanity
from cnnlab.data import Dataset, load_dataset, shapes
from cnnlab.data.cifar10 import CLASSES
from cnnlab.data.photo_preprocessing import prepare_photo
from cnnlab.data.samples import sample_images
from cnnlab.experiment import Experiment
from cnnlab.explanations import inspection, notices
from cnnlab.formatting import percent
from cnnlab.inspect import convolution_animation, pixel_trace, upload
from cnnlab.inspect.context import InspectContext
from cnnlab.jobs import top_activations_job
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import network_layers
from cnnlab.pages.look_inside import VIEWS
from cnnlab.storage import files, process_lock, uploads
from cnnlab.storage.history_file import REESTIMATED_COLUMNS
from cnnlab.storage.reestimated_file import REESTIMATED_FILE
from cnnlab.ui import clickable_image, widget_values


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with a run for each regularizer, and no data set: the twenty samples are all there is to see."""
    home = tmp_path_factory.mktemp("inside")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        patch.setattr(settings, "PRETRAINED", home / "pretrained")
        yield write_home(home)


def opened(locked: Collection[str] = (), **address: object) -> AppTest:
    def script():
        from cnnlab.pages.look_inside import page

        page()

    test = AppTest.from_function(script, default_timeout=90)
    test.session_state["inspect.image_controls.picker"] = True  # open, so that what lies in it is listened to
    test.session_state["control_locks.names"] = {"lock": frozenset(locked)}
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


def bars(test: AppTest) -> list[str]:
    """What the bar charts of the classes say, first to last."""
    return [alt for alt in charts(test).values() if alt.startswith("Predicted probabilities")]


def words(test: AppTest) -> str:
    kinds = (test.title, test.markdown, test.caption, test.warning, test.info, test.error)
    return "\n".join(element.value for kind in kinds for element in kind).replace("\N{NO-BREAK SPACE}", " ")


def key(made, regularizer: str) -> str:
    return made[regularizer].name


def test_without_a_run_the_page_says_where_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    assert "train one on the page Train" in words(opened())


def test_the_first_screen_shows_image_prediction_and_the_maps_of_each_convolution(made):
    test = opened(run=key(made, "dropout"))
    said = words(test)
    for layer, size in (("conv1", "30x30"), ("conv2", "13x13"), ("conv3", "4x4")):
        assert f"**{layer}** 64 of 64 maps, {size}" in said
        assert any(f"64 maps of {layer}" in alt for alt in charts(test).values())
    assert any(
        alt.startswith("Predicted probabilities:") and "cat (true class)" in alt for alt in charts(test).values()
    )
    assert "test image 0: cat" in said


def test_the_answer_is_the_networks_own(made):
    run = made["l2"]
    images, _ = sample_images()
    shares = numpy_forward.softmax(
        numpy_forward.logits(network_layers(run.experiment), run.weights(EPOCHS[-1]), images[3:4])
    )[0]
    said = words(opened(run=run.name, image="sample-3"))
    best = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")[shares.argmax()]
    assert f"Prediction: **{best}** ({100 * shares.max():.0f} %)" in said


def test_every_picture_and_chart_has_an_alternative_text_with_content(made):
    test = opened(run=key(made, "batchnorm"), layer="conv2", map=5)
    assert all(len(alt) > 15 for alt in charts(test).values())
    assert "Map 5 of conv2, enlarged" in "".join(charts(test).values())


def test_the_count_on_the_page_is_the_networks_own(made, tmp_path):
    experiment = Experiment(depth=1, filters=7, kernel=5, epochs=2)
    run = write_run(settings.runs_dir() / experiment.key, experiment)
    assert "**conv1** 7 of 7 maps, 28x28" in words(opened(run=run.name))


def test_a_locked_epoch_and_a_locked_image_are_shown_and_cannot_be_changed(made):
    test = opened(locked=("epoch", "image"), run=key(made, "none"), epoch=1)
    assert test.select_slider(key="inspect.epoch_slider.epoch").disabled
    assert {one.label: one.disabled for one in test.button if one.label in ("Play", "Back", "Next")} == dict.fromkeys(
        ("Play", "Back", "Next"), True
    )


def test_an_address_opens_the_view_it_names(made):
    test = opened(run=key(made, "batchnorm"), image="sample-4", epoch=1, layer="conv2", map=17, scale="map")
    assert "**Map 17 of conv2**, enlarged" in words(test)
    assert test.select_slider(key="inspect.epoch_slider.epoch").value == 1
    assert test.number_input(key="inspect.image_controls.number").value == 4
    assert "Each map has its own scale" in words(test)
    assert test.query_params["epoch"] == "1" and test.query_params["map"] == "17"


@pytest.mark.slow
def test_what_is_chosen_is_written_into_the_address(made):
    test = opened(run=key(made, "dropout"))
    test.number_input(key="inspect.map_controls.map").set_value(12).run()
    assert (test.query_params["layer"], test.query_params["map"]) == ("conv1", "12")
    test.select_slider(key="inspect.epoch_slider.epoch").set_value(0).run()
    test.number_input(key="inspect.image_controls.number").set_value(7).run()
    assert (test.query_params["epoch"], test.query_params["image"]) == ("0", "sample-7")
    assert test.query_params["map"] == "12"
    assert not test.exception


@pytest.mark.parametrize(("seconds", "kept"), [(600.0, True), (0.0, False)])
def test_a_value_that_a_browser_has_not_received_yet_undoes_no_click(made, monkeypatch, seconds, kept):
    monkeypatch.setattr(widget_values, "OUTDATED_SECONDS", seconds)
    test = opened(run=key(made, "dropout"), image="sample-4", layer="conv2")
    test.query_params["map"] = "5"  # as a click on a grid writes it
    test.run()
    test.number_input(key="inspect.map_controls.map").set_value(None)  # the browser's answer to the page before
    test.segmented_control(key="url.scale").set_value("layer").run()
    assert test.query_params["scale"] == "layer"
    assert ("map" in test.query_params) == kept


@pytest.mark.nightly
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
@pytest.mark.slow
def test_a_strangers_address_costs_at_most_a_sentence(made, address):
    test = opened(**address)
    assert "64 of 64 maps" in words(test) or "of 7 maps" in words(test)
    assert len(test.warning) <= max(2, len(address))  # one a word


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ({"view": "bogus"}, "asks for view='bogus', which this page does not have; 'All maps' is shown"),
        ({"map": "9999"}, "none is enlarged"),
        ({"row": "-5", "column": "900"}, "parameters that this page does not know: 'row', 'column'"),
        ({"against": "qqq"}, "parameters that this page does not know: 'against'"),
        ({"scale": "loud"}, "asks for scale='loud'"),
    ],
)
@pytest.mark.slow
def test_a_word_that_means_nothing_costs_one_sentence_once(made, address, said):
    test = opened(run=key(made, "none"), **address)
    assert [said in one.value.replace("\\", "") for one in test.warning] == [True]
    assert not test.run().warning  # the address has been mended


@pytest.mark.slow
def test_a_layer_of_another_network_costs_no_word(made):
    assert not opened(run=key(made, "batchnorm"), view="why", cam="conv3").warning


def test_the_class_menu_and_the_order_by_class_are_two_widgets(made):
    test = opened(run=key(made, "none"), order="class")
    test.session_state["inspect.image_controls.picker"] = True
    test.run()
    test.selectbox(key="inspect.image_controls.class").select("ship").run()
    assert not test.exception
    assert (
        test.selectbox(key="url.class").value == "0"
        and test.selectbox(key="inspect.image_controls.class").value == "ship"
    )


@pytest.mark.slow
def test_the_epoch_slider_walks_through_the_snapshots_from_before_the_training(made):
    test = opened(run=key(made, "none"))
    slider = test.select_slider(key="inspect.epoch_slider.epoch")
    assert slider.options == [str(epoch) for epoch in EPOCHS]
    answers = {words(slider.set_value(epoch).run()).partition("Prediction")[2][:40] for epoch in EPOCHS}
    assert len(answers) == len(EPOCHS)


@pytest.mark.slow
def test_the_small_curve_says_whether_it_was_measured_on_validation_or_test_images(made):
    final = Experiment(depth=1, filters=7, split="test", epochs=2)
    run = write_run(settings.runs_dir() / final.key, final)
    app = opened(run=run.name)
    assert "test 20 % (dashed)" in words(app)
    assert any('"title": "test"' in chart.proto.spec for chart in app.get("vega_lite_chart"))  # under the pointer
    assert "validation 20 % (dashed)" in words(opened(run=key(made, "none")))


@pytest.mark.slow
def test_play_begins_at_the_first_epoch_on_one_scale_and_can_be_paused(made):
    test = opened(run=key(made, "none"))
    test.button(key="inspect.epoch_slider.play").click().run()
    assert test.query_params["epoch"] == "0"
    assert test.query_params["hold"] == "yes"  # one scale for all epochs, or nothing would seem to grow
    test.button(key="inspect.epoch_slider.pause").click().run()
    assert test.button(key="inspect.epoch_slider.play")


@pytest.mark.slow
def test_the_pictures_of_one_class_are_stepped_through_in_order(made):
    test = opened(run=key(made, "none"), of="ship", image="sample-1")
    ships = np.flatnonzero(sample_images()[1] == 8).tolist()
    seen = []
    for _ in ships:
        seen.append(int(test.query_params["image"].rpartition("-")[2]))
        test.button(key="inspect.image_controls.next").click().run()
    assert seen == ships
    assert test.query_params["image"] == f"sample-{ships[0]}"  # round and round
    test.button(key="inspect.image_controls.back").click().run()
    assert test.query_params["image"] == f"sample-{ships[-1]}"


@pytest.mark.slow
def test_a_closed_picker_is_not_listened_to(made):
    test = opened(run=key(made, "none"), image="sample-3")
    test.session_state["inspect.image_controls.picker"] = False
    test.number_input(key="inspect.image_controls.number").set_value(5).run()  # what the browser last knew of it
    test.button_group(key="url.from").set_value("upload").run()
    assert test.query_params["image"] == "sample-3" and "from" not in test.query_params


def test_inactive_maps_are_counted_and_named(made):
    experiment = Experiment(depth=1, filters=8, epochs=3)
    run = write_run(settings.runs_dir() / experiment.key, experiment, epochs=(0,))
    weights = run.weights(0)
    weights["conv1/bias"][2] = -100  # this filter can never answer
    files.write_npz(run.path / "weights" / "000.npz", weights)
    test = opened(run=run.name, layer="conv1", map=2)
    assert "8 of 8 maps, 30x30, " in words(test) and "found nothing here" in words(test)
    assert "inactive on this image: zero everywhere" in words(test)
    maps = np.zeros((4, 4, 3), np.float32)
    assert clickable_image.from_feature_map(maps, 1, 1e-6, signed=False).legend.low == "0, inactive"
    maps[0, 0, 1] = 2
    assert clickable_image.from_feature_map(maps, 1, 2.0, signed=False).legend.high == "2.00"


@pytest.mark.nightly(but=["maps", "why"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.slow
def test_a_training_that_diverged_is_said_and_shown(made, view):
    experiment = Experiment(depth=1, filters=8, epochs=4, learning_rate=10)
    run = write_run(settings.runs_dir() / experiment.key, experiment, epochs=(0,))
    weights = run.weights(0)
    weights["conv1/kernel"][...] = np.nan
    files.write_npz(run.path / "weights" / "000.npz", weights)
    said = words(opened(run=run.name, view=view, layer="conv1", map=1))
    assert "**No prediction**" in said
    assert view != "maps" or "8 without numbers" in said


def test_a_run_that_trains_can_be_looked_into_from_its_first_weights_on(made):
    experiment = Experiment(depth=1, filters=8, epochs=9)
    run = write_run(settings.runs_dir() / experiment.key, experiment, epochs=(0,), state="running")
    with process_lock.acquire(run.path / "lock"):
        test = opened(run=run.name)
        assert any("(training now)" in option for option in test.selectbox(key="inspect.image_controls.run").options)
        assert "Only the weights after epoch 0 are kept so far" in words(test)
        assert "8 of 8 maps" in words(test)


# ---- the deeper views -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "regularizer", ["batchnorm", *(pytest.param(one, marks=pytest.mark.nightly) for one in ("dropout", "l2"))]
)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.slow
def test_every_view_opens_and_its_charts_have_alternative_texts(made, regularizer, view):
    test = opened(run=key(made, regularizer), view=view)
    assert all(len(alt) > 15 for alt in charts(test).values())
    assert not test.warning and not test.error


def test_batch_norm_shows_both_accuracies_of_the_epoch_where_they_are_known(made):
    run = made["batchnorm"]
    assert "What the moving averages do" not in words(opened(run=run.name, view="xray"))
    row = dict.fromkeys(REESTIMATED_COLUMNS, 0.25)
    files.write_json(run.path / REESTIMATED_FILE, {"epochs": [row | {"epoch": epoch} for epoch in EPOCHS]})
    test = opened(run=run.name, view="xray", epoch=EPOCHS[-1])
    assert f"After epoch {EPOCHS[-1]} the network is correct on" in words(test) and "on **25.0 %**" in words(test)
    assert any(alt.startswith("Accuracy with moving averages") for alt in charts(test).values())
    files.write_json(run.path / REESTIMATED_FILE, {"epochs": [row | {"epoch": 99}]})
    test = opened(run=run.name, view="xray")
    assert "reestimated.json has other epochs than the run" in test.warning[0].value.replace("\\", "")
    (run.path / REESTIMATED_FILE).unlink()


@pytest.mark.nightly(but=["maps"])
@pytest.mark.parametrize("view", ["maps", "blocks", "kernels", "versus", "off", "map"])
@pytest.mark.slow
def test_eight_filters_hang_in_two_rows_of_four_in_every_view(made, view):
    experiment = Experiment(depth=2, filters=8, epochs=2)
    run = write_run(settings.runs_dir() / experiment.key, experiment)
    test = opened(run=run.name, view=view, versus=key(made, "l2"), layer="conv2")
    specs = " ".join(chart.proto.spec for chart in test.get("vega_lite_chart"))
    grids = re.findall(r"height\W+expr\W+width \* (\d+) / (\d+) ", specs)
    assert ("2", "4") in grids
    assert not [grid for grid in grids if grid[1] == "8" and grid != ("8", "8")]


def test_block_by_block_counts_what_relu_silences(made):
    run = made["batchnorm"]
    stages = numpy_forward.compute_activations(network_layers(run.experiment), run.weights(2), sample_images()[0][:1])
    said = words(opened(run=run.name, view="blocks", layer="conv2"))
    for name in ("conv2", "bn2", "relu2", "pool2"):
        assert f"**{name}** 64 maps" in said
    assert f"{100 * (stages['relu2'] == 0).mean():.0f} % of the numbers are zero" in said
    assert f"{100 * (stages['conv2'] < 0).mean():.0f} % of the numbers are below zero" in said


@pytest.fixture
def not_animated(monkeypatch):
    """The page as for a network whose windows the animation of the kernel does not cover."""
    monkeypatch.setattr(convolution_animation, "can_be_animated", lambda block: False)


@pytest.mark.parametrize(("layer", "place"), [("conv1", (7, 11)), ("conv2", (3, 9)), ("conv3", (2, 1))])
@pytest.mark.slow
def test_the_sum_of_a_pixel_adds_up_to_the_number_on_the_screen(made, not_animated, layer, place):
    run = made["l2"]
    value = numpy_forward.compute_activations(network_layers(run.experiment), run.weights(2), sample_images()[0][:1])[
        layer
    ][0, *place, 3]
    pixel = place[0] * {"conv1": 30, "conv2": 13, "conv3": 4}[layer] + place[1]
    test = opened(run=run.name, view="map", layer=layer, map=3, stage="conv", pixel=pixel)
    table = next(one.value for one in test.markdown if one.value.startswith("| from"))
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    parts = [float(number) for name, number in rows if not name.startswith("**")]
    assert abs(sum(parts) - value) < 1e-3  # every part is shown with four digits
    assert dict(rows)[f"**{layer}**"] == f"**{value:.4f}**"
    assert ("all 60 others" in dict(rows)) == (layer != "conv1")


@pytest.mark.parametrize("size", [3, 5, 7])
def test_every_number_of_a_kernel_is_written_on_its_square_whatever_its_size(size):
    part = np.random.default_rng(0).normal(0, 5, (size, size))
    part[0] = 0
    written = [square.text for square in pixel_trace.number_cells(part, (0, 0), 1.0, signed=True)]
    np.testing.assert_allclose([float(text) for text in written], part.ravel(), atol=0.0051)
    assert max(map(len, written)) <= 6


@pytest.mark.slow
def test_a_padded_convolution_says_where_its_zeros_come_from(made, not_animated):
    experiment = Experiment(depth=4, filters=8, epochs=2)
    run = write_run(settings.runs_dir() / experiment.key, experiment)
    said = words(opened(run=run.name, view="map", layer="conv4", map=1, pixel=0))
    assert "conv4 is padded: pool3 is 2x2, smaller than the kernel" in said
    assert "5 of the 9 places of this patch lie outside the map and hold 0.00." in said
    assert "conv4 is padded: it also reads zeros outside the border" in said
    assert "padded" not in words(opened(run=run.name, view="map", layer="conv3", map=1))


def test_a_pooled_pixel_is_followed_to_the_pixel_that_won(made):
    run = made["none"]
    stages = numpy_forward.compute_activations(network_layers(run.experiment), run.weights(2), sample_images()[0][:1])
    square = stages["relu1"][0, 6:8, 10:12, 5]
    row, column = divmod(int(square.argmax()), 2)
    page = opened(run=run.name, view="map", layer="conv1", map=5, stage="pool", pixel=3 * 15 + 5)
    assert f"is **{square.max():.4f}**: relu1, row {6 + row}, column {10 + column}" in words(page)
    assert not [one for one in page.header if "arithmetic" in one.value]  # the animation shows it of every pixel


@pytest.mark.slow
def test_an_inactive_map_is_told_from_a_dead_one(made, monkeypatch):
    experiment = Experiment(depth=1, filters=8, epochs=6)
    run = write_run(settings.runs_dir() / experiment.key, experiment, epochs=(0,))
    weights = run.weights(0)
    weights["conv1/bias"][2] = -100
    files.write_npz(run.path / "weights" / "000.npz", weights)
    address = {"run": run.name, "view": "map", "layer": "conv1", "map": 2}
    assert "**inactive on this image**" in words(opened(**address))
    images, labels = sample_images()
    monkeypatch.setattr(data, "load_dataset", lambda name: Dataset(name, CLASSES, images, labels, images, labels, ""))
    top_activations_job.run_job(run)
    assert "is **dead**: after ReLU it is zero on this image and on all 20 test images" in words(opened(**address))


@pytest.mark.slow
def test_switching_a_filter_off_is_zeroing_its_weights(made):
    run = made["none"]
    test = opened(run=run.name, view="off", layer="conv2", map=7)
    test.button(key="inspect.filter_ablation.toggle").click().run()
    weights = run.weights(2)
    weights["conv2/kernel"][..., 7] = 0
    weights["conv2/bias"][7] = 0
    expected = numpy_forward.softmax(
        numpy_forward.logits(network_layers(run.experiment), weights, sample_images()[0][:1])
    )[0]
    assert f"cat (true class) {percent(float(expected[3]))}" in bars(test)[-1]
    assert "Filters off: 1 of conv2" in words(test)
    test.button(key="inspect.filter_ablation.reset").click().run()
    assert "All filters are on, as trained" in words(test)


@pytest.mark.nightly
@pytest.mark.slow
def test_a_kernel_typed_over_changes_its_map_and_nothing_on_the_disk(made):
    run = made["none"]
    before = run.weights(2)["conv1/kernel"].copy()
    test = opened(run=run.name, view="off")
    for row in range(3):
        for column in range(3):
            test.number_input(key=f"inspect.kernel_editor.weight 0 all {row} {column}").set_value(1.0).run()
    weights = run.weights(2)
    weights["conv1/kernel"][..., 0] = 1.0
    strongest = numpy_forward.compute_activations(network_layers(run.experiment), weights, sample_images()[0][:1])[
        "relu1"
    ][0, ..., 0].max()
    assert any(alt.startswith("Map 0 now") and f"{strongest:.2f}" in alt for alt in charts(test).values())
    np.testing.assert_array_equal(run.weights(2)["conv1/kernel"], before)


@pytest.mark.slow
def test_a_changed_kernel_is_named_and_not_counted(made):
    test = opened(run=key(made, "none"), view="off")
    for number, said in ((0, "; kernel 0 of conv1 changed."), (4, "; kernels 0 and 4 of conv1 changed.")):
        test.number_input(key="url.edit").set_value(number).run()
        test.selectbox(key=f"inspect.kernel_editor.preset {number} all").select("blur").run()
        assert f"Filters off: none{said}" in words(test)


@pytest.mark.slow
def test_the_colours_of_occlusion_are_said_to_be_means_over_patches(made):
    run = made["none"]
    found = attribution.occlusion(
        network_layers(run.experiment), run.weights(2), sample_images()[0][0], 3, patch=8, stride=2
    )
    said = words(opened(run=run.name, view="why", why=3))
    assert inspection.describe_occlusion_colors(found) in said and inspection.describe_occlusion(found, CLASSES) in said


@pytest.mark.slow
def test_grad_cam_without_evidence_says_so_in_words(made):
    experiment = Experiment(depth=1, filters=8, epochs=7)
    run = write_run(settings.runs_dir() / experiment.key, experiment, epochs=(0,))
    weights = run.weights(0)
    weights["logits/kernel"][:, 5] = -1  # whatever is found speaks against a dog
    weights["dense1/kernel"][...] = np.abs(weights["dense1/kernel"])
    files.write_npz(run.path / "weights" / "000.npz", weights)
    assert "No positive evidence" in words(opened(run=run.name, view="why", why=5))


@pytest.mark.slow
def test_what_if_asks_the_network_about_the_changed_picture(made):
    run = made["dropout"]
    test = opened(run=run.name, view="whatif", image="sample-6")
    test.toggle(key="url.change_mirrored").set_value(True).run()
    mirrored = sample_images()[0][6:7, :, ::-1]
    expected = numpy_forward.softmax(numpy_forward.logits(network_layers(run.experiment), run.weights(2), mirrored))[0]
    assert f"automobile (true class) {percent(float(expected[1]))}" in " ".join(bars(test))
    test.button(key="inspect.perturbation.reset").click().run()
    assert "nothing is changed yet" in words(test)


@pytest.mark.slow
def test_an_adversarial_step_shows_the_prediction_for_the_changed_image(made):
    run = made["none"]
    test = opened(run=run.name, view="whatif")
    test.slider(key="url.step").set_value(8).run()
    layers, image = network_layers(run.experiment), sample_images()[0][0]
    step = adversarial.adversarial_step(layers, run.weights(2), image, 3, 8)
    assert f"cat (true class) {percent(float(step.probabilities[3]))}" in bars(test)[-1]
    assert f"**{step.control_agreement} of 20** images" in words(test)


@pytest.mark.slow
def test_receptive_fields_are_measured_before_the_training_and_at_the_epoch(made):
    run = made["none"]
    said = words(opened(run=run.name, view="field"))
    layers = network_layers(run.experiment)
    for epoch in (0, 2):
        found = effective_receptive_field.effective_receptive_field(
            layers, run.weights(epoch), sample_images()[0], "conv3"
        )
        assert f"on **{found.pixel_count} of 324** pixels" in said
    assert "over 20 test images" in said


@pytest.mark.slow
def test_the_image_that_activates_a_map_is_computed_on_request_only(made):
    test = opened(run=key(made, "none"), view="map", layer="conv1", map=3)
    assert "gradient ascent" not in words(test)
    test.toggle(key="url.maximize").set_value(True).run()
    assert "gradient ascent" in words(test) and "Mean of the map before ReLU" in words(test)


@pytest.mark.slow
def test_without_the_data_set_top_images_are_chosen_from_the_samples(made):
    run = made["none"]
    test = opened(run=run.name, view="top")
    images, labels = sample_images()
    maxima = numpy_forward.compute_activations(network_layers(run.experiment), run.weights(2), images)["relu2"]
    number = int(maxima[0].max(axis=(0, 1)).argmax())
    nine = np.argsort(-maxima[..., number].max(axis=(1, 2)), kind="stable")[:9]
    alt = next(alt for name, alt in charts(test).items() if name.startswith("images conv2"))
    assert alt.endswith(", ".join(f"{CLASSES[labels[image]]} {image}" for image in nine) + ".")
    assert "the 20 sample images" in words(test) and "show the class" not in words(test)
    assert f"at most {np.bincount(labels).max()} of one class: too few" in words(test)


@pytest.mark.slow
def test_a_heat_map_is_compared_with_untrained_and_random_weights(made):
    run = made["none"]
    test = opened(run=run.name, view="why", why=3)
    test.toggle(key="url.sanity").set_value(True).run()
    found = heatmap_sanity.randomized_cams(
        network_layers(run.experiment), run.weights(2), sample_images()[0][0], 3, "relu3"
    )
    assert f"**{notices.correlation_text(found[-1].correlation)}** with all layers random" in words(test)
    assert "epoch 0" in words(test) and "inside the shape" not in words(test)


@pytest.mark.slow
def test_on_shapes_the_share_of_the_heat_inside_the_shape_is_said(made, monkeypatch, tmp_path):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    for name in ("TRAIN_POOL", "VALIDATION", "TEST"):
        monkeypatch.setattr(shapes, name, 50)  # drawn in a moment
    experiment = Experiment(dataset="shapes", depth=2, filters=8, epochs=2)
    run = write_run(settings.runs_dir() / experiment.key, experiment)
    test = opened(run=run.name, view="why")
    test.toggle(key="url.sanity").set_value(True).run()
    assert "of the heat inside the shape" in words(test)


def test_every_view_begins_with_what_to_notice(made):
    for view in ("maps", "blocks", "kernels"):
        page = opened(run=key(made, "batchnorm"), view=view)
        [notice] = [one.value for one in page.markdown if one.value.startswith("**Notice:**")]
        assert " %" not in notice  # a line does not end between a number and its sign


def test_the_x_ray_compares_l2_with_the_plain_run(made):
    test = opened(run=key(made, "l2"), view="xray")
    norms = [np.linalg.norm(made[name].weights(2)["conv1/kernel"]) for name in ("l2", "none")]
    assert f"| conv1 | 1,728 | {norms[0]:.2f} |" in words(test) and f" {norms[1]:.2f} |" in words(test)


def test_before_and_after_batch_normalization_are_drawn_each_on_its_own_scale(made):
    run = made["batchnorm"]
    test = opened(run=run.name, view="xray", bn="bn2")
    stages = numpy_forward.compute_activations(network_layers(run.experiment), run.weights(2), sample_images()[0][:1])
    for when, stage in (("before", "conv2"), ("after", "bn2")):
        ends = [np.quantile(stages[stage][0].reshape(-1, 64), share, axis=0) for share in (0.05, 0.95)]
        said = next(alt for alt in charts(test).values() if alt.startswith(f"Channels {when} bn2"))
        assert f"all lines within {ends[0].min():.2f} to {ends[1].max():.2f}." in said
    drawn = [json.loads(one.proto.spec) for one in test.get("vega_lite_chart") if one.proto.alt.startswith("Channels")]
    assert len(drawn) == 2
    fields = [channel["field"] for spec in drawn for layer in spec["layer"] for channel in layer["encoding"].values()]
    assert set(fields) == {"low", "high", "middle"}  # nothing else stretches the axis
    assert "a scale of its own" in words(test) and not re.search(r"\b(left|right|boxes)\b", words(test))


def test_two_runs_move_through_the_epochs_together(made):
    test = opened(run=key(made, "none"), view="versus", versus=key(made, "batchnorm"), epoch=1)
    for name in ("none", "batchnorm"):
        assert f"**{made[name].experiment.title}**, epoch 1" in words(test)


@pytest.mark.slow
def test_two_runs_show_detail_first_and_say_when_they_share_a_scale(made):
    """On one scale the maps of a network that computes with smaller numbers are dark."""
    address = {"run": key(made, "none"), "view": "versus", "versus": key(made, "batchnorm")}
    assert "Each map has its own scale" in words(opened(**address))
    shared = words(opened(**address, scale="layer"))
    assert "one color scale for both runs" in shared and "Each map has its own scale" not in shared


@pytest.mark.slow
def test_two_runs_say_whether_equal_numbers_of_filters_mean_anything(made):
    alike = words(opened(run=key(made, "none"), view="versus", versus=key(made, "l2")))  # both of the same numbers
    assert "have the same initial weights" in alike and "**64 of 64** first-layer filters" in alike
    other = Experiment(depth=2, seed=5, epochs=2)
    run = write_run(settings.runs_dir() / other.key, other, epochs=(2,))  # its start was not kept, its seed is known
    assert "depends on its random initial weights" in words(
        opened(run=run.name, view="versus", versus=key(made, "none"))
    )
    wide = Experiment(depth=1, kernel=5, epochs=2)
    run = write_run(settings.runs_dir() / wide.key, wide)
    assert "depends on its random initial weights" in words(
        opened(run=run.name, view="versus", versus=key(made, "none"))
    )


# ---- a picture of one's own -----------------------------------------------------------------------------------------


def photo_bytes(size=(60, 40)) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.slow
def test_an_upload_is_shown_step_by_step_and_named_in_the_address(made):
    test = opened(run=key(made, "none"), **{"from": "upload"})
    test.file_uploader(key="inspect.upload.file").upload("me.png", photo_bytes()).run()
    assert not test.exception
    name = test.query_params["image"]
    assert name.startswith("photo-")
    assert uploads.load_upload(name[6:]).shape == (32, 32, 3)
    assert "only 10 classes" in words(test)
    alts = [image.alt for element in test.get("image") for image in element.proto.imgs]
    steps = [alt for alt in alts if alt.startswith("Step")]
    assert [alt[:7] for alt in steps] == ["Step 1:", "Step 2:", "Step 3:", "Step 4:"]
    assert "your image" in words(opened(run=key(made, "none"), image=name))  # a copied link shows it to others


@pytest.mark.slow
def test_the_square_moves_where_the_slider_says(made):
    run = made["none"]
    test = opened(run=run.name, **{"from": "upload"})
    test.file_uploader(key="inspect.upload.file").upload("me.png", photo_bytes()).run()
    written = test.query_params["image"]
    test.slider(key="inspect.upload.across").set_value(0.0).run()
    pixels = prepare_photo(photo_bytes(), horizontal=0.0).pixels
    shares = numpy_forward.softmax(numpy_forward.logits(network_layers(run.experiment), run.weights(2), pixels[None]))[
        0
    ]
    assert f"{CLASSES[shares.argmax()]} {percent(float(shares.max()))}" in bars(test)[0]
    assert test.query_params["image"] == written  # each change would be an entry in the browser's history


@pytest.mark.slow
def test_the_square_of_a_large_photo_is_told_in_the_photos_own_pixels(made):
    test = opened(run=key(made, "none"), **{"from": "upload"})
    test.file_uploader(key="inspect.upload.file").upload("me.png", photo_bytes((1200, 700))).run()
    alts = [image.alt for element in test.get("image") for image in element.proto.imgs]
    assert "Step 3: square, 350x350 on the copy, about 700x700 of the original" in alts


@pytest.mark.nightly
@pytest.mark.slow
def test_who_goes_back_from_a_photo_stays_where_they_went(made):
    test = opened(run=key(made, "none"), **{"from": "upload"})
    test.file_uploader(key="inspect.upload.file").upload("me.png", photo_bytes()).run()
    test.query_params["image"] = "sample-3"  # as the browser's own button does
    assert "test image 3: airplane" in words(test.run())
    assert test.query_params["image"] == "sample-3"
    test.slider(key="inspect.upload.across").set_value(0.0).run()  # but a square that is moved is to be seen
    assert test.query_params["image"].startswith("photo-")


@pytest.mark.slow
def test_the_camera_is_another_way_to_the_same_steps(made):
    file = io.BytesIO()
    Image.open(io.BytesIO(photo_bytes())).save(file, "JPEG")
    test = opened(run=key(made, "none"), **{"from": "camera"})
    test.camera_input(key="inspect.upload.camera").upload("me.jpg", file.getvalue()).run()
    assert not test.exception
    assert test.query_params["image"].startswith("photo-")


@pytest.mark.parametrize("data", [b"no picture at all", b"", photo_bytes()[:60]])
@pytest.mark.slow
def test_a_bad_upload_costs_one_sentence_and_the_picture_stays(made, data):
    test = opened(run=key(made, "none"), image="sample-2", **{"from": "upload"})
    test.file_uploader(key="inspect.upload.file").upload("me.jpg", data).run()
    assert not test.exception
    assert len(test.error) == 1 and "\n" not in test.error[0].value
    assert test.query_params["image"] == "sample-2"


@pytest.mark.nightly(but=["data0"])
@pytest.mark.parametrize("data", [photo_bytes(), b"no picture at all"])
@pytest.mark.slow
def test_an_upload_is_decoded_once_however_often_the_page_runs(made, monkeypatch, data):
    decoded, decode = [], upload.decode_photo
    monkeypatch.setattr(upload, "decode_photo", lambda *given, **poll: decoded.append(1) or decode(*given, **poll))
    test = opened(run=key(made, "none"), **{"from": "upload"})
    test.file_uploader(key="inspect.upload.file").upload("me.png", data).run()
    for _ in range(3):
        test.run()
    assert len(decoded) == 1
    assert len(test.error) == (data != photo_bytes())


@pytest.mark.slow
def test_a_home_that_cannot_be_written_costs_one_sentence(made, monkeypatch):
    def refuse(pixels):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(uploads, "save_upload", refuse)
    test = opened(run=key(made, "none"), image="sample-2", **{"from": "upload"})
    test.file_uploader(key="inspect.upload.file").upload("me.png", photo_bytes()).run()
    assert not test.exception
    assert len(test.error) == 1 and "\n" not in test.error[0].value
    assert test.query_params["image"] == "sample-2"


def test_the_album_keeps_the_newest_photos_only(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 3)
    kept = []
    for shade in range(5):
        kept.append(uploads.save_upload(np.full((32, 32, 3), shade, np.uint8)))
        os.utime(uploads.directory() / f"{kept[-1]}.png", (shade, shade))
    assert sorted(path.stem for path in Path(uploads.directory()).glob("*.png")) == sorted(kept[2:])
    assert (uploads.load_upload(kept[4]) == 4).all()
    assert uploads.save_upload(np.full((32, 32, 3), 4, np.uint8)) == kept[4]  # the same pixels, the same name
    for name in (kept[0], "../" + kept[4], "0" * 16):
        with pytest.raises(uploads.UnknownUpload):
            uploads.load_upload(name)


# ---- other pictures -------------------------------------------------------------------------------------------------


@pytest.mark.nightly
@pytest.mark.slow
def test_a_network_that_learned_shapes_is_shown_shapes(made):
    experiment = Experiment(dataset="shapes", depth=2, filters=8, epochs=2)
    run = write_run(settings.runs_dir() / experiment.key, experiment)
    test = opened(run=run.name)  # the address names no image; the cat would make no sense
    assert test.query_params["image"] == "shapes-0"
    data = load_dataset("shapes")
    assert f"test image 0: {data.classes[data.y_test[0]]}" in words(test)
    test.number_input(key="inspect.image_controls.number").set_value(999).run()
    assert test.query_params["image"] == "shapes-999" and not test.exception


@pytest.mark.nightly
@pytest.mark.cifar
@pytest.mark.slow
def test_with_the_data_set_all_ten_thousand_test_images_can_be_shown(home_with_cifar10, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(home_with_cifar10))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path)
    write_run(tmp_path / "2conv-none", Experiment())
    data = load_dataset("cifar10")
    test = opened(run="2conv-none", image="test-9999")
    assert f"test image 9,999: {CLASSES[data.y_test[9999]]}" in words(test)
    test = opened(run="2conv-none", image="sample-0")
    assert test.query_params["image"] == "test-0" and "test image 0: cat" in words(test)


# ---- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.nightly(but=["maps", "why"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.slow
def test_what_a_session_keeps_holds_no_maps(made, view):
    test = opened(run=key(made, "dropout"), view=view)
    gc.collect()
    kept = [one for one in gc.get_objects() if isinstance(one, InspectContext) and "activations" in vars(one)]
    assert test.query_params and not kept


FREED = """
import sys
import numpy as np
from cnnlab.operating_system import c_library as heap

def private():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) // 1024

if sys.argv[1] == "yes":
    assert heap.limit_malloc_cache() and heap.limit_malloc_cache()
before = private()
for _ in range(3):  # from the second one on, glibc would keep it
    np.ones(16 * 2**20, np.uint8)
print(private() - before)
"""


@pytest.mark.linux
def test_a_large_array_that_nobody_needs_any_more_leaves_the_process():
    command = [sys.executable, "-c", FREED]
    kept = {asked: int(subprocess.check_output([*command, asked], cwd=settings.REPOSITORY)) for asked in ("yes", "no")}
    assert kept["yes"] < 4 < 12 < kept["no"]


HOSTILE = {
    "off": ("conv1.99", "conv9.1", "conv1", "conv1.3-1", "conv1.1~conv1.2", "<b>", "conv1." + "1." * 2000, "~"),
    "edited": ("0.AAAA", "99." + "A" * 72, "0." + "_" * 72, "0", "0.!", "~~", "0." + "A" * 5000),
    "change_right": ("9", "-9", "x", "1e1", "\u0663", "99999999999"),
    "change_mirrored": ("maybe",),
    "step": ("-1", "33", "nan"),
    "patch": ("1", "17"),
    "sample": ("0", "31"),
    "tops": ("conv1.99", "conv1"),
    "edit": ("99", "x"),
    "strongest": ("0", "99"),
}
VIEWS_OF = {"off": "off", "edited": "off", "edit": "off", "strongest": "off", "change_right": "whatif",
            "step": "whatif", "change_mirrored": "whatif", "patch": "why", "sample": "xray", "tops": "top"}  # fmt: skip


@pytest.mark.nightly(but=["strongest"])
@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_word_of_a_view_costs_one_sentence_and_leaves_the_address(made, name):
    test = opened(run=key(made, "dropout"), view=VIEWS_OF[name])
    for word in HOSTILE[name]:
        test.query_params[name] = word
        test.run()
        assert not test.exception, word
        assert len(test.warning) == 1, word
        assert name not in test.query_params, word


@pytest.mark.slow
def test_a_link_shows_the_same_filters_and_kernels_to_another_browser(made):
    run = made["none"]
    test = opened(run=run.name, view="off", layer="conv2", map=7)
    test.button(key="inspect.filter_ablation.toggle").click().run()
    test.number_input(key="url.edit").set_value(4).run()
    test.selectbox(key="inspect.kernel_editor.preset 4 all").select("blur").run()
    test.number_input(key="inspect.kernel_editor.weight 4 all 0 0").set_value(0.5).run()
    other = opened(**params_of(test))
    assert bars(other) == bars(test)
    assert "Filters off: 1 of conv2; kernel 4 of conv1 changed." in words(other)
    assert other.number_input(key="inspect.kernel_editor.weight 4 all 0 0").value == 0.5
    other.selectbox(key="inspect.image_controls.run").select(made["l2"].name).run()
    assert "All filters are on, as trained" in words(other)
