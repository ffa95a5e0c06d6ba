"""The section on calibration of the page Mistakes."""

from collections.abc import Mapping

import streamlit as st

from cnnlab.explanations import mistakes as explanations
from cnnlab.explanations.chart_descriptions import describe_calibration_curve
from cnnlab.formatting import keep_figures_whole
from cnnlab.rendering import mistake_charts
from cnnlab.ui.test_results import TestResults

CALIBRATION_HELP = (
    "A network gives each class a probability. The class with the largest probability is its prediction, and this "
    "probability is its confidence. Take all test images with a confidence of 80 to 90 %: if the confidence is "
    "justified, about 85 % of them are correct, and their point lies on the dashed line. Below the line the network is "
    "overconfident. A large point stands for many images; a point for fewer than 20 images says little and is not "
    "connected to the line (Guo and others, 2017)."
)


def calibration_section(results: Mapping[str, TestResults]) -> None:
    """Confidence against accuracy of each network, by its name: the expected calibration error, and a chart."""
    st.header("Is its confidence justified?", anchor=False)
    for name, network_results in results.items():
        error = network_results.calibration_error
        st.write(keep_figures_whole(explanations.describe_calibration(name, network_results.predictions, error)))
    curves = {name: network_results.calibration for name, network_results in results.items()}
    colors = mistake_charts.regularizer_colors([network_results.regularizer for network_results in results.values()])
    st.vega_lite_chart(
        spec=mistake_charts.calibration_chart(curves, colors),
        key="calibration",
        width="stretch",
        alt=describe_calibration_curve(curves),
    )
    with st.expander("How to read this"):
        st.write(CALIBRATION_HELP)
