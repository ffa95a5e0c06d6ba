"""A file that the app has made goes after two minutes, and all of them together take a bounded part of the memory."""

from types import SimpleNamespace

import pytest
from streamlit import runtime
from streamlit.runtime import media_file_manager
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.testing.v1 import AppTest

from cnnlab.ui import generated_download, streamlit_downloads

MINE, OTHERS = b"mine" * 1000, b"others" * 1000


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> MediaFileManager:
    """Streamlit's memory of files, with one of each of two sessions."""
    made = MediaFileManager(MemoryMediaFileStorage("/media"))
    monkeypatch.setattr(runtime, "exists", lambda: True)
    monkeypatch.setattr(runtime, "get_instance", lambda: SimpleNamespace(media_file_mgr=made))
    for session, content in (("ada", MINE), ("bob", OTHERS)):
        monkeypatch.setattr(media_file_manager, "_get_session_id", lambda session=session: session)
        made.add(content, "application/zip", "1.2", "report.zip", is_for_static_download=True)
    made.add(b"a picture", "image/png", "1.3")
    return made


def held(manager: MediaFileManager) -> set[bytes]:
    return {file.content for file in manager._storage._files_by_id.values()}  # type: ignore[attr-defined]


def test_streamlit_alone_keeps_a_file_for_download_while_its_page_is_open(manager):
    """Where this fails, Streamlit has mended it: remove `forget_later`."""
    manager.remove_orphaned_files()
    manager.remove_orphaned_files()
    assert held(manager) == {MINE, OTHERS, b"a picture"}


def test_a_file_is_freed_in_its_session_and_those_of_others_stay(manager):
    streamlit_downloads.forget(MINE)
    assert held(manager) == {OTHERS, b"a picture"}
    streamlit_downloads.forget(MINE)  # a second time changes nothing
    manager.remove_orphaned_files()
    assert held(manager) == {OTHERS, b"a picture"}


def test_the_room_is_that_of_all_files_for_download_together(manager, monkeypatch):
    monkeypatch.setattr(streamlit_downloads, "MAX_BYTES", len(MINE) + len(OTHERS) - 1)
    assert streamlit_downloads.is_full()
    streamlit_downloads.forget(OTHERS)
    assert not streamlit_downloads.is_full()


def test_it_is_freed_after_a_while_and_nothing_waits_for_that(manager, monkeypatch):
    monkeypatch.setattr(streamlit_downloads, "KEPT_SECONDS", 0.01)
    timers: list[object] = []
    started = streamlit_downloads.threading.Timer.start
    monkeypatch.setattr(
        streamlit_downloads.threading.Timer, "start", lambda timer: (timers.append(timer), started(timer))
    )
    streamlit_downloads.forget_later(MINE)
    timers[0].join(20)  # type: ignore[attr-defined]
    assert timers[0].daemon and MINE not in held(manager)  # type: ignore[attr-defined]


def test_another_memory_of_files_is_left_as_it_is(manager, monkeypatch):
    del manager._lock
    streamlit_downloads.forget(MINE)
    assert MINE in held(manager)
    monkeypatch.setattr(runtime, "get_instance", lambda: SimpleNamespace(media_file_mgr=SimpleNamespace()))
    streamlit_downloads.forget(MINE)
    assert not streamlit_downloads.is_full()
    monkeypatch.setattr(runtime, "exists", lambda: False)
    assert not streamlit_downloads.is_full()


def script():
    import streamlit as st

    from cnnlab.ui import generated_download

    def make(progress):
        st.session_state["made"] = True
        return b"made"

    if st.button("Make"):
        generated_download.generate_and_save(make, "report.zip", "application/zip", "report")


@pytest.mark.slow
def test_beyond_the_room_of_all_files_nothing_is_made_and_a_sentence_says_so(monkeypatch):
    monkeypatch.setattr(streamlit_downloads, "is_full", lambda: True)
    app = AppTest.from_function(script).run()
    app.button[0].click().run()
    assert [one.value for one in app.error] == [generated_download.FULL] and "made" not in app.session_state
