"""Each departure from Streamlit is still needed, does its work, and leaves a Streamlit alone that it does not know.

No browser: a session alone, on a loop of its own.
"""

import asyncio
import gc
import logging
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import streamlit as st
from streamlit import config, type_util
from streamlit.delta_generator import DeltaGenerator
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import Runtime, app_session
from streamlit.runtime.caching import cache_utils
from streamlit.runtime.caching.cache_errors import CacheKeyNotFoundError
from streamlit.runtime.caching.cache_resource_api import ResourceCache
from streamlit.runtime.forward_msg_cache import populate_hash_if_needed
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.script_data import ScriptData
from streamlit.runtime.scriptrunner import script_runner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.runtime.scriptrunner_utils import script_requests
from streamlit.runtime.session_manager import SessionInfo
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.runtime.state.session_state import WStates
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec
from streamlit.testing.v1 import AppTest

from cnnlab import settings
from cnnlab.ui import streamlit_auto_rerun, streamlit_fragment_requests, streamlit_memory
from cnnlab.ui import streamlit_patches as patches
from cnnlab.ui.fair_semaphore import FairSemaphore

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


def original(method):
    """Streamlit's own method, whether or not it is patched."""
    return getattr(method, "__wrapped__", method)


@pytest.fixture(autouse=True)
def as_it_came(monkeypatch):
    """Streamlit without our patch, and `apply_patches` as if it had never been called."""
    monkeypatch.setattr(app_session.AppSession, "request_rerun", original(app_session.AppSession.request_rerun))
    monkeypatch.setattr(MemoryUploadedFileManager, "add_file", original(MemoryUploadedFileManager.add_file))
    monkeypatch.setattr(MemorySessionStorage, "save", original(MemorySessionStorage.save))
    requests, runner = script_requests.ScriptRequests, script_runner.ScriptRunner
    monkeypatch.setattr(requests, "_request_rerun_locked", original(requests._request_rerun_locked))
    monkeypatch.setattr(runner, "_run_script", original(runner._run_script))
    monkeypatch.setattr(runner, "start", original(runner.start))
    monkeypatch.setattr(ResourceCache, "read_result", original(ResourceCache.read_result))
    session = app_session.AppSession
    monkeypatch.setattr(session, "flush_browser_queue", original(session.flush_browser_queue))
    monkeypatch.setattr(session, "_call_soon_on_event_loop", original(session._call_soon_on_event_loop))
    monkeypatch.setattr(session, "_enqueue_forward_msg", original(session._enqueue_forward_msg))
    monkeypatch.setattr(app_session, "_populate_theme_msg", original(app_session._populate_theme_msg))
    monkeypatch.setattr(type_util, "get_func_parameters", original(type_util.get_func_parameters))
    monkeypatch.setattr(DeltaGenerator, "__deepcopy__", original(DeltaGenerator.__deepcopy__))
    monkeypatch.setattr(SafeSessionState, "filtered_state", property(original(SafeSessionState.filtered_state.fget)))
    monkeypatch.setattr(WStates, "__getitem__", original(WStates.__getitem__))
    monkeypatch.setattr(app_session.AppSession, "handle_backmsg", original(app_session.AppSession.handle_backmsg))
    patches.apply_patches.cache_clear()
    yield
    patches.apply_patches.cache_clear()


@pytest.fixture
def set_option():
    """Sets an option of Streamlit for one test."""
    before = {}

    def set_one(name: str, value: object) -> None:
        before.setdefault(name, config.get_option(name))
        config.set_option(name, value)

    yield set_one
    for name, value in before.items():
        config.set_option(name, value)


def in_config_toml() -> dict[str, object]:
    """The options of .streamlit/config.toml by their full names."""
    sections = tomllib.loads((settings.REPOSITORY / ".streamlit" / "config.toml").read_text())

    def flat(values, prefix):
        for name, value in values.items():
            yield from flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]

    return dict(flat(sections, ""))


# -- a session ---------------------------------------------------------------------------------------------------------


