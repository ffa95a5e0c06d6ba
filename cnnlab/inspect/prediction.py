"""The predicted probabilities as bars, one a class. The true class is marked in words, not by color alone."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnlab.formatting import percent
from cnnlab.rendering.charts import cached_spec, with_data
from cnnlab.rendering.palette import PREDICTED, TRUE_CLASS

Shares = NDArray[np.float32]


def probability_bars(
    probabilities: Shares, classes: Sequence[str], true_class: int | None, key: str, before: Shares | None = None
) -> None:
    """A bar for each class, in their order. `before`: an earlier prediction, drawn as a mark on each bar."""
    names = [f"{name} (true class)" if label == true_class else name for label, name in enumerate(classes)]
    shown = [percent(float(share)) for share in probabilities]
    probabilities = np.nan_to_num(probabilities)
    spec = with_data(
        cached_spec("inspect_chart_specs.probability_bars", before is not None),
        name=names,
        probability=probabilities,
        shown=shown,
        before=probabilities if before is None else before,
        color=[TRUE_CLASS if label == true_class else PREDICTED for label in range(len(classes))],
    )
    description = ", ".join(f"{name} {share}" for name, share in zip(names, shown, strict=True))
    st.vega_lite_chart(spec=spec, key=key, width="stretch", alt=f"Predicted probabilities: {description}.")
