"""The test images that activate a filter most, beside images from the middle of its range."""

import streamlit as st

from cnnlab import formatting
from cnnlab.analysis import receptive_field
from cnnlab.analysis.top_activations import SelectedImages
from cnnlab.data import is_dataset_available
from cnnlab.inspect import upload
from cnnlab.inspect.computation_panel import computation_panel
from cnnlab.inspect.context import InspectContext
from cnnlab.jobs import top_activations_file
from cnnlab.jobs.top_activations_file import COMPUTATION, TopActivations
from cnnlab.models.architecture import IMAGE_SHAPE
from cnnlab.rendering.color_scale import GAP_PIXELS, png_data_uri
from cnnlab.storage.imported_networks import StoredNetwork
from cnnlab.ui import cache, clickable_image, selection
from cnnlab.ui.image_source import ImageSet, load_image_set, missing_images, thumbnails
from cnnlab.ui.state import session_key

COLUMNS = 3
HEADINGS = {"strongest": "strongest", "middle": "middle of the range"}
SESSION_IMAGE_SELECTED = session_key("inspect.top_activations.image_selected")  # asks the page for a rerun


def top_activations_section(context: InspectContext, conv: str, number: int) -> None:
    """Nine images of each kind, with the receptive field of the strongest pixel framed; a click opens an image."""
    st.header(f"Test images that activate map {number} of {conv}", anchor=False)
    known = load_top_activations(context.run)
    image_set = load_image_set(context.run.dataset)
    if missing := missing_images(context.run):
        st.caption(missing)
        return
    if known is None:
        computation_panel(context.run, COMPUTATION, "Which test images activate a filter most?")
        return
    found = known.examples[context.relu_name(conv)]
    if found.dead[number]:
        st.caption(f"None: the map is zero on all {known.images:,} test images.")
        return
    with st.container(width=620):
        left, right = st.columns(2)
        with left:
            example_images(context, image_set, conv, number, found.top, "strongest")
        with right:
            example_images(context, image_set, conv, number, found.middle, "middle")
    st.caption(
        "The nine strongest images alone overstate how specific a filter is; nine from the middle of its range"
        f" ({formatting.format_range(float(found.minimum[number]), float(found.maximum[number]))} over"
        f" {known.images:,} images) show what else activates it. The frame is the receptive field of its "
        f"strongest pixel."
    )


def example_images(
    context: InspectContext, image_set: ImageSet, conv: str, number: int, picked: SelectedImages, how: str
) -> None:
    """Draw nine images of a filter, each with the receptive field of its strongest pixel framed."""
    images = [int(image) for image in picked.images[number]]
    classes = [image_set.classes[int(image_set.labels[image])] for image in images]
    if how in HEADINGS:
        st.markdown(f"**{HEADINGS[how]}**")
    picture = clickable_image.ClickableImage(
        uri=png_data_uri(thumbnails(image_set.dataset, tuple(images), COLUMNS)),
        columns=COLUMNS,
        rows=-(-len(images) // COLUMNS),
        cells=[
            clickable_image.Cell(
                index=image,
                position=(place % COLUMNS, place // COLUMNS),
                name=f"test image {image}",
                value=f"{classes[place]}, {formatting.format_value(float(picked.values[number][place]))}",
            )
            for place, image in enumerate(images)
        ],
        boxes=[_field_box(context, conv, picked, number, place) for place in range(len(images))],
    )
    named = ", ".join(f"{class_name} {image}" for class_name, image in zip(classes, images, strict=True))
    clickable_image.clickable_image(
        picture,
        f"images {conv} {how}",
        f"Test images that activate map {number} of {conv}, {how}: {named}.",
        on_click=lambda image: _on_image_clicked(image_set.image_name(image)),
    )


def _field_box(
    context: InspectContext, conv: str, picked: SelectedImages, number: int, place: int
) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the receptive field of an image's strongest pixel, in cells of the grid."""
    row, column = int(picked.rows[number][place]), int(picked.columns[number][place])
    field = receptive_field.receptive_field(context.layers, context.relu_name(conv), row, column)
    left, top = place % COLUMNS, place // COLUMNS
    size = IMAGE_SHAPE[0] + GAP_PIXELS
    return left + field.left / size, top + field.top / size, left + field.right / size, top + field.bottom / size


def _on_image_clicked(reference: str) -> None:
    selection.update_selection(image=reference, **{upload.IMAGE_SOURCE_PARAM: None})
    st.session_state[SESSION_IMAGE_SELECTED] = True


def load_top_activations(run: StoredNetwork) -> TopActivations | None:
    """The stored top activations, or None where they are not computed yet."""
    moment = cache.modified_ns(COMPUTATION.directory(run) / top_activations_file.FILE)
    data = local_fingerprint(run.dataset)
    return _load_top_activations(run.name, moment, data, tuple(run.snapshot_epochs()), run) if moment else None


def local_fingerprint(name: str) -> str:
    """The fingerprint of the data set on this machine; "" where it is not here."""
    return cache.dataset(name).fingerprint if is_dataset_available(name) else ""


@st.cache_resource(max_entries=12, show_spinner=False)
def _load_top_activations(
    name: str, moment: int, data: str, epochs: tuple[int, ...], _run: StoredNetwork
) -> TopActivations | None:
    return top_activations_file.load(_run)
