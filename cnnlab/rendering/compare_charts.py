"""The charts of the page Compare with their data.

`compare_chart_specs` and `learning_curve_specs` have their specifications.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.analysis.metrics import rank_order
from cnnlab.analysis.seed_curves import CURVES, SeedCurve, seed_curve
from cnnlab.array_types import History
from cnnlab.explanations.series_table import regularizer_label
from cnnlab.formatting import percent
from cnnlab.rendering.charts import Spec, cached_spec, with_data
from cnnlab.series_results import SeriesResult

EMPTY_ROW: dict[str, Any] = {
    "kind": "", "panel": 0, "name": "", "network": "", "color": "", "line": "", "epoch": 0.0, "value": 0.0, "low": 0.0,
    "high": 0.0, "text": "",
}  # fmt: skip
LOSS_STEP = 0.5  # the axis of the loss ends at a multiple of it


@dataclass(frozen=True, kw_only=True)
class CurvePanel:
    """One network in the chart of learning curves: its name and title, its color, the histories of its seeds."""

    name: str
    title: str
    color: str
    histories: Sequence[History]


def learning_curves_chart(
    panels: Sequence[CurvePanel], what: str, epochs: int, reported: bool = False, split: str = "validation"
) -> Spec:
    """Training and validation of each network with bands over its seeds; `what` is "accuracy" or "loss".

    With `reported` the training curve is the one that Keras reports. `split` is what the other one is measured on and
    called under the pointer: "validation" or "test".
    """
    drawn = [panel_curves(panel, what, reported) for panel in panels]
    low, high = (0.0, 1.0) if what == "accuracy" else loss_range(drawn)
    rows = [
        row for number, panel in enumerate(panels) for row in _panel_rows(number, panel, drawn[number], what, split)
    ]
    rows += [row for number in range(len(panels)) for row in _axis_rows(number, what, epochs, high)]
    spec = cached_spec("learning_curve_specs.learning_curves", len(panels), epochs, low, high)
    return with_data(spec, **{name: [row[name] for row in rows] for name in EMPTY_ROW})


def panel_curves(panel: CurvePanel, what: str, reported: bool) -> dict[str, SeedCurve]:
    """The two curves of a panel by the name of their line, "training" and "validation"."""
    training = f"{'reported' if reported else 'training'}_{what}"
    return {"training": seed_curve(panel.histories, training), "validation": seed_curve(panel.histories, what)}


def loss_range(drawn: Sequence[Mapping[str, SeedCurve]]) -> tuple[float, float]:
    """From 0 to the next multiple of LOSS_STEP above the largest loss."""
    largest = max(
        (float(curve.high.max()) for panel_lines in drawn for curve in panel_lines.values() if len(curve.high)),
        default=1.0,
    )
    return 0.0, max(LOSS_STEP, math.ceil(largest / LOSS_STEP) * LOSS_STEP)


def _panel_rows(
    number: int, panel: CurvePanel, curves: Mapping[str, SeedCurve], what: str, split: str
) -> list[dict[str, Any]]:
    named = EMPTY_ROW | {"panel": number, "name": panel.title, "network": panel.name, "color": panel.color}
    rows = [named | {"kind": "panel", "text": panel.title}]
    for line, curve in curves.items():
        columns = zip(curve.epoch, curve.mean, curve.low, curve.high, strict=True)
        rows += [
            named | {"kind": "line", "line": line, "epoch": epoch, "value": mean, "low": low, "high": high}
            for epoch, mean, low, high in columns
        ]
    validation = curves["validation"]
    if len(validation.epoch):
        best = validation.best(smallest=what == "loss")
        place = {"epoch": validation.epoch[best], "value": validation.mean[best]}
        rows.append(named | place | {"kind": "best", "line": "validation"})
    training = dict(zip(curves["training"].epoch, curves["training"].mean, strict=True))
    for epoch, value in zip(validation.epoch, validation.mean, strict=True):
        text = f"epoch {epoch:.0f}\n{_figure('training', training.get(epoch), what)}{split} {_number(value, what)}"
        rows.append(named | {"kind": "hover", "epoch": epoch, "value": value, "text": text})
    return rows


def _figure(line: str, value: float | None, what: str) -> str:
    return "" if value is None else f"{line} {_number(value, what)}\n"


def _number(value: float, what: str) -> str:
    return percent(value, 1) if what == "accuracy" else f"{value:.2f}"


def _axis_rows(number: int, what: str, epochs: int, high: float) -> list[dict[str, Any]]:
    values = np.linspace(0, high, 5 if what == "accuracy" else 3)
    rows = [
        EMPTY_ROW
        | {
            "kind": "y",
            "panel": number,
            "value": value,
            "text": f"{100 * value:.0f} %" if what == "accuracy" else f"{value:g}",
        }
        for value in values
    ]
    step = max(1, round(epochs / 3))
    return rows + [
        EMPTY_ROW
        | {"kind": "x", "panel": number, "epoch": epoch, "text": f"epoch {epoch}" if epoch == 0 else str(epoch)}
        for epoch in range(0, epochs + 1, step)
    ]


def overlay_chart(
    named: Mapping[str, History], colors: Sequence[str], epochs: int, what: str = "accuracy", legend: bool = False
) -> Spec:
    """One curve of several runs in one chart; histories by title, a color for each; `what` is one of CURVES.

    A gap is drawn in percentage points. With `legend` the chart names its lines, as a file must.
    """
    factor = 100 if what == "gap" else 1
    rows = [
        (title, epoch, factor * value)
        for title, history in named.items()
        for epoch, value in zip(history["epoch"], CURVES[what](history), strict=True)
        if np.isfinite(value)
    ]
    form = {"accuracy": ".0%", "gap": "~g"}.get(what, "~g")
    return with_data(
        cached_spec("compare_chart_specs.overlay", tuple(named), tuple(colors), epochs, form, legend),
        run=[row[0] for row in rows],
        epoch=[row[1] for row in rows],
        value=[row[2] for row in rows],
    )


@dataclass(frozen=True, kw_only=True)
class RankedNetwork:
    """A network in a ranking: fractions. `seeds` are the figures of its seeds, `report` is NaN where there is none."""

    title: str
    regularizer: str
    value: float
    low: float
    high: float
    seeds: Sequence[float] = ()
    report: float = float("nan")


def ranked_network(
    result: SeriesResult, results: Sequence[SeriesResult], report: Mapping[str, float] | None, as_points: bool
) -> RankedNetwork:
    """The mark of one result in a ranking."""
    estimate = result.gap if as_points else result.accuracy
    return RankedNetwork(
        title=f"{result.model.experiment.depth}-conv, {regularizer_label(result, results)}",
        regularizer=result.model.experiment.regularizer,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        seeds=result.gaps if as_points else result.accuracies,
        report=report[result.model.name] if report and not result.reestimated else float("nan"),
    )


def ranking_chart(networks: Sequence[RankedNetwork], points: bool = False) -> Spec:
    """Means with intervals, the best on top: the highest, or with `points` (gaps, drawn in points) the smallest."""
    order = [networks[index] for index in rank_order([network.value for network in networks], points)]
    factor = 100 if points else 1
    rows = []
    for place, network in enumerate(order):
        shared = {"place": place, "model": network.title, "regularizer": network.regularizer}
        ends = {"low": factor * network.low, "high": factor * network.high, "report": factor * network.report}
        end = factor * float(np.fmax(max(network.high, *network.seeds, network.value), network.report))
        label = f"{100 * network.value:.1f}{'' if points else ' %'}"
        rows.append({**shared, **ends, "kind": "mean", "value": factor * network.value, "end": end, "label": label})
        rows += [
            {**shared, **ends, "kind": "seed", "value": factor * seed, "end": end, "label": ""}
            for seed in network.seeds
        ]
    names = ("kind", "place", "model", "value", "low", "high", "regularizer", "report", "end", "label")
    return with_data(
        cached_spec("compare_chart_specs.ranking", points), **{name: [row[name] for row in rows] for name in names}
    )


def agreement_chart(names: Sequence[str], shares: NDArray[np.float64]) -> Spec:
    """A square for each two of the networks with the share of images on which they agree, float (n, n)."""
    pairs = [(row, column) for row in range(len(names)) for column in range(len(names)) if row != column]
    others = shares[~np.eye(len(names), dtype=bool)]
    low, high = (float(others.min()), float(others.max())) if len(others) else (0.0, 1.0)
    return with_data(
        cached_spec("compare_chart_specs.agreement", tuple(names), round(low, 2), round(high, 2)),
        row=[names[row] for row, _ in pairs],
        column=[names[column] for _, column in pairs],
        share=[shares[pair] for pair in pairs],
        label=[percent(shares[pair]) for pair in pairs],
    )
