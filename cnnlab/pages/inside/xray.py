"""What the regularizer did, seen from inside: dropout's masks, L2's weights, batch normalization's two sides."""

from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from cnnlab import lens, runs
from cnnlab.charts import REGULARIZER_COLOURS, drawn
from cnnlab.lens import DropoutSamples, WeightSummary, telling
from cnnlab.pages import address, cached
from cnnlab.pages.inside import maps, tiles
from cnnlab.pages.inside.scene import Scene
from cnnlab.runs import Run
from cnnlab.walls import compose, limits

MASKS = 30
SEED = "inside dice"


def view(scene: Scene) -> None:
    """The part for the run's own regularizer."""
    if not all(np.isfinite(values).all() for values in scene.weights.values()):
        st.info("The weights of this epoch are no numbers, as after a training that diverged: choose an earlier one.")
        return
    match scene.run.experiment.regularizer:
        case "dropout":
            dropout(scene)
        case "batchnorm":
            normalization(scene)
        case regularizer:
            weights(scene, regularizer == "l2")


# ---- dropout --------------------------------------------------------------------------------------------------------


def dropout(scene: Scene) -> None:
    """Thirty thinned networks: their answers, and the maps that one of them let through."""
    rate = scene.run.experiment.strength
    if not rate:
        st.info("This run's dropout rate is 0: nothing is ever dropped.")
        return
    seed = int(st.session_state.get(SEED, 0))
    samples = lens.dropout_samples(scene.layers, scene.weights, scene.image, MASKS, seed)
    result, look = telling.dropped(samples, scene.classes)
    st.markdown(f"{result} {look}")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button("Throw the dice again", icon=":material/casino:", on_click=_throw)
        shown = st.slider("One of them", 1, MASKS, key="inside mask", width=220)
    left, right = maps.cells(2)
    with left:
        wobble(samples, scene.classes)
    with right:
        thinned(scene, samples, int(shown) - 1)


def wobble(samples: DropoutSamples, classes: tuple[str, ...]) -> None:
    """One dot for each mask and class; a line where the whole network stands."""
    count = len(samples.probabilities)
    st.markdown(f"**{count} answers**, one dot each; the line is the whole network")
    spec = drawn(
        WOBBLE,
        name=np.tile(classes, count),
        share=samples.probabilities.ravel(),
        whole=np.tile(samples.plain, count),
    )
    said = ", ".join(
        f"{name} {telling.percent(float(low))} to {telling.percent(float(high))}"
        for name, low, high in zip(classes, samples.probabilities.min(0), samples.probabilities.max(0), strict=True)
    )
    st.vega_lite_chart(spec=spec, key="inside wobble", width="stretch", alt=f"Over {count} masks: {said}.")


def thinned(scene: Scene, samples: DropoutSamples, mask: int) -> None:
    """The maps that one thinned network let through."""
    names = {name: name for name in samples.maps if samples.maps[name].ndim == 4}
    if not names:
        return
    name = address.choice("dropout", "After", names)
    found = samples.maps[name]
    wall = compose(found[mask], limit=limits(found))
    kept = telling.percent(float(samples.masks[name][mask].mean()))
    st.markdown(f"**{name}**, network {mask + 1}: {kept} of the numbers kept")
    tiles.draw(
        tiles.of_wall(wall), "thinned", f"{wall.count} maps of {name} with one mask: {kept} of the numbers kept."
    )


def _throw() -> None:
    st.session_state[SEED] = int(st.session_state.get(SEED, 0)) + 1


# ---- L2, and the plain network --------------------------------------------------------------------------------------


def weights(scene: Scene, penalized: bool) -> None:
    """Histogram and norm of every layer's weights, for L2 over those of the plain run."""
    plain = plain_run(scene.run) if penalized else None
    own, other = scene.weights, None
    if plain is not None:
        other = cached.weights(plain, nearest(plain, scene.epoch))
    mine = lens.weight_summaries(own, other)
    theirs = lens.weight_summaries(other, own) if other is not None else []
    if theirs:
        st.markdown(" ".join(telling.penalized(mine, theirs)))
    elif penalized:
        st.info("The same network without a regularizer is not here to compare with: train it on the page Train.")
    else:
        st.markdown(
            "This network was trained without a regularizer: nothing held its weights back. "
            "Open a run with dropout, L2 or batch normalization to see what that one did."
        )
    layer = address.choice("weights", "Layer", {one.layer: one.layer for one in mine}, wrap=True)
    beside = {one.layer: one for one in theirs}
    one = next(one for one in mine if one.layer == layer)
    histogram(one, beside.get(layer), "l2" if penalized else "none")
    st.markdown(table(mine, beside))


def plain_run(run: Run) -> Run | None:
    """The same experiment without a regularizer."""
    found = runs.find(replace(run.experiment, regularizer="none", strength=None))
    return found if found is not None and found.snapshots() else None


def nearest(run: Run, epoch: int) -> int:
    """The latest epoch up to this one whose weights the run kept."""
    kept = run.snapshots()
    return max((one for one in kept if one <= epoch), default=kept[0])


