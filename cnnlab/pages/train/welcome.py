"""The first visit: samples of both data sets, a small training in one click, the report's most accurate network."""

from html import escape

import numpy as np
import streamlit as st

from cnnlab import data
from cnnlab.array_types import PixelArray
from cnnlab.data import samples
from cnnlab.data.shape_drawing import generate
from cnnlab.datasets import DATASETS, DatasetInfo
from cnnlab.experiment import Experiment
from cnnlab.explanations.conclusions import WHAT_THE_REPORT_IS, describe_report_lead
from cnnlab.formatting import keep_figures_whole
from cnnlab.pages.train.requested_experiment import on_set_experiment
from cnnlab.rendering.color_scale import png_data_uri, upscaled_png
from cnnlab.report_models import REPORT, ReportModel
from cnnlab.ui import cache, class_code, control_locks
from cnnlab.ui.state import session_key
from cnnlab.ui.training_request import submit_or_join, training_button
from cnnlab.ui.training_times import expected_duration

SESSION_DEFAULT = session_key("train.welcome.default")  # key of the experiment that the session opened with
QUICK_EXPERIMENT = Experiment(dataset="shapes", depth=2, filters=16, epochs=10)
SAMPLE_COUNT, SAMPLE_SEED = 64, 7  # shapes to choose the samples from
STYLE = """<style>
.samples { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 0.25rem; }
.samples figure { margin: 0; text-align: center; font-size: 0.75rem; line-height: 1.2; overflow: hidden; }
.samples img { width: 100%; max-width: 44px; image-rendering: pixelated; border-radius: 3px; }
.samples .missing { display: inline-block; width: 100%; max-width: 44px; aspect-ratio: 1; box-sizing: border-box;
  border: 1px dashed currentColor; border-radius: 3px; opacity: 0.5; vertical-align: middle; }
</style>"""


def remember_default(experiment: Experiment, first: bool) -> None:
    """Note the experiment that a session without any choice opened with; call it once a run of the page."""
    if SESSION_DEFAULT not in st.session_state:
        st.session_state[SESSION_DEFAULT] = experiment.key if first else ""


def welcome_panel(experiment: Experiment) -> None:
    """The panel, as long as nothing else than the first default is selected."""
    if st.session_state.get(SESSION_DEFAULT) != experiment.key:
        return
    st.html(STYLE)
    left, right = st.columns(2)
    with left, st.container(border=True, height="stretch"):
        st.html(shapes_html())
        quick_training_button()
    with right, st.container(border=True, height="stretch"):
        st.html(cifar10_html(data.is_dataset_available("cifar10")))
        best_network_button(best_model())


def quick_training_button() -> None:
    """The button that trains a small network on Shapes, and how long that takes."""
    needs_code = class_code.is_class_code_needed()
    training_button(
        "Train a small network now",
        type="primary",
        key="train_small",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=needs_code,
        help="Type the class code below first." if needs_code else None,
        on_click=submit_or_join,
        args=(QUICK_EXPERIMENT,),
        note=keep_figures_whole(f"{QUICK_EXPERIMENT.title}: {expected_duration(QUICK_EXPERIMENT)}."),
    )


def best_network_button(best: ReportModel) -> None:
    """The button that opens this model of the report, with its accuracy in the report."""
    st.button(
        "Open the report's most accurate network",
        key="open_best",
        icon=":material/emoji_events:",
        width="stretch",
        on_click=on_set_experiment,
        args=(best.experiment,),
    )
    figure = "." if control_locks.covers_test_results() else f": {describe_report_lead(tested_models())}"
    st.caption(f"{best.experiment.title}{figure} {WHAT_THE_REPORT_IS}")


def best_model() -> ReportModel:
    """The report's model with the highest accuracy on the test set (its Table 2)."""
    return tested_models()[0]


def tested_models() -> list[ReportModel]:
    """The report's models with an accuracy on the test set (its Table 2), the highest first."""
    tested = [model for model in REPORT.values() if model.experiment.split == "test"]
    return sorted(tested, key=lambda model: -model.validation_accuracy)


def samples_html(info: DatasetInfo, images: PixelArray, names: tuple[str, ...]) -> str:
    """Each class with its name, and an image of it where `names` has one; `images` uint8 (n, 32, 32, 3)."""
    pictures = dict(zip(names, images, strict=True))
    figures = "".join(
        f"<figure>{picture_html(pictures.get(name))}<figcaption>{escape(name)}</figcaption></figure>"
        for name in info.classes
    )
    missing = info.class_count - len(names)
    without = f", {missing} of them without a picture here" if missing else ""
    return f"<b>{escape(info.title)}</b>: ten classes{without}<div class='samples'>{figures}</div>"


def picture_html(image: PixelArray | None) -> str:
    """An image uint8 (32, 32, 3); an empty frame for None."""
    if image is None:
        return '<span class="missing"></span>'
    return f'<img src="{png_data_uri(upscaled_png(image, 1))}" alt="">'


@st.cache_data(max_entries=1, show_spinner=False)
def shapes_html() -> str:
    """One generated image of each class of Shapes."""
    images, labels = generate(SAMPLE_COUNT, SAMPLE_SEED)
    return samples_html(DATASETS["shapes"], *first_of_each_class(images, labels, DATASETS["shapes"].classes))


@st.cache_data(max_entries=2, show_spinner=False)
def cifar10_html(is_available: bool) -> str:
    """One test image of each class of CIFAR-10; where it is not available, of those among the shipped images."""
    images, labels = samples.sample_images()
    if is_available:
        dataset = cache.dataset("cifar10")
        images, labels = dataset.x_test[:200], dataset.y_test[:200]
    return samples_html(DATASETS["cifar10"], *first_of_each_class(images, labels, DATASETS["cifar10"].classes))


def first_of_each_class(
    images: PixelArray, labels: PixelArray, classes: tuple[str, ...]
) -> tuple[PixelArray, tuple[str, ...]]:
    """The first image (32, 32, 3) of each class that occurs, in the order of the classes, and the names."""
    labels_there, indices = np.unique(labels, return_index=True)
    return np.asarray(images[indices]), tuple(classes[label] for label in labels_there)
