"""The view "Two runs": the predictions and feature maps of two runs for one image."""

import numpy as np
import streamlit as st

from cnnlab.analysis import activation_stats, filter_matching
from cnnlab.explanations import inspection, notices
from cnnlab.inspect import epoch_slider, feature_maps, image_controls, prediction
from cnnlab.inspect.context import InspectContext
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
    for cell, one, key in zip(feature_maps.grid_cells(2), (context, other), ("one", "two"), strict=True):
        with cell:
            st.markdown(f"**{one.run.title}**, epoch {one.epoch}")
            st.markdown(inspection.describe_prediction(one.probabilities, one.classes, one.selected_image.true_class))
            prediction.probability_bars(
                one.probabilities, one.classes, one.selected_image.true_class, key=f"bars of run {key}"
            )
    for conv in [conv for conv in context.convolution_names if conv in other.convolution_names]:
        layer_pair(context, other, conv, scale)
    st.caption(
        f"{describe_filter_matching(context, other)} {SCALE_NOTES[scale]} Compare the grids as a whole: the number of"
        " inactive maps, their detail."
    )


def comparison_sentence(context: InspectContext, other: InspectContext) -> str:
    """The notice: how many maps of the last convolution that both runs have are inactive in each."""
    conv = [name for name in context.convolution_names if name in other.convolution_names][-1]
    maps = [one.activations[one.relu_name(conv)][0] for one in (context, other)]
    inactive = [int(activation_stats.inactive_feature_maps(one).sum()) for one in maps]
    titles = context.run.title, other.run.title
    return notices.comparison_notice(conv, titles, (inactive[0], inactive[1]), (maps[0].shape[-1], maps[1].shape[-1]))


def describe_filter_matching(context: InspectContext, other: InspectContext) -> str:
    """Whether filters with the same number correspond to each other in these two runs."""
    one, two = (each.weights[FIRST] for each in (context, other))
    together = one.shape == two.shape and have_same_initialization(context.trained_run, other.trained_run)
    return inspection.explain_filter_matching(
        together, filter_matching.count_same_index_matches(one, two) if together else 0, one.shape[-1]
    )


def have_same_initialization(run: Run, other: Run) -> bool:
    """Whether the first layers of both began with the same numbers; where those were not kept, the seeds decide."""
    if run.snapshot_epochs()[0] or other.snapshot_epochs()[0]:
        return run.experiment.seed == other.experiment.seed
    one, two = (cache.weights(each, 0)[FIRST] for each in (run, other))
    return filter_matching.same_initialization(one, two)


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
    kept = other.snapshot_epochs()
    if epoch == run.snapshot_epochs()[-1]:
        return kept[-1]
    return max((one for one in kept if one <= epoch), default=kept[0])


def layer_pair(context: InspectContext, other: InspectContext, conv: str, scale: str) -> None:
    """One layer of both runs; on one color scale unless each map has its own."""
    end = common_vmax(context, other, conv) if scale == "layer" else None
    for cell, one, key in zip(feature_maps.grid_cells(2), (context, other), ("one", "two"), strict=True):
        with cell:
            relu = one.relu_name(conv)
            values = one.activations[relu][0]
            limit = epoch_slider.epochs_vmax(one, relu, scale) if end is None else end
            grid = render_feature_maps(values, scale, vmax=limit)
            st.markdown(feature_maps.grid_heading(conv, grid))
            words = f"{one.run.title}: {feature_maps.describe_grid(conv, grid)}"
            clickable_image.clickable_image(clickable_image.from_feature_maps(grid), f"grid {conv} of {key}", words)


def common_vmax(context: InspectContext, other: InspectContext, conv: str) -> float:
    """The end of the common scale: the largest activation of both runs; over all epochs if one scale is selected."""
    ends = []
    for one in (context, other):
        relu = one.relu_name(conv)
        held = epoch_slider.epochs_vmax(one, relu, "layer")
        ends.append(shared_vmax([one.activations[relu][0]]) if held is None else held)
    return float(np.max([end.max() for end in ends]))


def _on_second_run_selected() -> None:
    selection.update_selection(versus=st.session_state[VERSUS])
