"""The Content-Security-Policy of every response: a page may load from and connect to this server only.

What Streamlit 1.67 needs beyond 'self', as tried in Chromium with every page of the app:

- script-src: the digests of the scripts in its page, and WebAssembly, which its reader of tables is compiled to.
- style-src 'unsafe-inline': Streamlit's styles are made at run time, and `st.html` brings ours.
- img-src data: blob: for the pictures in charts and galleries; media-src blob: for the camera.
- connect-src 'self' includes the websocket of the same origin.
"""

import base64
import hashlib
import re
from pathlib import Path

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def inline_script_hashes(page: str) -> list[str]:
    """The CSP sources of a page's inline scripts."""
    digests = (hashlib.sha256(script.encode()).digest() for script in INLINE_SCRIPT.findall(page))
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def streamlit_page() -> str:
    """The HTML page of Streamlit; "" where another version has it elsewhere."""
    try:
        return (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    except OSError:
        return ""


POLICY = {
    "default-src": "'self'",
    "script-src": " ".join(["'self'", "'wasm-unsafe-eval'", *inline_script_hashes(streamlit_page())]),
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "media-src": "'self' blob:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'self'",
}
CONTENT_SECURITY_POLICY = "; ".join(f"{name} {sources}" for name, sources in POLICY.items())


class SecurityHeaders:
    """ASGI middleware: adds the policy to every response without one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("content-security-policy", CONTENT_SECURITY_POLICY)
            await send(message)

        await self.app(scope, receive, send_with_policy if scope["type"] == "http" else send)
