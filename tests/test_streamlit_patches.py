"""A page is sent whole, even where a fragment asks for its turn in the worst moment. No browser: a session alone."""

import asyncio
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import MagicMock

import pytest
from streamlit import config
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import Runtime, app_session
from streamlit.runtime.forward_msg_cache import populate_hash_if_needed
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.script_data import ScriptData
from streamlit.runtime.scriptrunner.script_cache import ScriptCache

from cnnlab import settings
from cnnlab.ui import streamlit_patches

LINES = 50
SCRIPT = f"""
import streamlit as st

@st.fragment
def clock():
    st.text("tick")

clock()
for line in range({LINES}):
    st.text(f"line {{line}}")
"""


PATIENCE = 20.0  # seconds until a test that waits gives up


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    """A session needs a server only to tidy up pictures, and here there are none."""
    monkeypatch.setattr(Runtime, "_instance", MagicMock())
    before = config.get_option("server.fileWatcherType")
    config.set_option("server.fileWatcherType", "none")
    yield
    config.set_option("server.fileWatcherType", before)


async def lines_that_arrive(script: str) -> int:
    """Run the script while the server's loop is busy, and let its fragment ask the moment the script has ended."""
    session = app_session.AppSession(
        ScriptData(script, False), MemoryUploadedFileManager("/upload"), ScriptCache(), None, {}
    )
    session.request_rerun(ClientState())
    end = time.monotonic() + PATIENCE
    while not streamlit_patches.is_runner_stopping(session) and time.monotonic() < end:
        time.sleep(0.001)  # not asyncio.sleep: the loop must not come to the messages
    (fragment,) = session._fragment_storage._fragments
    session.request_rerun(ClientState(fragment_id=fragment))
    while session._scriptrunner is not None:
        await asyncio.sleep(0.001)
    said = [message.delta.new_element.text.body for message in session.flush_browser_queue()]
    session.shutdown()
    assert "tick" in said
    return sum(text.startswith("line") for text in said)


def arrived(script: str) -> int:
    """The same on a loop of its own: that of this thread may be in use by a browser test."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, lines_that_arrive(script)).result()


def test_streamlit_alone_loses_the_rest_of_the_page(tmp_path, monkeypatch):
    """Where this fails, Streamlit has fixed it: delete the patch from ui/streamlit_patches.py, and this test."""
    monkeypatch.setattr(app_session.AppSession, "request_rerun", streamlit_patches.original_request_rerun())
    assert arrived(written(tmp_path)) < LINES


def test_with_patience_all_of_the_page_arrives(tmp_path, monkeypatch):
    monkeypatch.setattr(
        app_session.AppSession,
        "request_rerun",
        streamlit_patches.with_fragment_delay(streamlit_patches.original_request_rerun()),
    )
    assert arrived(written(tmp_path)) == LINES


def written(folder) -> str:
    path = folder / "page.py"
    path.write_text(SCRIPT)
    return str(path)


def test_with_our_settings_nothing_is_sent_as_a_reference_to_what_a_browser_may_have_forgotten():
    ours = tomllib.loads((settings.REPOSITORY / ".streamlit" / "config.toml").read_text())
    option, usual = "global.minCachedMessageSize", 10_000.0
    before = config.get_option(option)
    try:
        for size, may_be_referred_to in ((usual, True), (ours["global"]["minCachedMessageSize"], False)):
            config.set_option(option, size)
            message = ForwardMsg()
            message.delta.new_element.markdown.body = "x" * 10**6
            populate_hash_if_needed(message)
            assert message.metadata.cacheable is may_be_referred_to
    finally:
        config.set_option(option, before)
