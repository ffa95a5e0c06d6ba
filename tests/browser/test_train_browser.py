"""Train in a real browser: a training started there grows before one's eyes, survives a reload and a stop, and ends."""

import csv
import re
from contextlib import closing

import pytest
from chrome import CONTRAST, NARROW, PATIENCE, WIDE, scrolls_sideways, served, settled, wait_until
from history_factories import history, write
from playwright.sync_api import expect

from cnnlab.experiment import Experiment
from cnnlab.jobs import nicknames
from cnnlab.jobs.queue import Queue
from cnnlab.storage import files, process_lock
from cnnlab.ui import browser_identity

pytestmark = pytest.mark.browser

EPOCHS = 40
WATCHED = Experiment(dataset="shapes", depth=2, epochs=EPOCHS, train_images=400, filters=8)
KNOWN = Experiment(dataset="shapes", depth=1, regularizer="l2")


def grown(tab):
    """How many epochs the blue line of the accuracy chart has come: the straight pieces it is made of."""
    line = tab.locator("[data-testid=stVegaLiteChart] svg path[stroke='#0072B2']").first
    return line.get_attribute("d").count("L") if line.count() else 0


def fill_in(tab, label, value):
    field = tab.get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Tab")


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_training_started_in_the_browser_survives_a_reload_and_a_stop(app, tab, new_tab):
    tab.goto(app.at(dataset="shapes", depth=2, regularizer="none"))
    settled(tab)
    tab.get_by_text("More", exact=True).click()
    for label, value in (("Training images", 400), ("Epochs", EPOCHS), ("Filters in a layer", 8)):
        fill_in(tab, label, value)
        settled(tab)
    tab.get_by_text(f"{WATCHED.title} is not trained yet").wait_for()
    tab.get_by_role("button", name="Train it").click()

    bar = tab.get_by_test_id("stProgress")
    bar.wait_for()
    tab.get_by_text("1 running").wait_for()
    wait_until(lambda: grown(tab) >= 2, "the curves have two epochs")
    earlier = grown(tab)
    wait_until(lambda: grown(tab) > earlier, "the curves grow")
    pictures = tab.locator(".live-maps img")  # the image, and the maps of two convolutions beside the curve
    expect(pictures).to_have_count(3)
    curve = tab.get_by_test_id("stVegaLiteChart").first.bounding_box()
    assert abs(pictures.nth(1).bounding_box()["y"] - curve["y"]) < curve["height"]
    assert pictures.nth(1).bounding_box()["x"] > curve["x"] + curve["width"] - 1

    tab.reload()
    bar.wait_for()
    wait_until(lambda: grown(tab) > earlier, "a reload finds the training")

    tab.get_by_role("button", name="Stop").click()
    tab.get_by_text("This training was stopped.").wait_for()
    wait_until(lambda: grown(tab) >= earlier, "what was learned so far is still there")
    second = new_tab()  # somebody else, who sees it stopped, and then go on without asking for anything
    second.goto(tab.url)
    second.get_by_text("This training was stopped.").wait_for()
    tab.get_by_role("button", name="Continue").click()
    second.get_by_test_id("stProgress").wait_for()
    assert second.get_by_role("button", name="Stop").count() == 0
    tab.locator(".st-key-notices").get_by_text("has finished training").wait_for(timeout=240_000)
    tab.get_by_role("button", name="Download model.keras").wait_for()
    wait_until(lambda: grown(tab) == EPOCHS, "the whole curve is drawn")
    with (app.home / "runs" / WATCHED.key / "history.csv").open() as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == list(range(EPOCHS + 1))
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download model.keras").click()
    assert download.value.suggested_filename == f"{WATCHED.key}.keras"
    second.get_by_role("button", name="Download model.keras").wait_for()


@pytest.mark.nightly
def test_a_restarted_web_server_finds_the_training_again(tmp_path, new_tab):
    folder = write(tmp_path / "runs" / KNOWN.key, KNOWN, history([0.1, 0.6], [0.1, 0.55]), state="running")
    files.write_json(folder / "progress.json", {"phase": "training", "epoch": 2, "batch": 3, "batches": 32})
    with process_lock.acquire(folder / "lock"):  # this test is the worker
        for _ in range(2):
            with served(tmp_path) as app:
                tab = new_tab()
                tab.goto(app.at(dataset="shapes", depth=1, regularizer="l2"))
                tab.get_by_text("epoch 2 of 30, batch 3 of 32").wait_for()
                tab.context.close()


@pytest.mark.nightly
def test_the_end_of_a_training_is_announced_on_any_page(app, tab):
    tab.goto(app.at("compare"))
    settled(tab)
    token = next(cookie["value"] for cookie in tab.context.cookies() if cookie["name"] == browser_identity.COOKIE)
    queue = Queue(app.home / "jobs.sqlite")
    job = queue.submit(Experiment(dataset="shapes", seed=99), browser_identity.person_name(token.split(".")[0]))
    queue.claim()
    tab.get_by_text("1 running").wait_for()
    queue.finish(job, "done")
    notice = tab.locator(".st-key-notices")
    notice.get_by_text("seed 99 has finished training").wait_for()
    notice.get_by_role("link", name="Open").click()
    tab.get_by_role("heading", name="Does your network learn").wait_for()
    assert "seed=99" in tab.url
    queue.close()


