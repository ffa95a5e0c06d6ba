"""What excites a filter: the nine test images that do it most and, honestly beside them, nine from its middle range."""

import streamlit as st

from cnnlab import formatting
from cnnlab.analysis import receptive_field
from cnnlab.analysis.top_activations import SelectedImages
from cnnlab.data import is_dataset_available
from cnnlab.inspect import upload
from cnnlab.inspect.context import InspectContext
from cnnlab.jobs import top_activations_file, top_activations_job
from cnnlab.jobs.top_activations_file import TopActivations, TopActivationsError
from cnnlab.rendering.color_scale import png_data_uri
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage.runs import Run
from cnnlab.ui import cache, clickable_image, selection
from cnnlab.ui.image_source import ImageSet, load_image_set, thumbnails
from cnnlab.ui.state import session_key

COLUMNS = 3
SESSION_IMAGE_SELECTED = session_key("inspect.top_activations.image_selected")  # asks the page for a rerun


def top_activations_section(scene: InspectContext, conv: str, number: int) -> None:
    """Two galleries of nine, the receptive field of the strongest pixel framed; a click opens a picture."""
    st.markdown(f"## What excites map {number} of {conv}")
    known = load_top_activations(scene.run)
    pictures = load_image_set(scene.run.experiment.dataset)
    if not pictures.complete:
        st.caption(
            "This is asked of all test images, which are not on this machine: prepare CIFAR-10 on the page Train."
        )
        return
    if known is None:
        offer_computation(scene.run, "Which test images excite a filter most?")
        return
    found = known.examples[scene.relu_name(conv)]
    if found.dead[number]:
        st.caption(f"Nothing: it is zero on all {known.images:,} test images.")
        return
    with st.container(width=620):
        left, right = st.columns(2)
        with left:
            example_images(scene, pictures, conv, number, found.top, "most")
        with right:
            example_images(scene, pictures, conv, number, found.middle, "half as much")
    st.caption(
        "Nine that excite it most make a filter look cleverer than it is; nine from the middle of its range"
        f" ({formatting.format_range(float(found.minimum[number]), float(found.maximum[number]))} over"
        f" {known.images:,} images) show what else it answers. The frame is what the strongest pixel can see."
    )


def example_images(
    scene: InspectContext, pictures: ImageSet, conv: str, number: int, picked: SelectedImages, how: str
) -> None:
    """Nine pictures with their frames."""
    images = [int(image) for image in picked.images[number]]
    squares, boxes = [], []
    for place, image in enumerate(images):
        row, column = divmod(place, COLUMNS)
        kind, value = pictures.classes[int(pictures.labels[image])], float(picked.values[number][place])
        said = f"{kind}, {formatting.format_value(value)}"
        squares.append(
            clickable_image.Cell(index=image, position=(column, row), name=f"test image {image}", value=said)
        )
        box = receptive_field.receptive_field(
            scene.layers,
            scene.relu_name(conv),
            int(picked.rows[number][place]),
            int(picked.columns[number][place]),
        )
        boxes.append(tuple(edge / 33 + start for edge, start in zip(
            (box.left, box.top, box.right, box.bottom), (column, row, column, row), strict=True
        )))  # fmt: skip
    st.markdown(f"**{how}**")
    picture = clickable_image.ClickableImage(
        uri=png_data_uri(thumbnails(pictures.dataset, tuple(images), COLUMNS)),
        columns=COLUMNS,
        rows=-(-len(images) // COLUMNS),
        cells=squares,
        boxes=boxes,  # type: ignore[arg-type]
    )
    kinds = ", ".join(f"{pictures.classes[int(pictures.labels[image])]} {image}" for image in images)
    clickable_image.clickable_image(
        picture, f"nine {how}", f"Test images that excite map {number} of {conv} {how}: {kinds}.",
        on_click=lambda image: _on_image_clicked(pictures.image_name(image)),
    )  # fmt: skip


def _on_image_clicked(reference: str) -> None:
    selection.update_selection(image=reference, **{upload.IMAGE_SOURCE_PARAM: None})
    st.session_state[SESSION_IMAGE_SELECTED] = True


SESSION_START_ERROR = session_key("inspect.top_activations.start_error")


def load_top_activations(run: Run) -> TopActivations | None:
    """The answers, or None where they are still to be computed."""
    name = run.experiment.dataset
    moment = cache.modified_ns(top_activations_file.result_directory(run) / top_activations_file.FILE)
    data = cache.dataset(name).fingerprint if is_dataset_available(name) else ""
    return _load_top_activations(run.name, moment, data, tuple(run.snapshot_epochs()), run) if moment else None


@st.cache_resource(max_entries=12, show_spinner=False)
def _load_top_activations(
    name: str, moment: int, data: str, epochs: tuple[int, ...], _run: Run
) -> TopActivations | None:
    return top_activations_file.load(_run)


def offer_computation(run: Run, why: str) -> None:
    """Say why it is needed, and start the worker at a click; while it works, show how far it is."""
    now = top_activations_job.job_status(run)
    if now is not None and now.is_live:
        computation_progress(run)
        return
    if problem := st.session_state.pop(SESSION_START_ERROR, None) or (now and now.message):
        st.warning(escape_markdown(problem))
    st.info(f"{why} It takes about 15 seconds, once for this run.", icon=":material/grid_view:")
    st.button("Ask all test images", icon=":material/play_arrow:", on_click=_on_start, args=(run,))


def _on_start(run: Run) -> None:
    """A callback: what it raises would be no sentence on the page."""
    try:
        top_activations_job.start(run)
    except TopActivationsError as problem:
        st.session_state[SESSION_START_ERROR] = str(problem)


@st.fragment(run_every=0.5)
def computation_progress(run: Run) -> None:
    """Drawn again twice a second; the end draws the page once more."""
    now = top_activations_job.job_status(run)
    if now is None or not now.is_live:
        st.rerun()
    elif now.state == "waiting":
        st.progress(0.0, "Waiting for its turn: another network is being asked")
    else:
        st.progress(now.done / max(now.total, 1), f"Asking the test images: {now.done:,} of {now.total:,}")
