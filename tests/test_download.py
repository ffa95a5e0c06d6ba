"""The download, against a small web server on this machine."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cnnlab.data import array_store, cifar10, cifar10_reader, download
from cnnlab.data.cifar10 import CifarError

pytestmark = pytest.mark.slow

ARCHIVE = os.environ.get("CNNLAB_TEST_ARCHIVE")
NONSENSE = b"nonsense" * 12_500
ENDED = threading.Event()  # the tests are through


class Server(BaseHTTPRequestHandler):
    """/whole gives NONSENSE, /cut only half of it, /slow some and nothing more, /archive the real archive slowly."""

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        content = Path(ARCHIVE).read_bytes() if self.path == "/archive" and ARCHIVE else NONSENSE
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.path in ("/cut", "/slow"):
            self.wfile.write(content[:50_000])
            self.wfile.flush()
            if self.path == "/slow":
                ENDED.wait(60)
            return
        for start in range(0, len(content), 2**24):
            self.wfile.write(content[start : start + 2**24])
            time.sleep(0.1)

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    ENDED.set()
    running.shutdown()


@pytest.fixture
def kept_by_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive, full of nonsense, that Keras has downloaded before for another program."""
    kept = tmp_path / "keras" / "datasets" / "cifar-10-batches-py-target_archive"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(NONSENSE)
    monkeypatch.setattr(download, "ARCHIVE_BYTES", len(NONSENSE))
    return kept


def left_in(home: Path) -> set[str]:
    return {path.name for path in home.iterdir() if path.name not in ("download.json", "download.lock", "data")}


def state() -> str | None:
    result = download.download_status()
    return result.state if result else None


def test_before_any_download_there_is_no_progress_and_nothing_to_cancel(home: Path) -> None:
    download.cancel()
    assert download.download_status() is None
    assert not home.exists()


def test_no_network_is_one_sentence_with_another_way(home: Path) -> None:
    with pytest.raises(CifarError, match=r"could not be downloaded from .* \(.*refused.*\).*data import PATH"):
        download.download(origin="http://127.0.0.1:9/archive")
    assert state() == "failed"
    assert left_in(home) == set()


def test_an_unknown_host_is_one_sentence(home: Path) -> None:
    with pytest.raises(CifarError, match=r"could not be downloaded from nowhere\.invalid"):
        download.download(origin="http://nowhere.invalid/archive")


def test_a_page_that_is_gone_is_one_sentence(server: str) -> None:
    with pytest.raises(CifarError, match="Not Found"):
        download.download(origin=f"{server}/missing")


def test_something_else_than_the_archive_is_refused(server: str, home: Path) -> None:
    with pytest.raises(CifarError, match="not the CIFAR-10 archive"):
        download.download(origin=f"{server}/whole")
    assert state() == "failed"
    assert left_in(home) == set()


def test_a_right_hash_does_not_make_nonsense_an_archive(server: str) -> None:
    with pytest.raises(CifarError, match="is not the archive"):
        download.download(origin=f"{server}/whole", sha256=hashlib.sha256(NONSENSE).hexdigest())


def test_a_kept_archive_that_cannot_be_read_is_downloaded_anew(kept_by_keras: Path, server: str) -> None:
    statuses: list[download.DownloadStatus] = []
    with pytest.raises(CifarError, match="Not Found"):
        download.download(statuses.append, origin=f"{server}/missing")
    assert f"Found an archive that Keras has downloaded before: {kept_by_keras}" in [step.message for step in statuses]


def test_a_full_disk_is_no_reason_to_download_a_kept_archive_anew(
    kept_by_keras: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise array_store.ArrayStoreError("The disk is full.")

    monkeypatch.setattr(cifar10_reader, "read_source", lambda *_: {"x_train": [], "x_test": []})
    monkeypatch.setattr(array_store, "write", full)
    statuses: list[download.DownloadStatus] = []
    with pytest.raises(CifarError, match="The disk is full"):
        download.download(statuses.append, origin=f"{server}/missing")
    assert [step.state for step in statuses] == ["starting", "preparing", "failed"]
    assert statuses[-1].message == "The disk is full."


@pytest.mark.parametrize("path", ["cut", "slow"])
def test_a_connection_that_breaks_or_falls_silent_is_one_sentence(server: str, home: Path, path: str) -> None:
    with pytest.raises(CifarError, match="could not be downloaded"):
        download.download(origin=f"{server}/{path}", socket_timeout=0.5)
    assert left_in(home) == set()


def test_a_download_can_be_cancelled_while_it_runs(server: str, home: Path) -> None:
    statuses: list[download.DownloadStatus] = []

    def cancel_at_the_first_bytes(step: download.DownloadStatus) -> None:
        statuses.append(step)
        if step.bytes:
            download.cancel()

    with pytest.raises(CifarError, match="cancelled"):
        download.download(cancel_at_the_first_bytes, origin=f"{server}/slow")
    assert "downloading" in [step.state for step in statuses]
    assert state() == "cancelled"
    assert left_in(home) == set()


def test_a_download_can_be_cancelled_while_the_archive_is_unpacked(
    kept_by_keras: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    def slow(_archive: Path) -> Path:
        seen.append(state())
        download.cancel()
        threading.Event().wait(20)
        return home

    monkeypatch.setattr(cifar10, "prepare", slow)
    with pytest.raises(CifarError, match="cancelled"):
        download.download()
    assert seen == ["preparing"]
    assert state() == "cancelled"
    assert left_in(home) == set()


def test_a_second_download_at_the_same_time_is_refused(server: str) -> None:
    refused: list[str] = []

    def start_another(step: download.DownloadStatus) -> None:
        if step.bytes and not refused:
            with pytest.raises(CifarError) as second:
                download.download(origin=f"{server}/whole")
            refused.append(str(second.value))
            download.cancel()

    with pytest.raises(CifarError, match="cancelled"):
        download.download(start_another, origin=f"{server}/slow")
    assert refused == ["CIFAR-10 is being downloaded already: wait for that download."]


def test_a_download_whose_process_died_reads_as_interrupted(home: Path) -> None:
    home.mkdir()
    (home / "download.json").write_text('{"state": "downloading", "bytes": 5}')
    assert state() == "interrupted"


def test_a_damaged_progress_file_reads_as_no_download(home: Path) -> None:
    home.mkdir()
    (home / "download.json").write_text("{")
    assert download.download_status() is None


@pytest.mark.nightly
@pytest.mark.cifar
def test_the_real_archive_arrives_with_growing_progress(server: str, home: Path) -> None:
    statuses: list[download.DownloadStatus] = []
    sha256 = hashlib.sha256(Path(str(ARCHIVE)).read_bytes()).hexdigest()
    download.download(statuses.append, origin=f"{server}/archive", sha256=sha256)
    sizes = [step.bytes for step in statuses if step.state == "downloading"]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 2
    assert statuses[-1].state == state() == "done"
    assert cifar10.load().fingerprint == cifar10.OFFICIAL_FINGERPRINT
    assert left_in(home) == set()
