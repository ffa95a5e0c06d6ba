"""One network on the page Mistakes: confusion matrix, misclassified images, accuracy per class, calibration."""

import streamlit as st

from cnnlab.analysis import metrics
from cnnlab.explanations import mistakes as explanations
from cnnlab.explanations.chart_descriptions import describe_class_accuracy, describe_confusion_matrix
from cnnlab.formatting import keep_figures_whole
from cnnlab.pages.mistakes.calibration import calibration_section
from cnnlab.pages.mistakes.mistake_images import (
    ANY_CLASS,
    PREDICTED_PARAM,
    TRUE_CLASS_PARAM,
    image_pages,
    is_confident_first,
    true_class_menu,
)
from cnnlab.rendering import mistake_charts
from cnnlab.ui import query_state
from cnnlab.ui.browser_values import clicked_point
from cnnlab.ui.state import session_key
from cnnlab.ui.test_results import TestResults

MATRIX = session_key("matrix")
MATRIX_HEIGHT = 480  # pixels: each cell is at least 32 high, and on a phone as wide: then the matrix scrolls
MATRIX_STYLE = """<style>@media (max-width: 640px) {{
  .st-key-matrix_scroll {{ overflow-x: auto; }}
  .st-key-matrix {{ min-width: {width}px; }}
}}</style>"""
LABEL_WIDTH, CELL_WIDTH = 80, 40  # pixels on a phone


def single_network_sections(results: TestResults) -> None:
    """Draw the number of mistakes and the four sections."""
    st.header(explanations.error_headline(results.run.title, results.predictions), anchor=False)
    st.write(keep_figures_whole(explanations.error_details(results.predictions, results.confusion, results.classes)))
    left, right = st.columns([1, 1.1], gap="large")
    with left:
        confusion_matrix(results)
    with right:
        selected_images(results)
    left, right = st.columns([1, 1.1], gap="large")
    with left:
        class_accuracies(results)
    with right:
        calibration_section({results.run.title: results})


def confusion_matrix(results: TestResults) -> None:
    """The confusion matrix. A click on a cell writes its true and its predicted class into the URL."""
    st.header("Which classes does it confuse?", anchor=False)
    spec = mistake_charts.confusion_matrix_chart(results.confusion, results.classes, selected_cell(results.classes))
    st.html(MATRIX_STYLE.format(width=LABEL_WIDTH + CELL_WIDTH * (len(results.classes) + 1)))
    with st.container(key="matrix_scroll"):
        st.vega_lite_chart(
            spec=spec | {"height": MATRIX_HEIGHT},
            key=MATRIX,
            on_select=on_cell_clicked,
            width="stretch",
            alt=describe_confusion_matrix(results.confusion, results.classes),
        )
    st.caption(
        "Rows: true class. Columns: predicted class. Blue: correct. Red: wrong; a stronger red is a more "
        "frequent mistake."
        " The last row and the last column are sums of the mistakes. Click a cell to see its images."
    )


def on_cell_clicked() -> None:
    """Write the classes of the clicked cell into the URL; no class for a sum."""
    cell = clicked_point(st.session_state[MATRIX], "cell")
    chosen = {name: str(cell[name]) for name in (TRUE_CLASS_PARAM, PREDICTED_PARAM) if name in cell}
    query_state.set_params({name: None if word == mistake_charts.ALL_WRONG else word for name, word in chosen.items()})


def selected_cell(classes: tuple[str, ...]) -> tuple[str, str]:
    """The selected (true class, predicted class), "" for any."""
    options = dict.fromkeys(("", *classes), "")
    return query_state.read_option(TRUE_CLASS_PARAM, options), query_state.read_option(PREDICTED_PARAM, options)


def selected_images(results: TestResults) -> None:
    """The images of the selected cell, row or column. The menus select every one of them by keyboard."""
    with st.container(horizontal=True):
        true_class = true_class_menu(results.classes)
        names = {"": "any wrong class"} | {name: name for name in results.classes}
        predicted = query_state.select_param(PREDICTED_PARAM, "Predicted class", names, width=160)
        confident_first = is_confident_first()
    labels = {"": None} | {name: label for label, name in enumerate(results.classes)}
    mask = results.predictions.select(labels[true_class], labels[predicted])
    order = metrics.sort_by_confidence(mask, results.predictions.confidence, confident_first)
    st.markdown(f"**{explanations.describe_selected_images(len(order), true_class, predicted)}**")
    image_pages(
        results,
        order,
        f"{true_class or ANY_CLASS} {predicted or ANY_CLASS} {confident_first}",
        lambda number: explanations.image_caption(results.predictions, number, results.classes),
    )


def class_accuracies(results: TestResults) -> None:
    """The accuracy of each class as bars."""
    st.header("Accuracy per class", anchor=False)
    shares = metrics.class_accuracy(results.confusion)
    (color,) = mistake_charts.regularizer_colors([results.regularizer])
    st.vega_lite_chart(
        spec=mistake_charts.class_accuracy_chart(shares, results.classes, color),
        key="classes",
        width="stretch",
        alt=describe_class_accuracy(shares, results.classes),
    )
    st.caption(explanations.describe_class_interval(shares, results.confusion))
