"""Measures the network of a training in inference mode, after each epoch."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from cnnlab.analysis.metrics import accuracy, cross_entropy
from cnnlab.array_types import PixelArray
from cnnlab.experiment import TRAIN_EVAL_IMAGES, Experiment
from cnnlab.models.architecture import Layer, layer_names
from cnnlab.regularizers import REGULARIZERS
from cnnlab.storage import runs
from cnnlab.training import keras_model
from cnnlab.training.input_pipeline import InputPipeline
from cnnlab.training.reestimation import reestimated
from cnnlab.training.training_images import TrainingImages

EVALUATION_BATCH = 250  # twice as many take 0.2 GB more and the same time


class Evaluator:
    """Evaluates `model`, whose layers are `layers`, on training and validation images, in float32.

    A model that trains in bfloat16 is evaluated by `float32_model`, the same network in float32, with its weights: so
    the figures are those of the stored weights, as every page computes them. For others both are the same model.

    With batch normalization, it also evaluates the network with means and variances re-estimated from
    `reestimation_images`, uint8 (n, 32, 32, 3). `train_logits` and `val_logits` hold the logits of the last evaluation,
    None before the first.
    """

    def __init__(
        self,
        experiment: Experiment,
        model: keras.Model,
        float32_model: keras.Model,
        layers: Sequence[Layer],
        train_images: TrainingImages,
        val_images: InputPipeline,
        reestimation_images: PixelArray,
    ):
        self.experiment, self.layers = experiment, layers
        self.model, self.float32_model = model, float32_model
        self.train_images, self.val_images = train_images, val_images
        self.reestimation_images = reestimation_images
        self.train_logits: Any = None
        self.val_logits: Any = None

    def evaluate(self) -> dict[str, float]:
        """Metrics in inference mode, the L2 penalty and, with batch normalization, the metrics with re-estimated ones.

        With label noise, the accuracies on clean and on changed labels too. The re-estimated ones have the suffix
        REESTIMATED; the model and `val_logits` are left as Keras trained them.
        """
        self.copy_weights()
        metrics = self.measure() | self.train_images.label_noise_accuracies(self.train_logits)
        if layer_names(self.layers, "bn"):
            val_logits = self.val_logits
            with reestimated(self.float32_model, self.layers, self.reestimation_images):
                metrics |= {name + runs.REESTIMATED: value for name, value in self.measure().items()}
            self.val_logits = val_logits
        return metrics | {"penalty": self.l2_penalty()}

    def copy_weights(self) -> None:
        """Give the float32 model the weights of the trained one, where they are two."""
        if self.float32_model is not self.model:
            keras_model.set_weights(self.float32_model, keras_model.get_weights(self.model))

    def measure(self) -> dict[str, float]:
        """Accuracy and loss on the first TRAIN_EVAL_IMAGES training images and on the validation images."""
        self.train_logits = train = self.predict(self.train_images, TRAIN_EVAL_IMAGES)
        labels = self.train_images.labels[:TRAIN_EVAL_IMAGES]
        self.val_logits, val_labels = self.predict(self.val_images), self.val_images.labels
        return {
            "train_eval_accuracy": accuracy(train, labels),
            "train_eval_loss": cross_entropy(train, labels),
            "val_accuracy": accuracy(self.val_logits, val_labels),
            "val_loss": cross_entropy(self.val_logits, val_labels),
        }

    def predict(self, images: InputPipeline, count: int | None = None) -> Any:
        """Logits float32 (n, classes) of the first `count` images, in inference mode."""
        return self.float32_model.predict(images.batches(np.arange(len(images))[:count], EVALUATION_BATCH), verbose=0)

    def l2_penalty(self) -> float:
        """The L2 penalty: strength times the sum of all squared kernel weights."""
        if not REGULARIZERS[self.experiment.regularizer].penalizes_weights:
            return 0.0
        kernels = [v for name, v in keras_model.get_weights(self.model).items() if name.endswith("kernel")]
        return float(self.experiment.strength or 0.0) * float(
            sum(np.square(k, dtype=np.float64).sum() for k in kernels)
        )
