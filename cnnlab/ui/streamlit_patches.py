"""Keeps a page whole: a workaround for how Streamlit 1.67 can lose the end of one.

What a script draws waits in a queue until the server's event loop sends it. Where a fragment that runs by itself
(`run_every`) asks for its turn in the moment after a script has ended and before the loop has come to the end of that
queue, Streamlit starts the fragment with a new runner and throws away what is left of the old one's messages: the page
lacks its last charts and buttons until the next click. The busier the machine, the more often.

So a fragment's turn is put off until the loop has heard that the old runner has ended, which is its last message. Where
a later Streamlit has other inner parts, nothing is changed.
"""

from functools import wraps
from typing import Any

from streamlit.runtime.app_session import AppSession

RETRY_SECONDS = 0.01


def delay_fragment_reruns() -> None:
    """Do it, once a process."""
    if original_request_rerun() is AppSession.request_rerun:
        AppSession.request_rerun = with_fragment_delay(AppSession.request_rerun)  # type: ignore[method-assign]


def original_request_rerun() -> Any:
    """Streamlit's own method, whether or not it has been made patient."""
    return getattr(AppSession.request_rerun, "__wrapped__", AppSession.request_rerun)


def with_fragment_delay(request_rerun: Any) -> Any:
    """The same method, but a fragment waits while the session's runner has ended and its messages are not all sent."""

    @wraps(request_rerun)
    def request(session: Any, client_state: Any) -> None:
        if client_state and client_state.fragment_id and is_runner_stopping(session):
            session._event_loop.call_later(RETRY_SECONDS, request, session, client_state)
        else:
            request_rerun(session, client_state)

    return request


def is_runner_stopping(session: Any) -> bool:
    """Whether the session's runner takes no more requests, and its last message has not arrived yet."""
    try:
        runner = session._scriptrunner
        return runner is not None and runner._requests._state.name == "STOP"
    except AttributeError:
        return False
