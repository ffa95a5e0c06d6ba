"""Why this class: cover a piece of the picture and see what it costs; ask a layer what speaks for the class."""

import numpy as np
import streamlit as st

from cnnlab import formatting
from cnnlab.analysis import attribution
from cnnlab.explanations import inspection
from cnnlab.inspect import feature_maps
from cnnlab.inspect.context import InspectContext
from cnnlab.rendering.color_scale import MIN_VMAX, colorbar_uri, overlay_heatmap, png_data_uri, upscaled_png
from cnnlab.ui import clickable_image, query_state
from cnnlab.ui.state import session_key, url_param

PATCH, STRIDE = session_key("inspect.attribution.patch"), session_key("inspect.attribution.stride")
CLASS_PARAM, LAYER_PARAM = url_param("why"), url_param("cam")


def attribution_view(scene: InspectContext) -> None:
    """The class that is asked about, then the question from outside and the one from inside, side by side."""
    best = int(scene.probabilities.argmax())
    names = {str(label): name for label, name in enumerate(scene.classes)}
    names = {str(best): f"{names[str(best)]} (its answer)"} | {
        label: name for label, name in names.items() if label != str(best)
    }
    truth = scene.selected_image.true_class
    if truth is not None and truth != best:
        names[str(truth)] += " (the truth)"
    target = int(query_state.select_param(CLASS_PARAM, "Why this class?", names, width=220))
    left, right = feature_maps.grid_cells(2)
    with left:
        occlusion_section(scene, target)
    with right:
        grad_cam_section(scene, target)
    st.caption(
        "The two may disagree: covering asks the whole network from outside, with a grey square it has never seen; "
        "Grad-CAM asks one layer from inside, and sees only what speaks for the class."
    )


def occlusion_section(scene: InspectContext, target: int) -> None:
    """Occlusion: every position of a grey square, in one batch."""
    st.markdown("**Cover a piece** (occlusion)")
    with st.container(horizontal=True):
        patch = st.slider("Patch, pixels", 2, 16, 8, key=PATCH, width=150)
        stride = st.slider("Step, pixels", 1, 4, 2, key=STRIDE, width=150)
    found = _occlusion(scene, target, int(patch), min(int(stride), int(patch)))
    end = max(float(np.abs(found.heatmap).max()), MIN_VMAX)
    picture = clickable_image.ClickableImage(
        uri=png_data_uri(upscaled_png(overlay_heatmap(scene.image, found.heatmap, end, signed=True), 1)),
        columns=32,
        rows=32,
        cells=(),
        boxes=[(found.worst_patch.left, found.worst_patch.top, found.worst_patch.right, found.worst_patch.bottom)],
        legend=clickable_image.ColorLegend(
            colorbar=colorbar_uri(True),
            low=f"{formatting.points(end)} won",
            middle="0",
            high=f"{formatting.points(end)} lost, mean",
        ),
    )
    said = inspection.explain_occlusion(found, scene.classes)
    clickable_image.clickable_image(picture, "occlusion", said.replace("*", ""))
    st.markdown(said)
    st.caption(inspection.explain_occlusion_colors(found))


def _occlusion(scene: InspectContext, target: int, patch: int, stride: int) -> attribution.Occlusion:
    return attribution.occlusion(scene.layers, scene.weights, scene.image, target, patch, stride)


def grad_cam_section(scene: InspectContext, target: int) -> None:
    """Grad-CAM at any convolution's ReLU."""
    st.markdown("**Ask a layer** (Grad-CAM)")
    last = scene.convolution_names[-1]
    options = {conv: conv for conv in reversed(scene.convolution_names)}
    with st.container(height=74, border=False):
        conv = query_state.segmented_param(LAYER_PARAM, "Layer", options)
    found = attribution.grad_cam(scene.layers, scene.weights, scene.image, target, scene.relu_name(conv or last))
    said = inspection.explain_grad_cam(found, scene.classes)
    if found.has_evidence:
        end = float(found.heatmap.max())
        picture = clickable_image.ClickableImage(
            uri=png_data_uri(upscaled_png(overlay_heatmap(scene.image, found.heatmap, end), 1)),
            columns=32,
            rows=32,
            cells=(),
            legend=clickable_image.ColorLegend(
                colorbar=colorbar_uri(False), low="0", high=f"{formatting.format_value(end)}, speaks for it"
            ),
        )
        clickable_image.clickable_image(picture, "cam", said.replace("*", ""))
        st.markdown(said)
    else:
        st.info(said, icon=":material/visibility_off:")
