"""Asks a training to stop at its next batch: SIGTERM, or a file in its run directory where SIGTERM kills (Windows)."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cnnlab.operating_system import file_operations, processes

STOP_FILE = "stop"
POLL_SECONDS = 0.2

_process_started = time.time()


def send(folder: Path, pid: int) -> None:
    """Ask the process that trains into `folder` to stop. One that has ended, or a full disk, is no error."""
    if processes.CAN_ASK_TO_STOP:
        processes.ask_to_stop(pid)
        return
    with contextlib.suppress(OSError):
        (folder / STOP_FILE).touch()


@contextlib.contextmanager
def listen(folder: Path, on_request: Callable[[], object]) -> Iterator[None]:
    """Within this context `on_request` is called for Ctrl-C and for a request to stop. Main thread only.

    A file from before this process began is of an earlier training and removed.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(processes.stop_signals(lambda number, frame: on_request()))
        if not processes.CAN_ASK_TO_STOP:
            _discard_old_request(folder)
            stack.callback(file_operations.remove, folder / STOP_FILE)
            stack.enter_context(_poll_for_file(folder / STOP_FILE, on_request))
        yield


def _discard_old_request(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if (folder / STOP_FILE).stat().st_mtime < _process_started:
            file_operations.remove(folder / STOP_FILE)


@contextlib.contextmanager
def _poll_for_file(path: Path, on_request: Callable[[], object]) -> Iterator[None]:
    ended = threading.Event()

    def poll() -> None:
        while not ended.wait(POLL_SECONDS):
            if path.exists():
                on_request()
                return

    thread = threading.Thread(target=poll, name="waits for a request to stop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
