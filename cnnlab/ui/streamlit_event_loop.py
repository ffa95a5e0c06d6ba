"""A patch of how Streamlit's event loop sends what scripts draw; `streamlit_patches` installs it.

Streamlit sends one message in each round of its loop, and each message of a script is a piece of work of its own that
wakes the loop by a system call. While a class polls, a round has thousands of pieces, so the loop sends one or two
messages a second and the others wait in the sessions' queues. With the patch a session's messages are sent together,
and what a script draws within BATCH_SECONDS wakes the loop once: where the loop is idle, it would else take the
processor from the script for each element of a page.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary

from cnnlab.ui.streamlit_internals import UnknownStreamlit, unwrapped

BATCH_SECONDS = 0.005  # from the first message that waits; Streamlit's loop sends no more often
MAX_BATCH = 200  # messages of one session; the queue of its websocket holds 500


def patch_sending() -> None:
    """Let AppSession send its messages together and wake the loop once for them."""
    from streamlit.runtime.app_session import AppSession
    from streamlit.runtime.runtime import Runtime

    Session: Any = AppSession  # noqa: N806
    Server: Any = Runtime  # noqa: N806
    flush = unwrapped(Session.flush_browser_queue)
    call_soon = unwrapped(Session._call_soon_on_event_loop, "callback")
    enqueue = unwrapped(Session._enqueue_forward_msg, "msg")
    unwrapped(Server._send_message, "session_info", "msg")
    names = set(Server.__init__.__code__.co_names) | set(Session.__init__.__code__.co_names)
    if missing := {"_session_mgr", "_event_loop", "_browser_queue"} - names:
        raise UnknownStreamlit(f"runtime and session have no {' and no '.join(sorted(missing))}")

    @wraps(flush)
    def flush_and_send(session: Any) -> Any:
        return send_together(session, flush(session))

    @wraps(call_soon)
    def call_together(session: Any, callback: Callable[[], None]) -> None:
        calls = pending_callbacks(session)
        if calls.add(callback):
            call_soon(session, calls.schedule_flush)

    @wraps(enqueue)
    def enqueue_and_wake_once(session: Any, msg: Any) -> None:
        if session._browser_queue.is_empty() or not is_running(session._event_loop):
            enqueue(session, msg)
        else:  # the loop was told of the messages that wait already
            session._browser_queue.enqueue(msg)

    Session.flush_browser_queue, Session._call_soon_on_event_loop = flush_and_send, call_together
    Session._enqueue_forward_msg = enqueue_and_wake_once


def send_together(session: Any, messages: list[Any]) -> list[Any]:
    """Send these messages; what is returned is left to Streamlit's loop, which sends one of them in each round.

    That is what is beyond MAX_BATCH, and where the browser has gone all from the message that could not be sent.
    """
    from streamlit.runtime import Runtime, exists
    from streamlit.runtime.session_manager import SessionClientDisconnectedError

    runtime: Any = Runtime.instance() if messages and exists() else None
    info = runtime._session_mgr.get_active_session_info(session.id) if runtime else None
    if info is None or info.session is not session:
        return messages
    for index, message in enumerate(messages[:MAX_BATCH]):
        try:
            runtime._send_message(info, message)
        except SessionClientDisconnectedError:
            return messages[index:]
    return messages[MAX_BATCH:]


def is_running(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this thread runs this loop."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


class PendingCallbacks:
    """What the threads of one session's scripts want its loop to do, in order, until the loop comes to it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop, self.lock = loop, threading.Lock()
        self.callbacks: deque[Callable[[], None]] = deque()

    def add(self, callback: Callable[[], None]) -> bool:
        """Keep a callback; whether the loop has to be told, because nothing waited."""
        with self.lock:
            self.callbacks.append(callback)
            return len(self.callbacks) == 1

    def schedule_flush(self) -> None:
        """Give the loop, in BATCH_SECONDS, all that wait then; called by the loop itself."""
        self.loop.call_later(BATCH_SECONDS, self.flush)

    def flush(self) -> None:
        """Give all that wait to the loop; called by the loop itself."""
        with self.lock:
            callbacks, self.callbacks = self.callbacks, deque()
        for callback in callbacks:
            self.loop.call_soon(callback)


WAITING: WeakKeyDictionary[Any, PendingCallbacks] = WeakKeyDictionary()


def pending_callbacks(session: Any) -> PendingCallbacks:
    """The calls of this session."""
    return WAITING.get(session) or WAITING.setdefault(session, PendingCallbacks(session._event_loop))
