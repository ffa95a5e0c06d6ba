"""Which browser is asking: the token's form, its way through the middleware, and a real browser that comes back."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import streamlit as st
from chrome import PATIENCE, answers, free_port, settled, wait_until
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.ui.browser_identity import COOKIE, BrowserCookie, browser_token, is_valid_token, new_token, person_name

TOKEN = "Abcdefghijklmnopqrstuvwxyz_-0123"
PAGE = """
import streamlit as st
from cnnlab.ui.browser_identity import browser_token, person_name

st.session_state["runs"] = st.session_state.get("runs", 0) + 1
st.title("Who is this?")
st.text(f"{person_name(browser_token())} in run {st.session_state['runs']}")
st.text("just below")
st.button("Again")
"""
SERVER = """
import streamlit as st
from starlette.middleware import Middleware
from cnnlab.ui.browser_identity import BrowserCookie

app = st.App("page.py", middleware=[Middleware(BrowserCookie)])
"""


# -- the token ---------------------------------------------------------------------------------------------------------


def test_a_name_is_a_digest_of_the_token():
    assert person_name("a") == "bca978112ca1b"
    assert is_valid_token(new_token()) and new_token() != new_token()


@pytest.mark.parametrize(
    "value", [None, "", TOKEN[:-1], TOKEN + "x", TOKEN[:-1] + "ä", TOKEN[:-1] + "'", TOKEN + "\n", "<script>".ljust(32)]
)
def test_what_is_no_token_is_ignored(value, monkeypatch):
    assert not is_valid_token(value)
    monkeypatch.setattr(type(st.context), "cookies", {COOKIE: value} if value is not None else {})
    app = AppTest.from_string(PAGE).run()
    assert not app.exception
    assert app.text[0].value != f"{person_name(value or '')} in run 1"


def test_without_a_cookie_a_name_lasts_as_long_as_the_session():
    one, other = AppTest.from_string(PAGE).run(), AppTest.from_string(PAGE).run()
    name = one.text[0].value.split()[0]
    assert re.fullmatch("b[0-9a-f]{12}", name)
    assert one.run().text[0].value == f"{name} in run 2"
    assert other.text[0].value.split()[0] != name


def test_a_cookie_comes_before_what_the_session_had(monkeypatch):
    app = AppTest.from_string(PAGE).run()
    monkeypatch.setattr(type(st.context), "cookies", {COOKIE: TOKEN})
    assert browser_token() == TOKEN
    assert app.run().text[0].value == f"{person_name(TOKEN)} in run 2"


# -- the middleware ----------------------------------------------------------------------------------------------------


def cookies_set(kind: str = "http", method: str = "GET", scheme: str = "http", **headers: str) -> list[str]:
    """The Set-Cookie headers of an answer that itself sets one."""

    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 304, "headers": [(b"set-cookie", b"theirs=1")]})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        sent.append(message)

    sent: list[dict] = []
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": kind, "method": method, "scheme": scheme, "path": "/train", "headers": raw}
    with ThreadPoolExecutor(1) as thread:  # a browser test may be using the loop of this one
        thread.submit(asyncio.run, BrowserCookie(answer)(scope, None, send)).result()
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return [value.decode() for name, value in sent[0]["headers"] if name == b"set-cookie"]


def test_a_page_for_a_browser_without_a_cookie_comes_with_one():
    theirs, ours = cookies_set(accept="text/html,*/*;q=0.8", cookie="other=1")
    assert theirs == "theirs=1"
    assert re.fullmatch(rf"{COOKIE}=[\w-]{{32}}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", ours)


@pytest.mark.parametrize("value", ["", "x", TOKEN + "x", '"' + TOKEN])
def test_a_malformed_cookie_is_replaced(value):
    assert len(cookies_set(accept="text/html", cookie=f"{COOKIE}={value}")) == 2


@pytest.mark.parametrize(
    "request_",
    [
        {"accept": "text/html", "cookie": f"a=b; {COOKIE}={TOKEN}"},
        {"accept": "*/*"},
        {"accept": "image/png"},
        {},
        {"accept": "text/html", "method": "POST"},
        {"accept": "text/html", "kind": "websocket"},
    ],
)
def test_everything_else_passes_unchanged(request_):
    assert cookies_set(**request_) == ["theirs=1"]


def test_over_https_the_cookie_is_secure():
    for how in ({"scheme": "https"}, {"x_forwarded_proto": "https"}):
        assert cookies_set(accept="text/html", **how)[1].endswith("; SameSite=Lax; Secure")


# -- a real browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server with the middleware and our own settings, whose page says who is looking."""
    folder, port = tmp_path_factory.mktemp("who"), free_port()
    (folder / "page.py").write_text(PAGE)
    (folder / "server.py").write_text(SERVER)
    command = [sys.executable, "-m", "streamlit", "run", str(folder / "server.py")]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1"]
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(  # in the repository: it has our .streamlit/config.toml
            command,
            cwd=settings.REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(settings.REPOSITORY)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(lambda: answers(port), "the server answers")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture
def start(chromium, tmp_path):
    """Starts a browser with a profile on the disk, as a person's own; called again, the same person starts it again."""
    contexts = []

    def start_browser(person: str = "one", **preferences: object):
        profile = tmp_path / person
        if not profile.exists():
            (profile / "Default").mkdir(parents=True)
            (profile / "Default" / "Preferences").write_text(json.dumps(preferences))
        context = chromium.browser_type.launch_persistent_context(
            str(profile), executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        return context

    yield start_browser
    for context in contexts:
        context.close()


CHROMIUM = os.environ.get("CNNLAB_CHROMIUM") or shutil.which("chromium")


def said(tab) -> SimpleNamespace:
    """Who the page says is looking, and in which run of the script."""
    settled(tab)
    name, *_, run = tab.get_by_test_id("stText").first.inner_text().split()
    return SimpleNamespace(name=name, run=int(run))


def opened(context, address: str):
    tab = context.new_page()
    tab.goto(address)
    return tab


@pytest.mark.browser
def test_a_browser_keeps_its_name_over_a_reload_a_new_tab_and_a_restart(address, start):
    browser = start()
    tab = opened(browser, address)
    first = said(tab)
    assert first.run == 1
    (cookie,) = [one for one in browser.cookies() if one["name"] == COOKIE]
    assert first.name == person_name(cookie["value"])
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (True, False, "Lax", "/")

    tab.reload()
    assert said(tab) == first
    assert said(opened(browser, f"{address}/?words=1")) == first
    assert [one["value"] for one in browser.cookies() if one["name"] == COOKIE] == [cookie["value"]]
    browser.close()

    again = start()
    assert [one["value"] for one in again.cookies() if one["name"] == COOKIE] == [cookie["value"]]
    assert said(opened(again, address)) == first


@pytest.mark.browser
def test_two_people_have_two_names_and_tabs_opened_at_once_have_one(address, start):
    mine, yours = start("one"), start("other")
    tabs = [mine.new_page() for _ in range(3)]
    for tab in tabs:
        tab.goto(address, wait_until="commit")
    assert len({said(tab).name for tab in tabs}) == 1
    for tab in tabs:
        tab.reload()
    names = {said(tab).name for tab in tabs}
    assert len(names) == 1
    assert said(opened(yours, address)).name not in names


@pytest.mark.browser
def test_a_forged_cookie_is_replaced_and_one_that_looks_right_is_kept(address, start):
    browser = start()
    browser.add_cookies([{"name": COOKIE, "value": "<script>", "url": address}])
    assert said(opened(browser, address)).name != person_name("<script>")
    (cookie,) = [one for one in browser.cookies() if one["name"] == COOKIE]
    assert is_valid_token(cookie["value"])


@pytest.mark.browser
def test_who_throws_the_cookie_away_gets_another_though_the_browser_has_kept_the_page(address, start):
    browser = start()
    tab = opened(browser, address)
    first = said(tab)
    browser.clear_cookies()
    with tab.expect_response(f"{address}/") as response:
        tab.reload()
    second = said(tab)
    assert second.name != first.name
    assert [person_name(one["value"]) for one in browser.cookies() if one["name"] == COOKIE] == [second.name]
    assert response.value.status in (200, 304)


@pytest.mark.browser
def test_where_cookies_are_forbidden_a_name_lasts_as_long_as_the_tab(address, start):
    browser = start(profile={"default_content_setting_values": {"cookies": 2}})
    tab = opened(browser, address)
    name = said(tab).name
    assert browser.cookies() == []
    tab.get_by_role("button", name="Again").click()
    tab.get_by_text("in run 2").wait_for()
    assert said(tab).name == name


@pytest.mark.browser
def test_the_page_has_nothing_that_a_page_without_names_has_not(address, start):
    tab = opened(start(), address)
    said(tab)
    kinds = tab.locator("[data-testid=stMainBlockContainer] [data-testid=stElementContainer] > *")
    assert kinds.evaluate_all("all => all.map(one => one.dataset.testid || one.className.split(' ')[0])") == [
        "stHeading", "stText", "stText", "stButton",
    ]  # fmt: skip
