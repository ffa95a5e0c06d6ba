"""The process that reads the arrays of a `.keras` file that is not trusted, within limits, and its answer.

HDF5 is read by a library in C, which a made-up file may crash. Standard input is `model.weights.h5`; the first argument
is a JSON object with `paths` and `shapes` by name. Standard output is one line of JSON, {} or {"error": sentence},
followed by the numbers of every array in the order of `shapes`, float32.
"""

import json
import sys
from collections.abc import Callable, Mapping

import numpy as np

from cnnlab import settings
from cnnlab.array_types import Weights
from cnnlab.operating_system.resource_limits import limit_exit_codes, limit_resources
from cnnlab.storage import keras_file, process_lock
from cnnlab.storage.background_process import run_to_end
from cnnlab.storage.bounded_files import DamagedFile
from cnnlab.storage.limited_process import isolated_command, limited_environment

MEMORY, CPU_SECONDS = 2 * 10**9, 10.0  # bytes of address space; a network takes a second
TIMEOUT = 30.0  # seconds of wall-clock time, for a busy host
QUEUE_TIMEOUT = 20.0  # seconds to wait for another file

Shapes = Mapping[str, tuple[int, ...]]


def main() -> None:
    """Read standard input within the limits; write the answer to standard output."""
    limit_resources(MEMORY, CPU_SECONDS)
    asked = json.loads(sys.argv[1])
    shapes = {name: tuple(shape) for name, shape in asked["shapes"].items()}
    arrays: Weights = {}
    answer = {}
    try:
        arrays = keras_file.read_datasets(sys.stdin.buffer.read(), asked["paths"], shapes)
    except DamagedFile as damage:
        answer = {"error": str(damage)}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    for values in arrays.values():
        sys.stdout.buffer.write(np.ascontiguousarray(values, np.float32).tobytes())


def read_untrusted_datasets(
    content: bytes, paths: Mapping[str, str], shapes: Shapes, poll: Callable[[], None] = lambda: None
) -> Weights:
    """The arrays of an HDF5 file by name, float32, of exactly these shapes, read by a process of its own.

    One file at a time. `poll` is called about every 50 ms; what it raises ends the process. Raises DamagedFile, which
    continues the file's name, OSError.
    """
    import h5py  # here, as a page that imports no network does without it

    lock = process_lock.acquire_any([settings.home() / "networks" / ".import.lock"], timeout=QUEUE_TIMEOUT, poll=poll)
    if lock is None:
        raise DamagedFile("has to wait, as other files are being read: try again in half a minute")
    command = isolated_command(__name__, [json.dumps({"paths": dict(paths), "shapes": dict(shapes)})], (np, h5py))
    try:
        with lock:
            code, output = run_to_end(
                command, content, environment=limited_environment(), timeout=TIMEOUT, poll=poll, lock=lock
            )
    except TimeoutError:
        raise DamagedFile("takes too long to read") from None
    if code in limit_exit_codes():
        raise DamagedFile("takes too long to read")
    return _read_answer(output, shapes)


def _read_answer(output: bytes, shapes: Shapes) -> Weights:
    """The arrays that the process wrote. Nothing in them is trusted but their number. Raises DamagedFile."""
    header = output[: output.find(b"\n") + 1]
    try:
        error = json.loads(header).get("error")
        values = np.frombuffer(output, np.float32, offset=len(header))
    except (ValueError, AttributeError):  # the process ended before it answered
        raise DamagedFile(keras_file.NOT_KERAS) from None
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    if error or len(values) != sum(sizes):
        raise DamagedFile(str(error or keras_file.NOT_KERAS))
    parts = np.split(values, np.cumsum(sizes)[:-1]) if sizes else []
    return {name: part.reshape(shape).copy() for (name, shape), part in zip(shapes.items(), parts, strict=True)}
