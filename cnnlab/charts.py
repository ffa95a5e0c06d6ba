"""The charts, and what they say in words.

Each chart is authored in Altair once and kept as a plain Vega-Lite dictionary; the figures travel beside it as a table.
So a page that draws the same chart every second for thirty browsers sends a few new rows, and builds nothing. Figures
are written as Arrow by hand, because the way around pandas would cost a second at the first page.

Training is blue and solid, validation red and dashed, on every page; each regularizer has one colour and its name
beside it. The colours are Okabe and Ito's, which the colour-blind can tell apart; no number is told by colour alone.

What a curve says is computed here too: `read_curves` gives the figures after the last epoch, the gap, and its trend.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import altair as alt
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]
from numpy.typing import NDArray

TRAINING, VALIDATION = "#0072B2", "#D55E00"
REGULARIZER_COLOURS = {"none": "#6b7280", "l2": "#E69F00", "dropout": "#009E73", "batchnorm": "#CC79A7"}
GREY = "#8a939e"
LINES = {  # name: (colour, dash)
    "training": (TRAINING, [1, 0]),
    "validation": (VALIDATION, [6, 3]),
    "reported": (TRAINING, [2, 3]),
}
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 4])
TREND_EPOCHS = 5  # the gap's direction is read from so many last epochs
STEADY = 0.002  # a gap that changes by less than so much an epoch is steady
MEMORIZES, LEARNS = 0.10, 0.05  # a gap above the first, or below the second
GUESSING = 0.05  # a validation accuracy this close to guessing has learned hardly anything

History = Mapping[str, NDArray[np.float64]]
Spec = dict[str, Any]


# -- what the curves say ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """What a history says after its last epoch. Accuracies are fractions; all of them measured in inference mode.

    `gap` is training minus validation accuracy, both measured alike; `trend` is "rising", "falling" or "steady".
    `best` is the highest validation accuracy of any epoch, `best_epoch` the first epoch that had it.
    """

    epoch: int
    training: float
    validation: float
    gap: float
    trend: str
    best: float
    best_epoch: int
    reported: float | None


def read_curves(history: History) -> Reading | None:
    """The figures after the last epoch, or None where no epoch is written yet."""
    history = measured(history)
    if not len(history["epoch"]):
        return None
    training, validation = history["train_eval_accuracy"], history["val_accuracy"]
    top = int(np.argmax(validation))
    reported = float(history["accuracy"][-1])
    return Reading(
        epoch=int(history["epoch"][-1]),
        training=float(training[-1]),
        validation=float(validation[-1]),
        gap=float(training[-1] - validation[-1]),
        trend=trend(training - validation),
        best=float(validation[top]),
        best_epoch=int(history["epoch"][top]),
        reported=None if np.isnan(reported) else reported,
    )


def measured(history: History) -> History:
    """The epochs that were measured: all but the one at work."""
    there = np.isfinite(history["val_accuracy"])
    return {name: values[there] for name, values in history.items()}


def trend(values: NDArray[np.float64]) -> str:
    """Where the last five values are going, by the slope of the line through them: rising, falling or steady."""
    last = values[-TREND_EPOCHS:]
    if len(last) < 2:
        return "steady"
    slope = float(np.polyfit(np.arange(len(last)), last, 1)[0])
    return "steady" if abs(slope) < STEADY else "rising" if slope > 0 else "falling"


def verdict(reading: Reading, classes: int = 10) -> str:
    """The page's question, answered from the figures: does it learn, or does it memorize?"""
    known, new = percent(reading.training), percent(reading.validation)
    figures = f"right on {known} of the pictures it learned from, and on {new} of new ones"
    if reading.epoch == 0:
        return f"It has not learned yet: it is {figures}."
    if reading.validation < 1 / classes + GUESSING:
        said = "It has hardly learned anything that helps with new pictures" if reading.gap > LEARNS else "It guesses"
        return f"{said}: it is {figures}."
    if reading.gap > MEMORIZES:
        return f"It memorizes: it is {figures}."
    if reading.gap > LEARNS:
        return f"It learns, and begins to memorize: it is {figures}."
    return f"It learns: it is {figures}."


def penalty_sentence(history: History) -> str | None:
    """How large the L2 penalty is beside the loss; None where there is none."""
    history = measured(history)
    penalty, loss = history["penalty"], history["loss"]
    if not len(penalty) or not np.any(penalty > 0):
        return None
    said = f"The L2 penalty is {penalty[-1]:.2g} after epoch {history['epoch'][-1]:.0f}"
    if np.isnan(loss[-1]) or loss[-1] <= 0:
        return f"{said}."
    share = float(penalty[-1] / (penalty[-1] + loss[-1]))
    small = " So small a part changes little" if share < 0.02 else ""
    return f"{said}: {percent(share, 1)} of what training makes small.{small}{'.' if small else ''}"


