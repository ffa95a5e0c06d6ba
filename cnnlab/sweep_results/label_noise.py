"""A training with noisy labels: accuracy on clean and on changed labels, and early stopping read off its curve."""

from dataclasses import dataclass

import numpy as np

from cnnlab.array_types import History
from cnnlab.storage.history_file import CHANGED_ACCURACY, CLEAN_ACCURACY, TRUE_ACCURACY


@dataclass(frozen=True)
class LabelNoiseResult:
    """Accuracies of a run with noisy labels after one epoch; `changed_images` of `images` have a changed label."""

    epoch: int
    validation: float
    clean: float
    changed: float
    true: float
    images: int
    changed_images: int


@dataclass(frozen=True)
class EarlyStopping:
    """The epoch of the highest validation accuracy on a finished curve, and what the last epoch has."""

    best_epoch: int
    best: float
    last_epoch: int
    last: float


def label_noise_result(history: History, images: int) -> LabelNoiseResult:
    """The figures after the last epoch of a history; `images` is how many training images were evaluated.

    Without label noise all labels are clean, and the accuracies of changed ones are NaN.
    """
    clean, changed, true, total, validation = (
        float(history[name][-1])
        for name in (CLEAN_ACCURACY, CHANGED_ACCURACY, TRUE_ACCURACY, "train_eval_accuracy", "val_accuracy")
    )
    has_changed = bool(np.isfinite(changed))
    return LabelNoiseResult(
        epoch=int(history["epoch"][-1]),
        validation=validation,
        clean=clean if has_changed else total,
        changed=changed,
        true=true,
        images=images,
        changed_images=changed_count(history, images) if has_changed else 0,
    )


def changed_count(history: History, images: int) -> int:
    """How many of the evaluated images have a changed label.

    The accuracy on all of them is the mean of those on clean and on changed labels, weighted with the counts: the epoch
    in which the two differ most gives the count.
    """
    clean, changed = history[CLEAN_ACCURACY], history[CHANGED_ACCURACY]
    if not np.isfinite(clean).any():
        return images
    row = int(np.nanargmax(np.abs(clean - changed)))
    spread = float(clean[row] - changed[row])
    return round(images * float(clean[row] - history["train_eval_accuracy"][row]) / spread) if spread else 0


def early_stopping(history: History) -> EarlyStopping | None:
    """The epoch at which a training that watches the validation accuracy would have stopped; None without an epoch."""
    validation = history["val_accuracy"]
    if not len(validation) or not np.isfinite(validation).all():
        return None
    best = int(np.argmax(validation))
    return EarlyStopping(
        int(history["epoch"][best]), float(validation[best]), int(history["epoch"][-1]), float(validation[-1])
    )
