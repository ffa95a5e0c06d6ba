"""The import of a `.keras` file as a network that can be looked into: read within limits, checked, kept.

Everything about the file may be wrong, or made up to do harm: the zip archive is expanded to a bounded size, its
config.json becomes layers of known kinds only (`models.keras_config`), and a process of its own reads the arrays
(`keras_process`).
"""

import hashlib
import io
import math
import shutil
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnlab.array_types import Weights
from cnnlab.models.architecture import weight_shapes
from cnnlab.models.keras_config import MAX_PARAMETERS, PIXEL_RANGES, KerasNetwork, network_from_config
from cnnlab.models.keras_layers import UnsupportedModel
from cnnlab.storage import bounded_files, files, keras_file, keras_process
from cnnlab.storage.bounded_files import DamagedFile
from cnnlab.storage.imported_networks import (
    MAX_CONFIG_BYTES,
    NETWORK_FILE,
    WEIGHTS_FILE,
    ImportedNetwork,
    directory,
    open_imported,
)

MAX_FILE_BYTES = 12 * MAX_PARAMETERS + 2_000_000  # weights, and Adam's two numbers for each
OTHER_BYTES = 50_000  # of a description, and of the names and headers of its arrays
DEFAULTS = {"bias": 0.0, "gamma": 1.0, "beta": 0.0}  # of variables that a layer may lack
MAX_TITLE, MAX_CLASS_NAME = 60, 30  # characters
PUNCTUATION = "-.,()+%"  # of a title, beside letters, digits and spaces


class NetworkImportError(ValueError):
    """A file that cannot be imported. The message is one sentence."""


@dataclass(frozen=True, kw_only=True)
class NetworkDescription:
    """What a person says about the network: see `ImportedNetwork`."""

    title: str
    owner: str
    classes: tuple[str, ...]
    dataset: str
    pixels: str


def output_count(content: bytes, pixels: str) -> int:
    """The number of classes of the model in the bytes of a `.keras` file. Raises NetworkImportError."""
    return _network(content, pixels)[1].layers[-1].output_shape[0]


def max_stored_bytes(content: bytes, pixels: str) -> int:
    """The most bytes that `import_network` keeps of those of a `.keras` file. Raises NetworkImportError."""
    config_bytes = _members(content)[keras_file.CONFIG].file_size
    network = _network(content, pixels)[1]
    numbers = sum(math.prod(shape) for shape in weight_shapes(network.layers).values())
    return 4 * numbers + 2 * config_bytes + OTHER_BYTES


def import_network(
    content: bytes, description: NetworkDescription, poll: Callable[[], None] = lambda: None
) -> ImportedNetwork:
    """Keep the network in the bytes of a `.keras` file, or leave everything as it is.

    Nothing in the file is run. Raises NetworkImportError, one sentence, OSError.
    """
    title = check_title(description.title)
    config, network = _network(content, description.pixels)
    _check_classes(description.classes, network.layers[-1].output_shape[0])
    name = f"own-{hashlib.sha256(description.owner.encode() + b' ' + content).hexdigest()[:12]}"
    if (directory() / name).exists():
        raise NetworkImportError(f"This file is here already, as {open_imported(name).title}: remove that one first.")
    try:
        weights = _read_weights(content, config, network, poll)
    except DamagedFile as damage:
        raise NetworkImportError(f"This file {damage}.") from None
    staging = directory() / f".import-{name}"
    shutil.rmtree(staging, ignore_errors=True)
    values = vars(description) | {"title": title, "imported": time.time(), "config": config}
    files.write_npz(staging / WEIGHTS_FILE, dict(weights))
    files.write_json(staging / NETWORK_FILE, values)
    staging.rename(directory() / name)
    return open_imported(name)


