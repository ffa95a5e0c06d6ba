"""The checkpoint of a training: every variable that the next epoch depends on, and the history so far, in one file.

checkpoint.npz holds the variables of the model and of its optimizer (the states of the dropout generators among them)
as "0000", "0001", ..., and under "story" a JSON object: rows, epoch_seconds, started, fingerprint.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.storage import files
from cnnlab.storage.bounded_files import read_npz

STATE_NAME = "story"
MAX_STATE_BYTES = 4_000_000  # of the history and the seconds of 500 epochs, as text of four bytes a character


class CheckpointError(ValueError):
    """A checkpoint that this training cannot resume from; the message continues "This training begins anew: "."""


def read_checkpoint(path: Path, shapes: list[tuple[int, ...]]) -> tuple[list[Any], dict[str, Any]]:
    """The variables of a checkpoint, of these shapes, and its state. Raises FileNotFoundError, CheckpointError."""
    try:
        arrays = read_npz(path, MAX_STATE_BYTES + sum(4096 + 8 * math.prod(shape) for shape in shapes))
        values = [arrays[f"{index:04}"] for index in range(len(shapes))]
        state = json.loads(str(arrays[STATE_NAME]))
        rows = state["rows"]
        if len(state["epoch_seconds"]) != max(0, len(rows) - 1) or not isinstance(state["started"], str):
            raise ValueError("Expected the seconds of every epoch.")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CheckpointError("its checkpoint cannot be read") from None
    if [value.shape for value in values] != [tuple(shape) for shape in shapes]:
        raise CheckpointError("its checkpoint is that of another version of this network")
    return values, state


def write_checkpoint(path: Path, variables: Sequence[Any], state: dict[str, Any]) -> None:
    """Write the values of these Keras variables and the JSON-serializable `state`, atomically. Raises OSError."""
    values = {f"{index:04}": np.asarray(variable.numpy()) for index, variable in enumerate(variables)}
    files.write_npz(path, {**values, STATE_NAME: np.array(json.dumps(state))})
