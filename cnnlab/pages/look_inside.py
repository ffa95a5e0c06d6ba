"""What does the network see in this picture? The run, the image, what the network says, and ways to look inside.

The first screen is simple: the picture, what the network says about it, and every map of every convolution layer.
Everything else is one click away, and only the view that is open computes anything.
"""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from cnnlab.pages import address, cached, heap, selection
from cnnlab.pages.inside import (
    answer,
    blocks,
    chooser,
    epochs,
    excites,
    kernels,
    maps,
    one_map,
    photo,
    switches,
    two_runs,
    what_if,
    why,
    xray,
)
from cnnlab.pages.inside.scene import Scene
from cnnlab.pages.selection import Selection
from cnnlab.pages.shelf import Subject, shelf, subject
from cnnlab.runs import Run
from cnnlab.walls import enlarged

FIRST_CHOICE = "final-3conv-dropout"  # the report looked inside this one
VIEWS: dict[str, tuple[str, Callable[[Scene], None]]] = {
    "maps": ("All maps", maps.view),
    "blocks": ("Blocks", blocks.view),
    "map": ("One map", one_map.view),
    "kernels": ("Kernels", kernels.view),
    "why": ("Why this class", why.view),
    "off": ("Switch off", switches.view),
    "versus": ("Two runs", two_runs.view),
    "xray": ("Regularizer", xray.view),
    "whatif": ("What if", what_if.view),
}
WORDS = {  # of the address, beside those of the selection; what a view adds is named in it
    *("view", "from", "scale", "order", "class", "hold", "stage", "pixel", "kernels", "why", "cam"),
    *("dropout", "weights", "bn"),
}


def page() -> None:
    """Choose, look, go deeper."""
    heap.give_back()
    st.title("What does the network see in this picture?", anchor=False)
    runs = cached.finished_runs()
    if not runs:
        st.info("No network has been trained here yet: train one on the page Train, then look inside it here.")
        return
    address.forget_others({*selection.NAMES, *WORDS})
    scene = chosen(runs)
    if scene is None:
        return
    chooser.controls(scene, runs)
    left, right = st.columns([1, 3.7], gap="small")
    with left:
        picture(scene)
        with st.container(gap="xsmall"):
            epochs.controls(scene)
    with right:
        looking(scene.run, scene.epoch, scene.subject)


def chosen(runs: list[Run]) -> Scene | None:
    """The run, epoch and image that the address names, as far as they exist; the address then says what is shown."""
    wanted = selection.current()
    usual = next((run for run in runs if run.name == FIRST_CHOICE), runs[0])
    run = selection.open_chosen(wanted.run, usual) or usual
    kept = run.snapshots()
    if not kept:
        st.info(f"{run.title} has no weights yet: its first epoch has just begun.")
        return None
    fitted, problems = selection.fit(wanted, run.layers, kept)
    pictures = shelf(run.experiment.dataset)
    found = subject(photo.shown(wanted.image), pictures)
    selection.complain(problems + [found.problem] * bool(found.problem))
    reference = wanted.image if found.number is None else pictures.reference(found.number)
    selection.remember(kept_words(wanted, fitted, run, reference))
    return Scene(run=run, epoch=fitted.epoch if fitted.epoch is not None else kept[-1], subject=found)


def kept_words(wanted: Selection, fitted: Selection, run: Run, image: str) -> Selection:
    """What goes into the address: the run and the image always, the rest where somebody chose it and it exists."""
    epoch = fitted.epoch if wanted.epoch is not None else None
    layer = fitted.layer if wanted.layer else ""
    return replace(wanted, run=run.name, image=image, epoch=epoch, layer=layer, map=fitted.map)


def picture(scene: Scene) -> None:
    """The image, and what the network says about it: side by side on a phone, one below the other in a column."""
    truth = scene.subject.truth
    known = f"{scene.subject.name}: {scene.classes[truth]}" if truth is not None else scene.subject.name
    grid = st.grid(2, min_column_width=150, gap="small")
    with grid.cell(), st.container(gap="xsmall"):
        st.image(enlarged(scene.image, 7), alt=f"32x32 pixels, {known}", width="stretch")
        st.caption(known, text_alignment="center")
        chooser.neighbours(scene)
    with grid.cell():
        st.markdown(answer.sentence(scene.probabilities, scene.classes, truth))
        answer.bars(scene.probabilities, scene.classes, truth, key="inside bars")
    if truth is None:
        st.caption(f"It knows ten classes only ({', '.join(scene.classes)}) and answers with one of them, always.")


@st.fragment
def looking(run: Run, epoch: int, subject: Subject) -> None:
    """The view that is open. What is clicked inside it draws only this part anew.

    A session keeps the arguments of a fragment for as long as it lives: it gets no `Scene`, whose maps are 600 kB.
    """
    if st.session_state.pop(excites.ANOTHER, False):
        st.rerun()  # another picture was chosen in here: the whole page is about it
    titles = {name: title for name, (title, _) in VIEWS.items()}
    view = address.choice("view", "Look at", titles, wrap=False, label_visibility="collapsed")
    VIEWS[view][1](Scene(run=run, epoch=epoch, subject=subject))
