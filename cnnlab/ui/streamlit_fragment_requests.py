"""A patch of a fragment's request that comes as its script has just ended; `streamlit_patches` installs it."""

import inspect
from functools import wraps
from typing import Any

from cnnlab.ui.streamlit_internals import UnknownStreamlit, check_version

RETRY_SECONDS = 0.01


def patch_request_rerun() -> None:
    """Replace AppSession.request_rerun by `with_fragment_delay` of it."""
    session = app_session_class()
    if not hasattr(session.request_rerun, "__wrapped__"):
        session.request_rerun = with_fragment_delay(supported_method(session))


def app_session_class() -> Any:
    """Streamlit's AppSession."""
    check_version()
    from streamlit.runtime.app_session import AppSession

    return AppSession


def supported_method(session: Any) -> Any:
    """The method request_rerun of this class. Raises UnknownStreamlit for another signature or missing internals."""
    from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests, ScriptRequestType

    method = session.request_rerun
    if list(inspect.signature(method).parameters) != ["self", "client_state"]:
        raise UnknownStreamlit("request_rerun takes other arguments")
    if not hasattr(ScriptRequestType, "STOP") or not hasattr(ScriptRequests(), "_state"):
        raise UnknownStreamlit("a runner's requests have another state")
    if missing := {"_event_loop", "_scriptrunner"} - set(session.__init__.__code__.co_names):
        raise UnknownStreamlit(f"a session has no {' and no '.join(sorted(missing))}")
    return method


def with_fragment_delay(request_rerun: Any) -> Any:
    """The method, except that a fragment waits while the session's runner has ended and messages are still unsent."""

    @wraps(request_rerun)
    def request(session: Any, client_state: Any) -> None:
        if client_state and client_state.fragment_id and is_runner_stopping(session):
            session._event_loop.call_later(RETRY_SECONDS, request, session, client_state)
        else:
            request_rerun(session, client_state)

    return request


def is_runner_stopping(session: Any) -> bool:
    """Whether the session's runner accepts no more requests and its last message has not arrived yet."""
    try:
        runner = session._scriptrunner
        return runner is not None and runner._requests._state.name == "STOP"
    except AttributeError:
        return False
