"""Validation against test, the size of the training set, and what the stored predictions say together."""

from collections.abc import Sequence

import streamlit as st

from cnnlab.claims import check_claims
from cnnlab.datasets import DATASETS
from cnnlab.explanations import predictions as sentences
from cnnlab.explanations.conclusions import model_label
from cnnlab.prediction_results import PredictionResults, prediction_results
from cnnlab.rendering.compare_charts import agreement_chart
from cnnlab.report import ReportRow
from cnnlab.settings import home
from cnnlab.storage.runs import Run
from cnnlab.ui import cache
from cnnlab.ui.chart_download import chart_with_download
from cnnlab.ui.scrolling_table import scrolling_table

AGREEMENT = "Share of the test images for which two networks predict the same class"


def predictions(table: Sequence[ReportRow]) -> None:
    """Both sections; nothing where no run has predictions."""
    dataset = table[0].model.experiment.dataset
    results = load_results(dataset)
    if not results.names:
        return
    validation_and_test(table, results)
    st.header("Do the networks make the same mistakes?", anchor=False)
    if len(results.names) > 1:
        agreements(results, dataset)
    if results.temperatures:
        st.subheader("Is their confidence justified?", anchor=False)
        scrolling_table(sentences.temperature_table(results.temperatures), "temperature")
        st.caption(sentences.describe_temperatures(results.temperatures))


def validation_and_test(table: Sequence[ReportRow], results: PredictionResults) -> None:
    """Model 7 on both sets of images with the same weights, and each final model beside its smaller training set."""
    agreement = check_claims(table)[-1]
    model_7 = next(row for row in table if row.model.name == "3conv-dropout")
    lines = [sentences.describe_validation_and_test(one, model_7.by_seed) for one in agreement.judgments]
    lines += [sentences.describe_set_size(one) for one in results.set_sizes]
    if not lines:
        return
    st.header("Does validation predict the test?", anchor=False)
    st.markdown("\n".join(f"- {line}" for line in lines))
    if not results.set_sizes:
        return
    st.caption(
        "The report compares the validation accuracy of model 7 with the test accuracy of a network trained on 10,000"
        " more images: two changes at once, which are taken apart here. More images are not data augmentation."
    )


def agreements(results: PredictionResults, dataset: str) -> None:
    """A square for each two networks, and the average of all."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        names = [model_label(name) for name in results.names]
        words = sentences.describe_agreement_chart(results)
        chart_with_download(
            agreement_chart(names, results.agreements), alt=words, key="agreement", name="agreement", title=AGREEMENT
        )
    with right:
        st.write(sentences.describe_agreements(results))
        if results.ensemble:
            st.write(sentences.describe_ensemble(results.ensemble))
        images = DATASETS[dataset].test_images
        st.caption(f"Seed 0 of each network, all on the {images:,} test images, which none was trained on.")


def load_results(dataset: str) -> PredictionResults:
    """The results of the finished runs of the report's models; computed anew only where one has finished."""
    known = [run for run in [*cache.list_runs(), *cache.shipped_seeds()] if run.record.state == "done"]
    moments = cache.modified_times(run.path / "predictions.npz" for run in known)
    return _load_results(str(home()), dataset, moments, known)


@st.cache_resource(max_entries=4, show_spinner="Comparing the predictions")
def _load_results(place: str, dataset: str, moments: str, _known: list[Run]) -> PredictionResults:
    return prediction_results(_known, dataset)