def started(script: str) -> app_session.AppSession:
    """A session that has begun to run a script."""
    data = ScriptData(script, False)
    session = app_session.AppSession(data, MemoryUploadedFileManager("/upload"), ScriptCache(), None, {})
    session.request_rerun(ClientState())
    return session


async def ended(session: app_session.AppSession) -> None:
    """Wait until the session's runner has ended."""
    while session._scriptrunner is not None:
        await asyncio.sleep(0.001)


@pytest.fixture
def in_session(tmp_path, monkeypatch, set_option):
    """Runs a coroutine that takes a script, on a loop of its own: a browser test may be using that of this thread."""
    monkeypatch.setattr(Runtime, "_instance", MagicMock())  # a session needs a server only to tidy up pictures
    set_option("server.fileWatcherType", "none")
    script = tmp_path / "page.py"
    script.write_text(SCRIPT)

    def run(work):
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, work(str(script))).result()

    return run


# -- request_rerun -----------------------------------------------------------------------------------------------------


async def lines_that_arrive(script: str) -> int:
    """Run the script while the server's loop is busy, and let its fragment ask the moment the script has ended."""
    session = started(script)
    end = time.monotonic() + PATIENCE
    while not streamlit_fragment_requests.is_runner_stopping(session) and time.monotonic() < end:
        time.sleep(0.001)  # not asyncio.sleep: the loop must not come to the messages
    (fragment,) = session._fragment_storage._fragments
    session.request_rerun(ClientState(fragment_id=fragment))
    await ended(session)
    said = [message.delta.new_element.text.body for message in session.flush_browser_queue()]
    session.shutdown()
    assert "tick" in said
    return sum(text.startswith("line") for text in said)


@pytest.mark.slow
def test_streamlit_alone_loses_the_rest_of_the_page(in_session):
    """Where this fails, Streamlit has mended it: remove the patch."""
    assert in_session(lines_that_arrive) < LINES


@pytest.mark.slow
def test_with_the_patch_all_of_the_page_arrives(in_session):
    patches.apply_patches()
    assert in_session(lines_that_arrive) == LINES


def test_it_is_applied_once():
    patches.apply_patches()
    method = app_session.AppSession.request_rerun
    patches.apply_patches()
    patches.patch_request_rerun()
    assert app_session.AppSession.request_rerun is method
    assert method.__wrapped__ is original(method) is not method


# -- automatic reruns --------------------------------------------------------------------------------------------------

NUMBERED = """
import streamlit as st

def write():
    st.query_params["number"] = st.session_state.number

def following():
    st.session_state.number += 1
    write()

@st.fragment
def clock():
    st.text(f"tick {st.query_params['number']}")

st.session_state.number = int(st.query_params["number"])
st.number_input("number", step=1, key="number", on_change=write)
st.button("Next", on_click=following)
clock()
"""


def client_state(number: str, value: float, pressed: str = "", **more: object) -> ClientState:
    """What a browser sends that shows this number; `number` and `pressed` are the ids of widgets."""
    state = ClientState(query_string="number=1", **more)
    state.widget_states.widgets.add(id=number, double_value=value)
    if pressed:
        state.widget_states.widgets.add(id=pressed, trigger_value=True)
    return state


async def addresses_after_one_click(script: str) -> list[str]:
    """The addresses that the browser is told of after a click on Next; its timer asks before it has heard of any."""
    Path(script).write_text(NUMBERED)
    session = app_session.AppSession(
        ScriptData(script, False), MemoryUploadedFileManager("/upload"), ScriptCache(), None, {}
    )
    session.request_rerun(ClientState(query_string="number=1"))
    await ended(session)
    elements = [message.delta.new_element for message in session.flush_browser_queue()]
    (number,) = {one.number_input.id for one in elements} - {""}
    (button,) = {one.button.id for one in elements} - {""}
    (fragment,) = session._fragment_storage._fragments
    session.request_rerun(client_state(number, 1.0, pressed=button))
    for _ in range(3):
        session.request_rerun(client_state(number, 1.0, fragment_id=fragment, is_auto_rerun=True))
        await ended(session)
    messages = session.flush_browser_queue()
    session.shutdown()
    assert any(message.delta.new_element.text.body.startswith("tick") for message in messages)
    told = [message.page_info_changed.query_string for message in messages if message.HasField("page_info_changed")]
    return [*told, *(text for one in messages if (text := one.delta.new_element.text.body).startswith("tick"))]


