"""A real server and a real browser: what a person sees, and that the browser has nothing to complain about.

`app` is a server of its own with a fresh home, one for each test module; `tab` is one browser tab that fails its test
if the console held an error, `new_tab` opens more of them. The rest is in `chrome`: `settled(tab)` waits until the page
is drawn, `served(home)` is a server for as long as a block lasts.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from chrome import PATIENCE, WIDE, App, is_error, served, text_of

CHROMIUM = os.environ.get("CNNLAB_CHROMIUM") or shutil.which("chromium")
ARGUMENTS = (  # noqa: SIM905  # a command line reads as one
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --ignore-certificate-errors"
).split()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The app with a home that nobody used before; what it started is ended with it."""
    home = tmp_path_factory.mktemp("home")
    with served(home) as running:
        yield running


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """A test that failed shows what its tabs showed."""
    report = yield
    if report.when == "call" and report.failed:
        for context in getattr(item, "contexts", []):
            for tab in context.pages:
                report.sections.append((f"tab at {tab.url}", seen(tab)))
    return report


def seen(tab) -> str:
    """The words on the page, and how far Streamlit is with it."""
    try:
        state = tab.locator("[data-testid=stApp]").get_attribute("data-test-script-state", timeout=2000)
        return f"script {state}\n{tab.locator('body').inner_text(timeout=2000)}"
    except Exception as error:  # whatever it is, the test's own failure is the news
        return f"cannot be read: {error}"


@pytest.fixture
def console_errors() -> list[str]:
    """What the tabs of this test wrote to their consoles as errors; a test that provokes one takes it out again."""
    return []


@pytest.fixture
def new_tab(chromium, request, console_errors):
    """Opens tabs, each the only one of a person of its own; at the end none of them may have an error to show.

    They ask for reduced motion: on a busy machine drawing what fades takes a third of the CPU time of a page.
    """
    contexts = []
    request.node.contexts = contexts

    def open_tab(size: dict[str, int] = WIDE, **how: object):
        context = chromium.new_context(viewport=size, **{"reduced_motion": "reduce", **how})
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(PATIENCE)
        tab.on("console", lambda message: console_errors.append(text_of(message)) if is_error(message) else None)
        tab.on("pageerror", lambda error: console_errors.append(str(error)))
        return tab

    yield open_tab
    for context in contexts:
        context.close()
    assert console_errors == []


@pytest.fixture
def tab(new_tab):
    """One tab, 1280 wide."""
    return new_tab()
