"""The Content-Security-Policy: on every answer, strict about scripts, and fit for the page that Streamlit sends."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from cnnlab.ui.security_headers import (
    CONTENT_SECURITY_POLICY,
    POLICY,
    SecurityHeaders,
    inline_script_hashes,
    streamlit_page,
)


def headers_of(own: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": own})

    async def send(message):
        sent.extend(message["headers"])

    sent: list[tuple[bytes, bytes]] = []
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, SecurityHeaders(answer)({"type": "http"}, None, send)).result()
    return sent


def test_every_answer_has_the_policy_once() -> None:
    assert headers_of([]) == [(b"content-security-policy", CONTENT_SECURITY_POLICY.encode())]
    own = [(b"content-security-policy", b"default-src 'none'")]
    assert headers_of(own) == own


def test_scripts_come_from_this_server_or_are_those_of_streamlits_page() -> None:
    assert not {"'unsafe-inline'", "'unsafe-eval'"} & set(POLICY["script-src"].split())
    assert POLICY["script-src"].split() == ["'self'", "'wasm-unsafe-eval'", *inline_script_hashes(streamlit_page())]
    assert len(inline_script_hashes(streamlit_page())) == 1
    sources = {source for sources in POLICY.values() for source in sources.split()}
    assert not {source for source in sources if source == "*" or "//" in source or source == "https:"}


def test_the_digest_of_an_inline_script_is_that_of_the_specification() -> None:
    """The example of CSP level 3, section "Hash usage for <script> elements"."""
    page = "<p><script>alert('Hello, world.');</script><script src='x'></script>"
    assert inline_script_hashes(page) == ["'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"]
