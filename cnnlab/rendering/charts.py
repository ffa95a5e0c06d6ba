"""The charts, and what they say in words.

Each chart is authored in Altair once (`*_specs`) and kept as a plain Vega-Lite dictionary; the figures travel
beside it as a table. So a page that draws the same chart every second for thirty browsers sends a few new rows, and
builds nothing. Figures are written as Arrow by hand, because the way around pandas would cost a second at the first
page.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]
from numpy.typing import NDArray

from cnnlab.array_types import History

Spec = dict[str, Any]


def arrow_table(**columns: Sequence[Any] | NDArray[Any]) -> bytes:
    """Columns of equal length, numbers or words, as an Arrow stream. `pa.array` would import pandas; buffers do not."""
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
    """The specification with these figures, ready for `st.vega_lite_chart`; `spec` itself stays as it is."""
    return {**spec, "datasets": {"figures": arrow_table(**columns)}}


def accuracy_chart(history: History, epochs: int) -> Spec:
    """Training and validation accuracy over the epochs, the gap between them shaded."""
    return with_data(
        cached_spec("chart_specs.curves", "accuracy", epochs),
        epoch=history["epoch"],
        training=history["train_eval_accuracy"],
        validation=history["val_accuracy"],
        reported=history["accuracy"],
    )


def loss_chart(history: History, epochs: int) -> Spec:
    """Training and validation loss over the epochs, without the L2 penalty."""
    return with_data(
        cached_spec("chart_specs.curves", "loss", epochs),
        epoch=history["epoch"],
        training=history["train_eval_loss"],
        validation=history["val_loss"],
        reported=history["loss"],
    )


def penalty_chart(history: History, epochs: int) -> Spec:
    """The L2 penalty by itself."""
    return with_data(
        cached_spec("chart_specs.penalty_curve", epochs), epoch=history["epoch"], penalty=history["penalty"]
    )


def panel_chart(history: History, epochs: int, reported: bool = True) -> Spec:
    """One small panel of many on common axes; `reported`: the training accuracy as Keras reports it."""
    training = history["accuracy"] if reported else history["train_eval_accuracy"]
    return with_data(
        cached_spec("chart_specs.panel", epochs),
        epoch=history["epoch"],
        training=training,
        validation=history["val_accuracy"],
    )


def overlay_chart(named: Mapping[str, History], colours: Sequence[str], epochs: int) -> Spec:
    """The validation accuracy of several runs, by title, in one chart."""
    names = [name for name, history in named.items() for _ in history["epoch"]]
    epoch = [value for history in named.values() for value in history["epoch"]]
    accuracy = [value for history in named.values() for value in history["val_accuracy"]]
    return with_data(
        cached_spec("chart_specs.overlay", tuple(named), tuple(colours), epochs),
        run=names,
        epoch=epoch,
        accuracy=accuracy,
    )


def ranking_chart(
    names: Sequence[str],
    values: Sequence[float],
    regularizers: Sequence[str],
    report: Sequence[float] | None,
    points: bool = False,
) -> Spec:
    """Bars, the best on top, the report's figure as a line across each. Fractions; `points`: gaps, smallest best.

    `report` is None where the report has no figure of this measure: there are no lines then.
    """
    marks = [float("nan")] * len(values) if report is None else report
    order = rank_order(values, points)
    size = 100 if points else 1
    return with_data(
        cached_spec("chart_specs.ranking", points),
        place=list(range(len(order))),
        model=[names[index] for index in order],
        value=[size * values[index] for index in order],
        regularizer=[regularizers[index] for index in order],
        report=[size * marks[index] for index in order],
        end=[size * np.fmax(values[index], marks[index]) for index in order],
        label=[f"{100 * values[index]:.1f}{'' if points else ' %'}" for index in order],
    )


def rank_order(values: Sequence[float], smallest: bool) -> list[int]:
    """The positions of the values, the largest (or smallest) first."""
    return sorted(range(len(values)), key=lambda index: values[index] if smallest else -values[index])


def cached_spec(function: str, *arguments: Any) -> Spec:
    """What `function`, "MODULE.NAME" of this package, returns: a specification, built at the first call.

    The module, and Altair with it, is imported here, so a process that draws no chart does without.
    """
    module, _, name = function.partition(".")
    spec: Spec = getattr(importlib.import_module(f"cnnlab.rendering.{module}"), name)(*arguments)
    return spec


def describe_ranking(names: Sequence[str], values: Sequence[float], points: bool = False) -> str:
    """What a ranking shows, first to last."""
    order = rank_order(values, points)
    unit = "points" if points else "%"
    told = ", ".join(f"{names[index]} {100 * values[index]:.1f} {unit}" for index in order)
    return f"{'Gaps, smallest' if points else 'Validation accuracies, highest'} first: {told}."
