"""What is under deploy/: each file is read by the program it is for, and the same start commands work behind nginx.

No container engine is needed. Where nginx, systemd-analyze or PyYAML is missing, its tests are skipped and counted.
"""

import http.client
import json
import os
import re
import shutil
import sqlite3
import ssl
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from free_ports import free_port
from history_factories import history, write
from nginx_server import DEPLOY, needs_nginx, nginx_folder, wait_for

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.jobs import dispatcher_process
from cnnlab.jobs.dispatcher_process import ensure_running
from cnnlab.jobs.queue import Queue
from cnnlab.settings import subprocess_environment
from cnnlab.storage import run_retention, runs
from cnnlab.storage.run_record import read_record
from cnnlab.storage.signing_key import signing_key
from cnnlab.ui.security_headers import CONTENT_SECURITY_POLICY

UNITS = sorted(path.name for path in (DEPLOY / "systemd").glob("*.service"))

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


# -- nginx -----------------------------------------------------------------------------------------------------------


@needs_nginx
@pytest.mark.parametrize("processes", [1, 4])
def test_nginx_accepts_its_configuration(tmp_path: Path, processes: int) -> None:
    web = [free_port() for _ in range(processes)]
    configuration = nginx_folder(tmp_path, free_port(), free_port(), *web)
    said = subprocess.run(["nginx", "-t", "-c", str(configuration)], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "[warn]" not in said.stderr.replace('[warn] the "user" directive', "")


def exec_start(unit: str) -> list[str]:
    """The start command of a unit, with this Python in the place of the installed one."""
    [line] = re.findall(r"^ExecStart=(.*)$", (DEPLOY / "systemd" / unit).read_text(), re.MULTILINE)
    return [sys.executable if word.endswith("/python") else word for word in line.split()]


@pytest.fixture(scope="module")
def behind_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The web unit's own start command behind a real nginx with the shipped files: the plain and the TLS port."""
    place, home = tmp_path_factory.mktemp("nginx"), tmp_path_factory.mktemp("home")
    plain, secure, web = free_port(), free_port(), free_port()
    configuration = nginx_folder(place, plain, secure, web)
    environment = subprocess_environment() | {"CNNLAB_HOME": str(home), "CNNLAB_STARTS_DISPATCHER": "0"}
    command = [word.replace("8501", str(web)) for word in exec_start("cnnlab-web.service")]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    app = subprocess.Popen(command, cwd=settings.REPOSITORY, env=environment, **quiet)  # type: ignore[call-overload]
    proxy = subprocess.Popen(["nginx", "-c", str(configuration)], **quiet)  # type: ignore[call-overload]
    try:
        for port in (web, plain, secure):
            wait_for(port)
        yield plain, secure
    finally:
        for process in (proxy, app):
            process.terminate()
            process.wait(20)


def secure_connection(port: int) -> http.client.HTTPSConnection:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)


@needs_nginx
def test_plain_http_is_sent_to_tls(behind_nginx: tuple[int, int]) -> None:
    plain = http.client.HTTPConnection("127.0.0.1", behind_nginx[0], timeout=30)
    plain.request("GET", "/look_inside?run=x")
    answer = plain.getresponse()
    assert answer.status == 301
    assert answer.headers["Location"] == "https://127.0.0.1/look_inside?run=x"


@needs_nginx
def test_the_health_of_the_web_process_is_seen_through_nginx(behind_nginx: tuple[int, int]) -> None:
    connection = secure_connection(behind_nginx[1])
    connection.request("GET", "/_stcore/health")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"ok")
    assert answer.headers["Strict-Transport-Security"]


@needs_nginx
@pytest.mark.parametrize(
    "path",
    ["/_stcore/metrics", "//_stcore/metrics", "/_stcore/%6detrics", "/x/../_stcore/metrics", "/_stcore/agent/mcp"],
)
def test_the_figures_of_the_process_are_not_seen_through_nginx(behind_nginx: tuple[int, int], path: str) -> None:
    connection = secure_connection(behind_nginx[1])
    connection.request("GET", path)
    answer = connection.getresponse()
    assert (answer.status, b"cache_memory" in answer.read()) == (404, False)


