"""The controls for the network and the image.

The widgets of a closed popover do not receive new values: the browser sends the old ones, which look like a choice. So
their values are read only while the popover is open.
"""

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from cnnlab.inspect import imported_network, upload
from cnnlab.inspect.context import InspectContext
from cnnlab.rendering.color_scale import png_data_uri
from cnnlab.storage.imported_networks import ImportedNetwork, StoredNetwork
from cnnlab.ui import clickable_image, control_locks, query_state, selected_network, selection
from cnnlab.ui.image_source import ImageSet, load_image_set, thumbnails
from cnnlab.ui.state import session_key, url_param

RUN, CLASS = session_key("inspect.image_controls.run"), session_key("inspect.image_controls.class")
NUMBER = session_key("inspect.image_controls.number")
CLASS_PARAM, PAGE_PARAM = url_param("of"), url_param("gallery")  # the class that the picker is limited to, and its page
PICKER = session_key("inspect.image_controls.picker")
NEIGHBORS = {name: session_key(f"inspect.image_controls.{name.lower()}") for name in ("Back", "Next")}
SOURCES = {"test": "number", "gallery": "gallery", "upload": "my image", "camera": "camera"}
COLUMNS, ROWS = 10, 4  # of the gallery


def run_and_image_controls(context: InspectContext, runs: Sequence[StoredNetwork]) -> None:
    """One row: the menu of networks, and the popovers with the form for one's own and the controls for the image."""
    with st.container(horizontal=True, wrap=False, vertical_alignment="bottom", width=800):
        if not control_locks.is_hidden("run"):
            run_menu(context, runs)
            if not control_locks.is_locked("run"):
                imported_network.import_popover()
        if control_locks.is_hidden("image"):
            return
        with st.popover(
            "Image",
            icon=":material/image:",
            help="Choose another image, or use your own",
            key=PICKER,
            disabled=control_locks.is_locked("image"),
            on_change=upload.write_crop_to_url,
        ):
            image_picker(context)


def image_picker(context: InspectContext) -> None:
    """Where the image comes from, and which one it is: a class and a number, the gallery, or a photo."""
    image_set = load_image_set(context.run.dataset)
    source = query_state.segmented_param(
        upload.IMAGE_SOURCE_PARAM, "Image from", SOURCES, is_active=is_picker_open, wrap=True
    )
    if source in upload.SOURCES:
        upload.upload_controls(source)
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = class_menu(image_set)
        if source == "test":
            image_number_input(context, image_set)
            return
        numbers = gallery_page(image_set, label)
    if numbers:
        gallery(context, image_set, numbers)


def run_menu(context: InspectContext, runs: Sequence[StoredNetwork]) -> None:
    """The menu of networks that have weights to look into."""
    own = imported_network.visible_networks(context.run.name)
    names = {run.name: run_title(run) for run in (*own, *runs)}
    names.setdefault(context.run.name, run_title(context.run))
    st.session_state[RUN] = context.run.name
    st.selectbox(
        "Network",
        list(names),
        format_func=lambda name: names[name],
        key=RUN,
        on_change=_on_run_selected,
        label_visibility="collapsed",
        disabled=control_locks.is_locked("run"),
    )


def run_title(run: StoredNetwork) -> str:
    """'3-conv, dropout 0.1', and whether it is still learning."""
    kind = " (your own network)" if isinstance(run, ImportedNetwork) else ""
    return run.title + kind + (" (training now)" if run.is_live else "")


def class_menu(image_set: ImageSet) -> int | None:
    """Images of one class only, or of all. The twenty samples hold neither a bird nor a deer."""
    names = ["all", *(name for label, name in enumerate(image_set.classes) if len(image_set.indices(label)))]
    label = chosen_class(image_set)
    st.session_state[CLASS] = names[0] if label is None else image_set.classes[label]
    st.selectbox("Images of", names, key=CLASS, on_change=_on_class_selected, args=(image_set,), width=150)
    return label


def chosen_class(image_set: ImageSet) -> int | None:
    """The class that the URL limits the picker to; None for all, or for a class that has no image here."""
    name = st.query_params.get(CLASS_PARAM, "")
    label = image_set.classes.index(name) if name in image_set.classes else None
    return label if label is not None and len(image_set.indices(label)) else None


