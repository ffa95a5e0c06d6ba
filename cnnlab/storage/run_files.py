"""Reads and checks the files of a run; what is wrong with a file is one sentence.

Small files (experiment.json, record.json, history.csv) are read and checked at once, archives (weights, predictions,
model.keras) by their directory until they are opened. The results are kept in memory under the file's size, times and
inode, so asking again costs one `lstat`. The maximum size of an archive follows from the experiment.

Every function raises FileNotFoundError for a missing file, DamagedFile for one that cannot be used.
"""

import re
from collections.abc import Callable, Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cnnlab.array_types import Weights
from cnnlab.experiment import Experiment, ExperimentError
from cnnlab.models.architecture import network_layers, parameter_count, weight_shapes
from cnnlab.report_models import REPORT
from cnnlab.storage import bounded_files, compression, history_file, keras_file, run_record
from cnnlab.storage.bounded_files import DamagedFile
from cnnlab.storage.history_file import Columns
from cnnlab.storage.run_record import RunRecord

EXPERIMENT_FILE, MODEL_FILE, PREDICTIONS_FILE = "experiment.json", "model.keras", "predictions.npz"
WEIGHTS_FOLDER, SNAPSHOT_PATTERN = "weights", re.compile(r"[0-9]{3}\.npz")
MAX_PREDICTIONS_BYTES = 16_000_000  # logits and labels of 100,000 images in float32
MAX_KEPT = 8192  # results of small files, and damages of large ones, kept in memory

Result = TypeVar("Result")
Signature = tuple[int, ...]  # of a file: it changes when the content does

_damages: dict[tuple[Path, Signature], str] = {}  # found in files that were opened


def file_signature(path: Path) -> Signature:
    """Kind, size, times and inode of a file (of a link itself, not its target). Raises FileNotFoundError."""
    try:
        found = path.lstat()
    except NotADirectoryError:
        raise FileNotFoundError(path) from None
    return found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def exists(path: Path) -> bool:
    """Whether there is a file, a folder or a link of this name, usable or not."""
    try:
        return bool(file_signature(path))
    except OSError:
        return False


@lru_cache(maxsize=MAX_KEPT)
def _kept(read: Callable[..., Any], path: Path, signature: Signature, arguments: tuple[Hashable, ...]) -> Any:
    try:
        return read(path, *arguments)
    except DamagedFile as damage:
        return DamagedFile(str(damage))  # without its traceback, whose frames hold the images of a page


def _read_small(read: Callable[..., Result], path: Path, *arguments: Hashable) -> Result:
    """`read(path, *arguments)`, from memory where the file has not changed."""
    result = _kept(read, path, file_signature(path), arguments)
    if isinstance(result, DamagedFile):
        raise DamagedFile(str(result))
    return result  # type: ignore[no-any-return]


def _read_large(read: Callable[..., Result], path: Path, *arguments: Any) -> Result:
    """`read(path, *arguments)`; that a file is damaged is remembered, its content is not."""
    signature = file_signature(path)
    try:
        return read(path, *arguments)
    except DamagedFile as damage:
        while len(_damages) >= MAX_KEPT:
            _damages.pop(next(iter(_damages)), None)
        _damages[path, signature] = str(damage)
        raise


# -- experiment.json ---------------------------------------------------------------------------------------------------


def read_experiment(path: Path) -> Experiment:
    """The experiment that an experiment.json describes."""
    return _read_small(_parse_experiment, path)


def _parse_experiment(path: Path) -> Experiment:
    content = bounded_files.read_file(path, run_record.MAX_JSON_BYTES)
    newer = sorted(set(bounded_files.parse_json_object(content)) - set(Experiment().to_dict()))
    if newer:
        raise DamagedFile(f"has fields of a newer version: {', '.join(newer)[:80]}")
    try:
        return Experiment.from_json(content.decode())
    except ExperimentError as error:
        raise DamagedFile(f"describes no experiment: {error}") from None


def check_folder_name(folder: Path, experiment: Experiment) -> None:
    """Raises DamagedFile unless the folder is named after the experiment: its key, or the name of the shipped run."""
    shipped = REPORT.get(folder.name)
    if folder.name != experiment.key and (shipped is None or shipped.experiment != experiment):
        raise DamagedFile(f"describes another experiment, {experiment.title}, with the key {experiment.key}")


# -- record.json and history.csv ---------------------------------------------------------------------------------------


def read_record(path: Path, experiment: Experiment) -> RunRecord:
    """The record of a run of this experiment."""
    return _read_small(run_record.read_valid_record, path, experiment.epochs)


def read_history(path: Path, experiment: Experiment) -> Columns:
    """The history of a run of this experiment; callers get copies of the cached arrays."""
    columns = _read_small(history_file.read_history, path, experiment.epochs)
    return {name: values.copy() for name, values in columns.items()}


def check_row_count(rows: int, record: RunRecord) -> None:
    """Raises DamagedFile unless the history has the epochs of the record, which is written after it.

    The history of a training that has not ended may be ahead of the record.
    """
    expected = record.epochs_done + 1
    if rows < expected - (not record.epochs_done) or (record.state == "done" and rows != expected):
        raise DamagedFile(f"has {rows} rows; expected {expected}, as {run_record.RECORD_FILE} counts the epochs")


