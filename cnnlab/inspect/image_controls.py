"""Which network and which picture: the row on top of the page.

What lies in a closed popover does not hear of a new value: the browser goes on sending the old one, which looks like
somebody's choice. So the widgets in there are listened to only while it is open.
"""

from typing import Literal

import streamlit as st

from cnnlab.inspect import upload
from cnnlab.inspect.context import InspectContext
from cnnlab.rendering.feature_map_grid import png_data_uri
from cnnlab.storage.runs import Run
from cnnlab.ui import clickable_image, query_state, selection
from cnnlab.ui.image_source import ImageSet, load_image_set, thumbnails
from cnnlab.ui.state import session_key

RUN, CLASS = session_key("inspect.image_controls.run"), session_key("inspect.image_controls.class")
NUMBER, PAGE = session_key("inspect.image_controls.number"), session_key("inspect.image_controls.page")
PICKER = session_key("inspect.image_controls.picker")
NEIGHBORS = {name: session_key(f"inspect.image_controls.{name.lower()}") for name in ("Back", "Next")}
SOURCES = {"test": "number", "gallery": "gallery", "upload": "my picture", "camera": "camera"}
COLUMNS, ROWS = 10, 4  # of the gallery


def run_and_image_controls(scene: InspectContext, runs: list[Run]) -> None:
    """One row: the run, and a button that opens everything by which another picture is chosen."""
    with st.container(horizontal=True, wrap=False, vertical_alignment="bottom", width=800):
        run_menu(scene, runs)
        with st.popover(
            "Picture",
            icon=":material/image:",
            help="Choose another picture, or bring your own",
            key=PICKER,
            on_change=upload.write_crop_to_url,
        ):
            image_picker(scene)


def image_picker(scene: InspectContext) -> None:
    """Where the picture comes from, and which one it is: a class and a number, the gallery, or a photo."""
    pictures = load_image_set(scene.run.experiment.dataset)
    source = query_state.segmented_param(
        upload.IMAGE_SOURCE_PARAM, "Picture from", SOURCES, is_active=is_picker_open, wrap=True
    )
    if source in upload.SOURCES:
        upload.upload_controls(source)
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = class_menu(pictures)
        if source == "test":
            image_number_input(scene, pictures)
            return
        numbers = gallery_page(pictures, label)
    if numbers:
        gallery(scene, pictures, numbers)


def run_menu(scene: InspectContext, runs: list[Run]) -> None:
    """Any run that has weights."""
    names = {run.name: run_title(run) for run in runs}
    names.setdefault(scene.run.name, run_title(scene.run))
    st.session_state[RUN] = scene.run.name
    st.selectbox(
        "Network",
        list(names),
        format_func=lambda name: names[name],
        key=RUN,
        on_change=_on_run_selected,
        label_visibility="collapsed",
    )


def run_title(run: Run) -> str:
    """'3-conv, dropout 0.1', and whether it is still learning."""
    return run.title + (" (training now)" if run.is_live else "")


def class_menu(pictures: ImageSet) -> int | None:
    """Pictures of one class only, or of all. The twenty samples hold neither a bird nor a deer."""
    names = ["all", *(name for label, name in enumerate(pictures.classes) if len(pictures.indices(label)))]
    chosen = st.selectbox("Pictures of", names, key=CLASS, on_change=_on_class_selected, args=(pictures,), width=150)
    return class_label(pictures, chosen)


def class_label(pictures: ImageSet, name: str | None) -> int | None:
    """The class of this name; None for all, or for a class of another data set."""
    return pictures.classes.index(name) if name in pictures.classes else None


def image_number_input(scene: InspectContext, pictures: ImageSet) -> None:
    """The number of the picture in the test set."""
    here, last = scene.selected_image.index or 0, len(pictures.labels) - 1
    st.session_state[NUMBER] = here
    st.number_input(
        f"Number, 0 to {last:,}", 0, last, step=1, key=NUMBER, on_change=_on_number_entered, args=(pictures,), width=150
    )


def neighbor_buttons(scene: InspectContext) -> None:
    """Under the picture: the one before and the one after, among those of the chosen class."""
    pictures = load_image_set(scene.run.experiment.dataset)
    label = class_label(pictures, st.session_state.get(CLASS))
    here = scene.selected_image.index or 0
    with st.container(horizontal=True, wrap=False, gap="xsmall"):
        neighbor_button("Back", "left", pictures.image_name(pictures.neighbor(here, label, -1)))
        neighbor_button("Next", "right", pictures.image_name(pictures.neighbor(here, label, 1)))


def neighbor_button(name: str, side: Literal["left", "right"], reference: str) -> None:
    """A button that shows another picture, with an arrow on its side."""
    icon, key = f":material/chevron_{side}:", NEIGHBORS[name]
    st.button(
        name, icon=icon, icon_position=side, key=key, on_click=select_neighbor, args=(reference,), width="stretch"
    )


def gallery_page(pictures: ImageSet, label: int | None) -> tuple[int, ...]:
    """Forty pictures of the class, by number; where there are more, their page is asked for."""
    numbers, size = pictures.indices(label), COLUMNS * ROWS
    pages, page = -(-len(numbers) // size), 1
    if pages > 1:
        page = st.number_input(f"Page, 1 to {pages}", 1, pages, key=PAGE, width=150)
    return tuple(numbers[(page - 1) * size : page * size].tolist())


def gallery(scene: InspectContext, pictures: ImageSet, shown: tuple[int, ...]) -> None:
    """These pictures; a click shows one."""
    squares = [
        clickable_image.Cell(
            index=number, position=(place % COLUMNS, place // COLUMNS), name=f"test image {number}", value=kind
        )
        for place, number in enumerate(shown)
        for kind in [pictures.classes[int(pictures.labels[number])]]
    ]
    picture = clickable_image.ClickableImage(
        uri=png_data_uri(thumbnails(pictures.dataset, shown, COLUMNS)),
        columns=COLUMNS,
        rows=-(-len(shown) // COLUMNS),
        cells=squares,
    )
    with st.container(width=560):
        words = f"Gallery of {len(shown)} pictures, numbers {shown[0]} to {shown[-1]}; type a number to see another."
        clickable_image.clickable_image(
            picture,
            "gallery",
            words,
            selected=scene.selected_image.index,
            on_click=lambda n: select_image(pictures.image_name(n)),
        )


def select_image(reference: str) -> None:
    """Show this picture."""
    selection.update_selection(image=reference)


def select_neighbor(reference: str) -> None:
    """Show this picture from the shelf, also where a photo was open."""
    source = query_state.read_option(upload.IMAGE_SOURCE_PARAM, SOURCES)
    closed = {upload.IMAGE_SOURCE_PARAM: None} if source in upload.SOURCES else {}
    selection.update_selection(image=reference, **closed)


def _on_run_selected() -> None:
    selection.update_selection(run=st.session_state[RUN], epoch=None, map=None)


def is_picker_open() -> bool:
    """Whether the picker is open."""
    return bool(st.session_state.get(PICKER))


def _on_class_selected(pictures: ImageSet) -> None:
    label = class_label(pictures, st.session_state[CLASS])
    if is_picker_open() and label is not None and len(numbers := pictures.indices(label)):
        select_image(pictures.image_name(int(numbers[0])))


def _on_number_entered(pictures: ImageSet) -> None:
    if is_picker_open():
        select_image(pictures.image_name(int(st.session_state[NUMBER])))
