"""What differs between the convolution layers of a network, measured on the twenty sample images."""

import numpy as np

from cnnlab.analysis.receptive_field import receptive_field
from cnnlab.data.samples import sample_images
from cnnlab.explanations.lesson_evidence.result import Evidence, Table, find
from cnnlab.formatting import percent
from cnnlab.models.architecture import network_layers
from cnnlab.models.numpy_forward import compute_activations


def layers(table: Table, model: str) -> Evidence:
    """Size of the maps, receptive field and share of zeros after ReLU of each convolution layer."""
    run = find(model)
    network = network_layers(run.experiment)
    images, _ = sample_images()
    found = compute_activations(network, run.weights(run.snapshot_epochs()[-1]), images)
    parts = []
    for layer in network:
        if layer.kind == "relu":
            box = receptive_field(network, layer.name, *(size // 2 for size in layer.output_shape[:2]))
            zeros = float(np.mean(found[layer.name] == 0))
            size = "x".join(map(str, layer.output_shape[:2]))
            parts.append(
                f"conv{layer.block}: maps of {size}, each value sees {box.bottom - box.top}x{box.right - box.left}"
                f" pixels, {percent(zeros)} of the values are zero after ReLU"
            )
    return Evidence(f"{run.title}, {len(images)} sample images: {'; '.join(parts)}.")
