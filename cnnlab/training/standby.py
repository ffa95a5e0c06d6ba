"""A standby worker's own side: it loads TensorFlow, then waits for its job (`cnnlab.jobs.standby` has the other side).

Keras is not imported at module level: the number of threads must be set before TensorFlow is imported.
"""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable

import numpy as np

from cnnlab.experiment import Experiment
from cnnlab.storage.process_lock import INHERITED_LOCK_VARIABLE

MAX_MESSAGE_BYTES = 100_000
WARM_UP_IMAGES = 320  # one execution of five batches
STDOUT, STDERR = 1, 2


class JobReceiver:
    """Waits in a thread for the job that the dispatcher hands over; ends this process when the dispatcher ends first.

    The job is received also while the main thread still loads TensorFlow, so that an error of that is in its log.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = threading.Event()
        self.experiment_json = ""
        self.log = -1
        threading.Thread(target=self._receive, name="receives the job", daemon=True).start()

    def _receive(self) -> None:
        with self.connection:
            message, descriptors, _, _ = socket.recv_fds(self.connection, MAX_MESSAGE_BYTES, 2)
            while message and (more := self.connection.recv(MAX_MESSAGE_BYTES)):
                message += more
        if len(descriptors) != 2:  # the dispatcher has ended, and sent nothing
            os._exit(0)
        lock, self.log = descriptors
        os.environ[INHERITED_LOCK_VARIABLE] = str(lock)
        self.experiment_json = json.loads(message)["experiment"]
        self.received.set()
        self.redirect_output()

    def redirect_output(self) -> None:
        """Write the output of this process to the log of its run, once there is a job."""
        if self.received.is_set():
            os.dup2(self.log, STDOUT)
            os.dup2(self.log, STDERR)


def wait_for_job(descriptor: int, on_ready: Callable[[], object]) -> Experiment:
    """Load TensorFlow, call `on_ready`, wait on the socket `descriptor` for a job; returns its experiment."""
    from cnnlab.training.process_setup import prepare_process

    receiver = JobReceiver(socket.socket(fileno=descriptor))
    try:
        prepare_process(None, None)
        if not receiver.received.is_set():
            warm_up()
            on_ready()
    finally:
        receiver.redirect_output()  # an import that was silenced has restored the earlier one
    receiver.received.wait()
    return Experiment.from_json(receiver.experiment_json)


def warm_up() -> None:
    """Evaluate and train a default network on black images, so that every library is loaded and initialized.

    On a GPU nothing is done: it would take its memory.
    """
    import keras

    from cnnlab import data
    from cnnlab.training.compilation import compile_model
    from cnnlab.training.evaluation import EVALUATION_BATCH
    from cnnlab.training.input_pipeline import InputPipeline
    from cnnlab.training.provenance import has_gpu

    if has_gpu():
        return
    with contextlib.suppress(OSError):
        data.load_dataset("shapes")  # drawn here where it is missing
    experiment = Experiment(dataset="shapes", train_images=WARM_UP_IMAGES)
    images = InputPipeline(np.zeros((WARM_UP_IMAGES, 32, 32, 3), np.uint8), np.zeros(WARM_UP_IMAGES, np.uint8))
    order, model = np.arange(WARM_UP_IMAGES), compile_model(experiment)
    model.predict(images.batches(order, EVALUATION_BATCH), verbose=0)
    model.fit(images.batches(order, experiment.batch), verbose=0)
    keras.backend.clear_session()