@needs_nginx
def test_over_tls_the_cookie_is_secure_and_the_policy_comes_once(behind_nginx: tuple[int, int]) -> None:
    connection = secure_connection(behind_nginx[1])
    connection.request("GET", "/", headers={"Accept": "text/html"})
    answer = connection.getresponse()
    [cookie] = [one for one in answer.headers.get_all("Set-Cookie") if one.startswith("cnnlab_browser=")]
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
    assert answer.headers.get_all("Content-Security-Policy") == [CONTENT_SECURITY_POLICY]


def upgraded(port: int, origin: str) -> int:
    """The status with which a page's websocket is answered that comes from this origin."""
    connection = secure_connection(port)
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Origin": origin}
    connection.request("GET", "/_stcore/stream", headers=headers | {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    return connection.getresponse().status


@needs_nginx
def test_a_pages_websocket_passes_nginx_and_that_of_another_site_does_not(behind_nginx: tuple[int, int]) -> None:
    port = behind_nginx[1]
    assert upgraded(port, f"https://127.0.0.1:{port}") == 101
    assert upgraded(port, "https://evil.example") == 403


@needs_nginx
def test_an_upload_beyond_the_limit_ends_at_nginx(behind_nginx: tuple[int, int]) -> None:
    connection = secure_connection(behind_nginx[1])
    connection.putrequest("PUT", "/_stcore/upload_file/a/b")
    connection.putheader("Content-Length", str(27 * 2**20))
    connection.endheaders()
    assert connection.getresponse().status == 413


def test_nginx_lets_through_what_streamlit_takes() -> None:
    [passed] = re.findall(r"client_max_body_size (\d+)m", (DEPLOY / "nginx" / "cnnlab.conf").read_text())
    ours = (settings.REPOSITORY / ".streamlit" / "config.toml").read_text()
    [taken] = re.findall(r"^maxUploadSize = (\d+)", ours, re.MULTILINE)
    assert int(passed) == int(taken) + 1
    assert settings.Settings().upload_megabytes <= int(taken)


class Numbered(BaseHTTPRequestHandler):
    """Answers with the port on which it was asked."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(self.server.server_address[1]).encode())

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def four_behind_nginx(tmp_path: Path) -> Iterator[int]:
    """Four stand-ins for web processes behind a real nginx with the shipped file for several: the TLS port."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Numbered) for _ in range(4)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    secure = free_port()
    configuration = nginx_folder(tmp_path, free_port(), secure, *(server.server_port for server in servers))
    proxy = subprocess.Popen(["nginx", "-c", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        wait_for(secure)
        yield secure
    finally:
        proxy.terminate()
        proxy.wait(20)
        for server in servers:
            server.shutdown()
            server.server_close()


def asked(connection: http.client.HTTPConnection, cookie: str = "") -> tuple[bytes, str]:
    """Which web process answered, and the cookie that came along."""
    connection.request("GET", "/", headers={"Cookie": cookie} if cookie else {})
    answer = connection.getresponse()
    return answer.read(), answer.headers.get("Set-Cookie", "")


@needs_nginx
def test_a_browser_stays_with_its_first_web_process_and_browsers_spread(four_behind_nginx: int) -> None:
    """All of them come from one address, as a school does."""
    connection, met = secure_connection(four_behind_nginx), set()
    for _ in range(40):
        process, told = asked(connection)
        assert "Secure" in told and "HttpOnly" in told
        assert asked(connection, cookie=f"other=1; {told.split(';')[0]}") == (process, "")
        met.add(process)
    assert len(met) >= 3  # of four; that chance alone leaves out two does not happen


def statuses(port: int, method: str, path: str, count: int) -> list[int]:
    """The status of each of `count` requests one after the other."""
    connection, found = secure_connection(port), []
    for _ in range(count):
        connection.request(method, path, body=b"photo" if method == "PUT" else None)
        answer = connection.getresponse()
        answer.read()
        found.append(answer.status)
    return found


@needs_nginx
def test_a_class_may_upload_at_once_and_a_flood_of_uploads_is_refused(four_behind_nginx: int) -> None:
    found = statuses(four_behind_nginx, "PUT", "/_stcore/upload_file/session/file", 120)
    assert found[:60] == [200] * 60  # sixty browsers behind one address
    assert 429 in found[60:]
    assert statuses(four_behind_nginx, "GET", "/", 20) == [200] * 20  # pages go on


class Held(Numbered):
    """Answers only when the test lets it."""

    go_on, arrived = threading.Event(), threading.Semaphore(0)

    def do_GET(self) -> None:
        self.arrived.release()
        self.go_on.wait(60)
        super().do_GET()


@needs_nginx
def test_one_address_has_a_limit_of_connections(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Held)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    secure = free_port()
    configuration = nginx_folder(tmp_path, free_port(), secure, server.server_port)
    ours = tmp_path / "ours.conf"
    assert ours.read_text().count("limit_conn cnnlab_connections 420;") == 2
    ours.write_text(ours.read_text().replace("cnnlab_connections 420;", "cnnlab_connections 3;"))
    proxy = subprocess.Popen(["nginx", "-c", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        wait_for(secure)
        connections = [secure_connection(secure) for _ in range(4)]
        for connection in connections[:3]:
            connection.request("GET", "/")
            assert Held.arrived.acquire(timeout=30)
        connections[3].request("GET", "/")
        assert connections[3].getresponse().status == 429
        Held.go_on.set()
        assert [connection.getresponse().status for connection in connections[:3]] == [200] * 3
    finally:
        Held.go_on.set()
        proxy.terminate()
        proxy.wait(20)
        server.shutdown()
        server.server_close()


def test_the_web_process_may_open_more_files_than_nginx_lets_through() -> None:
    [files_allowed] = re.findall(
        r"^LimitNOFILE=(\d+)$", (DEPLOY / "systemd" / "cnnlab-web.service").read_text(), re.MULTILINE
    )
    [ulimit] = re.findall(r"ulimits: {nofile: (\d+)}", (DEPLOY / "compose.yaml").read_text())
    [connections, _] = re.findall(
        r"limit_conn cnnlab_connections (\d+);", (DEPLOY / "nginx" / "cnnlab.conf").read_text()
    )
    assert int(files_allowed) == int(ulimit) > 100 * int(connections)


@needs_nginx
def test_one_web_process_needs_no_lanes(behind_nginx: tuple[int, int]) -> None:
    _, told = asked(secure_connection(behind_nginx[1]))
    assert "lane" not in told


# -- systemd ---------------------------------------------------------------------------------------------------------


def accepted_by_systemd(tmp_path: Path, unit: str, text: str) -> None:
    """Check that the unit is one, with all that it names in its place."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "README.md").touch()
    (tmp_path / unit).write_text(text.replace("/opt/cnnlab", str(tmp_path)))
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit)], capture_output=True, text=True, check=False
    )
    complaints = [line for line in said.stderr.splitlines() if unit in line]
    assert said.returncode == 0 and not complaints, said.stderr


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_the_unit(tmp_path: Path, unit: str) -> None:
    accepted_by_systemd(tmp_path, unit, (DEPLOY / "systemd" / unit).read_text())


@pytest.mark.slow
@pytest.mark.posix
def test_the_dispatchers_start_command_is_a_dispatcher_that_the_doctor_finds_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    process = subprocess.Popen(
        exec_start("cnnlab-dispatcher.service"), env=subprocess_environment(), stdout=subprocess.DEVNULL
    )
    try:
        give_up = time.monotonic() + 60
        while dispatcher_process.seconds_since_heartbeat() is None and time.monotonic() < give_up:
            time.sleep(0.1)
        asked = [sys.executable, "-m", "cnnlab", "doctor", "--exit-code"]
        said = subprocess.run(asked, env=subprocess_environment(), capture_output=True, text=True, check=False)
        assert "ok    dispatcher" in said.stdout
    finally:
        process.terminate()
        assert process.wait(30) == 0
    said = subprocess.run(asked, env=subprocess_environment(), capture_output=True, text=True, check=False)
    assert said.returncode == 1


def test_where_a_service_has_the_dispatcher_the_app_starts_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setenv("CNNLAB_STARTS_DISPATCHER", "0")
    ensure_running()
    assert not dispatcher_process.is_running()
    assert not dispatcher_process.log_path().exists()
    assert "CNNLAB_STARTS_DISPATCHER=0" in (DEPLOY / "systemd" / "cnnlab-web.service").read_text()


# -- containers ------------------------------------------------------------------------------------------------------


def steps(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile: (NAME, the rest), continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


def test_the_images_are_made_of_files_that_are_there_and_run_as_nobody_special() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    stages = re.findall(r"^FROM (\S+) AS (\w+)$", text, re.MULTILINE)
    assert [name for _, name in stages] == ["base", "cpu", "gpu"]
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=settings.REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split()
    for name, rest in steps(text):
        assert name in {"FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "EXPOSE", "CMD"}
        if name == "COPY":
            for source in rest.split()[:-1]:
                assert any(file == source or file.startswith(f"{source}/") for file in tracked), source
                assert f"!{source}" in ignored
        if name == "CMD":
            assert isinstance(json.loads(rest), list)
    for stage in re.split(r"^FROM ", text, flags=re.MULTILINE)[2:]:
        assert [rest for name, rest in steps(f"FROM {stage}") if name == "USER"] == ["cnnlab"]


def test_the_compose_file_fits_the_other_files() -> None:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]
    assert set(services) == {"web", "dispatcher", "dispatcher-gpu", "nginx"}
    stages = re.findall(r" AS (\w+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    for name, service in services.items():
        if "build" in service:
            assert service["build"]["target"] in stages
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            shipped = source.startswith("./nginx")
            assert not shipped or (DEPLOY / source).exists(), source
        assert service["logging"]["options"]["max-size"], name
        assert service["restart"] == "unless-stopped"
    for name in ("dispatcher", "dispatcher-gpu"):
        assert services[name]["command"][1:] == exec_start("cnnlab-dispatcher.service")[1:]
    assert services["dispatcher"]["healthcheck"]["test"][1:] == ["python", "-m", "cnnlab", "doctor", "--exit-code"]
    assert services["dispatcher-gpu"]["deploy"]["resources"]["reservations"]["devices"][0]["driver"] == "nvidia"
    assert "server web:8501;" in (DEPLOY / "nginx" / "upstream-compose.conf").read_text()
    assert services["web"]["environment"]["CNNLAB_STARTS_DISPATCHER"] == "0"
    [subnet] = compose["networks"]["default"]["ipam"]["config"]
    assert services["web"]["environment"]["CNNLAB_TRUSTED_PROXIES"] == subnet["subnet"]


def test_every_variable_that_is_named_exists() -> None:
    known = {settings.environment_variable(one.name) for one in settings.list_settings()} | {
        "CNNLAB_HOME",
        "CNNLAB_PYTHON",
    }
    for file in DEPLOY.rglob("*"):
        if file.is_file():
            named = set(re.findall(r"CNNLAB_[A-Z]+(?:_[A-Z]+)*", file.read_text()))
            assert named <= known, (file.name, named - known)


# -- backup ----------------------------------------------------------------------------------------------------------


def backup(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CNNLAB_HOME": str(home), "CNNLAB_PYTHON": sys.executable}
    return subprocess.run(
        [str(DEPLOY / "backup"), *words], env=environment, capture_output=True, text=True, check=False
    )


def test_a_backup_taken_during_work_restores_queue_runs_settings_and_pins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, archive = tmp_path / "old", tmp_path / "new", tmp_path / "lab.tar.gz"
    monkeypatch.setenv("CNNLAB_HOME", str(old))
    queue = Queue()
    done, waiting = Experiment(dataset="shapes"), Experiment(dataset="shapes", seed=1)
    write(settings.runs_dir() / done.key, done, history([0.1, 0.5], [0.1, 0.4]))
    run_retention.pin(done.key)
    (old / "settings.json").write_text('{"jobs_per_person": 7}')
    secret = signing_key().secret
    (old / "data").mkdir()
    (old / "data" / "large.npy").write_bytes(bytes(1000))
    for name in ("lessons/own.yaml", "networks/own-1/network.json", "sweeps/own.json", "data/own-1/x_test.npy"):
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (old / name).write_text(name)
    answers = sqlite3.connect(old / "lessons.sqlite")
    answers.execute("PRAGMA journal_mode = WAL")
    answers.execute("CREATE TABLE answers (text)")
    answers.execute("INSERT INTO answers VALUES ('the gap grows')")
    answers.commit()  # stays open as well
    queue.submit(waiting, "ada")  # stays open, its last change in the WAL only
    assert backup(old, str(archive)).returncode == 0
    with tarfile.open(archive) as content:
        assert not [name for name in content.getnames() if "large" in name]
    assert backup(new, "--restore", str(archive)).returncode == 0
    monkeypatch.setenv("CNNLAB_HOME", str(new))
    assert [(job.key, job.requesters) for job in Queue().waiting()] == [(waiting.key, ("ada",))]
    assert Queue().integrity_error() == ""
    found = runs.find_run(done)
    assert found is not None and found.state == "done" and list(found.history()["val_accuracy"]) == [0.1, 0.4]
    assert run_retention.is_pinned(done.key)
    assert settings.current().jobs_per_person == 7
    assert signing_key().secret == secret
    assert sqlite3.connect(new / "lessons.sqlite").execute("SELECT text FROM answers").fetchall() == [
        ("the gap grows",)
    ]
    for name in ("lessons/own.yaml", "networks/own-1/network.json", "sweeps/own.json", "data/own-1/x_test.npy"):
        assert (new / name).read_text() == name


def test_a_backup_is_never_restored_over_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    Queue().submit(Experiment(dataset="shapes"), "ada")
    assert backup(tmp_path / "home", str(tmp_path / "a.tar.gz")).returncode == 0
    said = backup(tmp_path / "home", "--restore", str(tmp_path / "a.tar.gz"))
    assert said.returncode == 1 and "is not empty" in said.stderr


# -- 300 students, 3,000 students ------------------------------------------------------------------------------------


def test_the_shipped_networks_took_as_long_as_the_page_on_scale_says() -> None:
    text = (DEPLOY / "scale.md").read_text()
    [(least, most)] = re.findall(r"between (\d+) and (\d+) minutes", text)
    records = [read_record(path.parent) for path in settings.PRETRAINED.glob("[23]conv-*/record.json")]
    assert records
    assert all(int(least) * 60 <= record.seconds <= int(most) * 60 for record in records)


def test_the_page_on_scale_shows_the_lanes_that_nginx_gets() -> None:
    shown = re.findall(r"```nginx\n(.*?)```", (DEPLOY / "scale.md").read_text(), re.DOTALL)[0]
    shipped = re.sub(r"#.*", "", (DEPLOY / "nginx" / "upstream-several.conf").read_text())
    for statement in re.findall(r"[^{};]+(?=[;{])", shown):
        assert " ".join(statement.split()) in " ".join(shipped.split())


@needs_systemd
def test_systemd_accepts_the_unit_for_several_web_processes(tmp_path: Path) -> None:
    command = r"^sed '(.*)' /opt/cnnlab/deploy/systemd/(\S+) > /etc/systemd/system/(\S+)$"
    [(change, unit, made)] = re.findall(command, (DEPLOY / "scale.md").read_text(), re.MULTILINE)
    [_, before, after, _] = change.split("/")
    text = (DEPLOY / "systemd" / unit).read_text()
    assert before in text
    accepted_by_systemd(tmp_path, made, text.replace(before, after))
