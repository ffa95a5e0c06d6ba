"""The deployed pages in Chromium, through the shipped nginx: they work under the policy, and load nothing foreign."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from chrome import PATIENCE, App, settled
from free_ports import free_port
from nginx_server import needs_nginx, nginx_folder, wait_for
from PIL import Image

pytestmark = [pytest.mark.browser, needs_nginx]

PAGES = ["", "compare", "mistakes", "admin", "look_inside"]
VIEWS = ["network", "blocks", "map", "kernels", "why", "versus", "xray", "whatif", "switches"]
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation',
  event => window.violations.push(event.violatedDirective + ' ' + event.blockedURI));
"""
FOREIGN = """() => {
  const image = document.createElement('img');
  image.src = 'https://evil.test/p.png';
  const script = document.createElement('script');
  script.textContent = 'window.injected = true';
  document.body.append(image, script);
  return fetch('https://evil.test/').catch(() => 'refused').then(() => window.injected === undefined);
}"""


@contextmanager
def behind_nginx(place: Path, app: App) -> Iterator[App]:
    """The app's address behind TLS."""
    plain, secure = free_port(), free_port()
    configuration = nginx_folder(place, plain, secure, int(app.url.rpartition(":")[2]))
    proxy = subprocess.Popen(["nginx", "-c", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        wait_for(secure)
        yield App(f"https://127.0.0.1:{secure}", app.home)
    finally:
        proxy.terminate()
        proxy.wait(60)


@pytest.fixture(scope="module")
def secure(app: App, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with behind_nginx(tmp_path_factory.mktemp("nginx"), app) as address:
        yield address


@pytest.fixture
def watched(new_tab):
    """A tab that counts what the policy refuses."""
    tab = new_tab()
    tab.add_init_script(WATCH)
    return tab


@pytest.mark.nightly(but=[""])
@pytest.mark.parametrize("path", [*PAGES, *(f"look_inside?view={view}" for view in VIEWS)])
def test_a_page_works_under_the_policy_and_asks_no_other_server(secure: App, watched, path: str) -> None:
    asked: list[str] = []
    watched.on("request", lambda request: asked.append(request.url))
    answer = watched.goto(f"{secure.url}/{path}")
    assert answer.headers["content-security-policy"]
    settled(watched)
    if path not in ("admin", ""):
        watched.locator("canvas, svg.marks, img").first.wait_for()
    assert watched.evaluate("violations") == []
    assert [url for url in asked if not url.startswith((secure.url, "data:", "blob:"))] == []
    cookie = next(one for one in watched.context.cookies() if one["name"] == "cnnlab_browser")
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")


@pytest.mark.nightly
def test_a_photo_is_uploaded_and_shown_under_the_policy(secure: App, watched) -> None:
    watched.goto(f"{secure.url}/look_inside")
    settled(watched)
    watched.get_by_role("button", name="Image", exact=True).first.click()
    watched.get_by_text("my image").click()
    picture = BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 20)).save(picture, "PNG")
    upload = {"name": "![x](http://evil.test)", "mimeType": "image/png", "buffer": picture.getvalue()}
    watched.locator("input[type=file]").set_input_files(upload)
    watched.wait_for_url("**image=photo-**")
    settled(watched)
    assert watched.evaluate("violations") == []


def test_what_is_put_into_a_page_loads_and_runs_nothing(app: App, chromium) -> None:
    context = chromium.new_context()
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE)
    tab.add_init_script(WATCH)
    tab.goto(app.url)
    settled(tab)
    assert tab.evaluate(FOREIGN)
    tab.wait_for_function("() => violations.length >= 3")
    assert {one.split()[0] for one in tab.evaluate("violations")} == {"img-src", "script-src-elem", "connect-src"}
    context.close()