def test_streamlit_alone_takes_back_a_click_with_an_automatic_rerun(in_session):
    """Where this fails, Streamlit has mended it: remove the patch."""
    told = in_session(addresses_after_one_click)
    assert "number=1" in told[1:] or "tick 1" in told


def test_with_the_patch_an_automatic_rerun_changes_neither_values_nor_address(in_session):
    patches.apply_patches()
    told = in_session(addresses_after_one_click)
    assert told[0] == "number=2" and set(told[1:]) == {"tick 2"}


def click_that_waits_beside_an_automatic_rerun() -> tuple[str, str, float]:
    """The address, the page and the number that a runner is given, to which both came before it began."""
    requests = script_requests.ScriptRequests()
    old, new = client_state("number", 1.0), client_state("number", 2.0)
    click = script_requests.RerunData("number=2", new.widget_states, page_script_hash="new")
    timer = script_requests.RerunData("number=1", old.widget_states, "old", fragment_id="clock", is_auto_rerun=True)
    assert requests.request_rerun(click) and requests.request_rerun(timer)
    data = requests.on_scriptrunner_ready().rerun_data
    return data.query_string, data.page_script_hash, data.widget_states.widgets[0].double_value


def test_streamlit_alone_replaces_a_click_that_waits_by_an_automatic_rerun():
    """Where this fails, Streamlit has mended it: remove the patch."""
    assert click_that_waits_beside_an_automatic_rerun() == ("number=1", "old", 1.0)


def test_with_the_patch_a_click_that_waits_keeps_its_values_and_its_page():
    patches.apply_patches()
    assert click_that_waits_beside_an_automatic_rerun() == ("number=2", "new", 2.0)


async def a_click_while_all_slots_are_taken(script: str) -> int:
    """How often the fragment was drawn, once by its timer, whose turn never comes, and once by a click."""
    session = started(script)
    await ended(session)
    (fragment,) = session._fragment_storage._fragments
    session.flush_browser_queue()
    session.request_rerun(ClientState(fragment_id=fragment, is_auto_rerun=True))
    while not streamlit_auto_rerun.auto_reruns.waiting:
        await asyncio.sleep(0.001)
    session.request_rerun(ClientState(fragment_id=fragment))
    await asyncio.wait_for(ended(session), PATIENCE)
    finished = [message for message in session.flush_browser_queue() if message.HasField("script_finished")]
    session.shutdown()
    return len(finished)


def test_with_the_patch_a_click_waits_for_no_automatic_rerun(in_session, monkeypatch):
    monkeypatch.setattr(streamlit_auto_rerun, "auto_reruns", FairSemaphore(0, 10 * PATIENCE))
    patches.apply_patches()
    assert in_session(a_click_while_all_slots_are_taken) == 2


# -- caches ------------------------------------------------------------------------------------------------------------


def read_while_it_expires(monkeypatch) -> None:
    """Read an entry that lives for a second, at 0.9 seconds and, in the same reading, at 1.1."""
    times = [0.0]
    monkeypatch.setattr(cache_utils, "TTLCACHE_TIMER", lambda: times.pop(0) if len(times) > 1 else times[0])
    cache = ResourceCache("key", 2, 1.0, None, "name", lambda value: None)
    cache.write_result("entry", "value", [])
    times[:] = [0.9, 1.1]
    cache.read_result("entry")


