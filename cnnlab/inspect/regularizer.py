"""The view "Regularizer": samples of dropout, the weights under L2, activations before and after batch norm."""

from typing import Any

import numpy as np
import streamlit as st

from cnnlab import formatting
from cnnlab.analysis import regularizer_effects
from cnnlab.analysis.regularizer_effects import DropoutSamples, WeightStats
from cnnlab.explanations import inspection
from cnnlab.inspect import feature_maps
from cnnlab.inspect.context import InspectContext, nearest_snapshot
from cnnlab.inspect.moving_averages import moving_averages_section
from cnnlab.inspect.notice import notice
from cnnlab.regularizers import REGULARIZERS, VIEWS
from cnnlab.rendering.charts import cached_spec, with_data
from cnnlab.rendering.feature_map_grid import render_feature_maps, shared_vmax
from cnnlab.rendering.palette import REGULARIZER_COLORS
from cnnlab.storage import runs
from cnnlab.storage.runs import Run
from cnnlab.ui import cache, clickable_image, query_state
from cnnlab.ui.state import session_key, url_param

DROPOUT_SAMPLES = 30
SEED_PARAM, MASK_PARAM = url_param("draw"), url_param("sample")  # of the dropout masks
MAX_SEED = 9_999
NEW_DROPOUT = session_key("inspect.regularizer.new_dropout")
DROPOUT_PARAM, WEIGHTS_PARAM, NORMALIZATION_PARAM = url_param("dropout"), url_param("weights"), url_param("bn")


def regularizer_view(context: InspectContext) -> None:
    """The section that shows the effect of the run's own regularizer."""
    if not all(np.isfinite(values).all() for values in context.weights.values()):
        st.info(
            "Some weights of this epoch are not numbers, as after a training that diverged: choose an earlier epoch."
        )
        return
    SECTIONS[REGULARIZERS[context.trained_run.experiment.regularizer].view](context)


# ---- dropout --------------------------------------------------------------------------------------------------------


def dropout_section(context: InspectContext) -> None:
    """Predictions with thirty random dropout masks, and the feature maps with one of them."""
    rate = context.trained_run.experiment.strength
    if not rate:
        st.info("The dropout rate of this run is 0, so nothing is dropped.")
        return
    seed = query_state.read_index(SEED_PARAM, MAX_SEED + 1) or 0
    samples = regularizer_effects.dropout_samples(context.layers, context.weights, context.image, DROPOUT_SAMPLES, seed)
    result, look = inspection.describe_dropout(samples, context.classes)
    notice(f"{result} {look}")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button("New random dropout", icon=":material/casino:", key=NEW_DROPOUT, on_click=_on_new_dropout)
        shown = query_state.slider_param(MASK_PARAM, "Sample", 1, DROPOUT_SAMPLES, 1, width=220)
    left, right = feature_maps.grid_cells(2)
    with left:
        probability_dots(samples, context.classes, shown - 1)
    with right:
        dropped_feature_maps(context, samples, shown - 1)


def probability_dots(samples: DropoutSamples, classes: tuple[str, ...], mask: int) -> None:
    """One dot for each mask and class, those of `mask` outlined; a line at the prediction without dropout."""
    count = len(samples.probabilities)
    st.markdown(
        f"**{count} predictions**, one dot each, sample {mask + 1} outlined; the line is the prediction without dropout"
    )
    spec = with_data(
        cached_spec("inspect_chart_specs.probability_dots"),
        name=np.tile(classes, count),
        share=samples.probabilities.ravel(),
        whole=np.tile(samples.full_network, count),
        chosen=np.repeat(np.arange(count) == mask, len(classes)).astype(float),
    )
    description = ", ".join(
        f"{name} {formatting.percent(float(low))} to {formatting.percent(float(high))}"
        for name, low, high in zip(classes, samples.probabilities.min(0), samples.probabilities.max(0), strict=True)
    )
    st.vega_lite_chart(spec=spec, key="regularizer masks", width="stretch", alt=f"Over {count} masks: {description}.")


def dropped_feature_maps(context: InspectContext, samples: DropoutSamples, mask: int) -> None:
    """The feature maps with one dropout mask."""
    names = {name: name for name in samples.activations if samples.activations[name].ndim == 4}
    if not names:
        return
    name = query_state.segmented_param(DROPOUT_PARAM, "After", names)
    found = samples.activations[name]
    grid = render_feature_maps(found[mask], vmax=shared_vmax(found))
    kept = formatting.percent(float(samples.masks[name][mask].mean()))
    st.markdown(f"**{name}**, sample {mask + 1}: {kept} of the numbers kept")
    clickable_image.clickable_image(
        clickable_image.from_feature_maps(grid),
        "thinned",
        f"{formatting.pluralize(grid.count, 'map')} of {name} with one mask: {kept} of the numbers kept.",
    )


def _on_new_dropout() -> None:
    seed = query_state.read_index(SEED_PARAM, MAX_SEED + 1) or 0
    query_state.set_param(SEED_PARAM, str((seed + 1) % (MAX_SEED + 1)))


# ---- L2, and the plain network --------------------------------------------------------------------------------------