def percent(share: float, digits: int = 0) -> str:
    """0.7361 as '74 %', or '73.6 %'."""
    return f"{100 * share:.{digits}f} %"


def points(difference: float) -> str:
    """0.024 as '2.4 points'."""
    return f"{100 * difference:.1f} points"


def with_progress(history: History, progress: Mapping[str, Any]) -> History:
    """The history with one more point for the epoch at work: what Keras reports of it so far, and nothing measured."""
    batches = progress.get("batches")
    if progress.get("phase") != "training" or not batches or not len(history["epoch"]):
        return history
    moment = float(progress["epoch"]) - 1 + float(progress.get("batch") or 0) / float(batches)
    if moment <= history["epoch"][-1]:
        return history
    known = {"epoch": moment, "accuracy": progress.get("accuracy"), "loss": progress.get("loss")}
    row = {name: float("nan") if known.get(name) is None else float(known[name] or 0) for name in history}
    return {name: np.append(values, row[name]) for name, values in history.items()}


# -- figures ---------------------------------------------------------------------------------------------------------


def figures(**columns: Sequence[Any] | NDArray[Any]) -> bytes:
    """Columns of equal length, numbers or words, as an Arrow stream. `pa.array` would import pandas; buffers do not."""
    table = pa.table({name: column(np.asarray(values)) for name, values in columns.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def column(values: NDArray[Any]) -> pa.Array:
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


def drawn(spec: Spec, **columns: Sequence[Any] | NDArray[Any]) -> Spec:
    """The specification with these figures, ready for `st.vega_lite_chart`; `spec` itself stays as it is."""
    return {**spec, "datasets": {"figures": figures(**columns)}}


def accuracy_chart(history: History, epochs: int) -> Spec:
    """Training and validation accuracy over the epochs, the gap between them shaded."""
    return drawn(
        curves("accuracy", epochs),
        epoch=history["epoch"],
        training=history["train_eval_accuracy"],
        validation=history["val_accuracy"],
        reported=history["accuracy"],
    )


def loss_chart(history: History, epochs: int) -> Spec:
    """Training and validation loss over the epochs, without the L2 penalty."""
    return drawn(
        curves("loss", epochs),
        epoch=history["epoch"],
        training=history["train_eval_loss"],
        validation=history["val_loss"],
        reported=history["loss"],
    )


def penalty_chart(history: History, epochs: int) -> Spec:
    """The L2 penalty by itself."""
    return drawn(penalty_curve(epochs), epoch=history["epoch"], penalty=history["penalty"])


def panel_chart(history: History, epochs: int, reported: bool = True) -> Spec:
    """One small panel of many on common axes; `reported`: the training accuracy as Keras reports it."""
    training = history["accuracy"] if reported else history["train_eval_accuracy"]
    return drawn(panel(epochs), epoch=history["epoch"], training=training, validation=history["val_accuracy"])


def overlay_chart(named: Mapping[str, History], colours: Sequence[str], epochs: int) -> Spec:
    """The validation accuracy of several runs, by title, in one chart."""
    names = [name for name, history in named.items() for _ in history["epoch"]]
    epoch = [value for history in named.values() for value in history["epoch"]]
    accuracy = [value for history in named.values() for value in history["val_accuracy"]]
    return drawn(overlay(tuple(named), tuple(colours), epochs), run=names, epoch=epoch, accuracy=accuracy)


def ranking_chart(
    names: Sequence[str],
    values: Sequence[float],
    regularizers: Sequence[str],
    report: Sequence[float],
    points: bool = False,
) -> Spec:
    """Bars, the best on top, the report's figure as a line across each. Fractions; `points`: gaps, smallest best."""
    order = best_first(values, points)
    size = 100 if points else 1
    return drawn(
        ranking(points),
        place=list(range(len(order))),
        model=[names[index] for index in order],
        value=[size * values[index] for index in order],
        regularizer=[regularizers[index] for index in order],
        report=[size * report[index] for index in order],
        end=[size * max(values[index], report[index]) for index in order],
        label=[f"{100 * values[index]:.1f}{'' if points else ' %'}" for index in order],
    )


def best_first(values: Sequence[float], smallest: bool) -> list[int]:
    """The positions of the values, the largest (or smallest) first."""
    return sorted(range(len(values)), key=lambda index: values[index] if smallest else -values[index])


# -- specifications, each built once: do not change what they return -------------------------------------------------


@lru_cache(maxsize=64)
def curves(what: str, epochs: int) -> Spec:
    """`what` is "accuracy" or "loss"; figures: epoch, training, validation, reported. The page has the `legend`."""
    share = what == "accuracy"
    y = alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1]) if share else alt.Scale(zero=True),
        axis=alt.Axis(format="%" if share else "~g", tickCount=5),
    )
    base = alt.Chart(alt.NamedData("figures")).encode(x=_epochs(epochs))
    colours, dashes = [line[0] for line in LINES.values()], [line[1] for line in LINES.values()]
    lines = (
        base.transform_fold(list(LINES), as_=["line", "value"])
        .mark_line(strokeWidth=2.5)
        .encode(
            y=y,
            color=alt.Color("line:N", scale=alt.Scale(domain=list(LINES), range=colours), legend=None),
            strokeDash=alt.StrokeDash("line:N", scale=alt.Scale(domain=list(LINES), range=dashes), legend=None),
            opacity=alt.condition("datum.line === 'reported'", alt.value(0.85), alt.value(1)),
        )
    )
    gap = base.mark_area(color=GREY, opacity=0.22).encode(y=alt.Y("validation:Q"), y2=alt.Y2("training:Q"))
    layers = [gap, lines, _hover(base, ["training", "validation", "reported"], ".1%" if share else ".3f")]
    return _finished(alt.layer(*layers), height=330)


