"""The process that reads the arrays of a `.keras` file that is not trusted, within limits, and its answer.

HDF5 is read by a library in C, which a made-up file may crash, and a small archive may hold megabytes of it. Standard
input is the `.keras` file; the first argument is a JSON object with `paths` and `shapes` by name, and `max_bytes`.
Standard output is one line of JSON, {} or {"error": sentence}, followed by the numbers of every array in the order of
`shapes`, float32.
"""

import io
import json
import sys
from collections.abc import Callable, Mapping

import numpy as np

from cnnlab import settings
from cnnlab.array_types import Weights
from cnnlab.operating_system.resource_limits import limit_exit_codes, limit_resources
from cnnlab.storage import bounded_files, keras_file, process_lock
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
        stored = _stored_weights(sys.stdin.buffer.read(), asked["max_bytes"])
        arrays = keras_file.read_datasets(stored, asked["paths"], shapes)
    except DamagedFile as damage:
        answer = {"error": str(damage)}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    for values in arrays.values():
        sys.stdout.buffer.write(np.ascontiguousarray(values, np.float32).tobytes())


def _stored_weights(content: bytes, max_bytes: int) -> bytes:
    """The HDF5 file in a `.keras` file. Raises DamagedFile."""
    members = {one.filename: one for one in bounded_files.archive_members(io.BytesIO(content), max_bytes)}
    return bounded_files.expand_member(content, members[keras_file.WEIGHTS])


def read_untrusted_datasets(
    content: bytes,
    max_bytes: int,
    paths: Mapping[str, str],
    shapes: Shapes,
    poll: Callable[[], None] = lambda: None,
) -> Weights:
    """The arrays of a `.keras` file by name, float32, read-only, of exactly these shapes, read by a process of its own.

    `content` is a zip archive with the member WEIGHTS, which that process expands, to `max_bytes` at most. One file at
    a time. `poll` is called about every 50 ms; what it raises ends the process. Raises DamagedFile, which continues the
    file's name, OSError.
    """
    import h5py  # here, as a page that imports no network does without it

    lock = process_lock.acquire_any([settings.home() / "networks" / ".import.lock"], timeout=QUEUE_TIMEOUT, poll=poll)
    if lock is None:
        raise DamagedFile("has to wait, as other files are being read: try again in half a minute")
    asked = {"paths": dict(paths), "shapes": dict(shapes), "max_bytes": max_bytes}
    command = isolated_command(__name__, [json.dumps(asked)], (np, h5py))
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
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
