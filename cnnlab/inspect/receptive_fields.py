"""The view "Receptive field": which pixels of the image change the middle pixel of each convolution, and how much."""

import streamlit as st

from cnnlab.analysis import effective_receptive_field as analysis
from cnnlab.analysis.effective_receptive_field import EffectiveReceptiveField
from cnnlab.explanations import notices
from cnnlab.inspect import feature_maps
from cnnlab.inspect.context import InspectContext
from cnnlab.inspect.notice import notice
from cnnlab.rendering.color_scale import colorbar_uri, colorize, png_data_uri, upscaled_png
from cnnlab.storage.imported_networks import StoredNetwork
from cnnlab.storage.runs import Run
from cnnlab.ui import cache, clickable_image
from cnnlab.ui.image_source import load_image_set

IMAGE_COUNT = 200


def receptive_fields_view(context: InspectContext) -> None:
    """The theoretical and the effective receptive field of each convolution, before training and at this epoch."""
    first = context.run.snapshot_epochs()[0]
    epochs = list(dict.fromkeys((first, context.epoch)))
    found = compute_receptive_fields(context, epochs)
    last = context.convolution_names[-1]
    trained_here = isinstance(context.run, Run)
    notice(notices.receptive_field_notice(found[first, last] if trained_here else None, found[context.epoch, last]))
    for epoch in epochs:
        if trained_here:
            st.markdown(f"**Epoch {epoch}**{', before training' if epoch == 0 else ''}")
        cells = feature_maps.grid_cells(len(context.convolution_names))
        for conv, cell in zip(context.convolution_names, cells, strict=True):
            with cell:
                receptive_field_image(found[epoch, conv], epoch)
    images = found[context.epoch, last].images
    st.caption(
        f"Color: the gradient of the middle pixel of the layer with respect to each pixel of the image, over "
        f"{images} test"
        " images, all filters and the three colors (root of the mean square). Frame: the theoretical receptive field, "
        "outside which the gradient is zero. The layer is taken before ReLU. Method: Luo and others, 2016."
    )


def compute_receptive_fields(
    context: InspectContext, epochs: list[int]
) -> dict[tuple[int, str], EffectiveReceptiveField]:
    """The effective receptive fields by epoch and convolution, with a progress bar while they are computed."""
    tasks = [(epoch, conv) for epoch in epochs for conv in context.convolution_names]
    found, bar = {}, st.progress(0.0, "Receptive fields")
    for done, (epoch, conv) in enumerate(tasks):
        bar.progress(done / len(tasks), f"Receptive field of {conv}, epoch {epoch}")
        found[epoch, conv] = _effective_receptive_field(str(context.run.path), epoch, conv, context.run)
    bar.empty()
    return found


@st.cache_data(max_entries=64, show_spinner=False)
def _effective_receptive_field(path: str, epoch: int, conv: str, _run: StoredNetwork) -> EffectiveReceptiveField:
    layers = _run.layers
    images = load_image_set(_run.dataset).images[:IMAGE_COUNT]
    return analysis.effective_receptive_field(layers, cache.weights(_run, epoch), images, conv)


def receptive_field_image(found: EffectiveReceptiveField, epoch: int) -> None:
    """The root of the energy on the image's pixels, with the theoretical receptive field framed."""
    box, values = found.theoretical, found.energy**0.5
    side, count = box.bottom - box.top, found.theoretical_pixel_count
    size = f"90 % of the effect on **{found.pixel_count} of {count}** pixels"
    st.markdown(f"**{found.layer_name}**: theoretical {side}x{box.right - box.left}; {size}")
    picture = clickable_image.ClickableImage(
        uri=png_data_uri(upscaled_png(colorize(values, float(values.max()), signed=False), 1)),
        columns=values.shape[1],
        rows=values.shape[0],
        cells=(),
        boxes=[(box.left, box.top, box.right, box.bottom)],
        legend=clickable_image.ColorLegend(colorbar=colorbar_uri(False), low="0", high="largest gradient"),
    )
    alt = (
        f"Effective receptive field of {found.layer_name} at epoch {epoch}: {size.replace('*', '')}; the frame of rows "
        f"{box.top} to {box.bottom - 1}, columns {box.left} to {box.right - 1} is the theoretical one."
    )
    clickable_image.clickable_image(picture, f"receptive field {found.layer_name} {epoch}", alt)