def test_streamlit_alone_fails_where_an_entry_expires_while_it_is_read(monkeypatch):
    """Where this fails, Streamlit has mended it: remove the patch."""
    with pytest.raises(KeyError):
        read_while_it_expires(monkeypatch)


def test_with_the_patch_an_entry_that_expires_while_it_is_read_is_not_there(monkeypatch):
    patches.apply_patches()
    with pytest.raises(CacheKeyNotFoundError):
        read_while_it_expires(monkeypatch)


# -- uploaded files ----------------------------------------------------------------------------------------------------


def upload(manager: MemoryUploadedFileManager, session: str, name: object, size: int) -> None:
    manager.add_file(session, UploadedFileRec(str(name), "photo", "image/png", bytes(size)))


def uploads_kept(manager: MemoryUploadedFileManager) -> tuple[int, int]:
    """How many files, and how many bytes."""
    files = [file for own in manager.file_storage.values() for file in own.values()]
    assert manager._total_bytes == sum(len(file.data) for file in files)
    return len(files), manager._total_bytes


def test_streamlit_alone_keeps_every_file_that_is_uploaded():
    """Where this fails, Streamlit has a limit of its own: compare it with ours."""
    manager = MemoryUploadedFileManager("/upload")
    for number in range(40):
        upload(manager, "one", number, 2**20)
    assert uploads_kept(manager) == (40, 40 * 2**20)


def test_with_the_patch_a_session_keeps_its_newest_files_only():
    patches.apply_patches()
    manager = MemoryUploadedFileManager("/upload")
    for number in range(40):
        upload(manager, "one", number, 2**20)
    assert uploads_kept(manager)[0] == streamlit_memory.MAX_SESSION_UPLOADS
    assert manager.get_files("one", ["39"]) and not manager.get_files("one", ["0"])


def test_with_the_patch_the_files_of_all_sessions_have_a_limit_and_small_ones_stay(monkeypatch):
    monkeypatch.setattr(streamlit_memory, "MAX_UPLOAD_BYTES", 10 * 2**20)
    patches.apply_patches()
    manager = MemoryUploadedFileManager("/upload")
    upload(manager, "student", "photo", 2**20)
    for number in range(40):
        upload(manager, f"session {number % 10}", number, 2 * 2**20)
        assert uploads_kept(manager)[1] <= 10 * 2**20
    assert manager.get_files("student", ["photo"])


class UploadContext:
    """The context of a script run with a file manager."""

    session_id = "one"

    def __init__(self, manager: MemoryUploadedFileManager) -> None:
        self.uploaded_file_mgr = manager


def test_a_file_that_is_discarded_keeps_its_name_and_none_of_its_bytes(monkeypatch):
    manager = MemoryUploadedFileManager("/upload")
    upload(manager, "one", "photo", 2**20)
    file = UploadedFile(manager.get_files("one", ["photo"])[0], None)
    monkeypatch.setattr("streamlit.runtime.scriptrunner.get_script_run_ctx", lambda: UploadContext(manager))
    streamlit_memory.discard_uploaded_file(file, "key")
    assert uploads_kept(manager) == (1, 0)
    assert (file.getvalue(), file.file_id) == (b"", "photo")
    streamlit_memory.discard_uploaded_file(UploadedFile(UploadedFileRec("gone", "", "", b"123"), None), "key")
    assert uploads_kept(manager) == (1, 0)


DISCARD = """
import streamlit as st
from cnnlab.ui.streamlit_memory import discard_uploaded_file

if (file := st.file_uploader("file", key="file")) is not None:
    st.text(f"{len(file.getvalue())} bytes")
    discard_uploaded_file(file, "file")
"""


def test_of_a_file_that_is_discarded_no_copy_of_streamlit_is_left():
    test = AppTest.from_string(DISCARD, default_timeout=60).run()
    marked = b"only here" + bytes(2**20)
    test.file_uploader(key="file").upload("photo.png", marked).run()
    assert test.text[0].value == f"{len(marked)} bytes"
    gc.collect()
    kept = [one for one in gc.get_objects() if isinstance(one, UploadedFile) and one.getvalue().startswith(b"only")]
    assert kept == []