def image_number_input(context: InspectContext, image_set: ImageSet) -> None:
    """The number of the image in the test set."""
    here, last = context.selected_image.index or 0, len(image_set.labels) - 1
    st.session_state[NUMBER] = here
    st.number_input(
        f"Number, 0 to {last:,}",
        0,
        last,
        step=1,
        key=NUMBER,
        on_change=_on_number_entered,
        args=(image_set,),
        width=150,
    )


def neighbor_buttons(context: InspectContext) -> None:
    """Under the image: the one before and the one after, among those of the chosen class."""
    if control_locks.is_hidden("image"):
        return
    image_set = load_image_set(context.run.dataset)
    label = chosen_class(image_set)
    here = context.selected_image.index or 0
    with st.container(horizontal=True, wrap=False, gap="xsmall"):
        neighbor_button("Back", "left", image_set.image_name(image_set.neighbor(here, label, -1)))
        neighbor_button("Next", "right", image_set.image_name(image_set.neighbor(here, label, 1)))


def neighbor_button(name: str, side: Literal["left", "right"], reference: str) -> None:
    """A button that shows another image, with an arrow on its side."""
    icon, key = f":material/chevron_{side}:", NEIGHBORS[name]
    st.button(
        name, icon=icon, icon_position=side, key=key, on_click=select_neighbor, args=(reference,), width="stretch",
        disabled=control_locks.is_locked("image"),
    )  # fmt: skip


def gallery_page(image_set: ImageSet, label: int | None) -> tuple[int, ...]:
    """Forty images of the class, by number; where there are more, their page is asked for."""
    numbers, size = image_set.indices(label), COLUMNS * ROWS
    pages, page = -(-len(numbers) // size), 1
    if pages > 1:
        page = query_state.number_param(
            PAGE_PARAM, f"Page, 1 to {pages}", 1, pages, 1, is_active=is_picker_open, width=150
        )
    return tuple(numbers[(page - 1) * size : page * size].tolist())


def gallery(context: InspectContext, image_set: ImageSet, shown: tuple[int, ...]) -> None:
    """These images; a click shows one."""
    cells = [
        clickable_image.Cell(
            index=number, position=(place % COLUMNS, place // COLUMNS), name=f"test image {number}", value=kind
        )
        for place, number in enumerate(shown)
        for kind in [image_set.classes[int(image_set.labels[number])]]
    ]
    picture = clickable_image.ClickableImage(
        uri=png_data_uri(thumbnails(image_set.dataset, shown, COLUMNS)),
        columns=COLUMNS,
        rows=-(-len(shown) // COLUMNS),
        cells=cells,
    )
    with st.container(width=560):
        words = f"Gallery of {len(shown)} images, numbers {shown[0]} to {shown[-1]}; type a number to see another."
        clickable_image.clickable_image(
            picture,
            "gallery",
            words,
            selected=context.selected_image.index,
            on_click=lambda n: select_image(image_set.image_name(n)),
        )


def select_image(reference: str) -> None:
    """Make this the selected image, in the session and in the address."""
    selection.update_selection(image=reference)


def select_neighbor(reference: str) -> None:
    """Show this test image, also where a photo was open."""
    source = query_state.read_option(upload.IMAGE_SOURCE_PARAM, SOURCES)
    closed = {upload.IMAGE_SOURCE_PARAM: None} if source in upload.SOURCES else {}
    selection.update_selection(image=reference, **closed)


def _on_run_selected() -> None:
    selected_network.select_run(st.session_state[RUN])


def is_picker_open() -> bool:
    """Whether the picker is open."""
    return bool(st.session_state.get(PICKER))


def _on_class_selected(image_set: ImageSet) -> None:
    if not is_picker_open():
        return
    name = st.session_state[CLASS]
    limits = {CLASS_PARAM: name if name in image_set.classes else None, PAGE_PARAM: None}
    if name in image_set.classes and len(numbers := image_set.indices(image_set.classes.index(name))):
        selection.update_selection(image=image_set.image_name(int(numbers[0])), **limits)
    else:
        query_state.set_params(limits)


def _on_number_entered(image_set: ImageSet) -> None:
    if is_picker_open():
        select_image(image_set.image_name(int(st.session_state[NUMBER])))