PROGRESS_TYPES: dict[str, tuple[type, ...]] = {
    "phase": (str,),
    **dict.fromkeys(("epoch", "epochs", "batch", "batches"), (int,)),
    **dict.fromkeys(("updated", "seconds_left", "accuracy", "loss"), (int, float)),
}


def read_progress(path: Path) -> dict[str, Any]:
    """progress.json; empty where it is missing or damaged. Values of another type than PROGRESS_TYPES are left out."""
    try:
        found = bounded_files.parse_json_object(bounded_files.read_file(path, run_record.MAX_JSON_BYTES))
    except (OSError, DamagedFile):
        return {}
    return {name: value for name, value in found.items() if name in PROGRESS_TYPES and _is_progress(name, value)}


def _is_progress(name: str, value: Any) -> bool:
    usable = isinstance(value, PROGRESS_TYPES[name]) and not isinstance(value, bool)
    return usable and (name == "phase" or 0 <= value <= run_record.MAX_NUMBER)


# -- archives ----------------------------------------------------------------------------------------------------------


def max_archive_bytes(path: Path, experiment: Experiment) -> int:
    """The size up to which an archive of this run is read, packed or expanded: twice the network's weights, or more."""
    return MAX_PREDICTIONS_BYTES if path.name == PREDICTIONS_FILE else _max_weights_bytes(experiment)


@lru_cache
def _max_weights_bytes(experiment: Experiment) -> int:
    return 2_000_000 + 8 * parameter_count(network_layers(experiment))


def check_archive(path: Path, experiment: Experiment) -> None:
    """Check the archive's directory, and what its last reader found."""
    if damage := _damages.get((path, file_signature(path))):
        raise DamagedFile(damage)
    _read_small(bounded_files.check_archive, path, max_archive_bytes(path, experiment))


def read_weights(path: Path, experiment: Experiment) -> Weights:
    """The network's weights, float32 by "layer/variable", from a file of weights/ or from model.keras.

    NaN is not damage: the views explain the network of a diverged training.
    """
    return _read_large(_parse_weights, path, experiment)


def _parse_weights(path: Path, experiment: Experiment) -> Weights:
    shapes, limit = weight_shapes(network_layers(experiment)), max_archive_bytes(path, experiment)
    if path.name == MODEL_FILE:
        return keras_file.read_weights(path, shapes, limit)
    arrays = bounded_files.read_npz(path, limit)
    keras_file.check_shapes({name: values.shape for name, values in arrays.items()}, shapes)
    check_dtypes(arrays, "f")
    return {name: values.astype(np.float32) for name, values in arrays.items()}


def read_predictions(path: Path, experiment: Experiment) -> dict[str, NDArray[Any]]:
    """Logits (n, classes) and labels (n,) on the test images, and on the validation images where there are any."""
    return read_logits(path, experiment.dataset_info.class_count)


def read_logits(path: Path, classes: int) -> dict[str, NDArray[Any]]:
    """As `read_predictions`, for a network with this number of classes."""
    return _read_large(_parse_predictions, path, classes)


def _parse_predictions(path: Path, classes: int) -> dict[str, NDArray[Any]]:
    stored = bounded_files.read_npz(path, MAX_PREDICTIONS_BYTES)
    arrays = {name: decode_prediction(name, values) for name, values in stored.items()}
    sets = ["test"] + (["validation"] if {"validation", "validation_labels"} & set(arrays) else [])
    if missing := [name for set_name in sets for name in (set_name, f"{set_name}_labels") if name not in arrays]:
        raise DamagedFile(f"lacks {missing[0]}")
    for set_name in sets:
        logits, labels = arrays[set_name], arrays[f"{set_name}_labels"]
        if logits.ndim != 2 or logits.shape[1] != classes or not len(logits) or labels.shape != logits.shape[:1]:
            raise DamagedFile(
                f"holds {set_name} logits of shape {logits.shape} and labels of shape {labels.shape};"
                f" expected (n, {classes}), (n,)"
            )
        check_dtypes({set_name: logits}, "f")
        check_dtypes({f"{set_name}_labels": labels}, "ui")
        if labels.min() < 0 or labels.max() >= classes:
            raise DamagedFile(f"holds {set_name} labels outside 0 to {classes - 1}")
        if not np.isfinite(logits).all():
            raise DamagedFile(f"holds {set_name} logits that are not finite")
    return arrays


def decode_prediction(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """One array of predictions.npz: logits that are stored in steps (`compression.quantize_logits`) as logits."""
    in_steps = name in ("validation", "test") and values.ndim == 2 and values.dtype == np.uint8
    return compression.dequantize_logits(values) if in_steps else values


def check_dtypes(arrays: Weights, kinds: str) -> None:
    """Raises DamagedFile unless every dtype is of these kinds ("f": floating point, "ui": integers)."""
    for name, values in arrays.items():
        if values.dtype.kind not in kinds:
            raise DamagedFile(f"holds {name} as {values.dtype}; expected {'float' if kinds == 'f' else 'integer'}s")
