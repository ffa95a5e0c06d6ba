"""The charts of learning curves and rankings with their data.

Each specification is authored in Altair (`*_specs`), built once, and kept as a plain Vega-Lite dictionary; the data are
a separate Arrow table. So a page that updates a chart every second for thirty browsers only sends rows. The Arrow table
is written from buffers, because `pa.array` imports pandas, which takes a second at the first page.
"""

import importlib
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]
from numpy.typing import NDArray

from cnnlab.array_types import History
from cnnlab.storage.chart_spec_files import MAX_FILES, ChartSpecFiles

Spec = dict[str, Any]
_building: dict[str, Lock] = {}  # by function
_kept: list[ChartSpecFiles] = []  # the last one is in use


def arrow_table(**columns: Sequence[Any] | NDArray[Any]) -> bytes:
    """Columns of equal length, numbers or text, as an Arrow IPC stream."""
    table = pa.table({name: arrow_column(np.asarray(values)) for name, values in columns.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def arrow_column(values: NDArray[Any]) -> pa.Array:
    """One column: float64 for numbers, text for the rest."""
    if values.dtype.kind in "fiub":
        return pa.Array.from_buffers(
            pa.float64(), len(values), [None, pa.py_buffer(values.astype(np.float64).tobytes())]
        )
    words = [str(value).encode() for value in values]
    ends = np.cumsum([0, *map(len, words)], dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(words), [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(b"".join(words))]
    )


def with_data(spec: Spec, **columns: Sequence[Any] | NDArray[Any]) -> Spec:
    """A copy of the specification with these columns as its data, for `st.vega_lite_chart`."""
    return {**spec, "datasets": {"figures": arrow_table(**columns)}}


def accuracy_chart(history: History, epochs: int, split: str = "validation") -> Spec:
    """Training and validation (or test, the `split`) accuracy over the epochs, the gap between them shaded."""
    return with_data(
        cached_spec("chart_specs.curves", "accuracy", epochs, split),
        epoch=history["epoch"],
        training=history["train_eval_accuracy"],
        validation=history["val_accuracy"],
        reported=history["accuracy"],
    )


def loss_chart(history: History, epochs: int, split: str = "validation") -> Spec:
    """Training and validation (or test, the `split`) loss over the epochs, without the L2 penalty."""
    return with_data(
        cached_spec("chart_specs.curves", "loss", epochs, split),
        epoch=history["epoch"],
        training=history["train_eval_loss"],
        validation=history["val_loss"],
        reported=history["loss"],
    )


def penalty_chart(history: History, epochs: int) -> Spec:
    """The L2 penalty over the epochs."""
    return with_data(
        cached_spec("chart_specs.penalty_curve", epochs), epoch=history["epoch"], penalty=history["penalty"]
    )


def keep_specs() -> None:
    """From now on `cached_spec` keeps what it builds in the home, and reads it from there."""
    _kept.append(ChartSpecFiles(list(Path(__file__).parent.glob("*.py"))))


def cached_spec(function: str, *arguments: Any) -> Spec:
    """The specification that `function`, "MODULE.NAME" of this package, returns; from the home after `keep_specs`."""
    return _kept_spec(_kept[-1], function, arguments) if _kept else _built_spec(function, *arguments)


@lru_cache(maxsize=MAX_FILES)
def _kept_spec(kept: ChartSpecFiles, function: str, arguments: tuple[Any, ...]) -> Spec:
    spec = kept.read(function, arguments)
    if not spec:
        spec = _built_spec(function, *arguments)
        kept.write(function, arguments, spec)
    return spec


def _built_spec(function: str, *arguments: Any) -> Spec:
    """The specification, cached by the function that builds it.

    Its module, and with it Altair, is imported at the first call, so a process without charts does not import it.
    Altair uses pandas where it is among the imported modules, even half imported by another thread, and fails then: an
    import that has begun is waited for. Of threads that ask for one function at once one builds and the others wait.
    """
    if "pandas" in sys.modules:
        importlib.import_module("pandas")
    module, _, name = function.partition(".")
    with _building.setdefault(function, Lock()):
        spec: Spec = getattr(importlib.import_module(f"cnnlab.rendering.{module}"), name)(*arguments)
    return spec
