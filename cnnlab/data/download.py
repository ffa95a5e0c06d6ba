"""Downloads CIFAR-10 in a worker process, and reports its progress in a status file.

`python -m cnnlab data download` runs `download`: the web process starts the command and polls `download_status()`,
which reads the status file. `cancel()` stops a download from any process: a thread polls for its request during the
whole download. The archive is verified twice: its SHA-256 here, the MD5 of every file in it by `cifar10.prepare`.

The worker holds a lock while it runs, so a killed download is recognized as interrupted, and only one runs at a time.
"""

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from types import FrameType
from urllib.error import URLError
from urllib.request import urlopen

from cnnlab import settings
from cnnlab.data import cifar10
from cnnlab.operating_system.processes import interrupt_main_thread, stop_signals
from cnnlab.storage import process_lock
from cnnlab.storage.background_process import BackgroundStatus, StatusFile
from cnnlab.storage.files import DISK_FULL_ERRNOS

ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"  # as in keras.datasets.cifar10
ARCHIVE_BYTES = 170_498_071
POLL_SECONDS = 0.25  # between two statuses, and two looks for a cancel request
BLOCK_BYTES = 2**18
SOCKET_TIMEOUT_SECONDS = 60.0  # without data, after which the connection is closed
IMPORT_COMMAND = "python -m cnnlab data import PATH"


@dataclass(frozen=True)
class DownloadStatus(BackgroundStatus):
    """The status of a download.

    `state` is "starting", "downloading", "preparing", "done", "failed", "cancelled", or, where its process died,
    "interrupted". `bytes` of `total` are downloaded. `message` is one sentence for display. `updated` is Unix time.
    """

    LIVE_STATES = ("starting", "downloading", "preparing")

    bytes: int = 0
    total: int = ARCHIVE_BYTES
    updated: float = 0.0


def status_file() -> StatusFile[DownloadStatus]:
    """The status file of the download into this home."""
    message = "The download was interrupted: start it again."
    return StatusFile(_path("download.json"), _path("download.lock"), DownloadStatus, message)


def download_status() -> DownloadStatus | None:
    """The status of the running or last download into this home; None without one."""
    return status_file().read()


def cancel() -> None:
    """Ask the running download, if any, to stop at any step. It removes its partial files."""
    if process_lock.is_locked(_path("download.lock")):
        _path("download.cancel").touch()


def download(
    on_status: Callable[[DownloadStatus], None] | None = None,
    *,
    origin: str = ORIGIN,
    sha256: str = SHA256,
    socket_timeout: float = SOCKET_TIMEOUT_SECONDS,
) -> Path:
    """Download CIFAR-10, prepare it, and return the folder of the prepared arrays.

    Call it in the main thread of its own process: SIGINT and SIGTERM cancel it. `on_status` gets every status, about
    four times a second. An archive in Keras's cache is used instead of a download.

    Raises CifarError: no network, no disk space, a damaged archive, cancelled, another download is running.
    """
    with ExitStack() as stack:
        _acquire_lock(stack)
        _catch_signals(stack)
        report = _StatusWriter(on_status or (lambda _: None))
        try:
            with _cancel_watcher():
                folder = _fetch_and_prepare(report, origin, sha256, socket_timeout)
        except KeyboardInterrupt:
            report(state="cancelled", message="The download was cancelled; its partial files were removed.")
            raise cifar10.CifarError(report.latest.message) from None
        except cifar10.CifarError as error:
            report(state="failed", message=str(error))
            raise
        report(state="done", bytes=report.latest.total, message=cifar10.status().message)
        return folder


class _StatusWriter:
    """Writes every status of the download to the status file and passes it to `on_status`."""

    def __init__(self, on_status: Callable[[DownloadStatus], None]) -> None:
        self._on_status = on_status
        self.latest = DownloadStatus("starting")
        self(message="Starting the download of CIFAR-10")

    def __call__(self, **changes: str | int) -> None:
        self.latest = replace(self.latest, updated=time.time(), **changes)  # type: ignore[arg-type]
        with suppress(OSError):  # a full disk: the file keeps its last status, `on_status` gets this one
            status_file().write(self.latest)
        self._on_status(self.latest)