def test_a_file_manager_that_is_not_known_keeps_the_file_and_says_so(monkeypatch, caplog):
    file = UploadedFile(UploadedFileRec("photo", "", "", b"123"), None)
    monkeypatch.setattr("streamlit.runtime.scriptrunner.get_script_run_ctx", lambda: UploadContext(None))
    streamlit_memory.discard_uploaded_file(file, "key")
    assert file.getvalue() == b"123"
    assert len(caplog.records) == 1


# -- closed sessions ---------------------------------------------------------------------------------------------------


class ClosedSession:
    """As much of an AppSession as its storage needs."""

    def __init__(self, number: int) -> None:
        self.id, self.is_shut_down = str(number), False
        self._event_loop = asyncio.get_running_loop()

    def shutdown(self) -> None:
        self.is_shut_down = True


async def close_sessions(count: int, wait: float, come_back: int) -> tuple[int, int, int]:
    """Close sessions and wait; how many are kept, how many were shut down, and whether the one that came back was."""
    storage = MemorySessionStorage(ttl_seconds=1.0)
    sessions = [ClosedSession(number) for number in range(count)]
    for session in sessions:
        storage.save(SessionInfo(None, session))
    storage.delete(sessions[come_back].id)
    await asyncio.sleep(wait)
    kept = len(storage._cache._data)
    return kept, sum(one.is_shut_down for one in sessions), int(sessions[come_back].is_shut_down)


def closed(count: int, wait: float = 0.0) -> tuple[int, int, int]:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, close_sessions(count, wait, count - 1)).result()


def test_streamlit_alone_keeps_closed_sessions_that_have_expired():
    """Where this fails, Streamlit sheds them by itself: remove the patch."""
    assert closed(100, 1.5) == (99, 0, 0)


def test_with_the_patch_few_closed_sessions_are_kept_and_none_that_has_expired():
    patches.apply_patches()
    most = streamlit_memory.MAX_CLOSED_SESSIONS
    kept, shut_down, came_back_and_shut_down = closed(100)
    assert (kept, shut_down, came_back_and_shut_down) == (most - 1, 100 - most, 0)
    assert closed(100, 1.5) == (0, 99, 0)


async def close_another_when_one_has_expired() -> bool:
    """Close a session and, when its time is over, another one; whether the first was shut down."""
    storage, first = MemorySessionStorage(ttl_seconds=0.05), ClosedSession(0)
    storage.save(SessionInfo(None, first))
    await asyncio.sleep(0.1)
    storage.save(SessionInfo(None, ClosedSession(1)))
    await asyncio.sleep(1.5)
    return first.is_shut_down


def test_with_the_patch_a_session_that_expires_as_another_is_closed_is_shut_down():
    patches.apply_patches()
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, close_another_when_one_has_expired()).result()


# -- the hidden options ------------------------------------------------------------------------------------------------


def test_every_hidden_option_in_the_settings_is_written_down_and_has_our_value():
    """Where an option is no longer hidden, it is Streamlit's promise: remove its entry."""
    theirs = config._config_options_template
    ours = in_config_toml()
    assert set(ours) <= set(theirs)
    hidden = {name: value for name, value in ours.items() if theirs[name].visibility == "hidden"}
    assert hidden == {option.name: option.value for option in patches.OPTIONS}


@pytest.mark.parametrize("option", patches.OPTIONS, ids=lambda option: option.name)
def test_streamlit_alone_would_take_another_value_and_no_page_can_change_it(option):
    """Where this fails, Streamlit's own value has become ours, or st.set_option takes it: remove or move the entry."""
    assert config._config_options_template[option.name].default_val != option.value
    with pytest.raises(st.errors.StreamlitAPIException, match="cannot be set on the fly"):
        st.set_option(option.name, option.value)


