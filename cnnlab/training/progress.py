"""Reports the progress within an epoch, and stops a training when it is asked to."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras

from cnnlab.storage import stop_request

PROGRESS_SECONDS = 0.5

ProgressFunction = Callable[[int, float, dict[str, float]], None]


class Stopped(Exception):
    """The worker was asked to stop. The run keeps everything up to its last finished epoch."""


class ProgressCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Calls `on_progress(batches done, seconds that they took, logs)` every PROGRESS_SECONDS.

    The first batches of an epoch are not timed: in the first epoch they include the compilation of the step, which
    takes as long as many batches. The seconds are those of the later batches, scaled to all. `startup_seconds` is what
    the first ones took beyond that, 0 until others have followed. Raises Stopped at the end of a batch after
    `stop_requested` was set.
    """

    stop_requested = False

    def __init__(self, on_progress: ProgressFunction):
        super().__init__()
        self.on_progress = on_progress
        self.began = 0.0
        self.first_batches = 0  # batches done at the first call in this epoch
        self.first_ended = 0.0
        self.reported_at = 0.0
        self.startup_seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if ProgressCallback.stop_requested:
            raise Stopped
        now, done = time.perf_counter(), batch + 1
        if not self.first_batches:
            self.first_batches, self.first_ended = done, now
            return
        pace = (now - self.first_ended) / (done - self.first_batches)  # seconds a batch
        self.startup_seconds = max(0.0, self.first_ended - self.began - pace * self.first_batches)
        if now - self.reported_at >= PROGRESS_SECONDS:
            self.reported_at = now
            self.on_progress(done, pace * done, logs or {})


@contextlib.contextmanager
def stop_at_next_batch(folder: Path) -> Iterator[None]:
    """Within this context, Ctrl-C or a request (`stop_request`) stops the training into `folder` at its next batch."""

    def request_stop() -> None:
        ProgressCallback.stop_requested = True

    ProgressCallback.stop_requested = False
    with stop_request.listen(folder, request_stop):
        yield
