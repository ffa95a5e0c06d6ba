"""Which browser is asking: the token's form, its way through the middleware, and a real browser that comes back."""

import asyncio
import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace

import pytest
import streamlit as st
from chrome import PATIENCE, settled, start_streamlit
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs.queue import Queue
from cnnlab.storage import signing_key as key_module
from cnnlab.ui.browser_identity import (
    COOKIE,
    BrowserCookie,
    browser_person,
    new_token,
    person_name,
    signed_token,
    token_subject,
)

SUBJECT = "Abcdefghijklmnopqrst_-"
SIGNED = "a signed token"  # made in the test: the key of its home signs it
UNSIGNED = "Abcdefghijklmnopqrstuvwxyz_-0123"  # a cookie from before tokens were signed
PAGE = """
import streamlit as st
from cnnlab.ui.browser_identity import browser_person

st.session_state["runs"] = st.session_state.get("runs", 0) + 1
st.title("Who is this?")
st.text(f"{browser_person()} in run {st.session_state['runs']}")
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


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with a key of its own."""
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_name_is_a_digest_of_the_subject_of_a_token_of_128_bits_twice():
    assert person_name("a") == "bca978112ca1b"
    assert re.fullmatch(r"[\w-]{22}\.[\w-]{22}", new_token()) and new_token() != new_token()
    assert token_subject(signed_token(SUBJECT)) == SUBJECT


def forged(subject=SUBJECT):
    """Values that this home did not sign."""
    good = signed_token(subject)
    flipped = good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1]
    return [
        None, "", subject, UNSIGNED, f"{subject}.", f"{subject}.{subject}", good + "x", good + "\n", flipped,
        good.upper(), "x" + good, good.replace(".", ".."), f"{SUBJECT[1:]}z.{good.split('.')[1]}",
        "<script>".ljust(45), good[:-1] + "ä",
    ]  # fmt: skip


@pytest.mark.nightly(but=["0", "4", "9"])
@pytest.mark.parametrize("number", range(len(forged())))
def test_what_this_home_did_not_sign_is_ignored(number, home, monkeypatch):
    value = forged()[number]
    assert token_subject(value) is None
    monkeypatch.setattr(type(st.context), "cookies", {COOKIE: value} if value is not None else {})
    app = AppTest.from_string(PAGE, default_timeout=60).run()
    assert not app.exception
    assert app.text[0].value not in [f"{person_name(one)} in run 1" for one in ((value or "").split(".")[0], SUBJECT)]


def test_a_token_of_another_home_is_ignored(home, monkeypatch):
    token = new_token()
    monkeypatch.setenv("CNNLAB_HOME", str(home / "other"))
    assert token_subject(token) is None


def test_without_a_cookie_a_name_lasts_as_long_as_the_session():
    one, other = (
        AppTest.from_string(PAGE, default_timeout=60).run(),
        AppTest.from_string(PAGE, default_timeout=60).run(),
    )
    name = one.text[0].value.split()[0]
    assert re.fullmatch("b[0-9a-f]{12}", name)
    assert one.run().text[0].value == f"{name} in run 2"
    assert other.text[0].value.split()[0] != name


def test_a_cookie_comes_before_what_the_session_had(monkeypatch):
    app = AppTest.from_string(PAGE, default_timeout=60).run()
    monkeypatch.setattr(type(st.context), "cookies", {COOKIE: signed_token(SUBJECT)})
    assert browser_person() == person_name(SUBJECT)
    assert app.run().text[0].value == f"{person_name(SUBJECT)} in run 2"


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
    token, *rest = ours.removeprefix(f"{COOKIE}=").split("; ")
    assert token_subject(token)
    assert rest == ["Path=/", "Max-Age=31536000", "HttpOnly", "SameSite=Lax"]


def test_a_cookie_that_was_not_signed_here_is_replaced():
    for value in filter(None, forged()):
        if value.isascii() and value.isprintable():
            _, ours = cookies_set(accept="text/html", cookie=f"{COOKIE}={value}")
            assert ours.split(";")[0] != f"{COOKIE}={value}" and SUBJECT not in ours


def test_an_unsigned_cookie_known_before_tokens_were_signed_keeps_its_name(home, monkeypatch):
    asked, person = Experiment(dataset="shapes", depth=1), person_name(UNSIGNED)
    _, ours = cookies_set(accept="text/html", cookie=f"{COOKIE}={UNSIGNED}")
    assert UNSIGNED not in ours  # nobody knows this name
    with closing(Queue()) as queue:
        queue.submit(asked, person)
    _, ours = cookies_set(accept="text/html", cookie=f"{COOKIE}={UNSIGNED}")
    assert UNSIGNED not in ours  # the key is older than the request
    os.utime(home / key_module.FILE, (2e9, 2e9))
    key_module._keys.clear()
    _, ours = cookies_set(accept="text/html", cookie=f"{COOKIE}={UNSIGNED}")
    token = ours.removeprefix(f"{COOKIE}=").split(";")[0]
    assert token_subject(token) == UNSIGNED and person_name(UNSIGNED) == person
    assert cookies_set(accept="text/html", cookie=f"{COOKIE}={token}") == ["theirs=1"]
    (home / "jobs.sqlite").write_bytes(b"damaged" * 100)
    _, ours = cookies_set(accept="text/html", cookie=f"{COOKIE}={UNSIGNED}")
    assert UNSIGNED not in ours


