"""The checkpoint of a training: every variable that the next epoch depends on, and the history so far, in one file.

checkpoint.npz holds the variables of the model and of its optimizer (the states of the dropout generators among them)
as "0000", "0001", ..., and under "story" a JSON object: rows, epoch_seconds, started, fingerprint.
"""

import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.storage import files

STATE_NAME = "story"


class CheckpointError(ValueError):
    """A checkpoint that this training cannot resume from; the message continues "This training begins anew: "."""


def read_checkpoint(path: Path, shapes: list[tuple[int, ...]]) -> tuple[list[Any], dict[str, Any]]:
    """The variables of a checkpoint, of these shapes, and its state. Raises FileNotFoundError, CheckpointError."""
    try:
        with np.load(path) as file:
            values = [file[f"{index:04}"] for index in range(len(shapes))]
            state = json.loads(str(file[STATE_NAME]))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        raise CheckpointError("its checkpoint cannot be read") from None
    if [value.shape for value in values] != [tuple(shape) for shape in shapes]:
        raise CheckpointError("its checkpoint is that of another version of this network")
    return values, state


def write_checkpoint(path: Path, variables: Sequence[Any], state: dict[str, Any]) -> None:
    """Write the values of these Keras variables and the JSON-serializable `state`, atomically. Raises OSError."""
    values = {f"{index:04}": np.asarray(variable.numpy()) for index, variable in enumerate(variables)}
    files.write_npz(path, {**values, STATE_NAME: np.array(json.dumps(state))})
