"""Accessibility in a real browser: axe-core on every page and view, wide and 400 px, in light and dark; the Tab order.

The page Admin is also checked as a teacher sees it, with a waiting job, a run and a log; and the page that signs in.
"""

import re
import sys
from pathlib import Path

import pytest
from chrome import NARROW, WIDE, served, settled
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).parents[1]))
from history_factories import history, write

from cnnlab.experiment import Experiment
from cnnlab.jobs.queue import Queue
from cnnlab.pages.look_inside import VIEWS

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
pytestmark = pytest.mark.browser

RUN = "run=3conv-batchnorm"
ADDRESSES = {
    "train": "?regularizer=l2&depth=2",
    "compare": "compare",
    "sweeps": "sweeps?sweep=shapes-label-noise",
    "mistakes": f"mistakes?{RUN}",
    "two networks": f"mistakes?{RUN}&versus=3conv-none",
    "admin": "admin",
    "dropout": "look_inside?run=3conv-dropout&view=xray",
    "weights": "look_inside?run=3conv-l2&view=xray",
    **{view: f"look_inside?{RUN}&view={view}" for view in VIEWS},
}
NUMBERS_IN_CELLS = ("map", "kernels")  # views with numbers on colored squares, black or white by the square
TEACHER_KEY = "correct horse battery"
SECRETS = """[auth]
redirect_uri = "http://127.0.0.1:1/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
client_id = "lab"
client_secret = "s"
server_metadata_url = "http://127.0.0.1:1/.well-known/openid-configuration"
"""
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 23, 29)"}  # as in .streamlit/config.toml


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A server with the shipped runs, one run trained here, a waiting job, and a log of the dispatcher."""
    home = tmp_path_factory.mktemp("home")
    trained, asked_for = (Experiment(dataset="shapes", epochs=4, seed=seed) for seed in (1, 2))
    write(home / "runs" / trained.key, trained, history([0.1, 0.4, 0.6], [0.1, 0.4, 0.5]))
    (home / "dispatcher.log").write_text("\n".join(f"line {number} of the log" for number in range(200)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        Queue(home / "jobs.sqlite").submit(asked_for, "bob")
    with served(home, CNNLAB_TEACHER_KEY=TEACHER_KEY, CNNLAB_STARTS_DISPATCHER="0") as running:
        yield running


@pytest.fixture
def sign_in_app(tmp_path):
    """A server where people sign in."""
    pytest.importorskip("authlib", reason="needs deploy/requirements-auth.txt")
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "secrets.toml").write_text(SECRETS)
    with served(tmp_path, HOME=str(tmp_path)) as running:
        yield running


def opened_as_teacher(tab, app):
    tab.goto(app.at("admin"))
    tab.get_by_label("Or type the teacher's key").fill(TEACHER_KEY)
    tab.get_by_role("button", name="Open").click()
    tab.get_by_role("region", name="Log of the dispatcher").wait_for()
    settled(tab)


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


def violations(tab, chart_colors=True):
    """What axe reports above minor, and charts with words in another color than the page's: each size and theme."""
    found = []
    for size, scheme in ((WIDE, "light"), (WIDE, "dark"), (NARROW, "dark"), (NARROW, "light")):
        tab.set_viewport_size(size)
        in_theme(tab, scheme)
        opened_charts_follow(tab)
        found += [(size["width"], scheme, *violation) for violation in axe_report(tab)]
        if chart_colors:
            found += [(size["width"], scheme, "color of words", *chart) for chart in charts_in_other_colors(tab)]
    return found


def opened_charts_follow(tab):
    """Wait until every chart was drawn anew on the background of the theme."""
    tab.wait_for_function(
        "() => { const page = getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor;"
        " return [...document.querySelectorAll('svg.marks')].every(c => c.style.backgroundColor === page) }"
    )


def charts_in_other_colors(tab):
    """The charts, by alternative text, in which a word has another color than the words of the page, and its colors."""
    return tab.evaluate(
        """() => {
          const page = getComputedStyle(document.querySelector('[data-testid=stApp]')).color;
          const others = [];
          for (const chart of document.querySelectorAll('[role=graphics-document]')) {
            const colors = [...chart.querySelectorAll('svg.marks text')].map(text => getComputedStyle(text).fill);
            const other = [...new Set(colors)].filter(color => color !== page);
            if (other.length) others.push([chart.getAttribute('aria-label'), other]);
          }
          return others;
        }"""
    )


