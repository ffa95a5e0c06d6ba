"""Fetch CIFAR-10 with Keras's own downloader, in a worker process whose progress a browser and a terminal can read.

`python -m cnnlab data download` runs `download` here. Keras (and with it TensorFlow) is imported inside that function
and nowhere else, so the web process stays light: it starts that command and polls `progress()`, which reads one small
file. `cancel()` asks a download to stop, from any process.

Keras reports progress to the terminal only, so a thread watches the growing file instead; another one watches for a
cancel, from the first moment to the last. What arrives is checked twice: Keras compares the archive's SHA-256, and
`cifar10.prepare` the MD5 of every file in it.

The worker holds a lock while it lives, so a killed download is seen as interrupted, and two never run at once.
"""

import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from cnnlab import settings
from cnnlab.data import cifar10
from cnnlab.storage import process_lock
from cnnlab.storage.background_process import BackgroundStatus, StatusFile
from cnnlab.storage.files import DISK_FULL_ERRNOS

ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"  # as in keras.datasets.cifar10
ARCHIVE_BYTES = 170_498_071
POLL_SECONDS = 0.25  # seconds between two looks at the growing file
SOCKET_TIMEOUT_SECONDS = 60.0  # seconds without a byte after which the network counts as gone
IMPORT_COMMAND = "python -m cnnlab data import PATH"


@dataclass(frozen=True)
class DownloadStatus(BackgroundStatus):
    """The status of a download.

    `state` is "starting", "downloading", "preparing", "done", "failed", "cancelled", or, where its process died,
    "interrupted". `bytes` of `total` have arrived. `message` is one sentence for a person. `updated` is Unix time.
    """

    LIVE_STATES = ("starting", "downloading", "preparing")

    bytes: int = 0
    total: int = ARCHIVE_BYTES
    updated: float = 0.0


def status_file() -> StatusFile[DownloadStatus]:
    """Where the download of this home writes its status."""
    message = "The download was interrupted: start it again."
    return StatusFile(_path("download.json"), _path("download.lock"), DownloadStatus, message)


def download_status() -> DownloadStatus | None:
    """The download that runs or ran last in this home, or None where there never was one."""
    return status_file().read()


