"""Shapes: a data set of ten kinds of shapes on cluttered backgrounds, drawn on this machine, 32x32 pixels in color.

For lessons without a download and with short trainings: seconds where CIFAR-10 takes minutes. Images have CIFAR-10's
shape, dtype and number of classes, so every network and page works on them unchanged. `shape_drawing` draws them.

The difficulty was tuned so that 2,000 training images show the effects seen on CIFAR-10: a plain network memorizes
them, regularizers close part of the gap. Measured with `python -m cnnlab train --dataset shapes` and
the report's settings (30 epochs, batch 64, Adam; Keras 3.15, TensorFlow 2.21, one AMD EPYC core, float32, seed 0,
one run each; per cent after the last epoch, training in inference mode, validation on 1,000 images, so with a 95 %
interval of 2.8 points at 73 and of 2.3 at 83 per cent):

    network                 training   validation   gap
    2-conv, none                99.9         72.9   27.0
    2-conv, L2 0.00001          98.6         72.4   26.2
    2-conv, dropout 0.1         97.7         76.9   20.8
    2-conv, batch norm         100.0         78.0   22.0
    3-conv, none                96.7         79.2   17.5
    3-conv, L2 0.00001          96.9         80.0   16.9
    3-conv, dropout 0.1         91.7         83.5    8.2
    3-conv, batch norm         100.0         82.7   17.3

In these runs dropout has the smallest gap (at two layers within chance of batch norm's), L2 of this strength changes
nothing beyond chance, three layers are better than two. On two idle cores each 3-conv network took 54 to 59 seconds,
including process start and drawing.
"""

import datetime
from pathlib import Path

from cnnlab import settings
from cnnlab.data import Dataset, array_store
from cnnlab.data.shape_drawing import CLASSES as CLASSES
from cnnlab.data.shape_drawing import Floats, generate, shape_mask
from cnnlab.datasets import DATASETS

INFO = DATASETS["shapes"]
TRAIN_POOL, VALIDATION, TEST = INFO.train_images, INFO.validation_images, INFO.test_images
SEED = 2026
VERSION = 2  # of the images: increased when they change, so that stored ones are drawn again


def load() -> Dataset:
    """Shapes: x_train uint8 (11000, 32, 32, 3), of which the last 1,000 are for validation, x_test (1000, 32, 32, 3).

    The first call draws and stores them, which takes about five seconds; later calls memory-map them. Where they
    cannot be written, every call draws them.
    """
    try:
        return _load_stored()
    except array_store.ArrayStoreError:
        arrays = _generate_arrays()
    try:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        array_store.write(
            directory(), arrays, {"source": f"drawn with seed {SEED}", "prepared": today, "recipe": VERSION}
        )
        return _load_stored()
    except array_store.ArrayStoreError:  # a full disk does not prevent training
        return Dataset(name="shapes", classes=CLASSES, fingerprint=array_store.fingerprint(arrays), **arrays)


def test_mask(index: int) -> Floats:
    """The fraction of each pixel that the shape of a test image covers, float32 (32, 32). Raises ValueError."""
    return shape_mask(index, TEST, SEED + 1)


def is_available() -> bool:
    """Always True: `load` draws the images where they are missing."""
    return True


def directory() -> Path:
    """The folder of the drawn arrays."""
    return settings.data_dir() / "shapes"


def _load_stored() -> Dataset:
    arrays, manifest = array_store.read(directory())
    if manifest.get("recipe") != VERSION:
        raise array_store.ArrayStoreError("These shapes were drawn in another way.")
    return Dataset(name="shapes", classes=CLASSES, fingerprint=manifest["fingerprint"], **arrays)


def _generate_arrays() -> array_store.Arrays:
    x_train, y_train = generate(TRAIN_POOL + VALIDATION, SEED)
    x_test, y_test = generate(TEST, SEED + 1)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