def histogram(own: WeightSummary, plain: WeightSummary | None, regularizer: str) -> None:
    """How many weights have which size."""
    parts = [("this run", own, REGULARIZER_COLOURS[regularizer])]
    parts += [("plain run", plain, REGULARIZER_COLOURS["none"])] if plain is not None else []
    middles = (own.edges[1:] + own.edges[:-1]) / 2
    spec = drawn(
        HISTOGRAM,
        weight=np.concatenate([middles for _ in parts]),
        count=np.concatenate([part.counts for _, part, _ in parts]),
        run=[name for name, part, _ in parts for _ in part.counts],
        colour=[colour for _, part, colour in parts for _ in part.counts],
    )
    said = "; ".join(f"{name}: norm {part.norm:.2f}, largest {part.largest:.2f}" for name, part, _ in parts)
    st.vega_lite_chart(spec=spec, key="inside histogram", width="stretch", alt=f"Weights of {own.layer}. {said}.")
    st.caption(
        "Solid: this run; dashed: the same network without a regularizer." if plain else "All weights of the layer."
    )


def table(own: list[WeightSummary], plain: dict[str, WeightSummary]) -> str:
    """A line for each layer."""
    head = "| layer | weights | norm | largest |" + (" plain norm |" if plain else "")
    lines = [
        f"| {one.layer} | {one.number:,} | {one.norm:.2f} | {one.largest:.2f} |"
        + (f" {plain[one.layer].norm:.2f} |" if plain else "")
        for one in own
    ]
    return "\n".join([head, "| :-- | --: | --: | --: |" + (" --: |" if plain else ""), *lines])


# ---- batch normalization --------------------------------------------------------------------------------------------


def normalization(scene: Scene) -> None:
    """Every channel's spread before and after, each on a scale of its own."""
    found = lens.normalizations(scene.layers, scene.weights, scene.stages)
    names = {one.layer: one.layer for one in found}
    name = address.choice("bn", "Layer", names)
    one = next(one for one in found if one.layer == name)
    st.markdown(" ".join(telling.normalized(one)))
    lengths = one.quantiles_before[4] - one.quantiles_before[0]
    order = np.argsort(lengths, kind="stable")
    for cell, when, quantiles in zip(
        maps.cells(2), ("before", "after"), (one.quantiles_before, one.quantiles_after), strict=True
    ):
        with cell:
            spread(one.layer, quantiles[:, order], order, when)
    st.caption(
        "One line for each channel, from its 5th to its 95th percentile on this image, the dot its median; the "
        "channels in the order of their lengths before, the same in both. Each of the two has a scale of its own, so "
        "compare lengths within one, and sizes by the numbers at the side. Below zero ReLU silences."
    )


def spread(layer: str, quantiles: Any, order: Any, when: str) -> None:
    """One side: a line for each channel."""
    st.markdown(f"**{when} {layer}**")
    spec = drawn(
        {**SPREAD, "height": 280},
        place=np.arange(len(order)),
        channel=order,
        low=quantiles[0],
        middle=quantiles[2],
        high=quantiles[4],
    )
    said = f"Channels {when} {layer}: medians {tiles.values(float(quantiles[2].min()), float(quantiles[2].max()))}"
    ends = tiles.values(float(quantiles[0].min()), float(quantiles[4].max()))
    st.vega_lite_chart(spec=spec, key=f"inside spread {when}", width="stretch", alt=f"{said}; all lines within {ends}.")


# ---- the charts -----------------------------------------------------------------------------------------------------

FIGURES = {"data": {"name": "figures"}}
CLASSES = {"field": "name", "type": "nominal", "sort": None, "axis": {"title": None, "labelOverlap": False}}
SHARE = {"scale": {"domain": [0, 1]}, "axis": {"format": "%", "title": None, "tickCount": 5}}
WOBBLE: dict[str, Any] = {
    **FIGURES,
    "height": 250,
    "encoding": {"y": CLASSES},
    "layer": [
        {
            "mark": {"type": "circle", "size": 45, "opacity": 0.45, "color": REGULARIZER_COLOURS["dropout"]},
            "encoding": {"x": {"field": "share", "type": "quantitative", **SHARE}},
        },
        {
            "mark": {"type": "tick", "thickness": 2.5, "size": 18, "color": "#D55E00"},
            "encoding": {"x": {"field": "whole", "type": "quantitative", "aggregate": "mean", **SHARE}},
        },
    ],
}
HISTOGRAM: dict[str, Any] = {
    **FIGURES,
    "height": 220,
    "mark": {"type": "line", "interpolate": "step", "strokeWidth": 2},
    "encoding": {
        "x": {"field": "weight", "type": "quantitative", "axis": {"title": "weight"}},
        "y": {"field": "count", "type": "quantitative", "axis": {"title": "how many"}},
        "color": {"field": "colour", "type": "nominal", "scale": None},
        "strokeDash": {
            "field": "run",
            "type": "nominal",
            "scale": {"domain": ["this run", "plain run"], "range": [[1, 0], [5, 3]]},
            "legend": None,
        },
        "tooltip": [{"field": "run"}, {"field": "weight", "format": ".3f"}, {"field": "count", "format": ",d"}],
    },
}
AXIS = {"type": "quantitative", "axis": {"title": None}}
SPREAD: dict[str, Any] = {
    **FIGURES,
    "encoding": {
        "x": {"field": "place", "type": "quantitative", "axis": {"title": "channels", "labels": False, "grid": False}},
        "tooltip": [
            {"field": "channel", "title": "channel"},
            *({"field": name, "format": ".2f"} for name in ("low", "middle", "high")),
        ],
    },
    "layer": [
        {
            "mark": {"type": "rule", "strokeWidth": 2, "color": REGULARIZER_COLOURS["batchnorm"]},
            "encoding": {"y": {"field": "low", **AXIS}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "size": 12, "filled": True, "color": REGULARIZER_COLOURS["batchnorm"]},
            "encoding": {"y": {"field": "middle", **AXIS}},
        },
    ],
}
