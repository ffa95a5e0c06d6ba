"""The network of the chosen experiment, below the result: its picture and its parameters."""

import numpy as np
import streamlit as st

from cnnlab.array_types import PixelArray
from cnnlab.data import is_dataset_available
from cnnlab.data.samples import sample_images
from cnnlab.data.shape_drawing import generate
from cnnlab.datasets import is_own_dataset
from cnnlab.experiment import Experiment
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.models.numpy_forward import Activations, compute_activations
from cnnlab.storage.runs import DamagedRun, UnknownRun
from cnnlab.ui import cache
from cnnlab.ui.architecture_diagram import architecture_diagram, describe_penalty


def network_area(experiment: Experiment) -> None:
    """The picture, with the maps of a sample image where the experiment has a result."""
    layers = network_layers(experiment)
    st.header(f"The network: {parameter_count(layers):,} parameters", anchor=False)
    architecture_diagram(layers, sample_activations(experiment))
    if penalty := describe_penalty(experiment.regularizer, experiment.regularizer_title):
        st.caption(penalty)


def sample_activations(experiment: Experiment) -> Activations | None:
    """The activations of a sample image in the run of the experiment; None where it has no weights."""
    run = cache.find_run(experiment)
    epochs = run.snapshot_epochs() if run is not None else []
    if run is None or not epochs:
        return None
    try:
        weights = cache.weights(run, epochs[-1])
    except (DamagedRun, UnknownRun):
        return None
    return compute_activations(network_layers(experiment), weights, sample_image(experiment.dataset)[None])


def sample_image(dataset: str) -> PixelArray:
    """An image of the data set, uint8 (32, 32, 3); a sample of CIFAR-10 where one's own pictures are missing."""
    if is_own_dataset(dataset) and is_dataset_available(dataset):
        return np.asarray(cache.dataset(dataset).x_test[0])
    return _shipped_image(dataset)


@st.cache_data(max_entries=4, show_spinner=False)
def _shipped_image(dataset: str) -> PixelArray:
    """An image that is there on every machine."""
    images = generate(1)[0] if dataset == "shapes" else sample_images()[0]
    return np.asarray(images[0])
