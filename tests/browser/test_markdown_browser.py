"""Words from outside in Chromium: what a browser makes of them is text, and it asks no other server for anything."""

import json

import pytest
from chrome import settled, start_streamlit

pytestmark = pytest.mark.browser

WORDS = [
    "![x](http://evil.test/p.png)", "[a](javascript:alert(1))", "http://evil.test/x", "HTTPS://EVIL.test",
    "www.evil.test", "a@b.org", "mailto:a@b.org", "xmpp:a@b.c", "<img src=http://evil.test/p.png>",
    "&lt;b&gt; &amp; &#33;", "<!-- c -->",
    "**bold** _it_ `code` ~~no~~ H~2~O", "$x^2$ and $$y$$", ":smile: :+1: :100: :streamlit: ::a::", ":material/close:",
    ":red[hot] :blue-background[x] :small[x] :red-badge[a]", "-> <- -- >= <= ~= != <-> ---", "# head", "- item", "+ b",
    "1. item", "1) a", "> quote", "| a | b |\n|---|---|\n| 1 | 2 |", "a\n\n    code\n===", "\\* \\", "[^1]: note",
    "[x]: http://evil.test", "![x][y]", "```\nx\n```", "C:\\Users\\x_y_z", "/home/a_b/__x__/f.sqlite", "10:30, 1:2",
]  # fmt: skip
PAGE = """
import json
import pathlib
import streamlit as st
from cnnlab.rendering.markdown import escape_markdown

st.title("Words")
for number, words in enumerate(json.loads(pathlib.Path("words.json").read_text())):
    with st.container(key=f"words{number}"):
        st.warning(escape_markdown(words))
        st.caption(f"Signed in as {escape_markdown(words)}")
        st.button(escape_markdown(words), key=f"button{number}")
"""
PARTS = "all => all.map(one => [one.textContent, [...one.querySelectorAll('*')].map(part => part.tagName)])"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    (folder / "page.py").write_text(PAGE)
    (folder / "words.json").write_text(json.dumps(WORDS))
    process, url = start_streamlit(folder / "page.py", folder, folder / "web.log", {})
    yield url
    process.terminate()
    process.wait(60)


def test_a_browser_shows_hostile_words_as_they_are(address, tab):
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(address)
    settled(tab)
    tab.locator(f".st-key-words{len(WORDS) - 1} button").wait_for()
    found = {}
    for number, words in enumerate(WORDS):
        parts = tab.locator(
            f".st-key-words{number} [data-testid*=Markdown], .st-key-words{number} [data-testid*=Caption]"
        )
        seen = parts.evaluate_all(PARTS)
        texts = sorted({text.replace("\u2060", "") for text, _ in seen})
        tags = sorted({tag for _, parts in seen for tag in parts})
        line = " ".join(words.split())
        if texts != sorted({line, f"Signed in as {line}"}) or not set(tags) <= {"DIV", "P"}:
            found[words] = texts, tags
    assert found == {}
    assert [url for url in asked if not url.startswith(address) and not url.startswith("data:")] == []


@pytest.mark.nightly
def test_an_address_loads_no_picture_from_elsewhere(app, tab):
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(app.at("compare", add="![x](http://evil.test/p.png)"))
    settled(tab)
    tab.get_by_text("There is no run called").wait_for()
    assert not [url for url in asked if "evil" in url and "compare" not in url]
