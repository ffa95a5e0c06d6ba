"""What if the picture were a little different? Turned, moved, brighter, noisy: the picture and the answer at once."""

import streamlit as st

from cnnlab import forward
from cnnlab.lens import telling
from cnnlab.pages.inside import answer, maps
from cnnlab.pages.inside.scene import Scene
from cnnlab.walls import enlarged
from cnnlab.whatif import WhatIf

SLIDERS = {  # name: (label, lowest, usual, highest, step)
    "right": ("Move right, pixels", -8, 0, 8, 1),
    "down": ("Move down, pixels", -8, 0, 8, 1),
    "degrees": ("Turn left, degrees", -180, 0, 180, 5),
    "brighter": ("Brighter", -120, 0, 120, 5),
    "noise": ("Noise", 0, 0, 60, 5),
}
PREFIX = "inside what if "


def view(scene: Scene) -> None:
    """The changes, the changed picture, and both answers."""
    change = chosen()
    picture = change(scene.image)
    now = forward.softmax(forward.logits(scene.layers, scene.weights, picture[None]))[0]
    unchanged = change == WhatIf()
    said = "Nothing is changed yet: move a slider." if unchanged else ""
    st.markdown(said or telling.changed(scene.probabilities, now, scene.classes))
    first, second = maps.cells(2)
    with first:
        st.markdown("**The changed picture**")
        st.image(enlarged(picture, 7), width=224, alt=f"The picture changed: {described(change)}")
    with second:
        st.markdown("**What it says now**")
        answer.bars(now, scene.classes, scene.subject.truth, "inside now", before=scene.probabilities)
        st.caption("The mark on each bar is the answer to the picture as it was.")
    st.caption(
        "A person would hardly mind. A convolution does not care where something stands; the dense layers behind it "
        "do, and nothing in the network knows about turning."
    )


def chosen() -> WhatIf:
    """The change that the sliders describe."""
    values = {}
    with st.grid(5, min_column_width=150):
        for name, (label, low, usual, high, step) in SLIDERS.items():
            values[name] = st.slider(label, low, high, usual, step, key=PREFIX + name)
    with st.container(horizontal=True, vertical_alignment="center"):
        mirrored = st.toggle("Mirrored", key=PREFIX + "mirrored")
        st.button("Reset", icon=":material/restart_alt:", on_click=_reset, key="inside unchanged")
    return WhatIf(mirrored=mirrored, **values)


def described(change: WhatIf) -> str:
    """The change in words, for people who do not see it."""
    parts = ["mirrored"] if change.mirrored else []
    parts += [f"{name} {getattr(change, name):g}" for name in SLIDERS if getattr(change, name)]
    return ", ".join(parts) or "not at all"


def _reset() -> None:
    for name in (*SLIDERS, "mirrored"):
        st.session_state[PREFIX + name] = False if name == "mirrored" else SLIDERS[name][2]
