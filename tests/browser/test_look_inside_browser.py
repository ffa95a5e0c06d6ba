"""Look inside in a real browser: feature maps, clicks, a photo, a copied link, one pixel, two runs, a phone."""

import io
import re
from itertools import groupby

import numpy as np
import pytest
import segno
from chrome import CONTRAST, NARROW, WIDE, scrolls_sideways, served, settled, steady_box, wait_until
from PIL import Image
from playwright.sync_api import expect
from run_factories import write_home, write_run

from cnnlab.data.samples import sample_images
from cnnlab.experiment import Experiment
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import network_layers
from cnnlab.storage.files import write_npz
from cnnlab.ui.training_corner import POLL_SECONDS

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def made():
    """The runs, by regularizer; filled when the app starts."""
    return {}


@pytest.fixture(scope="module")
def app(tmp_path_factory, made):
    """A server with a network for each regularizer and the twenty sample images."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        made.update(write_home(home))
        with served(home, CNNLAB_PRETRAINED=str(home / "none")) as running:
            yield running


def opened(tab, app, **words):
    tab.goto(app.at("look_inside", **words))
    settled(tab)


def click_square(tab, key: str, number: int, columns: int = 8) -> None:
    """Click one square of a picture made of squares."""
    marks = tab.locator(f".st-key-{key} svg.marks")
    side = steady_box(marks)["width"] / columns
    row, column = divmod(number, columns)
    marks.click(position={"x": (column + 0.4) * side, "y": (row + 0.4) * side})


def test_the_feature_maps_of_the_cat_appear_and_a_click_enlarges_one(app, tab, made):
    opened(tab, app, run=made["dropout"].name)
    tab.get_by_text("test image 0: cat").wait_for()
    for layer, size in (("conv1", "30x30"), ("conv2", "13x13"), ("conv3", "4x4")):
        tab.get_by_text(re.compile(f"{layer} 64 of 64 maps, {size}")).wait_for()
        tab.locator(f".st-key-grid-{layer} svg.marks image").first.wait_for()
    for number in (19, 42):  # a second click finds the first one's map still open
        entries = tab.evaluate("history.length")
        click_square(tab, "grid-conv2", number)
        tab.get_by_text(f"Map {number} of conv2").wait_for()
        tab.wait_for_url(re.compile(f"layer=conv2&map={number}"))
        assert tab.evaluate("history.length") == entries + 1
    tab.get_by_text(re.compile(r"of 64 maps number \d+ by mean|inactive on this image")).wait_for()


@pytest.mark.nightly
def test_under_the_pointer_a_map_says_its_number_and_range(app, tab, made):
    opened(tab, app, run=made["none"].name)
    marks = tab.locator(".st-key-grid-conv1 svg.marks")
    steady_box(marks)
    marks.hover(position={"x": 10, "y": 10})
    said = tab.locator("#vg-tooltip-element")
    said.get_by_text("map 0").wait_for()
    run, image = made["none"], sample_images()[0][:1]
    high = numpy_forward.compute_activations(network_layers(run.experiment), run.weights(2), image)["relu1"][
        0, ..., 0
    ].max()
    assert f"{high:.2f}" in said.inner_text() or "inactive" in said.inner_text()


def test_a_photo_of_ones_own_goes_through_all_steps(app, tab, made, tmp_path):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)).save(file, "JPEG")
    opened(tab, app, run=made["l2"].name)
    tab.get_by_role("button", name="Image", exact=True).click()
    tab.get_by_text("my image").click()
    tab.set_input_files("input[type=file]", {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()})
    tab.wait_for_url(re.compile("image=photo-[0-9a-f]{16}"))
    for step in ("original, 120x80", "oriented", "square, 80x80", "32x32, what the network gets"):
        tab.get_by_text(re.compile(step)).first.wait_for()
    kept = tab.url
    tab.set_input_files("input[type=file]", {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": b"not a picture"})
    tab.get_by_text(re.compile("This file is not a picture")).wait_for()
    assert tab.url == kept


@pytest.mark.nightly
def test_a_square_that_is_moved_costs_the_browsers_history_one_entry(app, tab, made):
    opened(tab, app, run=made["l2"].name, image="sample-3")
    tab.get_by_role("button", name="Image", exact=True).click()
    tab.get_by_text("my image").click()
    tab.wait_for_url(re.compile("from=upload"))
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)).save(file, "PNG")
    tab.set_input_files("input[type=file]", {"name": "me.png", "mimeType": "image/png", "buffer": file.getvalue()})
    tab.wait_for_url(re.compile("image=photo-[0-9a-f]{16}"))
    settled(tab)
    arrived, entries = tab.url, tab.evaluate("history.length")
    slider = tab.get_by_role("slider", name="From left to right")
    for moved in ("0.55", "0.60", "0.65"):
        slider.press("ArrowRight")
        tab.get_by_text(moved, exact=True).wait_for()
        settled(tab)
        tab.wait_for_function("() => [...document.images].every(image => image.complete)")
    assert tab.url == arrived
    tab.keyboard.press("Escape")
    tab.wait_for_function(f"() => location.href !== {arrived!r}")
    settled(tab)
    assert "image=photo-" in tab.url and tab.evaluate("history.length") == entries + 1
    tab.go_back()
    settled(tab)
    assert tab.url == arrived
    tab.go_back()
    tab.get_by_text("test image 3: airplane").wait_for()
    tab.go_back()  # before the picker was asked for a photo
    polled(tab)
    assert "image=sample-3" in tab.url and "from=" not in tab.url


@pytest.mark.nightly
def test_the_next_picture_stays_after_a_number_was_typed(app, tab, made):
    opened(tab, app, run=made["none"].name)
    tab.get_by_role("button", name="Image", exact=True).click()
    number = tab.get_by_role("spinbutton", name=re.compile("Number"))
    number.fill("5")
    number.press("Enter")
    tab.wait_for_url(re.compile("image=sample-5"))
    tab.keyboard.press("Escape")
    number.wait_for(state="detached")
    tab.get_by_role("button", name="Next").click()
    tab.wait_for_url(re.compile("image=sample-6"))
    polled(tab)
    assert "image=sample-6" in tab.url


def polled(tab) -> None:
    """Wait until the frame around the page has asked the server once more, which sends what every widget holds."""
    settled(tab)
    tab.wait_for_timeout(2000 * POLL_SECONDS)
    settled(tab)


@pytest.mark.nightly
def test_a_copied_link_opens_the_same_view(app, new_tab, made):
    first = new_tab()
    opened(first, app, run=made["batchnorm"].name, image="sample-4", epoch=1)
    click_square(first, "grid-conv2", 5)
    first.wait_for_url(re.compile("map=5"))
    first.get_by_text("compare strength").click()
    first.wait_for_url(re.compile("scale=layer"))
    second = new_tab()
    second.goto(first.url)
    settled(second)
    second.get_by_text("Map 5 of conv2").wait_for()
    second.get_by_text("test image 4: frog").wait_for()
    expect(second.get_by_role("radio", name="compare strength")).to_be_checked()
    assert second.get_by_role("slider", name="After epoch").get_attribute("aria-valuetext") == "1"


@pytest.mark.nightly
def test_the_link_opens_filters_kernel_and_what_if_for_somebody_else(app, new_tab, made):
    first = new_tab()
    opened(first, app, run=made["none"].name, image="sample-4", view="off")
    click_square(first, "switches", 9)
    first.get_by_text(re.compile("Filters off: 1 of conv1")).wait_for()
    first.get_by_role("combobox", name="Ready-made").click()
    first.get_by_role("option", name="blur").click()
    first.get_by_text(re.compile("kernel 0 of conv1 changed")).wait_for()
    show_view(first, "What if")
    first.get_by_role("slider", name="Brighter").press("ArrowRight")
    first.wait_for_url(re.compile("change_brightness=5"))
    first.get_by_text("Mirrored", exact=True).click()
    first.wait_for_url(re.compile("change_mirrored=yes"))
    settled(first)
    first.get_by_role("button", name="Link").click()
    link = first.get_by_test_id("stCode").inner_text().strip()
    code = first.get_by_role("img", name="QR code").get_attribute("src")
    assert segno.make(link, error="l").png_data_uri(scale=6, border=3) == code
    second = new_tab(NARROW)
    second.goto(link)
    settled(second)
    second.get_by_text("test image 4: frog").wait_for()
    expect(second.get_by_role("slider", name="Brighter")).to_have_value("5")
    assert (
        second.get_by_role("switch", name="Mirrored").or_(second.get_by_role("checkbox", name="Mirrored")).is_checked()
    )
    assert changed_prediction(second) == changed_prediction(first) and "%" in changed_prediction(first)
    show_view(second, "Switch off")
    second.get_by_text("Filters off: 1 of conv1; kernel 0 of conv1 changed.").wait_for()
    assert second.get_by_role("combobox", name="Ready-made").input_value() == "blur"


def show_view(tab, name: str) -> None:
    """Choose a view of the page."""
    tab.locator(".st-key-url-view").get_by_role("radio", name=name, exact=True).click()
    settled(tab)


def changed_prediction(tab) -> str:
    """What the view says of the prediction for the changed image, with its figures."""
    return tab.get_by_text("Notice:", exact=True).locator("xpath=..").inner_text()


@pytest.mark.nightly
def test_a_click_on_a_pixel_shows_the_sum_that_made_it(app, tab, made):
    run = made["batchnorm"]
    opened(tab, app, run=run.name, view="map", layer="conv1", map=3, stage="bn")
    place = 7 * 30 + 11
    click_square(tab, "one-map", place, columns=30)
    stages = numpy_forward.compute_activations(network_layers(run.experiment), run.weights(2), sample_images()[0][:1])
    summed, normalized = (f"{stages[name][0, 7, 11, 3]:.4f}" for name in ("conv1", "bn1"))
    tab.get_by_text(f"Row 7, column 11: sum and bias {summed}, after bn1 {normalized}.", exact=True).wait_for()
    tab.wait_for_function(f"() => location.search.includes('pixel={place}')")


@pytest.mark.nightly
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "phone"])
def test_the_numbers_of_a_wide_kernel_fit_their_squares(app, new_tab, made, size):
    experiment = Experiment(depth=1, filters=8, kernel=5, epochs=2)
    run = write_run(app.home / "runs" / experiment.key, experiment)
    tab = new_tab(size)
    opened(tab, app, run=run.name, view="map", layer="conv1", map=3)
    squares = tab.locator(".convolution .grid span")
    squares.last.wait_for()
    settled(tab)
    free = squares.evaluate_all(
        """squares => squares.map(square => {
          const range = document.createRange();
          range.selectNodeContents(square);
          return square.clientWidth - range.getBoundingClientRect().width;
        })"""
    )
    assert len(free) == 3 * 3 * 25  # patch, kernel and products of three colors
    assert min(free) > 0
    assert not scrolls_sideways(tab)


@pytest.mark.nightly
def test_the_surest_answer_is_written_whole_on_a_phone(app, new_tab, made):
    experiment = Experiment(depth=1, filters=7, epochs=2)
    run = write_run(app.home / "runs" / experiment.key, experiment)
    weights = run.weights(2)
    logits = numpy_forward.logits(network_layers(run.experiment), weights, sample_images()[0][:1])[0]
    weights["logits/bias"][3] += np.log(9999 * np.exp(np.delete(logits, 3)).sum()) - logits[3]  # 99.99 %
    write_npz(run.path / "weights" / "002.npz", weights)
    tab = new_tab(NARROW)
    opened(tab, app, run=run.name)
    sure = tab.locator("svg.marks text", has_text=">99.9 %").first
    sure.wait_for()
    ends = sure.evaluate("words => [words, words.ownerSVGElement].map(part => part.getBoundingClientRect().right)")
    assert ends[0] <= ends[1]


@pytest.mark.nightly
def test_a_long_title_is_whole_in_the_menu_of_networks(app, tab, made):
    experiment = Experiment(dataset="shapes", depth=4, regularizer="dropout", filters=8, epochs=2, train_images=4000)
    run = write_run(app.home / "runs" / experiment.key, experiment)
    opened(tab, app, run=run.name)
    menu = tab.get_by_role("combobox").first
    menu.wait_for()
    assert menu.evaluate("box => [box, ...box.querySelectorAll('*')].every(one => one.scrollWidth <= one.clientWidth)")


@pytest.mark.nightly
def test_filters_are_switched_off_and_one_click_brings_them_back(app, tab, made):
    opened(tab, app, run=made["none"].name, view="off")
    click_square(tab, "switches", 9)
    tab.get_by_text(re.compile("63 of 64 filters on")).wait_for()
    tab.get_by_text(re.compile("Filters off: 1 of conv1")).wait_for()
    tab.get_by_role("button", name="Reset").click()
    tab.get_by_text(re.compile("64 of 64 filters on")).wait_for()
    tab.get_by_text("All filters are on, as trained").wait_for()


@pytest.mark.nightly
def test_what_was_set_inside_is_there_again_after_another_page(app, tab, made):
    opened(tab, app, run=made["none"].name, view="off", layer="conv2")
    click_square(tab, "switches", 9)
    tab.get_by_text(re.compile("Filters off: 1 of conv2")).wait_for()
    left = tab.url.partition("?")[2]
    assert "off=conv2" in left and "view=off" in left
    tab.get_by_role("link", name="Mistakes").click()
    tab.get_by_role("heading", name="Which images does the network get wrong").wait_for()
    assert "view" not in tab.url
    tab.get_by_role("link", name="Look inside").click()
    tab.get_by_text(re.compile("Filters off: 1 of conv2")).wait_for()
    tab.wait_for_url(lambda url: sorted(url.partition("?")[2].split("&")) == sorted(left.split("&")))


@pytest.mark.nightly
def test_two_runs_stand_side_by_side_on_one_scale(app, tab, made):
    titles = [made[name].experiment.title for name in ("none", "batchnorm")]
    opened(tab, app, run=made["none"].name, view="versus", versus=made["batchnorm"].name)
    tab.get_by_text(re.compile("Both runs have the same initial weights")).wait_for()
    grids = [tab.locator(f"[role=graphics-document][aria-label*='{run}: 64 maps of conv1']") for run in titles]
    left, right = (grid.locator("svg.marks") for grid in grids)
    left.wait_for()
    right.wait_for()
    wait_until(lambda: left.bounding_box()["y"] == right.bounding_box()["y"], "both grids stand on one line")
    ends = [grid.locator("text").all_inner_texts()[-1] for grid in (left, right)]
    assert ends[0] == ends[1]
    assert tab.get_by_text("conv3 64 of 64").count() == 0  # the second run has two convolutions


KEEP_EPOCHS = """() => {
  window.epochs = [];
  for (const name of ['pushState', 'replaceState']) {
    const change = history[name].bind(history);
    history[name] = (...words) => {
      change(...words);
      epochs.push(new URLSearchParams(location.search).get('epoch'));
    };
  }
}"""


@pytest.mark.nightly
def test_play_walks_from_the_first_epoch_to_the_last(app, tab, made):
    opened(tab, app, run=made["l2"].name)
    tab.evaluate(KEEP_EPOCHS)
    tab.get_by_role("button", name="Play").click()
    tab.wait_for_function("() => epochs.at(-1) === '2'")
    tab.get_by_role("button", name="Play").wait_for()
    assert [epoch for epoch, _ in groupby(tab.evaluate("epochs"))] == ["0", "1", "2"]


def test_the_keyboard_reaches_a_map(app, tab, made):
    opened(tab, app, run=made["none"].name)
    number = tab.get_by_label("Map, 0 to 63")
    number.press_sequentially("12")
    number.press("Enter")
    tab.get_by_text("Map 12 of conv1").wait_for()


@pytest.mark.nightly
@pytest.mark.parametrize("view", ["maps", "map", "off"])
def test_on_a_phone_nothing_is_wider_than_the_screen(app, new_tab, made, view):
    tab = new_tab(NARROW, color_scheme="dark")
    opened(tab, app, run=made["batchnorm"].name, view=view, layer="conv1", map=3)
    tab.locator("svg.marks").nth(2).wait_for()
    assert not scrolls_sideways(tab)
    open_view = tab.locator(".st-key-url-view [aria-checked=true]").bounding_box()
    assert open_view["x"] >= 0 and open_view["x"] + open_view["width"] <= NARROW["width"]


@pytest.mark.nightly
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["phone", "screen"])
def test_all_nine_numbers_of_a_kernel_are_on_the_screen_at_once(app, new_tab, made, size):
    tab = new_tab(size)
    opened(tab, app, run=made["batchnorm"].name, view="off")
    number = tab.get_by_role("spinbutton", name="row 2, column 2")
    number.wait_for()
    around = "xpath=ancestor::*[@data-testid='{}'][1]".format
    field, row = (number.locator(around(name)).bounding_box() for name in ("stNumberInput", "stHorizontalBlock"))
    assert field["x"] + field["width"] <= row["x"] + row["width"] <= size["width"]


@pytest.mark.nightly
def test_on_a_phone_image_and_prediction_come_first_then_the_feature_maps(app, new_tab, made):
    tab = new_tab(NARROW)
    opened(tab, app, run=made["dropout"].name)
    picture, grid = tab.get_by_test_id("stImage").first, tab.locator(".st-key-grid-conv1 svg.marks")
    grid.wait_for()
    answer = tab.get_by_text(re.compile("^Prediction: "))
    wait_until(lambda: answer.bounding_box()["x"] > picture.bounding_box()["x"] + 100, "they stand side by side")
    assert picture.bounding_box()["y"] < 300 and answer.bounding_box()["y"] < 300
    wait_until(lambda: grid.bounding_box()["y"] < 1.3 * NARROW["height"], "the first grid begins soon after")


@pytest.mark.nightly
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_words_of_a_chosen_segment_can_be_read_in_either_theme(app, new_tab, made, scheme):
    """WCAG 2.2: at least 4.5 to 1 for text of this size."""
    tab = new_tab(color_scheme=scheme)
    opened(tab, app, run=made["dropout"].name)
    segments = tab.get_by_role("radio", checked=True)
    segments.first.wait_for()
    assert all(segment.evaluate(CONTRAST) >= 4.5 for segment in segments.all())


def test_the_kernel_slides_by_keyboard_pointer_and_play_with_the_weights_shown(app, new_tab, made):
    tab = new_tab()
    opened(tab, app, run=made["dropout"].name, view="map", layer="conv2", map=5, pixel=14)
    run, image = made["dropout"], sample_images()[0][:1]
    maps = numpy_forward.compute_activations(network_layers(run.experiment), run.weights(2), image)
    animation = tab.locator(".convolution")
    pixel = animation.get_by_role("slider")

    def shows(row, column):
        conv, relu = (maps[name][0, row, column, 5] for name in ("conv2", "relu2"))
        words = f"Row {row}, column {column}: sum and bias "
        tab.wait_for_function(
            "([slider, words]) => slider.getAttribute('aria-valuetext').startsWith(words)",
            arg=[pixel.element_handle(), words],
        )
        told = pixel.get_attribute("aria-valuetext").removeprefix(words)
        values = [float(part) for part in re.findall(r"-?[0-9]+\.[0-9]+", told)]
        assert values == pytest.approx([conv, relu], abs=2e-4)
        terms = animation.locator(".sum li:not(.result) b").all_inner_texts()
        assert len(terms) == 6 and sum(map(float, terms)) == pytest.approx(values[0], abs=1e-9)

    shows(1, 1)
    pixel.focus()
    for key, place in (("ArrowRight", (1, 2)), ("ArrowDown", (2, 2)), ("ArrowUp", (1, 2)), ("ArrowLeft", (1, 1))):
        pixel.press(key)
        shows(*place)
    animation.get_by_role("button", name="Next pixel").click()
    shows(1, 2)
    box = pixel.bounding_box()
    pixel.hover(position={"x": box["width"] * 7.5 / 13, "y": box["height"] * 4.5 / 13})
    shows(4, 7)
    patch = maps["pool1"][0, 4:7, 7:10]
    name = int(animation.locator("figcaption").nth(0).inner_text().split(",")[0].removeprefix("map "))
    shown = [
        float(text)
        for text in animation.locator(".row").nth(0).locator(".grid").nth(0).locator("span").all_inner_texts()
    ]
    assert shown == pytest.approx(patch[..., name].ravel().tolist(), abs=0.0051)
    assert animation.get_by_role("button", name="Play").is_visible()  # nothing moves by itself here
    pixel.press(" ")
    tab.wait_for_function("slider => slider.getAttribute('aria-valuenow') > 62", arg=pixel.element_handle())
    pixel.press(" ")
    animation.get_by_role("button", name="Play").wait_for()
    pixel.press("Home")
    shows(0, 0)
    pixel.press("ArrowDown")
    animation.get_by_role("button", name="Show this pixel below").click()
    tab.wait_for_url(re.compile("pixel=13(&|$)"))
    expect(tab.get_by_role("spinbutton", name="Row")).to_have_value("1")


@pytest.mark.nightly
def test_the_animation_begins_by_itself_once_and_fits_a_phone(app, new_tab, made):
    tab = new_tab(NARROW, reduced_motion="no-preference")
    opened(tab, app, run=made["none"].name, view="map")
    animation = tab.locator(".convolution")
    animation.locator(".stage").scroll_into_view_if_needed()
    animation.get_by_role("button", name="Pause").wait_for()
    assert not scrolls_sideways(tab)
    animation.get_by_role("button", name="Pause").click()
    animation.get_by_role("button", name="Play").wait_for()
    rounded = tab.evaluate(
        """async () => {
          const { roundedParts } = await import('/_stcore/bidi-components/cnnlab.convolution/convolution_math.js');
          return roundedParts([0.00004, 0.00004, -0.00013, 1.00004], 4);
        }"""
    )
    assert sum(rounded) == pytest.approx(1.0, abs=1e-12) and rounded[3] in (1.0, 1.0001)


@pytest.mark.nightly
def test_the_network_is_one_picture_in_motion_and_a_block_opens_its_maps(app, new_tab, made):
    tab = new_tab()
    opened(tab, app, run=made["batchnorm"].name, view="network")
    picture = tab.locator(".architecture")
    run, image = made["batchnorm"], sample_images()[0][:1]
    maps = numpy_forward.compute_activations(network_layers(run.experiment), run.weights(2), image)
    for when, name in (("before", "conv2"), ("after", "bn2")):
        values = maps[name].astype(float)
        picture.get_by_text(f"{when}: mean {values.mean():.2f}, std {values.std():.2f}").wait_for()
        picture.get_by_role("button", name="Step").click()
    opened(tab, app, run=made["dropout"].name, view="network")
    picture.get_by_text("15 \u00d7 15 \u00d7 64").wait_for()
    picture.get_by_text("random mask 1 of 8").wait_for()

    def dark_cells():
        told = int(picture.get_by_text("of 225 dropped").inner_text().split()[0])
        drawn = picture.locator("path.dropped").first.get_attribute("d").count("z")
        assert told == drawn
        return drawn

    masks = {dark_cells()}
    for number in range(2, 5):
        picture.get_by_role("button", name="Step").click()
        picture.get_by_text(f"random mask {number} of 8").wait_for()
        masks.add(dark_cells())
    assert len(masks) > 1
    tab.get_by_text("The layers as a table").click()
    tab.get_by_role("cell", name="112,458").wait_for()
    tab.set_viewport_size(NARROW)
    wait_until(lambda: not scrolls_sideways(tab), "the page to fit a phone")
    picture.get_by_role("button", name=re.compile("^conv2")).press("Enter")
    tab.wait_for_url(re.compile("(?=.*view=blocks)(?=.*layer=conv2)"))
    tab.get_by_text(re.compile("relu2 64 maps, 13x13")).wait_for()


@pytest.mark.nightly
@pytest.mark.parametrize("regularizer", ["dropout", "batchnorm"])
def test_all_blocks_of_a_network_stand_in_one_row_of_a_wide_page(app, new_tab, regularizer):
    tab = new_tab()
    tab.goto(app.at(dataset="cifar10", depth=3, regularizer=regularizer))
    blocks = tab.locator(".architecture .blocks > li")
    blocks.nth(9).wait_for()
    settled(tab)
    tops = blocks.evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
    assert len(tops) == 10 and max(tops) - min(tops) < 1 and not scrolls_sideways(tab)
