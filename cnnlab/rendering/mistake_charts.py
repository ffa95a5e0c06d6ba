"""The charts of the page Mistakes, as Vega-Lite: specifications built once, the figures beside them (see `charts`).

Blue is right, red is wrong, and each number stands on its square too. A regularizer keeps its colour.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cnnlab.analysis.metrics import PairedOutcomes
from cnnlab.formatting import percent
from cnnlab.rendering.charts import Spec, with_data
from cnnlab.rendering.palette import DASHES, GREY, REGULARIZER_COLORS, TRAINING, VALIDATION

RIGHT, WRONG = TRAINING, VALIDATION
ALL_WRONG = "all wrong"  # the last row and the last column of the matrix: every mistake of a class
MATRIX_HEIGHT = 430  # pixels, names included
MAX_OPACITY = 0.85  # the opacity of the strongest square: its number stays readable
POINT_SHAPES = ("circle", "square")
Calibration = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]


def confusion_matrix_chart(table: NDArray[np.int64], classes: Sequence[str], chosen: tuple[str, str], ink: str) -> Spec:
    """The confusion matrix with its mistakes summed up at the right and below; `chosen` is (truth, said), "" for any.

    A square that is clicked gives its `truth` and `said`, which are ANY at the margin. Right answers are coloured by
    their share of the class, mistakes by their share of the commonest one. `ink` is the page's text colour.
    """
    names, size = [*classes, ALL_WRONG], len(classes) + 1
    counts, here = with_error_totals(table), (chosen[0] or ALL_WRONG, chosen[1] or ALL_WRONG)
    kind = np.full((size, size), "wrong", dtype="U5")
    np.fill_diagonal(kind, "right")
    kind[-1] = kind[:, -1] = "sum"
    most = np.where(kind == "right", np.append(table.sum(axis=1), 1)[:, None], counts[kind == "wrong"].max())
    truth, said = np.repeat(names, size).tolist(), names * size
    return with_data(
        matrix(tuple(names)),
        truth=truth,
        said=said,
        count=counts.ravel(),
        label=[f"{count:,}" if count else "" for count in counts.ravel().tolist()],
        kind=kind.ravel(),
        strength=MAX_OPACITY * (counts / np.maximum(most, 1)).ravel(),
        words=[f"{describe_cell(*pair)}: {count:,}" for *pair, count in zip(truth, said, counts.ravel(), strict=True)],
        chosen=[float(pair == here) for pair in zip(truth, said, strict=True)],
        turn=[" ".join(here)] * size**2,
        ink=[ink] * size**2,
    )


def describe_cell(truth: str, said: str) -> str:
    """One square for a screen reader: 'cat, taken for dog'."""
    whose = "every class" if truth == ALL_WRONG else truth
    return (
        f"{whose}, recognized"
        if truth == said != ALL_WRONG
        else f"{whose}, taken for {'others' if said == ALL_WRONG else said}"
    )


def with_error_totals(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """A confusion matrix with one more row and column: the mistakes of each column and of each row added up."""
    mistakes = table - np.diag(np.diag(table))
    last = np.append(mistakes.sum(axis=0), mistakes.sum())
    return np.vstack([np.column_stack([table, mistakes.sum(axis=1)]), last])


def class_accuracy_chart(shares: NDArray[np.float64], classes: Sequence[str], colour: str, ink: str) -> Spec:
    """The share of each class that is recognized, best first."""
    order = [index for index in np.argsort(-shares, kind="stable").tolist() if not np.isnan(shares[index])]
    return with_data(
        bars(colour),
        name=[classes[index] for index in order],
        share=shares[order],
        label=[percent(shares[index]) for index in order],
        ink=[ink] * len(order),
    )


def calibration_chart(curves: Mapping[str, Calibration], colours: Sequence[str]) -> Spec:
    """How often each network is right when it is so sure; empty bins are left out."""
    rows = [
        (name, sure, right, count)
        for name, curve in curves.items()
        for sure, right, count in zip(*curve, strict=True)
        if count
    ]
    names, sure, right, count = zip(*rows, strict=True)
    return with_data(reliability(tuple(curves), tuple(colours)), run=names, sure=sure, right=right, count=count)


def outcome_chart(groups: PairedOutcomes, truth: NDArray[np.int64], classes: Sequence[str], ink: str) -> Spec:
    """Class by class, how many pictures were fixed (to the right) and broken (to the left)."""
    fixed = np.bincount(truth[groups.now_correct], minlength=len(classes))
    broke = np.bincount(truth[groups.now_wrong], minlength=len(classes))
    order = np.argsort(broke - fixed, kind="stable")
    return with_data(
        diverging(),
        name=[classes[index] for index in order],
        fixed=fixed[order],
        broke=-broke[order],
        net=[f"{fixed[index] - broke[index]:+,}" for index in order],
        ink=[ink] * len(order),
    )


# -- specifications --------------------------------------------------------------------------------------------------

MIN_BIN_COUNT = 20  # a bin with fewer pictures says little: it stays off the line
FIGURES: Spec = {"data": {"name": "figures"}}
PERCENT = {"format": "%", "values": [0, 0.25, 0.5, 0.75, 1]}
PLAIN = "format(abs(datum.value), ',')"
WHOLE = {"domain": [0, 1]}
INK = {"field": "ink", "type": "nominal", "scale": None, "legend": None}


@lru_cache(maxsize=4)
def matrix(names: tuple[str, ...]) -> Spec:
    """Figures: truth, said, count, label, kind, strength, words, chosen, turn, ink."""
    order = {"domain": list(names), "paddingInner": 0.06, "paddingOuter": 0}
    axis = {"domain": False, "ticks": False, "labelLimit": 90}
    x = {"field": "said", "type": "nominal", "scale": order, "title": "it said"}
    y = {"field": "truth", "type": "nominal", "scale": order, "title": "it is", "axis": axis}
    kinds = {"domain": ["right", "wrong", "sum"], "range": [RIGHT, WRONG, "transparent"]}
    told = [{"field": "truth", "title": "it is"}, {"field": "said", "title": "it said"}]
    told.append({"field": "count", "title": "pictures"})
    point = {"type": "point", "fields": ["truth", "said", "turn"], "toggle": False, "clear": False}
    squares = {
        "params": [{"name": "cell", "select": point}],
        "mark": {"type": "rect", "cursor": "pointer", "stroke": {"expr": "datum.ink"}},
        "encoding": {
            "fill": {"field": "kind", "type": "nominal", "scale": kinds, "legend": None},
            "fillOpacity": {"field": "strength", "type": "quantitative", "scale": None},
            "strokeWidth": {"condition": {"test": "datum.chosen", "value": 3}, "value": 0.5},
            "strokeOpacity": {"condition": {"test": "datum.chosen", "value": 1}, "value": 0.2},
            "tooltip": told,
            "description": {"field": "words"},
        },
    }
    numbers = {
        "mark": {"type": "text", "fontSize": {"expr": "width < 360 ? 9 : 12"}, "baseline": "middle"},
        "encoding": {"text": {"field": "label"}, "color": INK},
    }
    shared = {"x": x | {"axis": axis | {"orient": "top", "labelAngle": -60, "labelOverlap": False}}, "y": y}
    return FIGURES | {"height": MATRIX_HEIGHT, "encoding": shared, "layer": [squares, numbers]}


@lru_cache(maxsize=8)
def bars(colour: str) -> Spec:
    """Figures: name, share, label, ink."""
    y = {"field": "name", "type": "nominal", "sort": None, "title": None}
    x = {"field": "share", "type": "quantitative", "title": None, "scale": WHOLE, "axis": PERCENT}
    told = [{"field": "name", "title": "class"}, {"field": "share", "title": "recognized", "format": ".1%"}]
    bar = {"mark": {"type": "bar", "color": colour, "height": {"band": 0.72}}, "encoding": {"tooltip": told}}
    text = {
        "mark": {"type": "text", "align": "left", "dx": 5, "fontSize": 13},
        "encoding": {"text": {"field": "label"}, "color": INK},
    }
    return FIGURES | {"height": 320, "encoding": {"x": x, "y": y}, "layer": [bar, text]}


@lru_cache(maxsize=64)
def reliability(names: tuple[str, ...], colours: tuple[str, ...]) -> Spec:
    """Figures: run, sure, right, count. The dashed line is where a network would be that knows how sure it may be."""
    look = (
        {"title": None, "orient": "top", "columns": 1, "labelLimit": 320, "symbolStrokeWidth": 0}
        if len(names) > 1
        else None
    )
    x = {"field": "sure", "type": "quantitative", "title": "how sure it is", "scale": WHOLE, "axis": PERCENT}
    y = {"field": "right", "type": "quantitative", "title": "how often it is right", "scale": WHOLE, "axis": PERCENT}
    run: Spec = {"field": "run", "type": "nominal"}
    colour = run | {"scale": {"domain": list(names), "range": list(colours)}, "legend": look}
    dash = run | {"scale": {"domain": list(names), "range": list(DASHES[: len(names)])}, "legend": look}
    shape = run | {"scale": {"domain": list(names), "range": list(POINT_SHAPES[: len(names)])}, "legend": look}
    told = [{"field": "run", "title": "network"}, {"field": "count", "title": "pictures"}]
    told += [{"field": name, "title": title, "format": ".1%"} for name, title in (("sure", "sure"), ("right", "right"))]
    size = {"field": "count", "type": "quantitative", "scale": {"range": [25, 320]}, "legend": None}
    diagonal = {
        "data": {"values": [{"sure": 0, "right": 0}, {"sure": 1, "right": 1}]},
        "mark": {"type": "line", "color": GREY, "strokeDash": [4, 4], "strokeWidth": 2},
    }
    line = {
        "transform": [{"filter": f"datum.count >= {MIN_BIN_COUNT}"}],
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": {"color": colour, "strokeDash": dash},
    }
    dots = {
        "mark": {"type": "point", "filled": True, "opacity": 1},
        "encoding": {"color": colour, "shape": shape, "size": size, "tooltip": told},
    }
    return FIGURES | {"height": 340, "encoding": {"x": x, "y": y}, "layer": [diagonal, line, dots]}


@lru_cache(maxsize=1)
def diverging() -> Spec:
    """Figures: name, fixed, broke (as a negative number), net, ink."""
    y = {"field": "name", "type": "nominal", "sort": None, "title": None}
    told = [{"field": "name", "title": "class"}, {"field": "fixed"}, {"field": "broke"}, {"field": "net"}]
    axis: Spec = {"title": "broken (left) and fixed (right)", "axis": {"tickCount": 5, "labelExpr": PLAIN}}
    sides = [
        {
            "mark": {"type": "bar", "color": colour, "height": {"band": 0.72}},
            "encoding": {"x": {"field": name, "type": "quantitative"} | axis, "tooltip": told},
        }
        for name, colour in (("fixed", RIGHT), ("broke", WRONG))
    ]
    net = {
        "mark": {"type": "text", "align": "left", "dx": 5, "fontSize": 13},
        "encoding": {"x": {"field": "fixed", "type": "quantitative"}, "text": {"field": "net"}, "color": INK},
    }
    return FIGURES | {"height": 340, "encoding": {"y": y}, "layer": [*sides, net]}


# -- the same in words -----------------------------------------------------------------------------------------------


def describe_confusion_matrix(table: NDArray[np.int64], classes: Sequence[str]) -> str:
    """What the matrix shows: for each class how many are right, and what the others are taken for most."""
    said = []
    for row, name in enumerate(classes):
        others = table[row].copy()
        others[row] = 0
        most = int(np.argmax(others))
        mixed = f", {others[most]:,} taken for {classes[most]}" if others[most] else ""
        said.append(f"{name} {table[row, row]:,} of {table[row].sum():,} right{mixed}")
    return f"Confusion matrix. {'; '.join(said)}."


def describe_class_accuracy(shares: NDArray[np.float64], classes: Sequence[str]) -> str:
    """What the bars show, best first."""
    order = [index for index in np.argsort(-shares, kind="stable").tolist() if not np.isnan(shares[index])]
    return "Share of each class that is recognized: " + ", ".join(f"{classes[i]} {percent(shares[i])}" for i in order)


def describe_calibration_curve(curves: Mapping[str, Calibration]) -> str:
    """What the calibration chart shows, bin by bin."""
    parts = []
    for name, curve in curves.items():
        bins = [f"{percent(sure)} sure, {percent(right)} right" for sure, right, n in zip(*curve, strict=True) if n]
        parts.append(f"{name}: {'; '.join(bins)}.")
    return "Calibration. " + " ".join(parts)


def describe_outcomes(groups: PairedOutcomes, truth: NDArray[np.int64], classes: Sequence[str]) -> str:
    """What the exchange chart shows."""
    fixed = np.bincount(truth[groups.now_correct], minlength=len(classes))
    broke = np.bincount(truth[groups.now_wrong], minlength=len(classes))
    return "Fixed and broken by class: " + ", ".join(
        f"{name} {fixed[index]:,} and {broke[index]:,}" for index, name in enumerate(classes)
    )


def regularizer_colors(regularizers: Sequence[str]) -> list[str]:
    """The colour of each run by its regularizer."""
    return [REGULARIZER_COLORS[name] for name in regularizers]