def _fetch_and_prepare(report: _StatusWriter, origin: str, sha256: str, socket_timeout: float) -> Path:
    if (cached := _keras_cached_archive()) is not None:
        report(state="preparing", message=f"Found an archive that Keras has downloaded before: {cached}")
        try:
            return cifar10.prepare(cached)
        except cifar10.CifarWriteError:  # a new archive could not be written either
            raise
        except cifar10.CifarError:
            report(state="starting", message="That archive is damaged; downloading CIFAR-10 again")
    try:
        folder = Path(tempfile.mkdtemp(prefix="download-", dir=settings.home()))
    except OSError as error:
        raise _download_error(error, origin) from error
    try:
        archive = _fetch(report, folder, origin, sha256, socket_timeout)
        report(state="preparing", message="Unpacking CIFAR-10")
        return cifar10.prepare(archive)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keras_cached_archive() -> Path | None:
    """The archive that `keras.datasets.cifar10.load_data` has left in its cache, if its size is right; else None."""
    cache = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"
    names = ("cifar-10-batches-py-target_archive", "cifar-10-batches-py.tar.gz")
    archives = [cache / name for name in names if (cache / name).is_file()]
    return next((path for path in archives if path.stat().st_size == ARCHIVE_BYTES), None)


def _fetch(report: _StatusWriter, folder: Path, origin: str, sha256: str, socket_timeout: float) -> Path:
    """Download the archive into `folder`; returns its path. Raises CifarError."""
    archive = folder / "cifar-10-python.tar.gz"
    try:
        found = _copy(report, archive, origin, socket_timeout)
    except (OSError, HTTPException) as error:
        raise _download_error(error, origin) from error
    if found != sha256:
        raise cifar10.CifarError("What arrived is not the CIFAR-10 archive: try the download again.")
    return archive


def _copy(report: _StatusWriter, archive: Path, origin: str, socket_timeout: float) -> str:
    """Write what `origin` sends to `archive`, report its size meanwhile, and return its SHA-256 in hexadecimal.

    Raises OSError, HTTPException; also where the connection ends before all has arrived.
    """
    digest, size, told = hashlib.sha256(), 0, -POLL_SECONDS
    with urlopen(origin, timeout=socket_timeout) as answer, archive.open("wb") as file:
        while block := answer.read1(BLOCK_BYTES):
            digest.update(block)
            file.write(block)
            size += len(block)
            if time.monotonic() >= told + POLL_SECONDS:
                told = time.monotonic()
                report(state="downloading", bytes=size, message=f"Downloading CIFAR-10: {size / 1e6:.0f} MB")
        if answer.length:  # what is missing of the announced length
            raise ConnectionError("the connection was closed too early")
    return digest.hexdigest()


def _download_error(error: Exception, origin: str) -> cifar10.CifarError:
    """One sentence with the remedy for an exception of the connection or the operating system."""
    if isinstance(error, OSError) and error.errno in DISK_FULL_ERRNOS:
        return cifar10.CifarError(f"The disk is full: free about 400 MB for {settings.home()}, then try again.")
    if isinstance(error, OSError) and error.filename and not isinstance(error, URLError):
        return cifar10.CifarError(
            f"{error.filename} could not be written ({error.strerror}): set CNNLAB_HOME elsewhere."
        )
    cause = error.reason if isinstance(error, URLError) else error  # of an HTTPError its words, as "Not Found"
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    host = origin.split("/")[2]
    return cifar10.CifarError(
        f"CIFAR-10 could not be downloaded from {host} ({reason}): check the network, or bring the archive on a USB "
        f"stick and run `{IMPORT_COMMAND}`."
    )


# Lock and cancellation


@contextmanager
def _cancel_watcher() -> Iterator[None]:
    """Within this context, `cancel()` interrupts the main thread with SIGINT, also during network waits and writes."""
    finished = threading.Event()

    def poll_for_cancel() -> None:
        while not finished.wait(POLL_SECONDS):
            if _path("download.cancel").exists():
                interrupt_main_thread()
                return

    watcher = threading.Thread(target=poll_for_cancel, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()


def _path(name: str) -> Path:
    return settings.home() / name


def _acquire_lock(stack: ExitStack) -> None:
    """Hold the lock of this home's download until `stack` closes. Raises CifarError where another process holds it."""
    try:
        lock = process_lock.acquire(_path("download.lock"))
    except OSError as error:
        raise _download_error(error, ORIGIN) from error
    if lock is None:
        raise cifar10.CifarError("CIFAR-10 is being downloaded already: wait for that download.")
    stack.enter_context(lock)
    _clear_cancel()
    stack.callback(_clear_cancel)
    for leftover in settings.home().glob("download-*"):  # of killed downloads
        shutil.rmtree(leftover, ignore_errors=True)


def _clear_cancel() -> None:
    _path("download.cancel").unlink(missing_ok=True)


def _catch_signals(stack: ExitStack) -> None:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt until `stack` closes."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    stack.enter_context(stop_signals(interrupt))
