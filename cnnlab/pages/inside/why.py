"""Why this class: cover a piece of the picture and see what it costs; ask a layer what speaks for the class."""

import numpy as np
import streamlit as st

from cnnlab import lens
from cnnlab.lens import telling
from cnnlab.pages import address
from cnnlab.pages.inside import maps, tiles
from cnnlab.pages.inside.scene import Scene
from cnnlab.walls import LEAST, data_uri, enlarged, overlay, ramp


def view(scene: Scene) -> None:
    """The class that is asked about, then the question from outside and the one from inside, side by side."""
    best = int(scene.probabilities.argmax())
    names = {str(label): name for label, name in enumerate(scene.classes)}
    names = {str(best): f"{names[str(best)]} (its answer)"} | {
        label: name for label, name in names.items() if label != str(best)
    }
    truth = scene.subject.truth
    if truth is not None and truth != best:
        names[str(truth)] += " (the truth)"
    target = int(address.menu("why", "Why this class?", names, width=220))
    left, right = maps.cells(2)
    with left:
        covered(scene, target)
    with right:
        evidence(scene, target)
    st.caption(
        "The two may disagree: covering asks the whole network from outside, with a grey square it has never seen; "
        "Grad-CAM asks one layer from inside, and sees only what speaks for the class."
    )


def covered(scene: Scene, target: int) -> None:
    """Occlusion: every position of a grey square, in one batch."""
    st.markdown("**Cover a piece** (occlusion)")
    with st.container(horizontal=True):
        patch = st.slider("Patch, pixels", 2, 16, 8, key="inside patch", width=150)
        stride = st.slider("Step, pixels", 1, 4, 2, key="inside stride", width=150)
    found = _occlusion(scene, target, int(patch), min(int(stride), int(patch)))
    end = max(float(np.abs(found.heat).max()), LEAST)
    picture = tiles.Picture(
        uri=data_uri(enlarged(overlay(scene.image, found.heat, end, signed=True), 1)),
        columns=32,
        rows=32,
        squares=(),
        boxes=[(found.worst.left, found.worst.top, found.worst.right, found.worst.bottom)],
        legend=tiles.Legend(
            picture=ramp(True), low=f"{telling.points(end)} won", middle="0", high=f"{telling.points(end)} lost, mean"
        ),
    )
    said = telling.occluded(found, scene.classes)
    tiles.draw(picture, "occlusion", said.replace("*", ""))
    st.markdown(said)
    st.caption(telling.colours_of(found))


def _occlusion(scene: Scene, target: int, patch: int, stride: int) -> lens.Occlusion:
    return lens.occlusion(scene.layers, scene.weights, scene.image, target, patch, stride)


def evidence(scene: Scene, target: int) -> None:
    """Grad-CAM at any convolution's ReLU."""
    st.markdown("**Ask a layer** (Grad-CAM)")
    last = scene.convolutions[-1]
    options = {conv: conv for conv in reversed(scene.convolutions)}
    with st.container(height=74, border=False):
        conv = address.choice("cam", "Layer", options)
    found = lens.grad_cam(scene.layers, scene.weights, scene.image, target, scene.activation(conv or last))
    said = telling.cam(found, scene.classes)
    if found.has_evidence:
        end = float(found.heat.max())
        picture = tiles.Picture(
            uri=data_uri(enlarged(overlay(scene.image, found.heat, end), 1)),
            columns=32,
            rows=32,
            squares=(),
            legend=tiles.Legend(picture=ramp(False), low="0", high=f"{tiles.number(end)}, speaks for it"),
        )
        tiles.draw(picture, "cam", said.replace("*", ""))
        st.markdown(said)
    else:
        st.info(said, icon=":material/visibility_off:")