def cancel() -> None:
    """Ask the running download, if there is one, to stop, whatever it is at. It leaves nothing half-made behind."""
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

    Call it in a process of its own, from its main thread: SIGINT and SIGTERM cancel it. `tell` is called with every
    step, four times a second. An archive that Keras has downloaded for another program is used again.

    Raises CifarError with one clear sentence: no network, no disk space, a damaged archive, cancelled, already running.
    """
    with ExitStack() as stack:
        _acquire_lock(stack)
        _catch_signals(stack)
        report = _StatusWriter(on_status or (lambda _: None))
        try:
            with _cancel_watcher():
                folder = _fetch_and_prepare(report, origin, sha256, socket_timeout)
        except KeyboardInterrupt:
            report(state="cancelled", message="The download was cancelled; nothing half-made was kept.")
            raise cifar10.CifarError(report.latest.message) from None
        except cifar10.CifarError as error:
            report(state="failed", message=str(error))
            raise
        report(state="done", bytes=report.latest.total, message=cifar10.status().message)
        return folder


class _StatusWriter:
    """Writes every status of the download to its file, and passes it on."""

    def __init__(self, on_status: Callable[[DownloadStatus], None]) -> None:
        self._on_status = on_status
        self._lock = threading.Lock()  # the thread that watches the file's size writes too
        self.latest = DownloadStatus("starting")
        self(message="Starting the download of CIFAR-10")

    def __call__(self, **changes: str | int) -> None:
        with self._lock:
            self.latest = replace(self.latest, updated=time.time(), **changes)  # type: ignore[arg-type]
            with suppress(OSError):  # a full disk: the file keeps the last status, the terminal gets this one
                status_file().write(self.latest)
            self._on_status(self.latest)


def _fetch_and_prepare(report: _StatusWriter, origin: str, sha256: str, silence: float) -> Path:
    if (kept := _keras_cached_archive()) is not None:
        report(state="preparing", message=f"Found an archive that Keras has downloaded before: {kept}")
        try:
            return cifar10.prepare(kept)
        except cifar10.CifarWriteError:  # another archive would find no more room
            raise
        except cifar10.CifarError:
            report(state="starting", message="That archive is damaged; downloading CIFAR-10 again")
    try:
        folder = Path(tempfile.mkdtemp(prefix="download-", dir=settings.home()))
    except OSError as error:
        raise _download_error(error, origin) from error
    try:
        archive = _fetch(report, folder, origin, sha256, silence)
        report(state="preparing", message="Unpacking CIFAR-10")
        return cifar10.prepare(archive)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keras_cached_archive() -> Path | None:
    """The archive that `keras.datasets.cifar10.load_data` leaves in its cache, where it is whole."""
    cache = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"
    names = ("cifar-10-batches-py-target_archive", "cifar-10-batches-py.tar.gz")
    found = [cache / name for name in names if (cache / name).is_file()]
    return next((path for path in found if path.stat().st_size == ARCHIVE_BYTES), None)


def _fetch(report: _StatusWriter, folder: Path, origin: str, sha256: str, silence: float) -> Path:
    """Let Keras download the archive into `folder` while a thread reports its growing size."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # type: ignore[import-untyped,unused-ignore]  # takes seconds: only ever in this worker

    keras.utils.disable_interactive_logging()  # its progress bar; `tell` has one of its own
    name = "cifar-10-python.tar.gz"
    done = threading.Event()
    watcher = threading.Thread(target=_watch_file_size, args=(report, folder / name, done), daemon=True)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(silence)  # Keras waits for ever otherwise
    watcher.start()
    try:
        keras.utils.get_file(name, origin, file_hash=sha256, cache_dir=str(folder), cache_subdir=".")
    except Exception as error:  # Keras wraps what goes wrong in plain Exceptions
        raise _download_error(error, origin) from error
    finally:
        socket.setdefaulttimeout(before)
        done.set()
        watcher.join()
    return folder / name


def _watch_file_size(report: _StatusWriter, archive: Path, done: threading.Event) -> None:
    while not done.wait(POLL_SECONDS):
        if archive.exists():
            size = archive.stat().st_size
            report(state="downloading", bytes=size, message=f"Downloading CIFAR-10: {size / 1e6:.0f} MB")


def _download_error(error: Exception, origin: str) -> cifar10.CifarError:
    """One sentence, with a remedy, for whatever Keras or the system raised."""
    if isinstance(error, OSError) and error.errno in DISK_FULL_ERRNOS:
        return cifar10.CifarError(f"The disk is full: free about 400 MB for {settings.home()}, then try again.")
    if isinstance(error, OSError) and error.filename:
        return cifar10.CifarError(
            f"{error.filename} could not be written ({error.strerror}): set CNNLAB_HOME elsewhere."
        )
    if isinstance(error, ValueError) and "hash" in str(error):
        return cifar10.CifarError("What arrived is not the CIFAR-10 archive, or was cut off: try the download again.")
    reason = str(error).rpartition(" -- ")[2] or type(error).__name__
    host = origin.split("/")[2]
    return cifar10.CifarError(
        f"CIFAR-10 could not be downloaded from {host} ({reason}): check the network, or bring the archive on a USB "
        f"stick and run `{IMPORT_COMMAND}`."
    )


# One download at a time, and how it is stopped


@contextmanager
def _cancel_watcher() -> Iterator[None]:
    """Inside, `cancel()` interrupts the main thread, be it in a silent network or in a long write."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(POLL_SECONDS):
            if _path("download.cancel").exists():
                os.kill(os.getpid(), signal.SIGINT)
                return

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
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
    for leftover in settings.home().glob("download-*"):  # of a download that was killed
        shutil.rmtree(leftover, ignore_errors=True)


def _clear_cancel() -> None:
    _path("download.cancel").unlink(missing_ok=True)


def _catch_signals(stack: ExitStack) -> None:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt, after which Keras and this module clean up."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        stack.callback(signal.signal, number, signal.signal(number, interrupt))
