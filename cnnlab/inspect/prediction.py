"""What the network says about the image: ten bars and a sentence. The truth is marked with words, not only a colour."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab.formatting import percent
from cnnlab.rendering.charts import with_data
from cnnlab.ui.theme import text_color

Shares = NDArray[np.float32]

BAR_COLOR = "#26828e"
TRUE_CLASS_COLOR = "#b35806"


def probability_bars(
    probabilities: Shares, classes: Sequence[str], true_class: int | None, key: str, before: Shares | None = None
) -> None:
    """Ten bars in the order of the classes, which stays, so that one can watch a bar grow.

    `before`, where given, is an earlier answer: a mark shows where each bar ended then.
    """
    names = [f"{name} (truth)" if label == true_class else name for label, name in enumerate(classes)]
    shown = [percent(float(share)) for share in probabilities]
    probabilities = np.nan_to_num(probabilities)
    spec = with_data(
        SPEC if before is None else {**SPEC, "layer": [*SPEC["layer"], BEFORE_MARK]},
        name=names,
        probability=probabilities,
        shown=shown,
        before=probabilities if before is None else before,
        colour=[TRUE_CLASS_COLOR if label == true_class else BAR_COLOR for label in range(len(classes))],
        ink=[text_color()] * len(classes),
    )
    said = ", ".join(f"{name} {share}" for name, share in zip(names, shown, strict=True))
    st.vega_lite_chart(spec=spec, key=key, width="stretch", alt=f"What the network says: {said}.")


WHOLE_LABELS = {"labelOverlap": False, "labelBound": False, "labelFlush": False}
BESIDE_WORDS = {"domain": [0, 1], "range": [0, {"expr": "max(24, width - 52)"}]}  # '>99.9 %' takes 47 pixels
SPEC: dict[str, Any] = {
    "data": {"name": "figures"},
    "height": 196,
    "padding": {"left": 0, "right": 0, "top": 6, "bottom": 0},
    "view": {"stroke": None},
    "encoding": {
        "y": {
            "field": "name",
            "type": "nominal",
            "sort": None,
            "axis": {"title": None, "ticks": False, "domain": False, "labelLimit": 130, **WHOLE_LABELS},
        },
        "x": {"field": "probability", "type": "quantitative", "scale": BESIDE_WORDS, "axis": None},
        "tooltip": [{"field": "name", "title": "class"}, {"field": "shown", "title": "probability"}],
    },
    "layer": [
        {"mark": {"type": "bar", "height": 12, "color": {"expr": "datum.colour"}}},
        {
            "mark": {"type": "text", "align": "left", "dx": 5, "fontSize": 12, "color": {"expr": "datum.ink"}},
            "encoding": {"text": {"field": "shown"}},
        },
    ],
}
BEFORE_MARK = {
    "mark": {"type": "tick", "thickness": 2.5, "size": 16, "color": {"expr": "datum.ink"}},
    "encoding": {"x": {"field": "before", "type": "quantitative"}},
}
