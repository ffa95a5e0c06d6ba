"""Patches that limit what Streamlit keeps of uploads and of closed sessions; `streamlit_patches` installs them."""

import contextlib
import logging
from functools import wraps
from typing import Any

import streamlit as st

from cnnlab.ui.streamlit_internals import UnknownStreamlit, check_version, unwrapped

logger = logging.getLogger("cnnlab.streamlit")
MAX_SESSION_UPLOADS = 4  # files that Streamlit keeps for one session
MAX_UPLOAD_BYTES = 128 * 2**20  # bytes that it keeps for all sessions
MAX_CLOSED_SESSIONS = 32  # sessions whose browser may reconnect
KEPT_SHARE = 0.9  # of the time after which Streamlit's storage drops a closed session without shutting it down


# -- uploaded files ----------------------------------------------------------------------------------------------------


def patch_add_file() -> None:
    """Limit the files that MemoryUploadedFileManager keeps."""
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

    Manager: Any = MemoryUploadedFileManager  # noqa: N806

    add_file = unwrapped(Manager.add_file, "session_id", "file")
    unwrapped(Manager.remove_file, "session_id", "file_id")
    if missing := {"file_storage", "_total_bytes"} - set(Manager.__init__.__code__.co_names):
        raise UnknownStreamlit(f"the file manager has no {' and no '.join(sorted(missing))}")

    @wraps(add_file)
    def add(manager: Any, session_id: str, file: Any) -> None:
        add_file(manager, session_id, file)
        evict_uploads(manager, session_id)

    Manager.add_file = add


def evict_uploads(manager: Any, session_id: str) -> None:
    """Remove the session's oldest files beyond MAX_SESSION_UPLOADS, and then files of whichever session holds most."""
    for file_id in list(manager.file_storage[session_id])[:-MAX_SESSION_UPLOADS]:
        manager.remove_file(session_id, file_id)
    while manager._total_bytes > MAX_UPLOAD_BYTES:
        held = {
            session: {key: len(file.data) for key, file in list(own.items()) if file.data}
            for session, own in list(manager.file_storage.items())
        }
        largest = max(held, key=lambda session: sum(held[session].values()))
        if not held[largest]:  # another thread has freed the last one
            return
        manager.remove_file(largest, next(iter(held[largest])))


def discard_uploaded_file(file: Any, widget_key: str) -> None:
    """Free the bytes of an `UploadedFile`, which the widget goes on returning without them.

    Streamlit has three copies: in its file manager, in the session under the widget's key, and the one it returned.
    """
    try:
        check_version()
        from streamlit.runtime.scriptrunner import get_script_run_ctx
        from streamlit.runtime.uploaded_file_manager import UploadedFileRec

        context = get_script_run_ctx()
        manager: Any = context.uploaded_file_mgr if context else None
        if context and manager.get_files(context.session_id, [file.file_id]):
            manager.add_file(context.session_id, UploadedFileRec(file.file_id, file.name, file.type, b""))
        of_session: Any = st.session_state.get(widget_key)
        for copy in (file, of_session):
            if copy is not None and copy.file_id == file.file_id:
                copy.seek(0)
                copy.truncate()
    except Exception as error:  # the file is kept until the session ends
        logger.warning("An uploaded file stays in memory until its session ends: %r", error)


# -- closed sessions ---------------------------------------------------------------------------------------------------


def patch_save_session() -> None:
    """Limit the closed sessions that MemorySessionStorage keeps."""
    from streamlit.runtime.memory_session_storage import MemorySessionStorage

    Storage: Any = MemorySessionStorage  # noqa: N806

    save_session = unwrapped(Storage.save, "session_info")
    if not hasattr(Storage()._cache, "_data") or not hasattr(Storage()._cache, "ttl"):
        raise UnknownStreamlit("the session storage has another cache")

    @wraps(save_session)
    def save(storage: Any, session_info: Any) -> None:
        save_session(storage, session_info)
        for oldest in list(storage._cache._data.values())[:-MAX_CLOSED_SESSIONS]:
            shut_down_closed(storage, oldest)
        loop = session_info.session._event_loop
        loop.call_later(KEPT_SHARE * storage._cache.ttl, shut_down_closed, storage, session_info)

    Storage.save = save


def shut_down_closed(storage: Any, session_info: Any) -> None:
    """Shut down a stored session, which frees what it holds, unless its browser came back."""
    if storage._cache._data.get(session_info.session.id) is session_info:
        with contextlib.suppress(KeyError):  # on a busy server it has expired meanwhile: it is deleted in any case
            storage.delete(session_info.session.id)
        session_info.session.shutdown()
