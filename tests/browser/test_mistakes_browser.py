"""Mistakes in a real browser: a click on a square shows its pictures, a click on a picture looks inside."""

import re

import numpy as np
import pytest
from chrome import NARROW, scrolls_sideways, served, settled
from playwright.sync_api import expect

from cnnlab.analysis import metrics
from cnnlab.data.cifar10 import CLASSES
from cnnlab.data.samples import sample_images
from cnnlab.experiment import Experiment
from cnnlab.models import numpy_forward
from cnnlab.models.architecture import network_layers
from cnnlab.storage import files, runs

pytestmark = pytest.mark.browser

TINY = {"depth": 2, "filters": 4, "dense": 8, "epochs": 1}
PLAIN, DROPOUT = Experiment(**TINY), Experiment(regularizer="dropout", **TINY)


def untrained(home, experiment, seed):
    """A run with random weights and what they really say about the twenty samples: it is wrong about most of them."""
    random, path, network = np.random.default_rng(seed), home / "runs" / experiment.key, network_layers(experiment)
    weights = {}
    inputs = 3
    for layer in network:
        if layer.kind == "conv":
            weights[f"{layer.name}/kernel"] = random.normal(size=(layer.kernel, layer.kernel, inputs, layer.filters))
        elif layer.kind == "dense":
            weights[f"{layer.name}/kernel"] = random.normal(size=(inputs, layer.output_shape[0]))
        if layer.kind in ("conv", "dense"):
            weights[f"{layer.name}/bias"] = random.normal(size=layer.output_shape[-1])
        inputs = layer.output_shape[-1]
    weights = {name: values.astype(np.float32) * 0.3 for name, values in weights.items()}
    images, labels = sample_images()
    said = numpy_forward.logits(network, weights, images)
    path.mkdir(parents=True)
    (path / "experiment.json").write_text(experiment.to_json())
    files.write_npz(path / "weights" / "001.npz", weights)
    files.write_npz(path / "predictions.npz", {"test": said.astype(np.float16), "test_labels": labels})
    runs.write_history(
        path / "history.csv", [dict.fromkeys(runs.HISTORY_COLUMNS, 0.1) | {"epoch": epoch} for epoch in (0, 1)]
    )
    files.write_json(path / "record.json", {"state": "done", "epochs_done": 1, "seconds": 1.0})
    return metrics.classify(said.astype(np.float16), labels)


@pytest.fixture(scope="module")
def exams():
    """What the two networks said, by key; filled when the app starts."""
    return {}


@pytest.fixture(scope="module")
def app(tmp_path_factory, exams):
    """A server with two finished networks and without the data set."""
    home = tmp_path_factory.mktemp("home")
    for seed, experiment in enumerate((PLAIN, DROPOUT)):
        exams[experiment.key] = untrained(home, experiment, seed)
    with served(home, CNNLAB_PRETRAINED=str(home / "none")) as running:
        yield running


def pictures(tab):
    return tab.locator(".gallery img")


def click(tab, square, heading):
    """Click a square until its pictures are there: a chart that has only just appeared may not listen yet."""
    from playwright.sync_api import TimeoutError as NotYet

    place = tab.get_by_label(square, exact=True)
    place.wait_for()
    for _ in range(5):
        place.click()
        try:
            tab.get_by_text(re.compile(heading)).wait_for(timeout=15_000)
            return
        except NotYet:
            continue
    pytest.fail(f"{square!r} was clicked five times and did not show {heading!r}")


def test_from_a_square_to_its_pictures_to_the_inside_of_the_network(app, tab, exams):
    exam = exams[PLAIN.key]
    table = metrics.confusion_matrix(np.eye(10)[exam.predicted], exam.true_class)
    np.fill_diagonal(table, 0)
    truth, said = map(int, np.unravel_index(table.argmax(), table.shape))
    tab.goto(app.at("mistakes", run=PLAIN.key))
    settled(tab)
    square = f"{CLASSES[truth]}, predicted as {CLASSES[said]}: {table[truth, said]}"
    entries = tab.evaluate("history.length")
    click(tab, square, f"images? of an? {CLASSES[truth]}, predicted as an? {CLASSES[said]}")
    tab.wait_for_url(re.compile(f"true_class={CLASSES[truth]}&predicted={CLASSES[said]}"))
    settled(tab)
    assert tab.evaluate("history.length") == entries + 1
    expect(pictures(tab)).to_have_count(int(table[truth, said]))
    numbers = np.flatnonzero((exam.true_class == truth) & (exam.predicted == said))
    surest = int(numbers[np.argmax(exam.confidence[numbers])])
    pictures(tab).first.click()
    tab.wait_for_url(re.compile(f"look_inside.*image=sample-{surest}"))
    tab.get_by_text(f"test image {surest}: {CLASSES[truth]}").first.wait_for()
    assert PLAIN.key in tab.url


@pytest.mark.nightly
def test_a_click_on_the_margin_shows_a_whole_row_again_and_again(app, tab, exams):
    exam = exams[PLAIN.key]
    wrong = exam.true_class[~exam.correct]
    first, second = np.unique(wrong)[:2].tolist()
    tab.goto(app.at("mistakes", run=PLAIN.key))
    settled(tab)
    for truth in (first, second, first):
        count = int((wrong == truth).sum())
        click(
            tab,
            f"{CLASSES[truth]}, predicted as another class: {count}",
            f"{count} images? of an? {CLASSES[truth]}, pred",
        )


@pytest.mark.nightly
def test_the_keyboard_reaches_the_menus_and_every_picture(app, tab):
    tab.goto(app.at("mistakes", run=PLAIN.key))
    settled(tab)
    pictures(tab).first.wait_for()
    tab.get_by_label("True class", exact=True).focus()
    reached = []
    for _ in range(12):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("() => document.activeElement.getAttribute('href') || ''"))
    assert any(address.startswith("look_inside?") for address in reached)


@pytest.mark.nightly
def test_a_copied_link_opens_the_same_comparison(app, tab, exams):
    mine, other = exams[DROPOUT.key], exams[PLAIN.key]
    groups = metrics.compare_predictions(mine, other)
    tab.goto(app.at("mistakes", run=DROPOUT.key, versus=PLAIN.key, group="both_wrong"))
    settled(tab)
    fixed, broke = int(groups.now_correct.sum()), int(groups.now_wrong.sum())
    tab.get_by_role(
        "heading", name=re.compile(f"dropout 0.1 instead of .*now correct: {fixed}; now wrong: {broke}")
    ).wait_for()
    tab.get_by_text(f"{groups.both_wrong.sum()} images that both misclassify").wait_for()
    shown = min(15, int(groups.both_wrong.sum()))
    expect(pictures(tab)).to_have_count(shown)


@pytest.mark.nightly
@pytest.mark.parametrize("words", [{}, {"versus": PLAIN.key}], ids=["one network", "two networks"])
def test_on_a_phone_nothing_is_wider_than_the_screen(app, new_tab, words):
    tab = new_tab(NARROW, color_scheme="dark")
    tab.goto(app.at("mistakes", run=DROPOUT.key, **words))
    settled(tab)
    pictures(tab).first.wait_for()
    assert not scrolls_sideways(tab)
