"""The app below a prefix: in a real Jupyter server, and behind a real nginx as deploy/jupyterhub.md configures it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec

import pytest
from chrome import PATIENCE, settled, wait_until
from free_ports import free_port

from cnnlab import jupyter_proxy, settings

pytestmark = [pytest.mark.slow, pytest.mark.browser]
GUIDE = (settings.REPOSITORY / "deploy" / "jupyterhub.md").read_text()


def environment(home):
    return os.environ | {"CNNLAB_HOME": str(home), "PYTHONPATH": str(settings.REPOSITORY)}


class running:  # noqa: N801  # read as a verb: with running(command, home, port)
    """A server process until the block ends; its children end with it."""

    def __init__(self, command, home, port):
        self.command, self.home, self.port = command, home, port

    def __enter__(self):
        self.log = (self.home / "server.log").open("ab")
        self.process = subprocess.Popen(
            self.command, cwd=self.home, env=environment(self.home), stdout=self.log, stderr=subprocess.STDOUT
        )
        wait_until(lambda: is_open(self.port), "the server answers")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def look_around(chromium, url, query=""):
    """Open the first page below `url`, follow a link to another, and open a third by its address."""
    context = chromium.new_context()
    try:
        tab = context.new_page()
        tab.set_default_timeout(PATIENCE)
        outside = []
        tab.on(
            "request",
            lambda request: None if request.url.startswith((url, "data:", "blob:")) else outside.append(request.url),
        )
        tab.goto(f"{url}/{query}", timeout=90_000)
        settled(tab)
        tab.get_by_role("link", name="Compare").first.click()
        tab.wait_for_url(re.compile(re.escape(f"{url}/compare")))
        settled(tab)
        tab.goto(f"{url}/look_inside?run=3conv-dropout")
        settled(tab)
        tab.get_by_text(re.compile("Prediction: cat")).first.wait_for()
        return outside
    finally:
        context.close()


@pytest.mark.nightly
@pytest.mark.skipif(not find_spec("jupyter_server_proxy"), reason="needs deploy/requirements-jupyter.txt")
def test_a_jupyter_server_serves_every_page_below_the_path_of_its_user(chromium, tmp_path):
    port = free_port()
    servers = {"ServerProxy": {"servers": {"cnnlab": jupyter_proxy.server()}}}
    (tmp_path / "jupyter_server_config.json").write_text(json.dumps(servers))
    options = [f"--port={port}", "--ip=127.0.0.1", "--no-browser", "--allow-root"]
    options += ["--ServerApp.base_url=/hub/user/ada/", "--IdentityProvider.token=secret"]
    options += [f"--config={tmp_path / 'jupyter_server_config.json'}"]
    with running([sys.executable, "-m", "jupyter", "server", *options], tmp_path, port):
        outside = look_around(chromium, f"http://127.0.0.1:{port}/hub/user/ada/cnnlab", "?token=secret")
    assert outside == []


@pytest.mark.nightly
@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
def test_nginx_serves_every_page_below_the_prefix_of_the_guide(chromium, tmp_path):
    port, web = free_port(), free_port()
    [location] = re.findall(r"```nginx\n(.*?)```", GUIDE, re.DOTALL)
    [start] = re.findall(r"^cnnlab (start .*)$", GUIDE, re.MULTILINE)
    assert "127.0.0.1:8501" in location and "--server.port 8501" in start
    kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\nevents {{}}\n"
        f"http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port};\n"
        f"{location.replace('8501', str(web))} }} }}\n"
    )
    command = [sys.executable, "-m", "cnnlab", *start.replace("8501", str(web)).split()]
    nginx = ["nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    with running(command, tmp_path, web), running(nginx, tmp_path, port):
        outside = look_around(chromium, f"http://127.0.0.1:{port}/services/cnnlab")
    assert outside == []
