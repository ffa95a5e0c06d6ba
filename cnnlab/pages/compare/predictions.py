"""Validation against test, the size of the training set, and what the stored predictions say together."""

from dataclasses import dataclass

import streamlit as st

from cnnlab.datasets import DATASETS
from cnnlab.explanations import predictions as sentences
from cnnlab.explanations.conclusions import model_label
from cnnlab.formatting import keep_figures_whole
from cnnlab.pages.compare.results import Results
from cnnlab.prediction_results import PredictionResults
from cnnlab.rendering.charts import Spec
from cnnlab.rendering.compare_charts import agreement_chart
from cnnlab.ui.chart_download import chart_with_download
from cnnlab.ui.scrolling_table import scrolling_table

AGREEMENT = "Share of the test images for which two networks predict the same class"


@dataclass(frozen=True)
class Agreements:
    """On which share of the images two networks agree: the chart and its alternative text, sentences, a caption."""

    chart: Spec
    words: str
    sentences: tuple[str, ...]
    caption: str


def predictions(results: Results) -> None:
    """Both sections; nothing where no run has predictions."""
    found = results.predictions
    if not found.names:
        return
    validation_and_test(results)
    st.header("Do the networks make the same mistakes?", anchor=False)
    if len(found.names) > 1:
        draw_agreements(results.cached("agreements", lambda: agreements(found, results.dataset)))
    if found.temperatures:
        st.subheader("Is their confidence justified?", anchor=False)
        scrolling_table(sentences.temperature_table(found.temperatures), "temperature")
        st.caption(sentences.describe_temperatures(found.temperatures))


def validation_and_test(results: Results) -> None:
    """Model 7 on both sets of images with the same weights, and each final model beside its smaller training set."""
    lines = results.cached("validation and test", lambda: comparison_lines(results))
    if not lines:
        return
    st.header("Does validation predict the test?", anchor=False)
    st.markdown(keep_figures_whole("\n".join(f"- {line}" for line in lines)))
    if not results.predictions.set_sizes:
        return
    st.caption(
        "The report compares the validation accuracy of model 7 with the test accuracy of a network trained on 10,000"
        " more images: two changes at once, which are taken apart here. More images are not data augmentation."
    )


def comparison_lines(results: Results) -> list[str]:
    """A sentence for each of these comparisons."""
    model_7 = next(row for row in results.rows if row.model.name == "3conv-dropout")
    lines = [
        sentences.describe_validation_and_test(judgment, model_7.by_seed) for judgment in results.claims[-1].judgments
    ]
    return lines + [sentences.describe_set_size(set_size) for set_size in results.predictions.set_sizes]


def agreements(found: PredictionResults, dataset: str) -> Agreements:
    """A square for each two networks, and the average of all."""
    said = [sentences.describe_agreements(found)]
    said += [sentences.describe_ensemble(found.ensemble)] if found.ensemble else []
    images = DATASETS[dataset].test_images
    return Agreements(
        chart=agreement_chart([model_label(name) for name in found.names], found.agreements),
        words=sentences.describe_agreement_chart(found),
        sentences=tuple(said),
        caption=f"Seed 0 of each network, all on the {images:,} test images, which none was trained on.",
    )


def draw_agreements(shown: Agreements) -> None:
    """The chart with the sentences beside it."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        chart_with_download(shown.chart, alt=shown.words, key="agreement", name="agreement", title=AGREEMENT)
    with right:
        for sentence in shown.sentences:
            st.write(keep_figures_whole(sentence))
        st.caption(shown.caption)