@lru_cache(maxsize=16)
def penalty_curve(epochs: int) -> Spec:
    """Figures: epoch, penalty."""
    base = alt.Chart(alt.NamedData("figures")).encode(x=_epochs(epochs))
    line = base.mark_line(color=REGULARIZER_COLOURS["l2"], strokeWidth=2.5).encode(
        y=alt.Y("penalty:Q", title=None, scale=alt.Scale(zero=True), axis=alt.Axis(format="~g", tickCount=3))
    )
    return _finished(alt.layer(line, _hover(base, ["penalty"], ".4f")), height=140)


@lru_cache(maxsize=16)
def panel(epochs: int) -> Spec:
    """Figures: epoch, training, validation. No legend: the page names the two lines once for all panels."""
    base = alt.Chart(alt.NamedData("figures")).encode(x=_epochs(epochs))
    gap = base.mark_area(color=GREY, opacity=0.22).encode(y=_shares("validation:Q"), y2=alt.Y2("training:Q"))
    marks = [
        base.mark_line(color=LINES[name][0], strokeDash=LINES[name][1], strokeWidth=2).encode(y=_shares(f"{name}:Q"))
        for name in ("training", "validation")
    ]
    return _finished(alt.layer(gap, *marks, _hover(base, ["training", "validation"], ".1%")), height=170)


@lru_cache(maxsize=64)
def overlay(names: tuple[str, ...], colours: tuple[str, ...], epochs: int) -> Spec:
    """Figures: run, epoch, accuracy. One colour and one dash for each run."""
    dashes = [DASHES[index % len(DASHES)] for index in range(len(names))]
    look = alt.Legend(title=None, orient="bottom", columns=1, labelLimit=420, symbolSize=300)
    lines = (
        alt.Chart(alt.NamedData("figures"))
        .mark_line(strokeWidth=2.5)
        .encode(
            x=_epochs(epochs),
            y=alt.Y("accuracy:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5)),
            color=alt.Color("run:N", scale=alt.Scale(domain=list(names), range=list(colours)), legend=look),
            strokeDash=alt.StrokeDash("run:N", scale=alt.Scale(domain=list(names), range=dashes), legend=look),
            tooltip=["run:N", alt.Tooltip("epoch:Q"), alt.Tooltip("accuracy:Q", format=".1%")],
        )
    )
    return _finished(lines, height=380)


@lru_cache(maxsize=2)
def ranking(points: bool) -> Spec:
    """Figures: place, model, value, regularizer, report, end, label; rows in the order of the bars."""
    colours = alt.Scale(domain=list(REGULARIZER_COLOURS), range=list(REGULARIZER_COLOURS.values()))
    names = alt.Y("model:N", sort=alt.EncodingSortField("place", op="min"), title=None, axis=alt.Axis(labelLimit=180))
    form = ".1f" if points else ".1%"
    base = alt.Chart(alt.NamedData("figures")).encode(y=names)
    shown = [alt.Tooltip("model:N"), alt.Tooltip("value:Q", format=form), alt.Tooltip("report:Q", format=form)]
    axis = alt.Axis(format="~g" if points else "%", tickCount=5)
    bars = base.mark_bar(height={"band": 0.72}).encode(
        x=alt.X("value:Q", title=None, axis=axis, scale=alt.Scale(zero=True)),
        color=alt.Color("regularizer:N", scale=colours, legend=None),
        tooltip=shown,
    )
    marks = [  # light within dark: seen on any bar and on any page
        base.mark_tick(thickness=thick, color=colour, size=24).encode(x="report:Q", tooltip=shown)
        for thick, colour in ((5, "#1b2430"), (2, "#ffffff"))
    ]
    text = base.mark_text(align="left", dx=6, fontSize=13, color=GREY).encode(x="end:Q", text="label:N")
    return _finished(alt.layer(bars, *marks, text), height=320)


def _epochs(epochs: int) -> alt.X:
    return alt.X(
        "epoch:Q",
        title="epoch",
        scale=alt.Scale(domain=[0, epochs], nice=False),
        axis=alt.Axis(tickMinStep=1, tickCount=6, format="d", grid=False, labelFlush=True),
    )


def _shares(field: str) -> alt.Y:
    axis = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1])
    return alt.Y(field, title=None, scale=alt.Scale(domain=[0, 1]), axis=axis)


