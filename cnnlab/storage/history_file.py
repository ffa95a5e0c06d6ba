"""history.csv of a run: one row per epoch; epoch 0 is before training."""

import csv
import io
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnlab.storage import bounded_files, files
from cnnlab.storage.bounded_files import DamagedFile

HISTORY_FILE = "history.csv"
HISTORY_COLUMNS = (
    "epoch",
    "accuracy",
    "loss",
    "train_eval_accuracy",
    "train_eval_loss",
    "val_accuracy",
    "val_loss",
    "penalty",
)
REESTIMATED = "_reestimated"  # suffix of figures with re-estimated batch normalization, see `analysis.batchnorm`
REESTIMATED_COLUMNS = tuple(
    name + REESTIMATED for name in ("train_eval_accuracy", "train_eval_loss", "val_accuracy", "val_loss")
)
CLEAN_ACCURACY = "train_eval_accuracy_clean"  # of training images with their true label
CHANGED_ACCURACY = "train_eval_accuracy_changed"  # of those with a changed label, against that label
TRUE_ACCURACY = "train_eval_accuracy_true"  # of the same images, against their true label
LABEL_NOISE_COLUMNS = (CLEAN_ACCURACY, CHANGED_ACCURACY, TRUE_ACCURACY)  # see `data.label_noise`
OPTIONAL_HISTORY_COLUMNS = (*REESTIMATED_COLUMNS, *LABEL_NOISE_COLUMNS)
TRAINING_COLUMNS = ("accuracy", "loss")  # what Keras reports of an epoch; epoch 0 has none
MAX_BYTES = 1_000_000  # 500 epochs take about 70,000

Columns = dict[str, NDArray[np.float64]]


def write_history(path: Path, rows: list[dict[str, float]]) -> None:
    """Write the rows to `path`; a figure has all its digits, a missing one is an empty field.

    Columns of OPTIONAL_HISTORY_COLUMNS that no row has are left out.
    """
    text = io.StringIO()
    optional = [name for name in OPTIONAL_HISTORY_COLUMNS if any(name in row for row in rows)]
    writer = csv.DictWriter(text, [*HISTORY_COLUMNS, *optional], lineterminator="\n")
    writer.writeheader()
    writer.writerows([{name: "" if value != value else value for name, value in row.items()} for row in rows])  # NaN
    files.write_bytes(path, text.getvalue().encode())


def empty_history() -> Columns:
    """The columns of a run without any figures yet."""
    return {name: np.array([]) for name in (*HISTORY_COLUMNS, *OPTIONAL_HISTORY_COLUMNS)}


def read_history(path: Path, epochs: int) -> Columns:
    """The columns of a history of at most `epochs` epochs; NaN where a figure does not exist (training at epoch 0).

    Columns of OPTIONAL_HISTORY_COLUMNS that the file lacks are NaN; unknown columns of a newer version are skipped.
    Raises FileNotFoundError, DamagedFile.
    """
    try:
        text = bounded_files.read_file(path, MAX_BYTES).decode()
        header, *rows = csv.reader(text.splitlines(), strict=True)
    except DamagedFile:
        raise
    except (ValueError, csv.Error):
        raise DamagedFile("is no table") from None
    if wrong := [name for name in HISTORY_COLUMNS if header.count(name) != 1]:
        raise DamagedFile(f"{'has two columns' if wrong[0] in header else 'lacks the column'} {wrong[0]}")
    if not text.endswith("\n"):  # a number that was cut off may still be a number
        raise DamagedFile("ends in the middle of a row")
    if len(rows) > epochs + 1:
        raise DamagedFile(f"has {len(rows)} rows; expected at most {epochs + 1}")
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise DamagedFile(f"has {len(row)} of {len(header)} columns in the row of epoch {number}")
    columns = {name: _column(name, [row[header.index(name)] for row in rows]) for name in HISTORY_COLUMNS}
    for name in OPTIONAL_HISTORY_COLUMNS:
        present = header.count(name) == 1
        columns[name] = _column(name, [row[header.index(name)] if present else "" for row in rows])
    return {name: np.array(values) for name, values in columns.items()}


def _column(name: str, texts: list[str]) -> list[float]:
    values = [_figure(name, epoch, text) for epoch, text in enumerate(texts)]
    if name == "epoch" and values != list(range(len(values))):
        raise DamagedFile("does not count its epochs from 0")
    return values


def _figure(name: str, epoch: int, text: str) -> float:
    if not text and (name in OPTIONAL_HISTORY_COLUMNS or (not epoch and name in TRAINING_COLUMNS)):
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DamagedFile(f"has {text[:20]!r} as the {name} of epoch {epoch}; expected a finite number")
    if "accuracy" in name and not 0 <= value <= 1:
        raise DamagedFile(f"has {text[:20]!r} as the {name} of epoch {epoch}; expected a fraction from 0 to 1")
    return value
