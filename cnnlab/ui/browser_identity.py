"""Identifies a browser by a random token in a cookie of our own, `cnnlab_browser`.

The token is secret; the public name of a person is a digest of it (`person_name`). The middleware `BrowserCookie` sets
the cookie together with the page, so a session knows it from its first run. It is kept for a year, also when the
browser is closed.

What Streamlit 1.67 allows, as tried in Chromium:

- `st.context.cookies` is read-only. It holds the cookies of the websocket's handshake, which follows the page, so a
  cookie that was set with the page is there.
- `st.App(script, middleware=[...])` is public, and `streamlit run` finds it in its script. A middleware sees every
  request and may set a cookie, which can be HttpOnly. This is used here.
- `st.html(..., unsafe_allow_javascript=True)` can set a cookie only after the first run: of two tabs opened at once,
  one keeps another name until it is reloaded. Its element takes the gap of a row, and a Content-Security-Policy without
  'unsafe-inline' blocks its script.
- `_streamlit_xsrf` is Streamlit's own, undocumented, and ends with the browser session.

Without a cookie (the browser forbids them, or the script runs without `st.App`) the session keeps a token of its own,
which lasts as long as the tab.
"""

import hashlib
import re
import secrets
from typing import TypeGuard

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cnnlab.ui.state import session_key

COOKIE = "cnnlab_browser"
TOKEN_PATTERN = re.compile(r"[A-Za-z0-9_-]{32}")  # what secrets.token_urlsafe(24) makes
MAX_AGE_SECONDS = 365 * 24 * 3600
SESSION_TOKEN = session_key("browser_identity.token")  # of a session without a cookie


def new_token() -> str:
    """A random token: 24 bytes in 32 URL-safe characters."""
    return secrets.token_urlsafe(24)


def is_valid_token(value: object) -> TypeGuard[str]:
    """Whether `value` has the form of a token. It may be any object: in an AppTest a cookie is a mock."""
    return isinstance(value, str) and TOKEN_PATTERN.fullmatch(value) is not None


def browser_token() -> str:
    """The token of the browser that this session belongs to; to be called in a script run.

    A valid cookie takes precedence over the session's own token, so all tabs of a browser agree once it has a cookie.
    """
    cookie = st.context.cookies.get(COOKIE)
    if is_valid_token(cookie):
        return cookie
    if SESSION_TOKEN not in st.session_state:
        st.session_state[SESSION_TOKEN] = new_token()
    return str(st.session_state[SESSION_TOKEN])


def person_name(token: str) -> str:
    """The public name of a token: 'b' and 12 hex digits of its SHA-256, which do not reveal the token."""
    return f"b{hashlib.sha256(token.encode()).hexdigest()[:12]}"


class BrowserCookie:
    """ASGI middleware: sets the cookie on a page requested without a valid one; other requests pass unchanged."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not needs_cookie(scope):
            await self.app(scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", set_cookie_header(is_secure(scope)))
            await send(message)

        await self.app(scope, receive, send_with_cookie)


def needs_cookie(scope: Scope) -> bool:
    """Whether the request navigates to a page and has no valid token.

    A browser accepts text/html when it navigates, not when it fetches a script or an image. The response's type is no
    criterion: for a cached page it is a 304 without a content type.
    """
    headers = Headers(scope=scope)
    if scope["method"] != "GET" or "text/html" not in headers.get("accept", ""):
        return False
    return not is_valid_token(cookie_parser("; ".join(headers.getlist("cookie"))).get(COOKIE))


def is_secure(scope: Scope) -> bool:
    """Whether the browser uses https, to this server or to a proxy in front of it.

    A client that forges X-Forwarded-Proto only gets a cookie that its own browser does not send back over http.
    """
    return scope["scheme"] == "https" or Headers(scope=scope).get("x-forwarded-proto") == "https"


def set_cookie_header(secure: bool) -> str:
    """The value of a Set-Cookie header with a new token."""
    header = f"{COOKIE}={new_token()}; Path=/; Max-Age={MAX_AGE_SECONDS}; HttpOnly; SameSite=Lax"
    return f"{header}; Secure" if secure else header
