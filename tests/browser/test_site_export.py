"""Look inside as static files: computed in Chromium, equal to NumPy, from a plain web server and nothing else."""

import contextlib
import functools
import http.server
import json
import threading

import numpy as np
import pytest
from PIL import Image

import cnnlab
from cnnlab.analysis.attribution import grad_cam
from cnnlab.cli import main
from cnnlab.data.samples import sample_images
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import network_layers
from cnnlab.storage import runs

pytestmark = [pytest.mark.slow, pytest.mark.browser]
NAMES = ("3conv-dropout", "2conv-batchnorm", "2conv-none")
READ = """name => {
  const one = window.cnnlab.activations[name];
  return {shape: one.shape, data: Array.from(one.data)};
}"""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing about each request."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a plain web server with the exported site, and its folder."""
    folder = tmp_path_factory.mktemp("site")
    assert main(["export-site", str(folder), *NAMES]) == 0
    with served(folder) as address:
        yield address, folder


@contextlib.contextmanager
def served(folder):
    """The address of a plain web server of this folder."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture
def page(chromium, site):
    """The site in a tab, without a request to elsewhere and without an error."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    tab, wrong = context.new_page(), []
    tab.on("request", lambda request: request.url.startswith((site[0], "data:")) or wrong.append(request.url))
    tab.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.goto(site[0])
    tab.locator("body[data-shown]").wait_for()
    yield tab
    context.close()
    assert wrong == []


def choose(page, network, image):
    page.locator("#network").select_option(index=network)
    page.locator(f"body[data-shown^='{NAMES[network]} ']").wait_for()
    page.locator("#images button").nth(image).click()
    page.locator(f"body[data-shown='{NAMES[network]} {image}']").wait_for()


@pytest.mark.nightly(but=["0-0"])
@pytest.mark.parametrize(("network", "image"), [(0, 0), (0, 7), (1, 3), (2, 19)])
def test_every_activation_and_grad_cam_equal_those_of_numpy(page, network, image):
    if (network, image) != (0, 0):
        choose(page, network, image)
    run = runs.open_run(NAMES[network])
    layers, weights = network_layers(run.experiment), run.weights(30)
    pixels = sample_images()[0][image]
    expected = numpy_forward.compute_activations(layers, weights, pixels[None])
    for name, values in expected.items():
        found = page.evaluate(READ, name)
        assert tuple(found["shape"]) == values.shape[1:], name
        data = np.array(found["data"]).reshape(values.shape[1:])
        np.testing.assert_allclose(data, values[0], rtol=1e-4, atol=1e-4, err_msg=name)
    last = [layer.name for layer in layers if layer.kind == "relu"][-1]
    coarse = page.evaluate("() => Array.from(window.cnnlab.gradCam(5).coarse)")
    np.testing.assert_allclose(coarse, grad_cam(layers, weights, pixels, 5, last).coarse.ravel(), rtol=1e-3, atol=1e-4)


def test_the_page_shows_every_map_and_says_the_class_that_numpy_predicts(page):
    run = runs.open_run("3conv-dropout")
    layers, images = network_layers(run.experiment), sample_images()[0]
    logits = numpy_forward.logits(layers, run.weights(30), images[:1])
    classes = page.evaluate("window.cnnlab.site.classes")
    assert f"Prediction: {classes[int(logits.argmax())]}" in page.locator("#prediction").inner_text()
    assert page.locator("#layers .grid").count() == 3 and page.locator("#layers .grid button").count() == 3 * 64


def test_one_pixel_is_the_sum_that_the_page_shows_and_moves_with_the_arrow_keys(page):
    page.locator("#layers .grid button").nth(5).click()
    canvas = page.locator("#map-canvas")
    canvas.focus()
    before = page.locator("#pixel").inner_text()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#pixel").inner_text() != before
    cells = [float(text) for text in page.locator("#terms td").all_inner_texts()]
    caption = page.locator("#terms caption").inner_text()
    bias, total = (float(caption.split(word)[1].split()[0].rstrip(",.")) for word in ("the bias ", "give "))
    assert len(cells) == 9 and sum(cells) + bias == pytest.approx(total, abs=0.01)
    box = page.locator("#pixel").inner_text()
    assert "3x3 pixels of the image" in box  # the first layer's receptive field


def test_the_site_of_one_run_is_small_and_of_no_run_is_refused(tmp_path, capsys):
    assert main(["export-site", str(tmp_path / "one")]) == 0
    assert sum(path.stat().st_size for path in (tmp_path / "one").iterdir()) < 5_000_000
    assert json.loads((tmp_path / "one" / "site.json").read_text())["networks"][0]["name"] == "3conv-dropout"
    assert main(["export-site", str(tmp_path / "none"), "no-such-run"]) == 2
    assert not (tmp_path / "none").exists()


def test_nothing_is_wider_than_a_phone(page):
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_opened_without_its_data_the_page_says_what_it_needs(chromium, site, tmp_path):
    for name in ("index.html", "page.js", "network.js", "style.css"):
        (tmp_path / name).write_bytes((site[1] / name).read_bytes())
    context = chromium.new_context()
    tab = context.new_page()
    with served(tmp_path) as address:
        tab.goto(address)
        tab.get_by_text("needs a web server").wait_for()
    context.close()


def test_a_picture_of_ones_own_comes_first_and_is_predicted_as_by_the_app(chromium, tmp_path):
    rows, columns = np.mgrid[:90, :120]
    picture = np.stack([2 * rows, 2 * columns, 255 - rows], axis=-1).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "mine <b>.png")
    assert main(["export-site", str(tmp_path / "site"), "--picture", str(tmp_path / "mine <b>.png")]) == 0
    expected = cnnlab.load("3conv-dropout").predict(cnnlab.read_image(tmp_path / "mine <b>.png"))
    context = chromium.new_context()
    tab = context.new_page()
    with served(tmp_path / "site") as address:
        tab.goto(address)
        tab.locator("body[data-shown='3conv-dropout 0']").wait_for()
        shares = [float(text.split()[-2]) for text in tab.locator("#probabilities tr").all_inner_texts()]
        assert shares == pytest.approx(100 * expected, abs=0.06)
        assert tab.locator("#image-caption").inner_text() == "mine <b>.png"
        said = tab.locator("#prediction").inner_text()
        assert said.startswith("Prediction: ") and "correct" not in said and "wrong" not in said
        assert tab.locator("#images button").nth(1).get_attribute("title") == "test image 0: cat"
    context.close()


def test_a_file_that_is_no_picture_is_refused_and_nothing_is_written(tmp_path, capsys):
    (tmp_path / "text.png").write_text("no picture")
    assert main(["export-site", str(tmp_path / "site"), "--picture", str(tmp_path / "text.png")]) == 2
    assert capsys.readouterr().err.startswith("text.png: ") and not (tmp_path / "site").exists()
