"""The controls that hold for the whole page Compare: the data set, and which training accuracy is used."""

from cnnlab.report_models import REPORT
from cnnlab.ui import query_state
from cnnlab.ui.network_links import DATASET_PARAM, DATASETS
from cnnlab.ui.state import url_param

TRAINING_MEASURES = {"measured": "after the epoch, dropout off", "reported": "averaged during the epoch (Keras)"}
MEASURE_PARAM = url_param("measure")  # which training accuracy is drawn
TRAIN_EVAL_IMAGES = REPORT["3conv-none"].experiment.train_eval_images
MEASURE_EXPLANATION = {
    "measured": "The gap is training minus validation accuracy, both after the epoch with dropout off, the training"
    f" accuracy on the first {TRAIN_EVAL_IMAGES:,} training images.",
    "reported": "The gap is Keras's training accuracy, as in the report, minus validation accuracy. Keras averages "
    "over the epoch with dropout on, which makes dropout's gap look smaller. Such an average is no accuracy of one "
    "network, so the interval of this gap is only approximate.",
}


def dataset_control() -> str:
    """The choice of the data set that the networks were trained on, for all of the page; returns its name."""
    return query_state.segmented_param(DATASET_PARAM, "Data set", DATASETS)


def measure_control() -> None:
    """The choice of the training accuracy, for all of the page."""
    query_state.segmented_param(MEASURE_PARAM, "Training accuracy", TRAINING_MEASURES, wrap=True)


def chosen_measure() -> str:
    """The key of TRAINING_MEASURES that is chosen."""
    return query_state.read_option(MEASURE_PARAM, TRAINING_MEASURES)


def is_reported() -> bool:
    """Whether the training accuracy is chosen as Keras reports it, which is how the report measured."""
    return chosen_measure() == "reported"


def describe_gap_measure() -> str:
    """What the gap is with the training accuracy that was chosen."""
    return MEASURE_EXPLANATION[chosen_measure()]
