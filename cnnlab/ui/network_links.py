"""Links between a network on the page Train and its place on the page Compare, and the parameters that they need."""

from cnnlab import datasets
from cnnlab.experiment import Experiment
from cnnlab.report_models import models_on
from cnnlab.storage.series import series_experiment
from cnnlab.ui import app_shell
from cnnlab.ui.experiment_params import experiment_params
from cnnlab.ui.state import url_param

DATASET_PARAM = url_param("data")  # of Compare
SHIPPED_PARAM = url_param("shipped")  # of Train: whether a result that came with the program without weights is shown
DATASETS = {name: info.title for name, info in sorted(datasets.DATASETS.items())}  # the report's CIFAR-10 first


def compare_link(experiment: Experiment) -> None:
    """A link to Compare with the data set of this experiment; nothing where no seed of it is compared there."""
    if experiment.dataset not in DATASETS:
        return
    compared = {model.experiment for model in models_on(experiment.dataset).values()}
    if series_experiment(experiment) in compared:
        params = {} if experiment.dataset == next(iter(DATASETS)) else {DATASET_PARAM: experiment.dataset}
        app_shell.page_link("compare", "Compare with the others", params, icon=":material/balance:")


def result_params(experiment: Experiment) -> dict[str, str]:
    """The address of the network on the page Train, with the switch on that shows a result without weights."""
    switch = {} if experiment.dataset == next(iter(DATASETS)) else {SHIPPED_PARAM: "yes"}
    return experiment_params(experiment) | switch
