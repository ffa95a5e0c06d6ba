"""The network of the chosen experiment, below the result: its picture and its parameters."""

from typing import Any

import numpy as np
import streamlit as st

from cnnlab.array_types import PixelArray, Weights
from cnnlab.data import is_dataset_available
from cnnlab.data.samples import sample_images
from cnnlab.data.shape_drawing import generate
from cnnlab.datasets import is_own_dataset
from cnnlab.experiment import Experiment
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.models.numpy_forward import compute_activations
from cnnlab.storage.runs import DamagedRun, Run, UnknownRun
from cnnlab.ui import cache
from cnnlab.ui.architecture_diagram import architecture_diagram, describe_penalty, diagram_data


def network_area(experiment: Experiment) -> None:
    """The picture, with the maps of a sample image where the experiment has a result."""
    layers = network_layers(experiment)
    st.header(f"The network: {parameter_count(layers):,} parameters", anchor=False)
    architecture_diagram(layers, load_diagram(experiment))
    if penalty := describe_penalty(experiment.regularizer, experiment.regularizer_title):
        st.caption(penalty)


def load_diagram(experiment: Experiment) -> dict[str, Any]:
    """What the picture shows, the last weights of the experiment's run included; computed once for each of them."""
    run = cache.find_run(experiment)
    epochs = run.snapshot_epochs() if run is not None else []
    if run is None or not epochs:
        return _empty_diagram(experiment.to_json())
    try:
        weights = cache.weights(run, epochs[-1])
    except (DamagedRun, UnknownRun):
        return _empty_diagram(experiment.to_json())
    moment, has_own_image = cache.weights_moment(run, epochs[-1]), is_own_dataset(run.dataset)
    has_own_image = has_own_image and is_dataset_available(run.dataset)
    return _diagram(str(run.path), epochs[-1], moment, has_own_image, run, weights)


@st.cache_resource(max_entries=32, show_spinner=False)
def _empty_diagram(experiment: str) -> dict[str, Any]:
    return diagram_data(network_layers(Experiment.from_json(experiment)), None)


@st.cache_resource(max_entries=32, show_spinner=False)
def _diagram(path: str, epoch: int, moment: int, has_own_image: bool, _run: Run, _weights: Weights) -> dict[str, Any]:
    layers = network_layers(_run.experiment)
    return diagram_data(layers, compute_activations(layers, _weights, sample_image(_run.dataset)[None]))


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