def _hover(base: alt.Chart, names: Sequence[str], form: str) -> Any:
    """A line at the epoch under the pointer, with the figures of that epoch."""
    nearest = alt.selection_point(nearest=True, on="pointerover", fields=["epoch"], empty=False, clear="pointerout")
    told = [alt.Tooltip("epoch:Q"), *(alt.Tooltip(f"{name}:Q", format=form) for name in names)]
    return (
        base.mark_rule(color=GREY, strokeWidth=1.5)
        .encode(tooltip=told, opacity=alt.condition(nearest, alt.value(1), alt.value(0)))
        .add_params(nearest)
    )


def _finished(chart: Any, height: int) -> Spec:
    spec: Spec = chart.properties(height=height).to_dict()
    spec.pop("config", None)  # the page's theme decides
    spec["padding"] = {"left": 4, "top": 4, "right": 14, "bottom": 4}  # room for the last epoch's number
    return spec


# -- the key to the lines ----------------------------------------------------------------------------------------------


def legend(training: str, validation: str, reported: str | None = None) -> str:
    """The lines and what each is called, as HTML, once for all charts of a page; `reported`: Keras's own figure."""
    names = {"training": training, "validation": validation, "reported": reported}
    shown = "".join(f'<span><i class="{line}"></i>{name}</span>' for line, name in names.items() if name)
    return f'<div class="legend">{LEGEND_STYLE}{shown}<span><i class="gap"></i>the gap</span></div>'


LEGEND_STYLE = f"""<style>.legend {{ display: flex; flex-wrap: wrap; gap: 0.2rem 1.4rem; font-size: 0.9rem; }}
.legend i {{ display: inline-block; width: 34px; margin-right: 0.5rem; vertical-align: middle; border-top: 3px solid; }}
.legend .training {{ border-color: {TRAINING}; }}
.legend .validation {{ border-top: 3px dashed {VALIDATION}; }}
.legend .reported {{ border-top: 3px dotted {TRAINING}; }}
.legend .gap {{ border-top: 12px solid {GREY}; opacity: 0.35; }}</style>"""


# -- the same in words, for who cannot see them ----------------------------------------------------------------------


def accuracy_words(history: History, title: str) -> str:
    """What the accuracy chart shows."""
    reading = read_curves(history)
    if reading is None:
        return f"Accuracy of {title}: no epoch is measured yet."
    return (
        f"Accuracy of {title} over epochs 0 to {reading.epoch}. At the end training is {percent(reading.training, 1)}, "
        f"validation {percent(reading.validation, 1)}, the gap {points(reading.gap)} and {reading.trend}; "
        f"validation was best, {percent(reading.best, 1)}, after epoch {reading.best_epoch}."
    )


def loss_words(history: History, title: str) -> str:
    """What the loss chart shows."""
    history = measured(history)
    if not len(history["epoch"]):
        return f"Loss of {title}: no epoch is measured yet."
    lowest = int(np.argmin(history["val_loss"]))
    return (
        f"Loss of {title} over epochs 0 to {history['epoch'][-1]:.0f}, without the L2 penalty. At the end training is "
        f"{history['train_eval_loss'][-1]:.2f}, validation {history['val_loss'][-1]:.2f}; validation was lowest, "
        f"{history['val_loss'][lowest]:.2f}, after epoch {history['epoch'][lowest]:.0f}."
    )


def ranking_words(names: Sequence[str], values: Sequence[float], points: bool = False) -> str:
    """What a ranking shows, first to last."""
    order = best_first(values, points)
    unit = "points" if points else "%"
    told = ", ".join(f"{names[index]} {100 * values[index]:.1f} {unit}" for index in order)
    return f"{'Gaps, smallest' if points else 'Validation accuracies, highest'} first: {told}."
