"""The server does not wait until the thread of a script runs."""

import threading
from types import SimpleNamespace

import pytest
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner

from cnnlab.ui import streamlit_threads
from cnnlab.ui.streamlit_internals import UnknownStreamlit

PATIENCE = 20.0  # seconds until a test that waits gives up


@pytest.fixture(autouse=True)
def as_it_came(monkeypatch):
    """Streamlit without the patch."""
    monkeypatch.setattr(ScriptRunner, "start", getattr(ScriptRunner.start, "__wrapped__", ScriptRunner.start))


class HeldRunner:
    """A runner whose thread runs only once it may: as much of a ScriptRunner as its start needs."""

    def __init__(self, monkeypatch) -> None:
        self.may_run, self.has_run, self.is_started = threading.Event(), threading.Event(), threading.Event()
        self.runner = SimpleNamespace(_script_thread=None, _run_script_thread=self.run)
        begin = threading.Thread._bootstrap_inner

        def begin_when_it_may(thread):
            if thread is self.runner._script_thread:
                self.may_run.wait(PATIENCE)
            begin(thread)

        monkeypatch.setattr(threading.Thread, "_bootstrap_inner", begin_when_it_may)
        self.starter = threading.Thread(target=self.start, daemon=True)
        self.starter.start()

    def start(self) -> None:
        ScriptRunner.start(self.runner)
        self.is_started.set()

    def run(self) -> None:
        assert threading.current_thread() is self.runner._script_thread
        self.has_run.set()

    def end(self) -> None:
        """Let the thread run; it has run, and whoever started it goes on."""
        self.may_run.set()
        assert self.has_run.wait(PATIENCE) and self.is_started.wait(PATIENCE)


def test_streamlit_alone_waits_until_the_thread_of_a_script_runs(monkeypatch):
    """Where this fails, Streamlit has mended it: remove the patch."""
    held = HeldRunner(monkeypatch)
    assert not held.is_started.wait(0.3)
    held.end()
    assert (held.runner._script_thread.name, held.runner._script_thread.daemon) == (streamlit_threads.NAME, True)


def test_with_the_patch_nobody_waits_until_the_thread_runs(monkeypatch):
    streamlit_threads.patch_start()
    streamlit_threads.patch_start()  # a second time changes nothing
    held = HeldRunner(monkeypatch)
    assert held.is_started.wait(PATIENCE) and not held.has_run.is_set()
    held.end()
    held.runner._script_thread.join(PATIENCE)
    assert (held.runner._script_thread.name, held.runner._script_thread.daemon) == (streamlit_threads.NAME, True)
    with pytest.raises(RuntimeError, match="already started"):
        ScriptRunner.start(held.runner)


def test_another_start_of_streamlit_is_left_as_it_is(monkeypatch):
    def start(self):
        pass

    monkeypatch.setattr(ScriptRunner, "start", start)
    with pytest.raises(UnknownStreamlit, match="_run_script_thread"):
        streamlit_threads.patch_start()
    assert ScriptRunner.start is start
