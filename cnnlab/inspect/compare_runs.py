"""The view "Two runs": the predictions and feature maps of two runs for one image."""

import numpy as np
import streamlit as st

from cnnlab.analysis import activation_stats, filter_matching
from cnnlab.explanations import inspection, notices
from cnnlab.inspect import epoch_slider, feature_maps, image_controls, prediction
from cnnlab.inspect.context import InspectContext, nearest_snapshot
from cnnlab.inspect.notice import notice
from cnnlab.rendering.feature_map_grid import render_feature_maps, shared_vmax
from cnnlab.storage.runs import Run
from cnnlab.ui import cache, clickable_image, control_locks, query_state, selection
from cnnlab.ui.state import session_key

VERSUS = session_key("inspect.compare_runs.versus")
SCALE_NOTES = {
    "layer": "Each layer has one color scale for both runs; where one run computes with larger numbers, the other is"
    " dark.",
    "map": "Each map has its own scale, so weak maps are visible too.",
}
FIRST = "conv1/kernel"  # of the layer that reads the image


def compare_runs_view(context: InspectContext) -> None:
    """The menu of the second run, both predictions, and both grids of each convolution layer that both have."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        other = second_run_menu(context)
        if other is None:
            return
        scale = query_state.segmented_param(feature_maps.SCALE_PARAM, "Colors", feature_maps.DETAIL_FIRST)
    notice(comparison_sentence(context, other))
    for cell, shown, key in zip(feature_maps.grid_cells(2), (context, other), ("one", "two"), strict=True):
        with cell:
            true_class = shown.selected_image.true_class
            st.markdown(f"**{shown.run.title}**, epoch {shown.epoch}")
            st.markdown(inspection.describe_prediction(shown.probabilities, shown.classes, true_class))
            prediction.probability_bars(shown.probabilities, shown.classes, true_class, key=f"bars of run {key}")
    for conv in [conv for conv in context.convolution_names if conv in other.convolution_names]:
        layer_pair(context, other, conv, scale)
    st.caption(
        f"{describe_filter_matching(context, other)} {SCALE_NOTES[scale]} Compare the grids as a whole: the number of"
        " inactive maps, their detail."
    )


def comparison_sentence(context: InspectContext, other: InspectContext) -> str:
    """The notice: how many maps of the last convolution that both runs have are inactive in each."""
    conv = [name for name in context.convolution_names if name in other.convolution_names][-1]
    maps = [shown.activations[shown.relu_name(conv)][0] for shown in (context, other)]
    inactive = [int(activation_stats.inactive_feature_maps(layer_maps).sum()) for layer_maps in maps]
    titles = context.run.title, other.run.title
    return notices.comparison_notice(conv, titles, (inactive[0], inactive[1]), (maps[0].shape[-1], maps[1].shape[-1]))


def describe_filter_matching(context: InspectContext, other: InspectContext) -> str:
    """Whether filters with the same number correspond to each other in these two runs."""
    kernel, other_kernel = context.weights[FIRST], other.weights[FIRST]
    same_start = kernel.shape == other_kernel.shape and have_same_initialization(context.trained_run, other.trained_run)
    matches = filter_matching.count_same_index_matches(kernel, other_kernel) if same_start else 0
    return inspection.describe_filter_matching(same_start, matches, kernel.shape[-1])


def have_same_initialization(run: Run, other: Run) -> bool:
    """Whether the first layers of both began with the same numbers; where those were not kept, the seeds decide."""
    if run.snapshot_epochs()[0] or other.snapshot_epochs()[0]:
        return run.experiment.seed == other.experiment.seed
    return filter_matching.same_initialization(cache.weights(run, 0)[FIRST], cache.weights(other, 0)[FIRST])


def second_run_menu(context: InspectContext) -> InspectContext | None:
    """The menu of second runs on the same data set; None, with a sentence on the page, where there is none."""
    same = context.trained_run.experiment.dataset
    others = [
        run for run in cache.inspectable_runs() if run.experiment.dataset == same and run.name != context.run.name
    ]
    if not others:
        st.info("There is no second run on the same data yet: train one on the page Train.")
        return None
    names = {run.name: run for run in others}
    wanted, _ = selection.parse_selection(dict(st.query_params))
    run = names.get(wanted.versus) or default_second_run(context.trained_run, others)
    if not control_locks.is_hidden("versus"):
        st.session_state[VERSUS] = run.name
        st.selectbox(
            "Compared with",
            list(names),
            format_func=lambda name: image_controls.run_title(names[name]),
            key=VERSUS,
            on_change=_on_second_run_selected,
            width=560,
            disabled=control_locks.is_locked("versus"),
        )
    return context.with_run(run, matching_epoch(context.epoch, context.trained_run, run))


def default_second_run(run: Run, others: list[Run]) -> Run:
    """The run that differs in the regularizer only, where there is one; one that learned from as many images."""
    size = run.experiment.train_images
    others = [other for other in others if other.experiment.train_images == size] or others
    alike = [other for other in others if other.experiment.depth == run.experiment.depth]
    plain = [other for other in alike if other.experiment.regularizer == "none"]
    return (plain or alike or others)[0]


def matching_epoch(epoch: int, run: Run, other: Run) -> int:
    """The other run's epoch: its last for the last, otherwise the latest it kept up to this one."""
    if epoch == run.snapshot_epochs()[-1]:
        return other.snapshot_epochs()[-1]
    return nearest_snapshot(other, epoch)


def layer_pair(context: InspectContext, other: InspectContext, conv: str, scale: str) -> None:
    """One layer of both runs; on one color scale unless each map has its own."""
    end = common_vmax(context, other, conv) if scale == "layer" else None
    for cell, shown, key in zip(feature_maps.grid_cells(2), (context, other), ("one", "two"), strict=True):
        with cell:
            relu = shown.relu_name(conv)
            values = shown.activations[relu][0]
            limit = epoch_slider.epochs_vmax(shown, relu, scale) if end is None else end
            grid = render_feature_maps(values, scale, vmax=limit)
            st.markdown(feature_maps.grid_heading(conv, grid))
            words = f"{shown.run.title}: {feature_maps.describe_grid(conv, grid)}"
            clickable_image.clickable_image(clickable_image.from_feature_maps(grid), f"grid {conv} of {key}", words)


def common_vmax(context: InspectContext, other: InspectContext, conv: str) -> float:
    """The end of the common scale: the largest activation of both runs; over all epochs if one scale is selected."""
    ends = []
    for shown in (context, other):
        relu = shown.relu_name(conv)
        held = epoch_slider.epochs_vmax(shown, relu, "layer")
        ends.append(shared_vmax([shown.activations[relu][0]]) if held is None else held)
    return float(np.max([end.max() for end in ends]))


def _on_second_run_selected() -> None:
    selection.update_selection(versus=st.session_state[VERSUS])
