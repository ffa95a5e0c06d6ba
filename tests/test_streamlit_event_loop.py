"""What scripts draw is sent together, in order, and wakes the server's loop once.

No browser: a session alone, on a loop of its own.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from streamlit import config
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import Runtime, runtime
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.script_data import ScriptData
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.session_manager import SessionClientDisconnectedError

from cnnlab.ui import streamlit_event_loop

LINES = 50
SCRIPT = f"""
import streamlit as st

for line in range({LINES}):
    st.text(f"line {{line}}")
"""
PATCHED = ("flush_browser_queue", "_call_soon_on_event_loop", "_enqueue_forward_msg")


@pytest.fixture(autouse=True)
def as_it_came(monkeypatch):
    """Streamlit without the patch."""
    for name in PATCHED:
        method = getattr(AppSession, name)
        monkeypatch.setattr(AppSession, name, getattr(method, "__wrapped__", method))
    monkeypatch.setattr(ScriptRunner, "start", getattr(ScriptRunner.start, "__wrapped__", ScriptRunner.start))


class Server:
    """As much of a Runtime as its loop needs: one session, and what was sent to its browser."""

    def __init__(self, session: AppSession) -> None:
        self.session = session
        self.sent, self.rounds, self.browser_is_gone_after = [], 0, None
        self.async_objects = SimpleNamespace(
            eventloop=asyncio.get_running_loop(), must_stop=asyncio.Event(), need_send_data=asyncio.Event(),
            has_connection=asyncio.Event(), started=asyncio.Future(), stopped=asyncio.Future(),
        )  # fmt: skip
        self._state, self.disconnected = runtime.RuntimeState.ONE_OR_MORE_SESSIONS_CONNECTED, []
        info = SimpleNamespace(session=session, client=None)
        self._session_mgr = SimpleNamespace(
            list_active_sessions=lambda: [info], list_sessions=list, get_active_session_info=lambda _: info
        )
        self.media_file_mgr = self.dataframe_source_mgr = SimpleNamespace(
            clear_session_refs=lambda *_, **__: None, remove_orphaned_files=lambda: None,
            remove_orphaned_sources=lambda: None, clear_all_for_session=lambda *_: None,
        )  # fmt: skip

    def _get_async_objs(self) -> SimpleNamespace:
        return self.async_objects

    def _set_state(self, state: runtime.RuntimeState) -> None:
        self._state = state

    def _send_message(self, session_info: SimpleNamespace, msg: object) -> None:
        if len(self.sent) == self.browser_is_gone_after:
            raise SessionClientDisconnectedError
        self.sent.append(msg)

    def disconnect_session(self, session_id: str, client: object) -> None:
        self.disconnected.append(session_id)

    @property
    def lines(self) -> list[str]:
        """The lines of the script that were sent."""
        texts = [message.delta.new_element.text.body for message in self.sent]
        return [text for text in texts if text.startswith("line")]


async def drawn(script: str, monkeypatch, is_idle: bool) -> tuple[Server, int]:
    """A server whose script has run while its loop was busy or idle, and how often it was woken meanwhile."""
    data = ScriptData(script, False)
    session = AppSession(data, MemoryUploadedFileManager("/upload"), ScriptCache(), None, {})
    server, woken = Server(session), []
    monkeypatch.setattr(Runtime, "_instance", server)
    session._message_enqueued_callback = lambda: Runtime._enqueued_some_message(server)
    write = session._event_loop._write_to_self
    monkeypatch.setattr(session._event_loop, "_write_to_self", lambda: (woken.append(1), write()))
    session.request_rerun(ClientState())
    thread = session._scriptrunner._script_thread
    while thread.is_alive():
        if is_idle:
            await asyncio.sleep(0.001)
        else:
            time.sleep(0.001)  # the loop does not come to the messages
    while session._scriptrunner is not None:
        await asyncio.sleep(0)
    return server, len(woken)


async def send_all(server: Server) -> int:
    """Run the server's loop until nothing waits; the rounds that it took."""
    loop = asyncio.create_task(Runtime._loop_coroutine(server))
    rounds = 0
    while not server.session._browser_queue.is_empty() or (len(server.lines) < LINES and not server.disconnected):
        await asyncio.sleep(0)
        rounds += 1
    server.async_objects.must_stop.set()
    await loop
    server.session.shutdown()
    return rounds


async def draw_and_send(
    script: str, monkeypatch, gone_after: int | None = None, is_idle: bool = False
) -> tuple[Server, int, int]:
    server, woken = await drawn(script, monkeypatch, is_idle)
    server.browser_is_gone_after = gone_after
    return server, woken, await send_all(server)


@pytest.fixture
def in_server(tmp_path, monkeypatch):
    """Draws the script and sends it, on a loop of its own: the server, how often it was woken, the rounds to send."""
    watcher = config.get_option("server.fileWatcherType")
    config.set_option("server.fileWatcherType", "none")
    script = tmp_path / "page.py"
    script.write_text(SCRIPT)

    def run(**how):
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, draw_and_send(str(script), monkeypatch, **how)).result()

    yield run
    config.set_option("server.fileWatcherType", watcher)


def test_streamlit_alone_sends_one_message_in_a_round_of_its_loop(in_server):
    """Where this fails, Streamlit has mended it: remove the patch."""
    server, woken, rounds = in_server()
    assert len(server.lines) == LINES
    assert rounds >= LINES
    assert woken >= LINES
    assert in_server(is_idle=True)[1] >= LINES


def test_with_the_patch_a_session_wakes_the_loop_a_few_times(in_server):
    streamlit_event_loop.patch_sending()
    server, woken, rounds = in_server()
    assert server.lines == [f"line {line}" for line in range(LINES)]
    assert rounds < 10
    assert woken < 10


def test_with_the_patch_a_session_wakes_an_idle_loop_a_few_times(in_server, monkeypatch):
    monkeypatch.setattr(streamlit_event_loop, "BATCH_SECONDS", 0.5)
    streamlit_event_loop.patch_sending()
    server, woken, _ = in_server(is_idle=True)
    assert server.lines == [f"line {line}" for line in range(LINES)]
    assert woken < 10


def test_with_the_patch_what_is_beyond_a_limit_follows_in_order(in_server, monkeypatch):
    monkeypatch.setattr(streamlit_event_loop, "MAX_BATCH", 7)
    streamlit_event_loop.patch_sending()
    server, _, _ = in_server()
    assert server.lines == [f"line {line}" for line in range(LINES)]


def test_with_the_patch_a_browser_that_has_gone_is_disconnected(in_server):
    streamlit_event_loop.patch_sending()
    server, _, _ = in_server(gone_after=20)
    assert len(server.sent) == 20
    assert set(server.disconnected) == {server.session.id}


def test_with_the_patch_another_thread_wakes_the_loop_for_each_message():
    streamlit_event_loop.patch_sending()

    async def woken_by_a_thread() -> int:
        session, woken = SimpleNamespace(), []
        session._event_loop, session._browser_queue = asyncio.get_running_loop(), ForwardMsgQueue()
        session._message_enqueued_callback = lambda: woken.append(1)
        for _ in range(3):
            await asyncio.to_thread(AppSession._enqueue_forward_msg, session, ForwardMsg())
        for _ in range(3):
            AppSession._enqueue_forward_msg(session, ForwardMsg())
        return len(woken)

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, woken_by_a_thread()).result() == 3
