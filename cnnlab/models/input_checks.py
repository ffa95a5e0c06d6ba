"""What a forward pass is given, checked: the shape of the images, and weights that belong to the network."""

from collections.abc import Sequence

import numpy as np

from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer


def check_inputs(layers: Sequence[Layer], weights: Weights, images: Array) -> None:
    """Raise ValueError where the images have another shape than the network reads, or the weights are another's."""
    shape = layers[0].output_shape
    if images.shape[1:] != shape or len(images) == 0:
        raise ValueError(
            f"Expected at least one image, as an array of shape (n, {', '.join(map(str, shape))}). "
            f"Received: shape={images.shape}. For a single image pass image[None]."
        )
    for layer in layers:
        if "kernel" in layer.variables:
            kernel_shape = weights.get(f"{layer.name}/kernel", np.zeros(0)).shape
            if kernel_shape[-1] != layer.output_shape[-1]:
                raise ValueError(
                    f"Expected {layer.name}/kernel to have {layer.output_shape[-1]} filters or units. "
                    f"Received: shape={kernel_shape}. Take layers and weights from the same run."
                )
