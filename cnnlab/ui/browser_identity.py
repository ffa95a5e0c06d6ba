"""Identifies a browser by a signed token in a cookie of our own, `cnnlab_browser`.

    <subject>.<signature>        subject: 128 random bits; signature: 128 bits, made with the key of this home

Only tokens that this home signed count (`storage.signing_key`). The public name of a person is a digest of the subject
(`person_name`); it never makes a teacher (`Settings.is_teacher`). The middleware `BrowserCookie` sets the cookie
together with the page, so a session knows it from its first run. It is kept for a year, also when the browser closes.

SameSite is Lax: with Strict, who follows a link from a mail or a course page would come without the cookie and get
another name. The cookie is HttpOnly, and Secure where the page came over https.

Before tokens were signed, the cookie held 32 random characters. Such a cookie keeps its name, once, where the queue
knows that name from before this home had its key: names asked for later are of signed tokens only.

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
from contextlib import closing

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cnnlab.jobs.queue import Queue
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.storage.signing_key import signing_key
from cnnlab.ui.state import session_key

COOKIE = "cnnlab_browser"
PURPOSE = "browser"  # what the signature is for
TOKEN_BYTES = 16  # 128 bits, 22 URL-safe characters
TOKEN_PATTERN = re.compile(r"([A-Za-z0-9_-]{22}|[A-Za-z0-9_-]{32})\.([A-Za-z0-9_-]{22})")
UNSIGNED_PATTERN = re.compile(r"[A-Za-z0-9_-]{32}")  # the cookie before tokens were signed
MAX_AGE_SECONDS = 365 * 24 * 3600
SESSION_TOKEN = session_key("browser_identity.token")  # of a session without a cookie


def new_token() -> str:
    """A signed token with a new subject."""
    return signed_token(secrets.token_urlsafe(TOKEN_BYTES))


def signed_token(subject: str) -> str:
    """The token of this subject."""
    return f"{subject}.{signing_key().sign(PURPOSE, subject)}"


def token_subject(value: object) -> str | None:
    """The subject of a token that this home signed, else None. In an AppTest `value` may be a mock."""
    match = TOKEN_PATTERN.fullmatch(value) if isinstance(value, str) else None
    if match is None or not signing_key().is_signed(PURPOSE, match[1], match[2]):
        return None
    return match[1]


def browser_person() -> str:
    """The name of the browser that this session belongs to; to be called in a script run.

    A valid cookie takes precedence over the session's own token, so all tabs of a browser agree once it has a cookie.
    """
    subject = token_subject(st.context.cookies.get(COOKIE))
    if subject is None:
        if SESSION_TOKEN not in st.session_state:
            st.session_state[SESSION_TOKEN] = secrets.token_urlsafe(TOKEN_BYTES)
        subject = str(st.session_state[SESSION_TOKEN])
    return person_name(subject)


def person_name(subject: str) -> str:
    """The public name of a subject: 'b' and 12 hex digits of its SHA-256, which do not reveal the subject."""
    return f"b{hashlib.sha256(subject.encode()).hexdigest()[:12]}"


class BrowserCookie:
    """ASGI middleware: sets the cookie on a page requested without a valid one; other requests pass unchanged."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        cookie = page_cookie(scope) if scope["type"] == "http" else None
        if cookie is None or token_subject(cookie):
            await self.app(scope, receive, send)
            return
        token = carried_over(cookie) or new_token()

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", set_cookie_header(token, is_secure(scope)))
            await send(message)

        await self.app(scope, receive, send_with_cookie)


def page_cookie(scope: Scope) -> str | None:
    """The cookie of a request that navigates to a page, "" for none; None for any other request.

    A browser accepts text/html when it navigates, not when it fetches a script or an image. The response's type is no
    criterion: for a cached page it is a 304 without a content type.
    """
    headers = Headers(scope=scope)
    if scope["method"] != "GET" or "text/html" not in headers.get("accept", ""):
        return None
    return cookie_parser("; ".join(headers.getlist("cookie"))).get(COOKIE, "")


def carried_over(cookie: str) -> str | None:
    """A signed token for an unsigned cookie whose name asked for a training before this home had its key, else None."""
    if not UNSIGNED_PATTERN.fullmatch(cookie):
        return None
    try:
        with closing(Queue()) as queue:
            known = queue.path.exists() and queue.has_asked(person_name(cookie), before=signing_key().created)
    except QueueError:
        return None
    return signed_token(cookie) if known else None


def is_secure(scope: Scope) -> bool:
    """Whether the browser uses https, to this server or to a proxy in front of it.

    A client that forges X-Forwarded-Proto only gets a cookie that its own browser does not send back over http.
    """
    return scope["scheme"] == "https" or Headers(scope=scope).get("x-forwarded-proto") == "https"


def set_cookie_header(token: str, secure: bool) -> str:
    """The value of a Set-Cookie header."""
    header = f"{COOKIE}={token}; Path=/; Max-Age={MAX_AGE_SECONDS}; HttpOnly; SameSite=Lax"
    return f"{header}; Secure" if secure else header
