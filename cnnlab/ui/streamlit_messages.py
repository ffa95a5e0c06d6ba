"""A patch of which messages of a browser Streamlit handles; `streamlit_patches` installs it.

Streamlit clears the caches of all sessions for whoever asks for it, with a key of its developer's menu or a message of
a few bytes: the results of everybody are computed anew. The app's pages never ask for it.
"""

from functools import wraps
from typing import Any

from cnnlab.ui.streamlit_internals import unwrapped

IGNORED = {None, "clear_cache", "set_run_on_save", "load_git_info"}  # None: a message without content


def patch_messages() -> None:
    """Let AppSession.handle_backmsg ignore the messages of IGNORED."""
    from streamlit.runtime.app_session import AppSession

    Session: Any = AppSession  # noqa: N806
    handle_message = unwrapped(Session.handle_backmsg, "msg")

    @wraps(handle_message)
    def handle(session: Any, msg: Any) -> None:
        if msg.WhichOneof("type") not in IGNORED:
            handle_message(session, msg)

    Session.handle_backmsg = handle
