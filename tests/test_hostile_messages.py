"""Messages that the app's pages never send reach nobody else: not the caches, not the memory, hardly the log."""

import contextlib
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from chrome import answers, free_port, wait_until
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession, AppSessionState
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from cnnlab import settings
from cnnlab.ui import log_limit, streamlit_messages
from cnnlab.ui.log_limit import MAX_LINES, RepeatedLines
from cnnlab.ui.websocket_limit import MAX_BYTES, limit_messages

pytestmark = pytest.mark.slow
HELD = 10  # connections that stop in the middle of a message of 15 MB


@pytest.fixture(autouse=True)
def as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit without the patch."""
    handle = AppSession.handle_backmsg
    monkeypatch.setattr(AppSession, "handle_backmsg", getattr(handle, "__wrapped__", handle))


def asked(monkeypatch: pytest.MonkeyPatch, **content: object) -> list[str]:
    """What a session does for a message."""
    done: list[str] = []
    for name in ("_handle_clear_cache_request", "_handle_set_run_on_save_request", "_handle_rerun_script_request"):
        monkeypatch.setattr(AppSession, name, lambda *_, name=name: done.append(name))
    session = object.__new__(AppSession)
    session._state = AppSessionState.SHUTDOWN_REQUESTED  # nothing to tidy up
    AppSession.handle_backmsg(session, BackMsg(**content))  # type: ignore[arg-type]
    return done


def test_streamlit_alone_clears_everybodys_caches_for_any_browser(monkeypatch):
    """Where this fails, Streamlit has mended it: remove the patch."""
    assert asked(monkeypatch, clear_cache=True) == ["_handle_clear_cache_request"]


def test_with_the_patch_what_pages_never_ask_for_is_ignored(monkeypatch, caplog):
    streamlit_messages.patch_messages()
    streamlit_messages.patch_messages()  # a second time changes nothing
    assert asked(monkeypatch, clear_cache=True) == asked(monkeypatch, set_run_on_save=True) == asked(monkeypatch) == []
    assert asked(monkeypatch, rerun_script={}) == ["_handle_rerun_script_request"]
    assert not caplog.messages


def test_lines_of_one_kind_are_written_five_times_in_ten_minutes(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(log_limit.time, "monotonic", lambda: now[0])
    lines = RepeatedLines()

    def written(text: str, count: int) -> list[str]:
        records = [logging.LogRecord("x", logging.WARNING, "", 0, text, (number,), None) for number in range(count)]
        return [record.getMessage() for record in records if lines.filter(record)]

    first = written("no handler %s", 100)
    assert len(first) == MAX_LINES and first[0] == "no handler 0" and "left out" in first[-1]
    assert written("no handler %s", 100) == [] and len(written("another %s", 2)) == 2
    now[0] = 601.0
    assert len(written("no handler %s", 100)) == MAX_LINES
    for number in range(1_000):
        written(f"kind {number} %s", 1)
    assert len(lines.seen) == log_limit.MAX_KINDS


def test_a_server_of_another_kind_is_left_as_it_is():
    assert not limit_messages(lambda: None)
    for limit in (None, 16_000_000, 1_000):
        owner = SimpleNamespace(conn=SimpleNamespace(max_message_size=limit))
        receive = type("Receive", (), {"__self__": owner})()
        assert limit_messages(receive) == (limit is not None)
        assert owner.conn.max_message_size == (limit and min(limit, MAX_BYTES))


# -- a real server -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, Path]]:
    """The app: its port, its process, its log."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)]
    variables = {"CNNLAB_HOME": str(home), "CNNLAB_STARTS_DISPATCHER": "0"}
    environment = settings.subprocess_environment() | variables
    with (home / "web.log").open("wb") as file:
        process = subprocess.Popen(command, cwd=settings.APP_FILES, env=environment, stdout=file, stderr=file)
        try:
            wait_until(lambda: answers(port), "the server answers")
            yield port, process.pid, home / "web.log"
        finally:
            process.terminate()
            process.wait(30)


def opened(port: int) -> ClientConnection:
    origin = f"http://127.0.0.1:{port}"
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    return connect(address, subprotocols=["streamlit"], origin=origin, max_size=None)  # type: ignore[list-item,arg-type]


def page_of(port: int) -> set[str | None]:
    """The kinds of messages with which a new browser's page comes."""
    message, kinds = BackMsg(), set[str | None]()
    message.rerun_script.query_string = ""
    with opened(port) as socket:
        socket.send(message.SerializeToString())
        while "script_finished" not in kinds:
            kinds.add(ForwardMsg.FromString(socket.recv(timeout=60, decode=False)).WhichOneof("type"))
    return kinds


def test_nonsense_of_a_hundred_connections_leaves_few_lines_in_the_log(server: tuple[int, int, Path]) -> None:
    port, _, log = server
    page_of(port)
    before = len(log.read_text())
    for _ in range(30):
        for content in (b"\xff\xff\xff", "text"):
            with opened(port) as socket:
                socket.send(content)
                with contextlib.suppress(ConnectionClosed):
                    while True:
                        socket.recv(timeout=60)
        with opened(port) as socket:
            for message in (BackMsg(), BackMsg(clear_cache=True), BackMsg(debug_shutdown_runtime=True)):
                socket.send(message.SerializeToString())
    assert "delta" in page_of(port)
    written = log.read_text()[before:]
    assert len(written) < 20_000 and written.count("Traceback") <= MAX_LINES and "ASGI" not in written


@pytest.mark.linux
def test_connections_that_stop_in_the_middle_of_a_message_hold_a_megabyte_at_most(
    server: tuple[int, int, Path],
) -> None:
    port, process, _ = server
    page_of(port)

    def resident() -> float:
        fields = Path(f"/proc/{process}/status").read_text().split("VmRSS:")[1].split()
        return int(fields[0]) / 1000

    def parts() -> Iterator[bytes]:
        for _ in range(150):
            yield b"x" * 100_000
        raise RuntimeError("the browser is gone")

    before = resident()
    with contextlib.ExitStack() as held:
        for socket in [held.enter_context(opened(port)) for _ in range(HELD)]:
            with pytest.raises((ConnectionClosed, RuntimeError)):
                socket.send(parts())
        time.sleep(0.5)
        grown = resident() - before
    assert grown < 5 * HELD
