"""Import of somebody's own network, within quotas, and its predictions on the test images.

    python -m cnnlab networks test NAME

A page imports (`import_for_person`) and starts the test as a process of its own (`start_test`), which writes
`predictions.npz`; then the page Mistakes shows the network.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cnnlab import data
from cnnlab.data import DatasetMissing
from cnnlab.datasets import DATASETS
from cnnlab.jobs.computation_turn import computation_turn
from cnnlab.jobs.import_quotas import ImportKind, Stored, counted_import
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.models import numpy_forward
from cnnlab.settings import SettingsError
from cnnlab.storage import files, imported_networks, process_lock
from cnnlab.storage.background_process import BackgroundStatus, StatusFile, cnnlab_command, start_detached
from cnnlab.storage.imported_networks import PREDICTIONS_FILE, ImportedNetwork
from cnnlab.storage.network_import import (
    MAX_FILE_BYTES,
    NetworkDescription,
    NetworkImportError,
    default_title,
    import_network,
    max_stored_bytes,
    output_count,
)
from cnnlab.storage.run_retention import directory_bytes

MAX_OF_ONE_PERSON = 10
MAX_BYTES = 2 * 10**9  # of all imported networks
PREDICTIONS_BYTES = 2_000_000  # logits of 10,000 test images, at most so many
LOCK, STATUS_FILE = "test.lock", "test.json"
NICENESS = 5  # that of a training


def describe(content: bytes, title: str, owner: str, class_names: str, pixels: str) -> NetworkDescription:
    """The description with the classes that the names, separated by commas, say; "" for CIFAR-10's ten.

    Raises NetworkImportError.
    """
    classes = tuple(" ".join(name.split()) for name in class_names.split(",")) if class_names.strip() else ()
    if not classes:
        outputs = output_count(content, pixels)
        if outputs != len(DATASETS["cifar10"].classes):
            raise NetworkImportError(f"Name the {outputs} classes of this network in their order, separated by commas.")
        classes = DATASETS["cifar10"].classes
    dataset = next((name for name, info in DATASETS.items() if info.classes == classes), "cifar10")
    return NetworkDescription(title=title, owner=owner, classes=classes, dataset=dataset, pixels=pixels)


def import_file(path: Path, title: str = "", class_names: str = "", pixels: str = "0-1") -> ImportedNetwork:
    """Import a `.keras` file of this machine, for nobody in particular.

    title: "" for the file's name; class_names, pixels: see `describe`. Raises NetworkImportError, OSError.
    """
    with path.open("rb") as opened:
        content = opened.read(MAX_FILE_BYTES + 1)
    return import_network(content, describe(content, title or default_title(path.name), "", class_names, pixels))


def import_for_person(
    content: bytes,
    description: NetworkDescription,
    poll: Callable[[], None] = lambda: None,
    *,
    address: str = "",
) -> ImportedNetwork:
    """Import the network for its owner, within the quotas.

    `address` is as in `counted_import`. Raises NetworkImportError, OSError.
    """
    size = max_stored_bytes(content, description.pixels) + PREDICTIONS_BYTES
    kind = ImportKind(noun="network", most_of_person=MAX_OF_ONE_PERSON, max_bytes=MAX_BYTES)
    known = imported_networks.list_imported()
    stored = Stored(
        {network.name: directory_bytes(network.path) for network in known},
        frozenset(network.name for network in known if network.owner == description.owner),
    )
    try:
        with counted_import(kind, description.owner, address, stored, size, poll) as counted:
            network = import_network(content, description, poll)
            counted.name = network.name
            return network
    except (QuotaExceeded, QueueError, SettingsError) as refusal:
        raise NetworkImportError(str(refusal)) from None


def can_be_tested(network: ImportedNetwork) -> bool:
    """Whether the test images of the network's classes are on this machine."""
    return network.classes == network.dataset_info.classes and data.is_dataset_available(network.dataset)


def start_test(network: ImportedNetwork) -> None:
    """Start the test as a detached process, where it is possible and none runs. Raises OSError."""
    if not can_be_tested(network):
        return
    lock = process_lock.acquire(network.path / LOCK, write_owner=False)
    if lock is not None:
        with lock:
            command = cnnlab_command("networks", "test", network.name)
            start_detached(command, environment={"OPENBLAS_NUM_THREADS": "1"}, lock=lock, niceness=NICENESS)


def test_status(network: ImportedNetwork) -> BackgroundStatus | None:
    """How the last test ended, with the reason where it failed; None where there was none."""
    return _status_file(network).read()


def _status_file(network: ImportedNetwork) -> StatusFile[BackgroundStatus]:
    interrupted = "The test was interrupted: start it again."
    return StatusFile(network.path / STATUS_FILE, network.path / LOCK, BackgroundStatus, interrupted)


def _write_status(network: ImportedNetwork, state: str, message: str = "") -> None:
    if network.path.is_dir():  # it may have been removed meanwhile
        _status_file(network).write(BackgroundStatus(state, message=message))


def write_predictions(network: ImportedNetwork) -> float:
    """Write the predictions on all test images and return the accuracy, 0 to 1; `test_status` tells how it ended.

    Raises DatasetMissing where the images are not here or have other classes, DamagedRun, NetworkImportError where
    another process tests it, WorkersBusy where too many workers wait.
    """
    if not can_be_tested(network):
        raise DatasetMissing(f"There are no test images here with the classes of {network.title}.")
    lock = process_lock.acquire(network.path / LOCK)
    if lock is None:
        raise NetworkImportError(f"{network.title} is being tested already.")
    with lock:
        _write_status(network, "running")
        try:
            with computation_turn():
                accuracy = _compute_predictions(network)
        except LookupError as error:
            _write_status(network, "failed", str(error.args[0]))
            raise
        _write_status(network, "done")
    return accuracy


def _compute_predictions(network: ImportedNetwork) -> float:
    dataset = data.load_dataset(network.dataset)
    logits = numpy_forward.logits(network.layers, network.weights(), dataset.x_test)
    labels = np.asarray(dataset.y_test)
    if not network.path.is_dir():
        raise DatasetMissing(f"{network.title} was removed while it was tested.")
    files.write_npz(network.path / PREDICTIONS_FILE, {"test": logits, "test_labels": labels})
    return float((logits.argmax(axis=1) == labels).mean())
