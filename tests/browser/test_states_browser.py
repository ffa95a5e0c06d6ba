"""What a click brings is on the screen, wide and on a phone; a closed browser finds its training again."""

import json
import re

import pytest
from chrome import NARROW, PATIENCE, WIDE, scrolls_sideways, served, settled, steady_box, wait_until
from playwright.sync_api import TimeoutError as PlaywrightTimeout

pytestmark = pytest.mark.browser

EIGHT = [f"{depth}conv-{name}" for depth in (2, 3) for name in ("none", "l2", "dropout", "batchnorm")]
# delays what the server sends, as a slow network does
SLOW_NETWORK = """(() => {
  const Fast = window.WebSocket, later = call => event => setTimeout(() => call(event), 1300);
  window.WebSocket = class extends Fast {
    set onmessage(call) { super.onmessage = later(call); }
    get onmessage() { return super.onmessage; }
    addEventListener(kind, call, ...more) {
      return super.addEventListener(kind, kind === 'message' ? later(call) : call, ...more);
    }
  };
})()"""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A server with the shipped networks; nobody trains."""
    with served(tmp_path_factory.mktemp("home"), CNNLAB_STARTS_DISPATCHER="0") as running:
        yield running


def opened(tab, app, page, **words):
    tab.goto(app.at(page, **words))
    settled(tab)


def drawn(tab, key):
    """The chart with this key, drawn and at rest: one that is off the screen is not drawn until it is scrolled to."""
    return at_rest(tab, tab.locator(f".st-key-{key}"))


def at_rest(tab, chart):
    """The chart in the middle of the screen, once it is drawn and nothing above it moves it any more."""
    settled(tab)
    steady_box(chart)
    marks = chart.locator("svg.marks")
    marks.wait_for()
    steady_box(marks)
    return marks


def click_at(tab, marks, across, down):
    box = marks.bounding_box()
    tab.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["width"])


def click_in_toolbar(element, name):
    """Click a button of the toolbar over an element: only while the pointer is on the element can it be clicked."""

    def clicked() -> bool:
        steady_box(element)
        element.hover()
        try:
            element.get_by_role("button", name=name).click(timeout=2000)
        except PlaywrightTimeout:  # what is above was drawn meanwhile and moved the element away from under the pointer
            return False
        return True

    wait_until(clicked, f"{name} is clicked")


def is_on_screen(box, size):
    return box["y"] >= 0 and box["y"] + box["height"] <= size["height"] and box["x"] + box["width"] <= size["width"]


@pytest.mark.nightly
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "phone"])
def test_an_enlarged_map_opens_on_the_screen(app, new_tab, size):
    tab = new_tab(size)
    opened(tab, app, "look_inside")
    click_at(tab, drawn(tab, "grid-conv3" if size == NARROW else "grid-conv2"), 0.3, 0.3)
    picture = tab.locator(".st-key-enlarged_picture svg.marks")
    picture.wait_for()
    settled(tab)
    wait_until(lambda: is_on_screen(picture.bounding_box(), size), "it is on the screen")
    assert picture.bounding_box()["width"] >= min(280, 0.4 * size["width"])
    button = tab.get_by_role("button", name="Show how this map is computed").bounding_box()
    assert is_on_screen(button, size) and button["width"] > 100


@pytest.mark.nightly
def test_a_grid_in_fullscreen_shows_all_of_its_rows(app, tab):
    opened(tab, app, "look_inside")
    marks = drawn(tab, "grid-conv1")
    click_in_toolbar(tab.locator(".st-key-grid-conv1"), re.compile("^Fullscreen"))
    wait_until(lambda: marks.bounding_box()["width"] > 1000, "it fills the screen")
    last = marks.locator("[aria-label^='map 63:']").bounding_box()
    assert is_on_screen(last, WIDE) and last["y"] > WIDE["height"] / 2


@pytest.mark.nightly
def test_eight_networks_in_one_chart_leave_room_for_their_curves(app, new_tab):
    for size in (WIDE, NARROW):
        tab = new_tab(size)
        opened(tab, app, "compare", add=",".join(EIGHT))
        tab.get_by_role("heading", name="Put any networks into one chart").scroll_into_view_if_needed()
        plot = at_rest(tab, tab.get_by_test_id("stVegaLiteChart").last).locator("path.background").first
        assert plot.bounding_box()["height"] >= 240


@pytest.mark.nightly
def test_no_table_of_compare_is_wider_than_a_wide_page(app, tab):
    opened(tab, app, "compare")
    tab.get_by_role("heading", name="Table 2").wait_for()
    for head in ("closest comparison", "adjusted p"):  # the second is in an expander inside the first one's
        tab.evaluate("() => document.querySelectorAll('details:not([open]) > summary').forEach(one => one.click())")
        heads = tab.get_by_role("columnheader", name=head)
        wait_until(lambda heads=heads: heads.count() == 4, f"the tables with {head} of all conclusions are drawn")
    tables = tab.locator("[class*=st-key-table]")
    wait_until(lambda: tables.count() == 2 * 4 + 3, "four conclusions, temperatures, both tables")
    sizes = tables.evaluate_all("found => found.map(one => [one.clientWidth, one.scrollWidth])")
    assert all(inside > 400 and whole <= inside for inside, whole in sizes), sizes


@pytest.mark.nightly
def test_on_a_phone_the_effect_in_a_conclusion_is_on_the_screen(app, new_tab):
    tab = new_tab(NARROW)
    opened(tab, app, "compare")
    tab.get_by_text("dropout has the smallest gap at either depth").first.click()
    effect = tab.get_by_role("columnheader", name="effect")
    effect.wait_for()
    assert effect.bounding_box()["x"] + effect.bounding_box()["width"] <= NARROW["width"]


@pytest.mark.nightly
def test_on_a_phone_the_pages_are_in_a_row_that_covers_nothing(app, new_tab):
    tab = new_tab(NARROW)
    opened(tab, app, "compare")
    tab.get_by_test_id("stExpandSidebarButton").wait_for(state="hidden")
    links = tab.locator(".st-key-phone_navigation a")
    links.nth(4).wait_for()
    assert [link.inner_text() for link in links.all()] == [
        "Train",
        "Compare",
        "Sweeps",
        "Look inside",
        "Mistakes",
        "Lesson",
    ]
    assert all(is_on_screen(link.bounding_box(), NARROW) for link in links.all())
    links.nth(4).click()
    title = tab.get_by_role("heading", name="Which images does the network get wrong, and how confident was it?")
    title.wait_for()
    settled(tab)
    assert tab.get_by_test_id("stSidebar").is_hidden()
    assert links.nth(4).bounding_box()["y"] + links.nth(4).bounding_box()["height"] <= title.bounding_box()["y"]


@pytest.mark.nightly
def test_the_cells_of_the_matrix_can_be_hit_with_a_thumb(app, new_tab):
    tab = new_tab(NARROW)
    opened(tab, app, "mistakes")
    cell = drawn(tab, "matrix").locator("[aria-label^='cat, predicted as dog']").bounding_box()
    assert min(cell["width"], cell["height"]) >= 32
    assert not scrolls_sideways(tab)


@pytest.mark.nightly
def test_play_ends_although_the_network_is_slow(app, tab, console_errors):
    tab.add_init_script(SLOW_NETWORK)
    opened(tab, app, "look_inside", run="2conv-none", epoch=10)
    tab.wait_for_timeout(1500)
    tab.get_by_role("button", name="Play").click()
    tab.wait_for_function("() => location.search.includes('epoch=30')")
    tab.get_by_role("button", name="Play").wait_for()
    # Streamlit's page asks for the file of each download button; those of frames that came too late are replaced
    console_errors[:] = [error for error in console_errors if "404" not in error]


@pytest.mark.nightly
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "phone"])
def test_with_more_open_a_field_and_its_result_are_on_one_screen(app, new_tab, size):
    tab = new_tab(size)
    opened(tab, app, "")
    tab.get_by_text("More", exact=True).click()
    field = tab.get_by_label("Seed", exact=True)
    field.fill("5")
    field.press("Tab")
    result = tab.get_by_role("heading", name=re.compile("seed 5 is not trained yet"))
    result.wait_for()
    settled(tab)
    ends = [field.bounding_box()["y"], result.bounding_box()["y"]]
    assert max(ends) - min(ends) < size["height"]


def test_a_browser_that_was_closed_finds_its_training_and_can_leave_the_queue(app, chromium, tab):
    opened(tab, app, "", dataset="shapes", depth=1, regularizer="none", seed=77)
    tab.get_by_role("button", name=re.compile("^Train it")).click()
    tab.get_by_role("button", name="Leave the queue").wait_for()
    state = tab.context.storage_state()
    tab.context.close()
    again = chromium.new_context(viewport=WIDE, storage_state=json.loads(json.dumps(state)))
    other = again.new_page()
    other.set_default_timeout(PATIENCE)
    other.goto(app.at(""))
    settled(other)
    other.get_by_role("button", name="Leave the queue").click()
    other.get_by_role("button", name=re.compile("^Train it")).wait_for()
    assert "seed=77" in other.url
    again.close()
