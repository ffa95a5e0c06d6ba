"""The sanity check of Grad-CAM in the view "Why this class": the same heat map with untrained and random weights."""

import numpy as np
import streamlit as st

from cnnlab.analysis import attribution
from cnnlab.analysis import heatmap_sanity as analysis
from cnnlab.analysis.attribution import GradCam
from cnnlab.data import shapes
from cnnlab.explanations import notices
from cnnlab.inspect.context import InspectContext
from cnnlab.rendering.color_scale import MIN_VMAX, image_grid_png, overlay_heatmap
from cnnlab.ui import query_state
from cnnlab.ui.state import url_param

SANITY_PARAM = url_param("sanity")
COLUMNS = 4


def heatmap_sanity_section(context: InspectContext, trained: GradCam) -> None:
    """A toggle; when it is on, the heat maps, their correlations, and on Shapes the share inside the shape."""
    if not query_state.toggle_param(SANITY_PARAM, "Check this heat map: compare it with untrained and random weights"):
        return
    cams = [("trained", trained, 1.0)]
    first = context.run.snapshot_epochs()[0]
    if first == 0 and context.epoch != 0:
        start = context.at_epoch(0)
        cam = attribution.grad_cam(start.layers, start.weights, start.image, trained.target, trained.layer_name)
        cams.append(("epoch 0", cam, analysis.rank_correlation(trained.coarse, cam.coarse)))
    results = analysis.randomized_cams(
        context.layers, context.weights, context.image, trained.target, trained.layer_name
    )
    for number, randomized in enumerate(results):
        name = (
            f"random: {randomized.layer_name}" if number == 0 else f"random: {randomized.layer_name} and all behind it"
        )
        cams.append((name, randomized.cam, randomized.correlation))
    st.markdown(notices.sanity_sentence(results, trained.coarse.size))
    heatmap_table(context, cams)
    st.caption(
        "If a heat map stays the same with random weights, it does not show what the network learned (Adebayo and "
        "others, 2018). The rank correlation is Spearman's; 1 is the same order of all pixels, 0 is no relation. The "
        "random weights are one sample."
    )


def heatmap_table(context: InspectContext, cams: list[tuple[str, GradCam, float]]) -> None:
    """One image with a caption for each heat map."""
    mask = shape_mask(context)
    grid = st.grid(COLUMNS, min_column_width=120, gap="small")
    for name, cam, correlation in cams:
        vmax = max(float(np.nan_to_num(cam.heatmap).max()), MIN_VMAX)
        png = image_grid_png(overlay_heatmap(context.image, cam.heatmap, vmax)[None].repeat(4, 1).repeat(4, 2), 1, 0)
        lines = [f"**{name}**", f"rank correlation {notices.correlation_text(correlation)}"]
        if mask is not None:
            lines.append(notices.heat_inside_text(analysis.share_inside(cam.heatmap, mask)))
        with grid.cell():
            st.image(png, width="stretch", alt=f"Grad-CAM of {cam.layer_name}, weights {name}; {'; '.join(lines[1:])}.")
            st.markdown("  \n".join(lines))
    if mask is not None:
        st.caption(notices.shape_size_sentence(float(mask.mean())))


def shape_mask(context: InspectContext) -> np.ndarray | None:
    """The part of the image that the shape covers; None for images that are not drawn on this machine."""
    index = context.selected_image.index
    return _shape_mask(index) if context.run.dataset == "shapes" and index is not None else None


@st.cache_data(max_entries=64, show_spinner=False)
def _shape_mask(index: int) -> np.ndarray:
    return shapes.test_mask(index)