@pytest.mark.nightly
def test_my_trainings_opens_on_every_page_and_a_nickname_outlasts_the_browser(app, chromium, tab):
    for page in ("compare", "look_inside", "mistakes"):
        tab.goto(app.at(page))
        settled(tab)
        tab.get_by_role("button", name="My trainings").click()
        tab.get_by_text("You have not asked for a training yet.").wait_for()
    fill_in(tab, "Nickname", "Ada")
    settled(tab)
    with closing(Queue(app.home / "jobs.sqlite")) as queue:
        token = next(cookie["value"] for cookie in tab.context.cookies() if cookie["name"] == browser_identity.COOKIE)
        person = browser_identity.person_name(token.split(".")[0])
        wait_until(lambda: nicknames.read_nickname(queue, person) == "Ada", "the nickname is stored")
    state = tab.context.storage_state()
    tab.context.close()
    again = chromium.new_context(storage_state=state)
    other = again.new_page()
    other.set_default_timeout(PATIENCE)
    other.goto(app.at())
    settled(other)
    other.get_by_role("button", name="My trainings").click()
    wait_until(
        lambda: other.get_by_role("textbox", name="Nickname").input_value() == "Ada", "the nickname is there again"
    )
    again.close()


@pytest.mark.timeout(600)
def test_the_first_page_trains_a_small_network_in_one_click(app, tab):
    tab.goto(app.at())
    settled(tab)
    tab.locator(".samples img").nth(17).wait_for()
    tab.get_by_role("button", name="Train a small network now").click()
    tab.locator(".live-maps img").first.wait_for(timeout=240_000)  # the training yields the processor to all others
    wait_until(lambda: grown(tab) >= 2, "the curves have two epochs", seconds=240)
    tab.get_by_role("button", name="Download model.keras").wait_for(timeout=240_000)


@pytest.mark.nightly
def test_a_copied_link_opens_the_same_view(app, tab, new_tab):
    write(app.home / "runs" / KNOWN.key, KNOWN, history([0.1, 0.6], [0.1, 0.55], penalty=0.003))
    tab.goto(app.at(dataset="shapes", depth=2, regularizer="none"))
    settled(tab)
    tab.get_by_test_id("stButtonGroup").get_by_role("radio", name="1", exact=True).click()
    settled(tab)
    tab.get_by_text("L2", exact=True).click()
    tab.get_by_text("60.0 %").wait_for()
    tab.wait_for_url(re.compile("dataset=shapes&depth=1&regularizer=l2"))
    other = new_tab()
    other.goto(tab.url)
    other.get_by_text("60.0 %").wait_for()
    expect(other.get_by_text("L2 penalty, on a scale of its own")).to_have_count(1)
    settled(other)
    assert other.url == tab.url


@pytest.mark.nightly
def test_going_to_another_page_and_back_finds_the_same_network(app, tab):
    tab.goto(app.at(dataset="shapes", depth=4, regularizer="batchnorm", seed=5))
    settled(tab)
    here = tab.url
    tab.get_by_role("link", name="Compare").click()
    tab.get_by_role("heading", name="Which network would you trust?").wait_for()
    assert "seed" not in tab.url
    tab.get_by_role("link", name="Train").click()
    tab.get_by_text("seed 5 is not trained yet").wait_for()
    assert tab.url.partition("?")[2] == here.partition("?")[2]


def test_the_address_train_opens_the_page_train_with_its_parameters(app, tab):
    tab.goto(app.at("train", dataset="shapes", depth=4, regularizer="batchnorm", seed=5))
    tab.get_by_text("seed 5 is not trained yet").wait_for()
    assert tab.url == app.at(dataset="shapes", depth=4, regularizer="batchnorm", seed=5)
    assert tab.get_by_text("Page not found").count() == 0


def test_nonsense_in_the_address_is_one_sentence(app, tab):
    tab.goto(app.at(depth=99, kernel="abc", regularizer="%3Cscript%3Ealert(1)%3C/script%3E"))
    settled(tab)
    complaint = tab.get_by_test_id("stAlert")
    complaint.wait_for()
    assert complaint.count() == 1
    assert "This address describes no experiment" in complaint.inner_text()
    assert tab.get_by_text("Traceback").count() == 0


@pytest.mark.nightly(but=["dark"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_words_of_the_main_button_can_be_read_in_either_theme(app, new_tab, scheme):
    tab = new_tab(color_scheme=scheme)
    tab.goto(app.at())
    settled(tab)
    button = tab.get_by_role("button", name="Train a small network now")
    wait_until(lambda: button.evaluate(CONTRAST) >= 4.5, "a contrast of 4.5", seconds=20)
    button.hover()
    wait_until(lambda: button.evaluate(CONTRAST) >= 4.5, "a contrast of 4.5", seconds=20)


@pytest.mark.nightly(but=["dark"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_scrolls_sideways(app, new_tab, scheme):
    write(app.home / "runs" / KNOWN.key, KNOWN, history([0.1, 0.6], [0.1, 0.55], penalty=0.003))
    tab = new_tab(NARROW, color_scheme=scheme)
    tab.goto(app.at(dataset="shapes", depth=1, regularizer="l2"))
    tab.get_by_text("60.0 %").wait_for()
    tab.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first.wait_for()
    settled(tab)
    assert not scrolls_sideways(tab)


RUNNING = """() => {
  const sign = document.createElement('div');
  sign.dataset.testid = 'stStatusWidget';
  sign.textContent = 'Running: Stop';
  document.querySelector('[data-testid=stToolbarActions], [data-testid=stToolbar], header').append(sign);
  const [a, b] = [sign, document.querySelector('.st-key-corner')].map(one => one.getBoundingClientRect());
  return [getComputedStyle(sign).position, a.top >= b.bottom || a.bottom <= b.top];
}"""


@pytest.mark.nightly(but=["phone"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "phone"])
def test_streamlits_stop_button_does_not_cover_my_trainings(app, new_tab, size):
    tab = new_tab(size)
    tab.goto(app.at())
    settled(tab)
    assert tab.evaluate(RUNNING) == ["fixed", True]
