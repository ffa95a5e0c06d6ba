"""Signing in with a real browser, a real server and a provider of our own that knows one person: Ada, the teacher.

Not marked `browser`, because it also needs what deploy/requirements-auth.txt names; without that it is skipped.
"""

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlparse

import chrome
import pytest
from chrome import App, served, settled
from free_ports import free_port

pytest.importorskip("authlib", reason="needs deploy/requirements-auth.txt")
pytest.importorskip("httpx", reason="needs deploy/requirements-auth.txt")
jwk = pytest.importorskip("joserfc.jwk", reason="needs deploy/requirements-auth.txt")
jwt = pytest.importorskip("joserfc.jwt", reason="needs deploy/requirements-auth.txt")
pytest.importorskip("playwright", reason="needs Playwright")


CHROMIUM = os.environ.get("CNNLAB_CHROMIUM") or shutil.which("chromium")


class Provider(BaseHTTPRequestHandler):
    """OpenID Connect in forty lines: where its doors are, its key, a code for everybody, a signed word who it is."""

    key = jwk.RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
    nonce = ""

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def do_GET(self) -> None:
        address = urlparse(self.path)
        if address.path == "/authorize":
            asked = dict(parse_qsl(address.query))
            Provider.nonce = asked["nonce"]
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri']}?{urlencode({'code': 'c', 'state': asked['state']})}")
            self.end_headers()
        elif address.path == "/keys":
            self.answer({"keys": [self.key.as_dict(private=False)]})
        else:
            doors = {"authorization": "authorize", "token": "token"}
            found = {f"{name}_endpoint": f"{self.issuer}/{door}" for name, door in doors.items()}
            self.answer(found | {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "42", "aud": "lab", "iat": now, "exp": now + 600, "nonce": self.nonce}
        claims |= {"email": "Ada@School.org", "email_verified": True}
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key)
        self.answer({"access_token": "a", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def answer(self, words: dict[str, object]) -> None:
        content = json.dumps(words).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


SECRETS = """[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
client_id = "lab"
client_secret = "s"
server_metadata_url = "http://127.0.0.1:{provider}/.well-known/openid-configuration"
"""


@pytest.fixture
def app(tmp_path, monkeypatch) -> Iterator[App]:
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    port = free_port()
    monkeypatch.setattr(chrome, "free_port", lambda: port)
    (tmp_path / ".streamlit").mkdir()
    secrets = SECRETS.format(port=port, provider=provider.server_port)
    (tmp_path / ".streamlit" / "secrets.toml").write_text(secrets)
    with served(tmp_path, HOME=str(tmp_path), CNNLAB_TEACHER="ada@school.org") as running:
        yield running
    provider.shutdown()


@pytest.mark.nightly
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_nothing_is_shown_before_signing_in_and_the_teacher_is_an_account(app, tab) -> None:
    tab.goto(app.at("admin"))
    tab.get_by_role("button", name="Sign in").wait_for()
    assert tab.locator("h1").all_inner_texts() == ["CNN Lab"]
    tab.get_by_role("button", name="Sign in").click()
    tab.get_by_text(re.compile("Signed in as ada@.?school.org")).wait_for()  # no link: see escape_markdown
    tab.goto(app.at("admin"))
    tab.get_by_text("Accept new trainings").wait_for()
    settled(tab)
    tab.get_by_role("button", name="Sign out").click()
    tab.get_by_role("button", name="Sign in").wait_for()
