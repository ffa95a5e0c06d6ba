"""The files that the app has made for its visitors and that Streamlit holds in memory until they have been saved.

Streamlit holds a file as long as its button is on a page that is open, so a class that leaves its tabs open, or one
visitor with many of them, would take gigabytes. A made file goes after KEPT_SECONDS, and where all together take
MAX_BYTES nobody makes another one.
"""

import logging
import threading
from collections.abc import Iterator
from typing import Any

from streamlit import runtime

KEPT_SECONDS = 120.0  # in which a browser, which saves a file by itself, has it, and a person may press once more
MAX_BYTES = 256 * 10**6  # of all files for download; thirty reports with everything beside them take 165 MB

logger = logging.getLogger("cnnlab.streamlit")


def is_full() -> bool:
    """Whether no other file should be made for the moment. Looks at what Streamlit holds; without a server False."""
    return sum(len(content) for _, content in _held_files()) > MAX_BYTES


def forget_later(content: bytes) -> None:
    """Free this file KEPT_SECONDS from now: its address leads nowhere then."""
    timer = threading.Timer(KEPT_SECONDS, forget, [content])
    timer.daemon = True
    timer.start()


def forget(content: bytes) -> None:
    """Free this file, in whatever sessions its button is."""
    identities = {identity for identity, held in _held_files() if held == content}
    try:
        manager: Any = runtime.get_instance().media_file_mgr if identities else None
        if manager is None:
            return
        with manager._lock:
            for files in list(manager._files_by_session_and_coord.values()):
                for place in [place for place, identity in files.items() if identity in identities]:
                    del files[place]
            for identity in identities & manager._file_metadata.keys():
                manager._delete_file(identity)
    except Exception as error:  # it is freed when the session ends
        logger.warning("A file for download is kept in memory: %r", error)


def _held_files() -> Iterator[tuple[str, bytes]]:
    """Streamlit's name and the content of each file for download; none where its memory is another one."""
    if not runtime.exists():
        return
    manager: Any = runtime.get_instance().media_file_mgr
    files = getattr(getattr(manager, "_storage", None), "_files_by_id", {})
    for identity, file in list(files.items()):
        if getattr(file.kind, "value", "") == "downloadable":
            yield identity, file.content
