"""The view "Layer probes": the accuracy of a linear classifier on the activations of each layer."""

import numpy as np
import streamlit as st

from cnnlab.analysis.statistics import accuracy_interval
from cnnlab.explanations import notices
from cnnlab.formatting import percent
from cnnlab.inspect.computation_panel import computation_panel
from cnnlab.inspect.context import InspectContext
from cnnlab.inspect.notice import notice
from cnnlab.jobs import probe_job
from cnnlab.jobs.probe_job import ProbeResults
from cnnlab.rendering.charts import cached_spec, with_data
from cnnlab.ui.image_source import missing_images

TITLES = {"rescale": "pixels"}


def probes_view(context: InspectContext) -> None:
    """The accuracies of the probes as a chart, or the button that computes them."""
    found = probe_job.load(context.trained_run)
    if found is None and (missing := missing_images(context.run)):
        st.info(missing)
        return
    if found is None:
        description = "How well does a linear classifier predict the class from each layer?"
        computation_panel(context.run, probe_job.COMPUTATION, description)
        return
    notice(notices.probe_notice(found.trained, found.untrained, found.test_images))
    probe_chart(found)
    st.caption(
        f"One linear classifier for each layer (ridge regression on the activations, averaged over a grid of 4x4 "
        f"cells), fitted on {found.train_images:,} test images and measured on {found.test_images:,} others, at epoch "
        f"{found.epoch}. Lines: 95 % intervals of the number of images. Controls: the pixels, and the same network "
        "before training. A low accuracy says that the class cannot be read linearly, not that it is absent. Method: "
        "Alain and Bengio, 2016."
    )


def probe_chart(found: ProbeResults) -> None:
    """A point with its interval for each layer, trained and untrained."""
    rows = [("trained", name, share) for name, share in found.trained.items()]
    rows += [("untrained", name, share) for name, share in found.untrained.items() if name != "rescale"]
    intervals = [accuracy_interval(share, found.test_images) for _, _, share in rows]
    spec = with_data(
        cached_spec("inspect_chart_specs.probe_accuracies"),
        network=[network for network, _, _ in rows],
        name=[TITLES.get(name, name) for _, name, _ in rows],
        accuracy=np.array([share for _, _, share in rows]),
        low=np.array([interval.low for interval in intervals]),
        high=np.array([interval.high for interval in intervals]),
    )
    alt = "; ".join(f"{TITLES.get(name, name)}, {network}: {percent(share)}" for network, name, share in rows)
    st.vega_lite_chart(spec=spec, key="probes", width="stretch", alt=f"Accuracy of linear probes. {alt}.")
