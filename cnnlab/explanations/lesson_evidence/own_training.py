"""Evidence from the learner's own training: `own: accuracy` and the other FIGURES, each of one finished run."""

from collections.abc import Callable
from dataclasses import replace

from cnnlab.data import load_dataset, split_dataset
from cnnlab.explanations.lesson_evidence import own_predictions
from cnnlab.explanations.lesson_evidence.curves import describe_loss
from cnnlab.explanations.lesson_evidence.layers import describe_layer, filters_off, layer_figures
from cnnlab.explanations.lesson_evidence.own_seeds import accuracy, jumps, seeds
from cnnlab.explanations.lesson_evidence.result import NO_VALIDATION, NOT_READABLE, Evidence
from cnnlab.formatting import exact_duration, pluralize
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.models.network_cost import multiply_adds
from cnnlab.storage.runs import Run

IMAGES = 100  # validation images whose maps are computed


def own_evidence(run: Run, figure: str) -> Evidence:
    """The evidence of one of FIGURES; a sentence that says so where it cannot be computed."""
    if run.experiment.split != "validation":
        return Evidence(NO_VALIDATION)
    try:
        return Evidence(f"**Your training** ({run.title}): {FIGURES[figure](run)}")
    except (LookupError, ValueError):  # the run, a file of it, or its data set is gone
        return Evidence(NOT_READABLE)


def loss(run: Run) -> str:
    """The validation loss: its lowest and its last value."""
    told = describe_loss(run)
    return told[0].lower() + told[1:]


def time(run: Run) -> str:
    """Parameters and multiply-adds of the network and of one of another depth, and the wall time of the training."""
    experiment = run.experiment
    other = replace(experiment, depth=3 if experiment.depth == 2 else 2)
    own, others = (
        f"{parameter_count(network):,} parameters, {multiply_adds(network) / 1e6:.1f} million multiply-adds an image"
        for network in map(network_layers, (experiment, other))
    )
    return (
        f"{own}, {exact_duration(run.record.seconds)} for {pluralize(run.record.epochs_done, 'epoch')}. With"
        f" {pluralize(other.depth, 'convolution layer')}: {others}. One wall time of a machine that does other work too"
        " ranks no network."
    )


def filters(run: Run) -> str:
    """What each filter of the first convolution, switched off alone, does to the first validation image."""
    images = split_dataset(load_dataset(run.dataset), run.experiment)
    name = f"validation image 0 ({run.dataset_info.classes[images.y_val[0]]})"
    return filters_off(run, images.x_val[0], name)[2]


def layers(run: Run) -> str:
    """Size of the maps, receptive field, share of zeros and dead maps of each convolution layer."""
    images = split_dataset(load_dataset(run.dataset), run.experiment).x_val[:IMAGES]
    parts = [
        f"{describe_layer(run, found)}, {found.dead_maps} of {found.relu.output_shape[-1]} maps are zero on all images"
        for found in layer_figures(run, images)
    ]
    return f"{pluralize(len(images), 'validation image')}. {'; '.join(parts)} (one seed)."


FIGURES: dict[str, Callable[[Run], str]] = {
    "accuracy": accuracy,
    "seeds": seeds,
    "gap": own_predictions.gap,
    "loss": loss,
    "jumps": jumps,
    "time": time,
    "test": own_predictions.test,
    "confusion": own_predictions.confusion,
    "filters": filters,
    "layers": layers,
}
