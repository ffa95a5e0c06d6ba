"""A Keras model for a moment with re-estimated batch normalization (`analysis.batchnorm`)."""

import contextlib
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from cnnlab.analysis import batchnorm
from cnnlab.array_types import PixelArray
from cnnlab.models.architecture import Layer
from cnnlab.training.keras_model import get_weights, set_weights


@contextlib.contextmanager
def reestimated(model: keras.Model, layers: Sequence[Layer], images: PixelArray) -> Iterator[None]:
    """Within the block, the model has the means and variances of these training images; then its own again, exactly.

    `layers` are those of the model. Weights that overflow give accuracies that mean nothing, not warnings.
    """
    weights = get_weights(model)
    with np.errstate(all="ignore"):
        renewed = batchnorm.reestimate(layers, weights, images)
    set_weights(model, renewed)
    try:
        yield
    finally:
        set_weights(model, weights)