@pytest.mark.parametrize(
    "request_",
    [
        {"accept": "text/html", "cookie": SIGNED},
        {"accept": "*/*"},
        {"accept": "image/png"},
        {},
        {"accept": "text/html", "method": "POST"},
        {"accept": "text/html", "kind": "websocket"},
    ],
)
def test_everything_else_passes_unchanged(request_):
    if request_.get("cookie") == SIGNED:
        request_ = request_ | {"cookie": f"a=b; {COOKIE}={signed_token(SUBJECT)}"}
    assert cookies_set(**request_) == ["theirs=1"]


def test_over_https_the_cookie_is_secure():
    for how in ({"scheme": "https"}, {"x_forwarded_proto": "https"}):
        assert cookies_set(accept="text/html", **how)[1].endswith("; SameSite=Lax; Secure")


# -- a real browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server with the middleware and our own settings, whose page says who is looking."""
    folder = tmp_path_factory.mktemp("who")
    (folder / "page.py").write_text(PAGE)
    (folder / "server.py").write_text(SERVER)
    # in the repository: it has our .streamlit/config.toml
    process, url = start_streamlit(folder / "server.py", settings.REPOSITORY, folder / "web.log", {})
    yield url
    process.terminate()
    process.wait(60)


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


@pytest.mark.nightly
@pytest.mark.browser
def test_a_browser_keeps_its_name_over_a_reload_a_new_tab_and_a_restart(address, start):
    browser = start()
    tab = opened(browser, address)
    first = said(tab)
    assert first.run == 1
    (cookie,) = [one for one in browser.cookies() if one["name"] == COOKIE]
    assert first.name == person_name(cookie["value"].split(".")[0])
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (True, False, "Lax", "/")

    tab.reload()
    assert said(tab) == first
    assert said(opened(browser, f"{address}/?words=1")) == first
    assert [one["value"] for one in browser.cookies() if one["name"] == COOKIE] == [cookie["value"]]
    browser.close()

    again = start()
    assert [one["value"] for one in again.cookies() if one["name"] == COOKIE] == [cookie["value"]]
    assert said(opened(again, address)) == first


@pytest.mark.nightly
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
def test_a_cookie_that_somebody_made_up_is_replaced(address, start):
    browser = start()
    for value in ("<script>", UNSIGNED, f"{SUBJECT}.{SUBJECT}"):
        browser.add_cookies([{"name": COOKIE, "value": value, "url": address}])
        name = said(opened(browser, address)).name
        (cookie,) = [one for one in browser.cookies() if one["name"] == COOKIE]
        assert name == person_name(cookie["value"].split(".")[0])
        assert name not in (person_name(value), person_name(SUBJECT))


@pytest.mark.nightly
@pytest.mark.browser
def test_who_deletes_the_cookie_gets_another_though_the_page_is_in_the_cache(address, start):
    browser = start()
    tab = opened(browser, address)
    first = said(tab)
    browser.clear_cookies()
    with tab.expect_response(f"{address}/") as response:
        tab.reload()
    second = said(tab)
    assert second.name != first.name
    assert [person_name(one["value"].split(".")[0]) for one in browser.cookies() if one["name"] == COOKIE] == [
        second.name
    ]
    assert response.value.status in (200, 304)


@pytest.mark.nightly
@pytest.mark.browser
def test_where_cookies_are_forbidden_a_name_lasts_as_long_as_the_tab(address, start):
    browser = start(profile={"default_content_setting_values": {"cookies": 2}})
    tab = opened(browser, address)
    name = said(tab).name
    assert browser.cookies() == []
    tab.get_by_role("button", name="Again").click()
    tab.get_by_text("in run 2").wait_for()
    assert said(tab).name == name


@pytest.mark.nightly
@pytest.mark.browser
def test_the_page_has_nothing_that_a_page_without_names_has_not(address, start):
    tab = opened(start(), address)
    said(tab)
    kinds = tab.locator("[data-testid=stMainBlockContainer] [data-testid=stElementContainer] > *")
    assert kinds.evaluate_all("all => all.map(one => one.dataset.testid || one.className.split(' ')[0])") == [
        "stHeading", "stText", "stText", "stButton",
    ]  # fmt: skip
