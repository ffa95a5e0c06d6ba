"""The view "Why this class": occlusion and Grad-CAM, side by side."""

import numpy as np
import streamlit as st

from cnnlab import formatting
from cnnlab.analysis import attribution
from cnnlab.explanations import inspection, notices
from cnnlab.inspect import feature_maps, heatmap_sanity
from cnnlab.inspect.context import InspectContext
from cnnlab.inspect.notice import notice
from cnnlab.rendering.color_scale import MIN_VMAX, colorbar_uri, overlay_heatmap, png_data_uri, upscaled_png
from cnnlab.ui import clickable_image, query_state
from cnnlab.ui.state import url_param

PATCH_PARAM, STRIDE_PARAM = url_param("patch"), url_param("stride")
CLASS_PARAM, LAYER_PARAM = url_param("why"), url_param("cam")


def attribution_view(context: InspectContext) -> None:
    """The menu of classes, then occlusion and Grad-CAM for the chosen class."""
    best = int(context.probabilities.argmax())
    names = {str(label): name for label, name in enumerate(context.classes)}
    names = {str(best): f"{names[str(best)]} (predicted)"} | {
        label: name for label, name in names.items() if label != str(best)
    }
    truth = context.selected_image.true_class
    if truth is not None and truth != best:
        names[str(truth)] += " (true class)"
    target = int(query_state.select_param(CLASS_PARAM, "Why this class?", names, width=220))
    place = st.container()
    left, right = feature_maps.grid_cells(2)
    with left:
        occlusion = occlusion_section(context, target)
    with right:
        cam = grad_cam_section(context, target)
    with place:
        notice(notices.attribution_notice(occlusion, cam))
    heatmap_sanity.heatmap_sanity_section(context, cam)
    st.caption(
        "The two may disagree. Occlusion measures the whole network, on images with a gray square that it was "
        "not trained "
        "on. Grad-CAM reads one layer, and shows only positive evidence for the class."
    )


def occlusion_section(context: InspectContext, target: int) -> attribution.Occlusion:
    """Occlusion: every position of a gray square, in one batch."""
    st.markdown("**Occlusion**: cover a part of the image")
    with st.container(horizontal=True):
        patch = query_state.slider_param(PATCH_PARAM, "Patch, pixels", 2, 16, 8, width=150)
        stride = query_state.slider_param(STRIDE_PARAM, "Step, pixels", 1, 4, 2, width=150)
    found = _occlusion(context, target, patch, min(stride, patch))
    end = max(float(np.abs(found.heatmap).max()), MIN_VMAX)
    picture = clickable_image.ClickableImage(
        uri=png_data_uri(upscaled_png(overlay_heatmap(context.image, found.heatmap, end, signed=True), 1)),
        columns=32,
        rows=32,
        cells=(),
        boxes=[(found.worst_patch.left, found.worst_patch.top, found.worst_patch.right, found.worst_patch.bottom)],
        legend=clickable_image.ColorLegend(
            colorbar=colorbar_uri(True),
            low=f"{formatting.points(end)} higher",
            middle="0",
            high=f"{formatting.points(end)} lower, mean",
        ),
    )
    description = inspection.describe_occlusion(found, context.classes)
    clickable_image.clickable_image(picture, "occlusion", description.replace("*", ""))
    st.markdown(description)
    st.caption(inspection.describe_occlusion_colors(found))
    return found


def _occlusion(context: InspectContext, target: int, patch: int, stride: int) -> attribution.Occlusion:
    return attribution.occlusion(context.layers, context.weights, context.image, target, patch, stride)


def grad_cam_section(context: InspectContext, target: int) -> attribution.GradCam:
    """Draw the Grad-CAM heat map at the ReLU of the chosen convolution."""
    st.markdown("**Grad-CAM**: the evidence in one layer")
    last = context.convolution_names[-1]
    options = {conv: conv for conv in reversed(context.convolution_names)}
    with st.container(height=74, border=False):
        conv = query_state.segmented_param(LAYER_PARAM, "Layer", options)
    found = attribution.grad_cam(
        context.layers, context.weights, context.image, target, context.relu_name(conv or last)
    )
    description = inspection.describe_grad_cam(found, context.classes)
    if found.has_evidence:
        end = float(found.heatmap.max())
        picture = clickable_image.ClickableImage(
            uri=png_data_uri(upscaled_png(overlay_heatmap(context.image, found.heatmap, end), 1)),
            columns=32,
            rows=32,
            cells=(),
            legend=clickable_image.ColorLegend(
                colorbar=colorbar_uri(False), low="0", high=f"{formatting.format_value(end)}, evidence for it"
            ),
        )
        clickable_image.clickable_image(picture, "cam", description.replace("*", ""))
        st.markdown(description)
    else:
        st.info(description, icon=":material/visibility_off:")
    return found
