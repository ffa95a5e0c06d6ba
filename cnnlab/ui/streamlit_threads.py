"""A patch of how Streamlit starts the thread of a script; `streamlit_patches` installs it.

Each rerun has a new thread, and `Thread.start` waits until that thread runs. The one that waits is the server's event
loop: while other scripts are at work, the new thread gets the interpreter after some of them, and the loop after some
more, fifty times a second in a class that polls. With the patch the loop goes on at once.
"""

import threading
from functools import wraps
from typing import Any

from cnnlab.ui.streamlit_internals import UnknownStreamlit, unwrapped

NAME = "ScriptRunner.scriptThread"  # as Streamlit calls it


class ImmediateEvent(threading.Event):
    """An event for which nobody waits."""

    def wait(self, timeout: float | None = None) -> bool:
        """True, at once."""
        return True


class PromptThread(threading.Thread):
    """A thread whose `start` returns before the thread runs; until then `is_alive` is False."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self._started: threading.Event = ImmediateEvent()


def patch_start() -> None:
    """Let ScriptRunner.start use a PromptThread."""
    from streamlit.runtime.scriptrunner.script_runner import ScriptRunner

    Runner: Any = ScriptRunner  # noqa: N806
    start = unwrapped(Runner.start)
    if missing := {"_script_thread", "_run_script_thread"} - set(start.__code__.co_names):
        raise UnknownStreamlit(f"a runner is started without {' and without '.join(sorted(missing))}")
    if "_started" not in threading.Thread.start.__code__.co_names or "_started" not in vars(threading.Thread()):
        raise UnknownStreamlit("a thread does not wait for _started")

    @wraps(start)
    def start_promptly(runner: Any) -> None:
        if runner._script_thread is not None:
            raise RuntimeError("ScriptRunner was already started")
        runner._script_thread = PromptThread(target=runner._run_script_thread, name=NAME, daemon=True)
        runner._script_thread.start()

    Runner.start = start_promptly
