"""reestimated.json of a run: figures with re-estimated batch normalization at its kept epochs.

`jobs.batchnorm_job` writes it for a run whose history.csv lacks them. Like top.npz it can be computed again, so a
damaged one does not make its run a damaged one; but nothing in it is believed unchecked.
"""

from pathlib import Path

import numpy as np

from cnnlab.storage import bounded_files
from cnnlab.storage.bounded_files import DamagedFile
from cnnlab.storage.history_file import REESTIMATED_COLUMNS, Columns

REESTIMATED_FILE = "reestimated.json"
MAX_BYTES = 200_000  # eight epochs take 2,300


def read_reestimated(path: Path, last_epoch: int) -> Columns:
    """REESTIMATED_COLUMNS and "epoch", one value for each epoch in the file, ascending; empty where there is no file.

    last_epoch: that of the run's history, which no epoch may exceed. Raises DamagedFile.
    """
    try:
        content = bounded_files.read_file(path, MAX_BYTES)
    except FileNotFoundError:
        rows: object = []
    else:
        rows = bounded_files.parse_json_object(content).get("epochs")
    if not isinstance(rows, list):
        raise DamagedFile("holds no list of epochs")
    columns = {name: np.array([_number(row, name) for row in rows]) for name in ("epoch", *REESTIMATED_COLUMNS)}
    _check_epochs(columns["epoch"].tolist(), last_epoch)
    for name in REESTIMATED_COLUMNS:
        if "accuracy" in name and not ((columns[name] >= 0) & (columns[name] <= 1)).all():
            raise DamagedFile(f"has a {name} outside 0 to 1")
    return columns


def _number(row: object, name: str) -> float:
    value = row.get(name) if isinstance(row, dict) else None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < 1e300:  # also for NaN
        raise DamagedFile(f"lacks {name} as a number for one of its epochs")
    return float(value)


def _check_epochs(epochs: list[float], last_epoch: int) -> None:
    if epochs != sorted(set(epochs)) or not all(0 <= epoch <= last_epoch and epoch.is_integer() for epoch in epochs):
        raise DamagedFile(f"has other epochs than the run, which ends with {last_epoch}")
