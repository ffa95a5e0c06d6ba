"""What the network says about the image: ten bars and a sentence. The truth is marked with words, not only a colour."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab.charts import drawn
from cnnlab.lens.telling import percent
from cnnlab.pages.inside.tiles import ink

BAR = "#26828e"
TRUE_BAR = "#b35806"


def sentence(probabilities: NDArray[np.float32], classes: Sequence[str], truth: int | None) -> str:
    """'It says **dog**, 55 %. Wrong: it is a cat, to which it gives 18 %.'"""
    best = int(probabilities.argmax())
    says = f"It says **{classes[best]}**, {percent(float(probabilities[best]))}."
    if truth is None:
        return says
    if truth == best:
        return f"{says} That is right."
    return f"{says} Wrong: the truth is **{classes[truth]}**, {percent(float(probabilities[truth]))}."


def bars(probabilities: NDArray[np.float32], classes: Sequence[str], truth: int | None, key: str) -> None:
    """Ten bars in the order of the classes, which stays, so that one can watch a bar grow."""
    names = [f"{name} (truth)" if label == truth else name for label, name in enumerate(classes)]
    shown = [percent(float(share)) for share in probabilities]
    spec = drawn(
        SPEC,
        name=names,
        probability=probabilities,
        shown=shown,
        colour=[TRUE_BAR if label == truth else BAR for label in range(len(classes))],
        ink=[ink()] * len(classes),
    )
    said = ", ".join(f"{name} {share}" for name, share in zip(names, shown, strict=True))
    st.vega_lite_chart(spec=spec, key=key, width="stretch", alt=f"What the network says: {said}.")


SPEC: dict[str, Any] = {
    "data": {"name": "figures"},
    "height": 190,
    "padding": {"left": 0, "right": 0, "top": 0, "bottom": 0},
    "view": {"stroke": None},
    "encoding": {
        "y": {
            "field": "name",
            "type": "nominal",
            "sort": None,
            "axis": {"title": None, "ticks": False, "domain": False, "labelLimit": 130, "labelOverlap": False},
        },
        "x": {"field": "probability", "type": "quantitative", "scale": {"domain": [0, 1.25]}, "axis": None},
        "tooltip": [{"field": "name", "title": "class"}, {"field": "shown", "title": "probability"}],
    },
    "layer": [
        {"mark": {"type": "bar", "height": 12, "color": {"expr": "datum.colour"}}},
        {
            "mark": {"type": "text", "align": "left", "dx": 4, "fontSize": 12, "color": {"expr": "datum.ink"}},
            "encoding": {"text": {"field": "shown"}},
        },
    ],
}
