"""Accessibility in a real browser: axe-core on every page and view, in light and dark; the Tab order; chart text."""

import re

import pytest
from chrome import served, settled

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
pytestmark = pytest.mark.browser

RUN = "run=3conv-batchnorm"
VIEWS = ("maps", "blocks", "map", "kernels", "why", "off", "versus", "xray", "whatif")
ADDRESSES = {
    "train": "?regularizer=l2&depth=2",
    "compare": "compare",
    "mistakes": f"mistakes?{RUN}",
    "two networks": f"mistakes?{RUN}&versus=3conv-none",
    "admin": "admin",
    "dropout": "look_inside?run=3conv-dropout&view=xray",
    "weights": "look_inside?run=3conv-l2&view=xray",
    **{view: f"look_inside?{RUN}&view={view}" for view in VIEWS},
}
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 23, 29)"}  # as in .streamlit/config.toml


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A server with the shipped runs."""
    home = tmp_path_factory.mktemp("home")
    with served(home) as running:
        yield running


def opened(tab, app, address):
    tab.goto(f"{app.url}/{address}")
    settled(tab)
    if address != "admin":
        tab.locator("svg.marks").first.wait_for()
    tab.wait_for_function(
        "() => [...document.querySelectorAll('[data-testid=stVegaLiteChart]')].every(c => c.querySelector('svg.marks'))"
    )


def in_theme(tab, scheme):
    tab.emulate_media(color_scheme=scheme)
    tab.wait_for_function(
        "color => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor === color",
        arg=BACKGROUNDS[scheme],
    )


@pytest.mark.parametrize("name", list(ADDRESSES))
def test_axe_finds_nothing_serious_or_moderate(app, tab, name):
    opened(tab, app, ADDRESSES[name])
    found = []
    for scheme in BACKGROUNDS:
        in_theme(tab, scheme)
        opened_charts_follow(tab)
        for violation in axe.Axe().run(tab, options={"resultTypes": ["violations"]}).response["violations"]:
            if violation["impact"] != "minor":
                places = [(node["html"][:200], node["failureSummary"][:300]) for node in violation["nodes"]]
                found.append((scheme, violation["id"], places))
    assert found == []


def opened_charts_follow(tab):
    """Wait until every chart was drawn anew on the background of the theme."""
    tab.wait_for_function(
        "() => { const page = getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor;"
        " return [...document.querySelectorAll('svg.marks')].every(c => c.style.backgroundColor === page) }"
    )


@pytest.mark.parametrize("scheme", list(BACKGROUNDS))
@pytest.mark.parametrize("name", ["compare", "two networks", "dropout"])
def test_all_words_of_a_chart_are_in_the_color_of_the_page(app, tab, name, scheme):
    opened(tab, app, ADDRESSES[name])
    in_theme(tab, scheme)
    opened_charts_follow(tab)
    page = tab.evaluate("() => getComputedStyle(document.querySelector('[data-testid=stApp]')).color")
    colors = tab.locator("svg.marks text").evaluate_all("texts => texts.map(text => getComputedStyle(text).fill)")
    assert colors
    assert set(colors) == {page}


@pytest.mark.parametrize("name", ["train", "compare", "maps"])
def test_tab_stops_at_one_button_of_a_chart_and_from_there_reaches_the_others(app, tab, name):
    opened(tab, app, ADDRESSES[name])
    tab.mouse.move(0, 0)
    toolbars = tab.locator("[data-testid=stElementToolbar]").count()
    stops = tab.evaluate(
        "() => [...document.querySelectorAll('[data-testid=stElementToolbar] button')]"
        ".filter(button => getComputedStyle(button).visibility === 'visible').length"
    )
    assert 0 < stops == toolbars
    toolbar = tab.locator("[data-testid=stFullScreenFrame]").filter(has=tab.locator("svg.marks")).first
    toolbar.get_by_role("button", name=re.compile("^Fullscreen")).focus()
    tab.keyboard.press("Shift+Tab")
    label = tab.evaluate("() => document.activeElement.getAttribute('aria-label')")
    assert re.match("Copy|Download|Show data", label)