def weights_section(context: InspectContext) -> None:
    """Histogram and norm of every layer's weights; for a penalty on weights beside those of the unregularized run."""
    regularizer = REGULARIZERS[context.trained_run.experiment.regularizer]
    penalized = regularizer.penalizes_weights
    plain = unregularized_run(context.trained_run) if penalized else None
    own, other = context.weights, None
    if plain is not None:
        other = cache.weights(plain, nearest_snapshot(plain, context.epoch))
    mine = regularizer_effects.weight_stats(own, other)
    theirs = regularizer_effects.weight_stats(other, own) if other is not None else []
    if theirs:
        notice(" ".join(inspection.describe_weight_penalty(mine, theirs, context.epoch)))
    elif penalized:
        st.info(
            "The same network without a regularizer is not trained yet, so there is no comparison: train it on "
            "the page Train."
        )
    elif regularizer.name == "none":
        st.markdown(
            "This network was trained without a regularizer: nothing penalized large weights. "
            "Open a run with dropout, L2 or batch normalization to see its effect."
        )
    else:
        title = context.trained_run.experiment.regularizer_title
        st.markdown(f"This network was trained with {title}. Its weights are these.")
    layer = query_state.segmented_param(WEIGHTS_PARAM, "Layer", {stats.layer: stats.layer for stats in mine}, wrap=True)
    beside = {stats.layer: stats for stats in theirs}
    chosen = next(stats for stats in mine if stats.layer == layer)
    weight_histogram(chosen, beside.get(layer), regularizer.name)
    st.markdown(weight_table(mine, beside))


def unregularized_run(run: Run) -> Run | None:
    """The same experiment without a regularizer."""
    found = runs.find_run(run.experiment.without_regularizer())
    return found if found is not None and found.snapshot_epochs() else None


def weight_histogram(own: WeightStats, plain: WeightStats | None, regularizer: str) -> None:
    """How many weights have which size."""
    parts = [("this run", own, REGULARIZER_COLORS[regularizer])]
    parts += [("plain run", plain, REGULARIZER_COLORS["none"])] if plain is not None else []
    middles = (own.edges[1:] + own.edges[:-1]) / 2
    spec = with_data(
        cached_spec("inspect_chart_specs.histogram", "weight"),
        value=np.concatenate([middles for _ in parts]),
        count=np.concatenate([part.counts for _, part, _ in parts]),
        run=[name for name, part, _ in parts for _ in part.counts],
        color=[color for _, part, color in parts for _ in part.counts],
    )
    description = "; ".join(f"{name}: norm {part.norm:.2f}, largest {part.largest:.2f}" for name, part, _ in parts)
    st.vega_lite_chart(
        spec=spec, key="regularizer weights", width="stretch", alt=f"Weights of {own.layer}. {description}."
    )
    st.caption(
        "Solid: this run; dashed: the same network without a regularizer." if plain else "All weights of the layer."
    )


def weight_table(own: list[WeightStats], plain: dict[str, WeightStats]) -> str:
    """The norms of the layers' kernels as a Markdown table, beside those of the plain run where there is one."""
    head = "| layer | weights | norm | largest |" + (" plain norm |" if plain else "")
    lines = [
        f"| {stats.layer} | {stats.count:,} | {stats.norm:.2f} | {stats.largest:.2f} |"
        + (f" {plain[stats.layer].norm:.2f} |" if plain else "")
        for stats in own
    ]
    return "\n".join([head, "| :-- | --: | --: | --: |" + (" --: |" if plain else ""), *lines])


# ---- batch normalization --------------------------------------------------------------------------------------------


def batchnorm_section(context: InspectContext) -> None:
    """Every channel's spread before and after, each on a scale of its own."""
    found = regularizer_effects.batchnorm_stats(context.layers, context.weights, context.activations)
    names = {stats.layer: stats.layer for stats in found}
    name = query_state.segmented_param(NORMALIZATION_PARAM, "Layer", names)
    chosen = next(stats for stats in found if stats.layer == name)
    notice(" ".join(inspection.describe_batchnorm(chosen)))
    lengths = chosen.quantiles_before[4] - chosen.quantiles_before[0]
    order = np.argsort(lengths, kind="stable")
    for cell, when, quantiles in zip(
        feature_maps.grid_cells(2), ("before", "after"), (chosen.quantiles_before, chosen.quantiles_after), strict=True
    ):
        with cell:
            channel_ranges(chosen.layer, quantiles[:, order], order, when)
    st.caption(
        "One line for each channel, from its 5th to its 95th percentile on this image, the dot its median; the "
        "channels in the order of their lengths before, the same in both. Each of the two has a scale of its own, so "
        "compare lengths within one, and sizes by the numbers at the side. ReLU sets values below zero to zero."
    )
    moving_averages_section(context)


def channel_ranges(layer: str, quantiles: Any, order: Any, when: str) -> None:
    """One side: a line for each channel."""
    st.markdown(f"**{when} {layer}**")
    spec = with_data(
        cached_spec("inspect_chart_specs.channel_ranges"),
        place=np.arange(len(order)),
        channel=order,
        low=quantiles[0],
        middle=quantiles[2],
        high=quantiles[4],
    )
    description = (
        f"Channels {when} {layer}: medians"
        f" {formatting.format_range(float(quantiles[2].min()), float(quantiles[2].max()))}"
    )
    ends = formatting.format_range(float(quantiles[0].min()), float(quantiles[4].max()))
    st.vega_lite_chart(
        spec=spec, key=f"regularizer spread {when}", width="stretch", alt=f"{description}; all lines within {ends}."
    )


SECTIONS = {"dropout": dropout_section, "weights": weights_section, "batchnorm": batchnorm_section}
if set(SECTIONS) != set(VIEWS):
    raise ValueError(f"Expected a section for each of {', '.join(VIEWS)}. Received: {', '.join(SECTIONS)}")
