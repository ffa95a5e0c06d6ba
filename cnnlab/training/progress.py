"""Reports the progress within an epoch, and stops a training when a signal asks for it."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator

import keras

PROGRESS_SECONDS = 0.5


ProgressFunction = Callable[[int, float, dict[str, float]], None]


class Stopped(Exception):
    """The worker was asked to stop. The run keeps everything up to its last finished epoch."""


class ProgressCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Calls `on_progress(batches done, seconds since the epoch's start, logs)` every PROGRESS_SECONDS.

    Raises Stopped at the end of a batch after `stop_requested` was set.
    """

    stop_requested = False

    def __init__(self, on_progress: ProgressFunction):
        super().__init__()
        self.on_progress = on_progress
        self.started = time.perf_counter()
        self.reported_at = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if ProgressCallback.stop_requested:
            raise Stopped
        now = time.perf_counter()
        if now - self.reported_at >= PROGRESS_SECONDS:
            self.reported_at = now
            self.on_progress(batch + 1, now - self.started, logs or {})


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """Within this context, Ctrl-C and SIGTERM stop the training at its next batch."""

    def request_stop(number: int, frame: object) -> None:
        ProgressCallback.stop_requested = True

    ProgressCallback.stop_requested = False
    previous = {number: signal.signal(number, request_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