def test_only_our_settings_send_no_reference_to_a_message_the_browser_lacks(set_option):
    name = "global.minCachedMessageSize"
    for size, may_be_referred_to in ((default_of(name), True), (ours(name), False)):
        set_option(name, size)
        message = ForwardMsg()
        message.delta.new_element.markdown.body = "x" * 10**6
        populate_hash_if_needed(message)
        assert message.metadata.cacheable is may_be_referred_to


async def whole_run(script: str) -> None:
    """One run of the script, to its very end."""
    session = started(script)
    await ended(session)
    session.shutdown()


def test_only_with_our_settings_no_run_ends_with_a_collection_of_all_garbage(in_session, set_option, monkeypatch):
    collections = []
    monkeypatch.setattr(gc, "collect", lambda *generations: collections.append(generations) or 0)
    for collect, expected in ((default_of("runner.postScriptGC"), [(2,)]), (ours("runner.postScriptGC"), [])):
        set_option("runner.postScriptGC", collect)
        collections.clear()
        in_session(whole_run)
        assert [generations for generations in collections if generations] == expected  # () is somebody else's call


def default_of(name: str) -> object:
    return config._config_options_template[name].default_val


def ours(name: str) -> object:
    return next(option.value for option in patches.OPTIONS if option.name == name)


# -- another Streamlit -------------------------------------------------------------------------------------------------


def another_version(monkeypatch):
    monkeypatch.setattr(st, "__version__", "1.68.0")


def another_signature(monkeypatch):
    def request_rerun(self, client_state, urgent):
        pass

    monkeypatch.setattr(app_session.AppSession, "request_rerun", request_rerun)


def no_such_method(monkeypatch):
    monkeypatch.delattr(app_session.AppSession, "request_rerun")


def no_such_class(monkeypatch):
    monkeypatch.delattr(app_session, "AppSession")


def no_such_state(monkeypatch):
    monkeypatch.setattr(script_requests, "ScriptRequestType", object)


def no_such_attribute(monkeypatch):
    monkeypatch.setattr(app_session.AppSession, "__init__", lambda self: None)


def no_such_option(monkeypatch):
    monkeypatch.setattr(patches, "OPTIONS", (patches.Option("runner.noSuchOption", False, "", ""),))


def another_value(monkeypatch):
    monkeypatch.setattr(patches, "OPTIONS", (patches.Option("runner.postScriptGC", "ours", "", ""),))


UNKNOWN = {
    another_version: "another version than 1.67",
    another_signature: "request_rerun takes other arguments",
    no_such_method: "has no attribute 'request_rerun'",
    no_such_class: "cannot import name 'AppSession'",
    no_such_state: "a runner's requests have another state",
    no_such_attribute: "a session has no _event_loop and no _scriptrunner",
    no_such_option: 'Config key "runner.noSuchOption" not defined',
    another_value: "runner.postScriptGC is",
}


@pytest.mark.parametrize(("change", "complaint"), UNKNOWN.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_not_known_is_left_as_it_is_with_one_line(change, complaint, caplog, monkeypatch, set_option):
    for option in patches.OPTIONS:
        set_option(option.name, option.value)
    with monkeypatch.context() as changed, caplog.at_level(logging.DEBUG, "cnnlab.streamlit"):
        change(changed)
        session = getattr(app_session, "AppSession", None)
        before = getattr(session, "request_rerun", None)
        patches.apply_patches()
        patches.apply_patches()
        if change not in (no_such_option, another_value):
            assert getattr(session, "request_rerun", None) is before
        lines = [record for record in caplog.records if record.name == "cnnlab.streamlit"]
        assert len(lines) == 1
        assert complaint in lines[0].getMessage()
        assert "\n" not in lines[0].getMessage()


def test_where_all_is_known_nothing_is_said(caplog, set_option):
    for option in patches.OPTIONS:
        set_option(option.name, option.value)
    with caplog.at_level(logging.DEBUG, "cnnlab.streamlit"):
        patches.apply_patches()
    assert [record for record in caplog.records if record.name == "cnnlab.streamlit"] == []
