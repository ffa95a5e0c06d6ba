"""Two networks on the page Mistakes: the images that only one of them classifies correctly, class by class."""

import streamlit as st

from cnnlab.analysis import metrics
from cnnlab.explanations import mistakes as explanations
from cnnlab.explanations.chart_descriptions import describe_outcomes
from cnnlab.pages.mistakes.calibration import calibration_section
from cnnlab.pages.mistakes.mistake_images import ANY_CLASS, image_pages, is_confident_first, true_class_menu
from cnnlab.pages.mistakes.network_menus import train_images
from cnnlab.rendering import mistake_charts
from cnnlab.storage.imported_networks import StoredNetwork
from cnnlab.storage.runs import Run
from cnnlab.ui import query_state
from cnnlab.ui.state import url_param
from cnnlab.ui.test_results import TestResults

GROUP_PARAM = url_param("group")


def comparison_sections(mine: TestResults, other: TestResults) -> None:
    """Draw the comparison: counts, class by class, the images, and the calibration of both."""
    names = network_names(mine.run, other.run)
    try:
        groups = metrics.compare_predictions(mine.predictions, other.predictions)
    except ValueError:
        st.warning("These two networks were tested on different images: choose two that had the same data set.")
        return
    true_class = mine.predictions.true_class
    st.header(explanations.comparison_headline(*names, groups), anchor=False)
    changes = explanations.describe_class_changes(groups, true_class, mine.classes)
    st.write(explanations.describe_accuracy_difference(groups))
    st.write(f"{explanations.describe_agreement(groups)} {changes}")
    training_size_warning(mine, other, names)
    left, right = st.columns([1, 1.1], gap="large")
    with left:
        st.subheader("Which classes gained, which lost?", anchor=False)
        alt = describe_outcomes(groups, true_class, mine.classes)
        spec = mistake_charts.outcome_chart(groups, true_class, mine.classes)
        st.vega_lite_chart(spec=spec, key="exchange", width="stretch", alt=alt)
    with right:
        comparison_images(mine, other, names, groups)
    with st.container(width=640):
        calibration_section(dict(zip(names, (mine, other), strict=True)))


def network_names(mine: StoredNetwork, other: StoredNetwork) -> tuple[str, str]:
    """What the sentences call the two networks: what differs between two experiments, or the titles."""
    if isinstance(mine, Run) and isinstance(other, Run):
        return explanations.distinguishing_titles(mine.experiment, other.experiment)
    return mine.title, other.title


def training_size_warning(mine: TestResults, other: TestResults, names: tuple[str, str]) -> None:
    """A warning where the two networks were trained on different numbers of images."""
    counts = train_images(mine.run), train_images(other.run)
    if None not in counts and counts[0] != counts[1]:
        st.warning(
            f"{names[0]} was trained on {counts[0]:,} images and {names[1]} on {counts[1]:,}: part of the difference"
            " may come from that."
        )


def comparison_images(
    mine: TestResults, other: TestResults, names: tuple[str, str], groups: metrics.PairedOutcomes
) -> None:
    """The images of one group: now correct, now wrong, or wrong in both."""
    group = query_state.segmented_param(GROUP_PARAM, "Images", explanations.outcome_options(groups), wrap=True)
    with st.container(horizontal=True):
        true_class = true_class_menu(mine.classes)
        confident_first = is_confident_first()
    mask = groups.mask(group)
    if true_class:
        mask = mask & (mine.predictions.true_class == mine.classes.index(true_class))
    mistaken = other if group == "now_correct" else mine
    order = metrics.sort_by_confidence(mask, mistaken.predictions.confidence, confident_first)
    st.markdown(f"**{explanations.describe_outcome_images(len(order), group, true_class, names)}**")
    st.caption(f"Bold: the prediction of {names[0]}. Below: the prediction of {names[1]}.")

    def caption(number: int) -> tuple[list[str], str]:
        return explanations.comparison_caption((mine.predictions, other.predictions), names, number, mine.classes)

    image_pages(mine, order, f"{group} {true_class or ANY_CLASS} {confident_first}", caption)
