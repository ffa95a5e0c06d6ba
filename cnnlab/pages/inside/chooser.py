"""Which network and which picture: the row on top of the page.

What lies in a closed popover does not hear of a new value: the browser goes on sending the old one, which looks like
somebody's choice. So the widgets in there are listened to only while it is open.
"""

from typing import Literal

import streamlit as st

from cnnlab.pages import address, selection
from cnnlab.pages.inside import photo, tiles
from cnnlab.pages.inside.scene import Scene
from cnnlab.pages.shelf import Shelf, shelf, thumbnails
from cnnlab.runs import Run
from cnnlab.walls import data_uri

RUN, CLASS, NUMBER, PICKER = "inside run", "inside class", "inside number", "inside picker"
SOURCES = {"test": "number", "gallery": "gallery", "upload": "my picture", "camera": "camera"}
COLUMNS, ROWS = 10, 4  # of the gallery


def controls(scene: Scene, runs: list[Run]) -> None:
    """One row: the run, and a button that opens everything by which another picture is chosen."""
    with st.container(horizontal=True, wrap=False, vertical_alignment="bottom", width=800):
        run_menu(scene, runs)
        with st.popover(
            "Picture",
            icon=":material/image:",
            help="Choose another picture, or bring your own",
            key=PICKER,
            on_change=photo.settle,
        ):
            other_picture(scene)


def other_picture(scene: Scene) -> None:
    """Where the picture comes from, and which one it is: a class and a number, the gallery, or a photo."""
    pictures = shelf(scene.run.experiment.dataset)
    source = address.choice("from", "Picture from", SOURCES, heard=picking, wrap=True)
    if source in photo.SOURCES:
        photo.choose(source)
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = class_menu(pictures)
        if source == "test":
            number(scene, pictures)
            return
        numbers = sheet(pictures, label)
    if numbers:
        gallery(scene, pictures, numbers)


def run_menu(scene: Scene, runs: list[Run]) -> None:
    """Any run that has weights."""
    names = {run.name: title(run) for run in runs}
    names.setdefault(scene.run.name, title(scene.run))
    st.session_state[RUN] = scene.run.name
    st.selectbox(
        "Network",
        list(names),
        format_func=lambda name: names[name],
        key=RUN,
        on_change=_run_chosen,
        label_visibility="collapsed",
    )


def title(run: Run) -> str:
    """'3-conv, dropout 0.1', and whether it is still learning."""
    return run.title + (" (training now)" if run.is_live else "")


def class_menu(pictures: Shelf) -> int | None:
    """Pictures of one class only, or of all."""
    names = ["all", *pictures.classes]
    chosen = st.selectbox("Pictures of", names, key=CLASS, on_change=_class_chosen, args=(pictures,), width=150)
    return class_label(pictures, chosen)


def class_label(pictures: Shelf, name: str | None) -> int | None:
    """The class of this name; None for all, or for a class of another data set."""
    return pictures.classes.index(name) if name in pictures.classes else None


def number(scene: Scene, pictures: Shelf) -> None:
    """The number of the picture in the test set."""
    here, last = scene.subject.number or 0, len(pictures.labels) - 1
    st.session_state[NUMBER] = here
    st.number_input(
        f"Number, 0 to {last:,}", 0, last, step=1, key=NUMBER, on_change=_number_chosen, args=(pictures,), width=150
    )


def neighbours(scene: Scene) -> None:
    """Under the picture: the one before and the one after, among those of the chosen class."""
    pictures = shelf(scene.run.experiment.dataset)
    label = class_label(pictures, st.session_state.get(CLASS))
    here = scene.subject.number or 0
    with st.container(horizontal=True, wrap=False, gap="xsmall"):
        step("Back", "left", pictures.reference(pictures.step(here, label, -1)))
        step("Next", "right", pictures.reference(pictures.step(here, label, 1)))


def step(name: str, side: Literal["left", "right"], reference: str) -> None:
    """A button that shows another picture, with an arrow on its side."""
    icon, key = f":material/chevron_{side}:", f"inside {name}"
    st.button(name, icon=icon, icon_position=side, key=key, on_click=leaf, args=(reference,), width="stretch")


def sheet(pictures: Shelf, label: int | None) -> tuple[int, ...]:
    """Forty pictures of the class, by number; where there are more, their page is asked for."""
    numbers, size = pictures.numbers(label), COLUMNS * ROWS
    pages, page = -(-len(numbers) // size), 1
    if pages > 1:
        page = st.number_input(f"Page, 1 to {pages}", 1, pages, key="inside page", width=150)
    return tuple(numbers[(page - 1) * size : page * size].tolist())


def gallery(scene: Scene, pictures: Shelf, shown: tuple[int, ...]) -> None:
    """These pictures; a click shows one."""
    squares = [
        tiles.Square(number=number, at=(place % COLUMNS, place // COLUMNS), name=f"test image {number}", value=kind)
        for place, number in enumerate(shown)
        for kind in [pictures.classes[int(pictures.labels[number])]]
    ]
    picture = tiles.Picture(
        uri=data_uri(thumbnails(pictures.dataset, shown, COLUMNS)),
        columns=COLUMNS,
        rows=-(-len(shown) // COLUMNS),
        squares=squares,
    )
    with st.container(width=560):
        words = f"Gallery of {len(shown)} pictures, numbers {shown[0]} to {shown[-1]}; type a number to see another."
        tiles.draw(
            picture, "gallery", words, chosen=scene.subject.number, on_pick=lambda n: show(pictures.reference(n))
        )


def show(reference: str) -> None:
    """Show this picture."""
    selection.choose(image=reference)


def leaf(reference: str) -> None:
    """Show this picture from the shelf, also where a photo was open."""
    if address.word("from", SOURCES) in photo.SOURCES:
        address.put("from", None)
    show(reference)


def _run_chosen() -> None:
    selection.choose(run=st.session_state[RUN], epoch=None, map=None)


def picking() -> bool:
    """Whether the picker is open."""
    return bool(st.session_state.get(PICKER))


def _class_chosen(pictures: Shelf) -> None:
    label = class_label(pictures, st.session_state[CLASS])
    if picking() and label is not None and len(numbers := pictures.numbers(label)):
        show(pictures.reference(int(numbers[0])))


def _number_chosen(pictures: Shelf) -> None:
    if picking():
        show(pictures.reference(int(st.session_state[NUMBER])))