def axe_report(tab):
    """The violations above minor; asked again while there are any: an element that is being redrawn is pale."""
    found = []
    for _ in range(3):
        settled(tab)
        report = axe.Axe().run(tab, options={"resultTypes": ["violations"]}).response["violations"]
        found = [
            (one["id"], [(node["html"][:300], node["failureSummary"][:300]) for node in one["nodes"]])
            for one in report
            if one["impact"] != "minor"
        ]
        if not found:
            break
    return found


def skipped_levels(tab):
    """The headings that are more than one level below the heading before them; the first must be an h1."""
    headings = tab.locator("h1, h2, h3, h4, h5, h6").evaluate_all("found => found.map(h => [h.tagName, h.innerText])")
    levels = [0, *(int(tag[1]) for tag, _ in headings)]
    return [heading for heading, before in zip(headings, levels, strict=False) if int(heading[0][1]) > before + 1]


@pytest.mark.nightly(but=["maps"])
@pytest.mark.parametrize("name", list(ADDRESSES))
def test_axe_finds_nothing_serious_or_moderate(app, tab, name):
    opened(tab, app, ADDRESSES[name])
    assert violations(tab, chart_colors=name not in NUMBERS_IN_CELLS) == []
    assert skipped_levels(tab) == []


def test_axe_finds_nothing_on_the_page_lesson_and_its_panel(app, tab):
    tab.goto(app.at("lesson"))
    settled(tab)
    tab.locator(".st-key-lesson_open_taster button").filter(visible=True).first.click()
    tab.locator(".st-key-lesson_panel svg.marks").wait_for()
    assert violations(tab) == []


@pytest.mark.nightly
def test_axe_finds_nothing_on_the_page_admin_as_a_teacher_sees_it(app, tab):
    opened_as_teacher(tab, app)
    assert violations(tab) == []
    assert skipped_levels(tab) == []


@pytest.mark.nightly
def test_axe_finds_nothing_on_the_page_that_signs_in(sign_in_app, tab):
    tab.goto(sign_in_app.url)
    tab.get_by_role("button", name="Sign in").wait_for()
    assert violations(tab) == []
    assert skipped_levels(tab) == []


@pytest.mark.nightly
def test_tab_reaches_the_log_and_the_keyboard_scrolls_it(app, tab):
    opened_as_teacher(tab, app)
    log = tab.get_by_role("region", name="Log of the dispatcher")
    tab.get_by_role("combobox", name="Log of").focus()
    tab.keyboard.press("Tab")
    focused = "() => document.activeElement.getAttribute('aria-label')"
    assert tab.evaluate(focused) == "Log of the dispatcher"
    assert log.evaluate("log => log.scrollTop") == 0
    tab.keyboard.press("End")
    tab.wait_for_function("() => document.activeElement.scrollTop > 100")


@pytest.mark.nightly
def test_the_views_of_look_inside_are_reached_with_five_keys(app, tab):
    opened(tab, app, ADDRESSES["maps"])
    for word in ("Skip to main content", "Skip to the views"):
        tab.keyboard.press("Tab")
        assert tab.evaluate("() => document.activeElement.innerText") == word
        tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("() => document.activeElement.closest('.st-key-url-view') !== null")


@pytest.mark.nightly
def test_a_link_that_has_the_focus_is_outlined(app, tab):
    opened(tab, app, ADDRESSES["train"])
    for name in ("Compare", "Look inside this network"):
        link = tab.get_by_role("link", name=name).first
        link.focus()
        tab.keyboard.press("Shift+Tab")
        tab.keyboard.press("Tab")
        expect(link).to_be_focused()
        expect(link).to_have_css("outline-style", "solid")
        expect(link).to_have_css("outline-width", "2px")


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["train", "compare", "maps"])
def test_tab_stops_at_one_button_of_a_chart_and_from_there_reaches_the_others(app, tab, name):
    opened(tab, app, ADDRESSES[name])
    tab.mouse.move(0, 0)
    tab.wait_for_function("""() => {
      const toolbars = [...document.querySelectorAll('[data-testid=stElementToolbar]')];
      const isStop = button => getComputedStyle(button).visibility === 'visible';
      const stops = toolbars.flatMap(toolbar => [...toolbar.querySelectorAll('button')].filter(isStop));
      return toolbars.length && stops.length === toolbars.length;
    }""")
    toolbar = tab.locator("[data-testid=stFullScreenFrame]").filter(has=tab.locator("svg.marks")).first
    toolbar.get_by_role("button", name=re.compile("^Fullscreen")).focus()
    tab.keyboard.press("Shift+Tab")
    label = tab.evaluate("() => document.activeElement.getAttribute('aria-label')")
    assert re.match("Copy|Download|Show data", label)
