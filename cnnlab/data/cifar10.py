"""CIFAR-10: 60,000 color images of ten classes, 32x32 pixels each.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; https://www.cs.toronto.edu/~kriz/cifar.html.
`prepare` imports it from an archive or a folder (see `cifar10_reader`), `load` opens the prepared arrays.
"""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab import settings
from cnnlab.data import Dataset, DatasetMissing, array_store, cifar10_reader
from cnnlab.data.cifar10_reader import CLASSES as CLASSES
from cnnlab.data.cifar10_reader import CifarError as CifarError
from cnnlab.data.cifar10_reader import ProgressCallback

OFFICIAL_FINGERPRINT = "80387ddb9a0edf3fc4a964ee3770296169bb26a651050df20035579673099660"


class CifarWriteError(CifarError):
    """CIFAR-10 was read, and cannot be written on this machine."""


@dataclass(frozen=True)
class Status:
    """Whether CIFAR-10 is prepared on this machine, as a sentence and in numbers.

    `fingerprint` is that of `array_store`; `source` the name of the imported file or folder.
    """

    ready: bool
    message: str
    train_images: int = 0
    test_images: int = 0
    fingerprint: str = ""
    source: str = ""


def directory() -> Path:
    """The folder of the prepared arrays."""
    return settings.data_dir() / "cifar10"


def is_available() -> bool:
    """Whether the prepared images are on this machine, so that `load` succeeds."""
    try:
        load_arrays()
    except DatasetMissing:
        return False
    return True


def load() -> Dataset:
    """CIFAR-10: x_train (50000, 32, 32, 3), x_test (10000, 32, 32, 3), uint8 RGB, memory-mapped; labels uint8.

    Raises DatasetMissing, with the remedy, where it is not prepared or is damaged.
    """
    arrays, manifest = load_arrays()
    return Dataset(name="cifar10", classes=CLASSES, fingerprint=manifest["fingerprint"], **arrays)


def load_arrays() -> tuple[array_store.Arrays, dict[str, Any]]:
    """The four arrays by name, memory-mapped, and the manifest. Raises DatasetMissing."""
    try:
        arrays, manifest = array_store.read(directory())
    except array_store.ArrayStoreError as error:
        raise DatasetMissing(
            f"{error} Get CIFAR-10 with `python -m cnnlab data download`, or import it with "
            "`python -m cnnlab data import PATH`."
        ) from error
    if (len(arrays["x_train"]), len(arrays["x_test"])) != (cifar10_reader.TRAIN_IMAGES, cifar10_reader.TEST_IMAGES):
        raise DatasetMissing(f"CIFAR-10 in {directory()} is incomplete: delete that folder and import it again.")
    return arrays, manifest


def status(verify: bool = False) -> Status:
    """The status of CIFAR-10. With `verify`, the fingerprint is computed from all pixels and compared (0.5 s)."""
    try:
        arrays, manifest = load_arrays()
    except DatasetMissing as error:
        return Status(ready=False, message=str(error))
    if verify and array_store.fingerprint(arrays) != manifest["fingerprint"]:
        damaged = f"CIFAR-10 in {directory()} has changed since it was written: delete that folder and import it again."
        return Status(ready=False, message=damaged)
    counts = len(arrays["x_train"]), len(arrays["x_test"])
    sentence = f"CIFAR-10 is ready in {directory()}: {counts[0]:,} training and {counts[1]:,} test images."
    if manifest["fingerprint"] != OFFICIAL_FINGERPRINT:  # of the official files in their order
        sentence += (
            " Their order or pixels are not those of the official files, so the validation images may differ from the"
            " report's."
        )
    return Status(True, sentence, *counts, manifest["fingerprint"], str(manifest.get("source", "")))


def prepare(source: Path | str, progress: ProgressCallback | None = None) -> Path:
    """Import CIFAR-10 from an archive or a folder; returns the folder of the prepared arrays.

    `progress` is called with the name of the step and the fraction done, 0..1. The archive takes about five seconds.

    Raises CifarError for a source that is not CIFAR-10, CifarWriteError where the arrays cannot be written. Data that
    was prepared before stays unchanged then.
    """
    path = Path(source).expanduser()
    on_progress = progress or (lambda _step, _fraction: None)
    try:
        arrays = cifar10_reader.read_source(path, on_progress)
        on_progress("Writing", 0.9)
        array_store.write(directory(), arrays, _manifest(path, arrays))
    except array_store.ArrayStoreError as error:
        raise CifarWriteError(str(error)) from error
    except OSError as error:
        raise CifarError(f"{path} could not be read ({error.strerror or error}): copy it again.") from error
    on_progress("Ready", 1.0)
    return directory()


def _manifest(path: Path, arrays: array_store.Arrays) -> dict[str, Any]:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    images = {"train_images": len(arrays["x_train"]), "test_images": len(arrays["x_test"])}
    return {"source": path.name, "prepared": today, **images, "classes": list(CLASSES)}