def check_title(text: str) -> str:
    """The title with single spaces between its words; it has no character that means something in Markdown.

    Raises NetworkImportError.
    """
    title = " ".join(text.split())
    if not 1 <= len(title) <= MAX_TITLE or not _is_plain(title, PUNCTUATION):
        signs = " ".join(PUNCTUATION)
        raise NetworkImportError(
            f"Give the network a title of 1 to {MAX_TITLE} letters, digits, spaces and {signs}. Received: {title!r:.70}"
        )
    return title


def default_title(file_name: str) -> str:
    """A title made of a file's name: "my_net.keras" -> "my net"."""
    stem = file_name.removesuffix(".keras")
    letters = "".join(letter if _is_plain(letter, PUNCTUATION) else " " for letter in stem)
    return " ".join(letters.split())[:MAX_TITLE].strip() or "own network"


def _is_plain(text: str, punctuation: str) -> bool:
    return all(letter.isalnum() or letter == " " or letter in punctuation for letter in text)


def _check_classes(classes: tuple[str, ...], outputs: int) -> None:
    named = [name for name in dict.fromkeys(classes) if 1 <= len(name) <= MAX_CLASS_NAME and _is_plain(name, "-")]
    if not len(named) == len(classes) == outputs:
        raise NetworkImportError(
            f"This network has {outputs} outputs: name its {outputs} classes in their order, separated by commas, with "
            f"letters, digits, spaces and hyphens. Received: {len(named)} such names"
        )


def _members(content: bytes) -> dict[str, zipfile.ZipInfo]:
    """The two members that are needed, by name, of an archive that may be expanded. Raises NetworkImportError."""
    if len(content) > MAX_FILE_BYTES:
        raise NetworkImportError(f"Choose a .keras file of at most {MAX_FILE_BYTES // 10**6} MB.")
    try:
        found = {one.filename: one for one in bounded_files.archive_members(io.BytesIO(content), MAX_FILE_BYTES)}
    except DamagedFile as damage:
        raise NetworkImportError(f"This file {damage}; expected a .keras file, saved by Keras 3.") from None
    if missing := [name for name in (keras_file.CONFIG, keras_file.WEIGHTS) if name not in found]:
        raise NetworkImportError(f"This file lacks {missing[0]}; expected a .keras file, saved by Keras 3.")
    if found[keras_file.CONFIG].file_size > MAX_CONFIG_BYTES:
        raise NetworkImportError(f"The config.json of this file is larger than {MAX_CONFIG_BYTES:,} bytes.")
    return found


def _network(content: bytes, pixels: str) -> tuple[dict[str, Any], KerasNetwork]:
    """The config of the model, and its network; the weights are not expanded here. Raises NetworkImportError."""
    member = _members(content)[keras_file.CONFIG]
    if pixels not in PIXEL_RANGES:
        raise NetworkImportError(f"Choose pixels from {', '.join(PIXEL_RANGES)}. Received: {pixels!r:.20}")
    try:
        expanded = bounded_files.expand_member(content, member)
        config = bounded_files.parse_json_object(expanded, keras_file.MAX_CONFIG_NESTING)
        return config, network_from_config(config, pixels)
    except DamagedFile as damage:
        raise NetworkImportError(f"The config.json of this file {damage}.") from None
    except UnsupportedModel as problem:
        raise NetworkImportError(str(problem)) from None


def _read_weights(
    content: bytes, config: Mapping[str, Any], network: KerasNetwork, poll: Callable[[], None]
) -> Weights:
    """The weights under the names of this program, those that the file lacks at their defaults. Raises DamagedFile."""
    stored = keras_file.dataset_paths(config["config"]["layers"])
    paths, shapes, weights = {}, weight_shapes(network.layers), {}
    for name, shape in shapes.items():
        layer, role = name.split("/")
        if (keras_name := f"{network.keras_names[layer]}/{role}") in stored:
            paths[name] = stored[keras_name]
        else:
            weights[name] = np.full(shape, DEFAULTS[role], np.float32)
    present = {name: shapes[name] for name in paths}
    weights |= keras_process.read_untrusted_datasets(content, MAX_FILE_BYTES, paths, present, poll)
    return {name: weights[name] for name in shapes}
