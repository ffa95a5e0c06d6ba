"""The Keras model of an experiment.

    2-conv: conv 64@3x3 - maxpool 2x2 - conv 64@3x3 - maxpool - flatten - dense 100 - dense 10       270,230 parameters
    3-conv: conv - maxpool - conv - maxpool - conv - maxpool - flatten - dense 100 - dense 100 - 10   112,458 parameters

The input is uint8 images (scaling is a layer), the output logits (softmax is part of the loss). The layers are named
conv1, bn1, relu1, pool1, dropout1, ..., flatten, dense1, dense2, logits.

Choices that the report leaves open:

- pixels are scaled to 0..1;
- batch normalization between convolution and ReLU, as in Ioffe and Szegedy (2015);
- dropout after each pooling and after each hidden dense layer, as in Srivastava et al. (2014);
- L2 on the kernels of all convolution and dense layers, including the logits, not on biases.

The other plausible positions were trained for comparison: `python -m cnnlab layer-order` prints the comparison.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from cnnlab.array_types import Weights
from cnnlab.experiment import Experiment
from cnnlab.models.architecture import IMAGE_SHAPE, INPUT, Layer, LayerOrder, network_layers
from cnnlab.models.keras_calls import KerasCall, keras_call

BUILD_STYLES = ("functional", "list", "add")


def build_model(
    experiment: Experiment, style: str = "functional", layer_order: LayerOrder | None = None, plain: bool = False
) -> keras.Model:
    """The untrained network of an experiment: uint8 (n, 32, 32, 3) in, logits float32 (n, classes) out.

    `style` is one of BUILD_STYLES, three ways of writing the same model in Keras. With `plain`, every layer is Keras's
    own, so that a saved model opens without this package. Weights depend on the experiment's seed alone.
    """
    if style not in BUILD_STYLES:
        raise ValueError(f"Choose the style from {', '.join(BUILD_STYLES)}. Received: style={style!r}")
    keras.utils.set_random_seed(experiment.seed)
    policy = "mixed_bfloat16" if experiment.precision == "bfloat16" and not plain else "float32"
    layers = network_layers(experiment, layer_order)
    return assemble(layers, [keras_layer(layer, experiment, policy, plain) for layer in layers], style)


def assemble(layers: Sequence[Layer], keras_layers: Sequence[keras.Layer], style: str) -> keras.Model:
    """The Keras layers as a model, in one of BUILD_STYLES; only "functional" follows `Layer.inputs`, others chain."""
    image = keras.Input(IMAGE_SHAPE, dtype="uint8", name="image")
    if style == "list":
        return keras.Sequential([image, *keras_layers], name="cnnlab")
    if style == "add":
        model = keras.Sequential(name="cnnlab")
        for part in [image, *keras_layers]:
            model.add(part)
        return model
    tensors = {INPUT: image}
    for layer, part in zip(layers, keras_layers, strict=True):
        inputs = [tensors[name] for name in layer.inputs]
        tensors[layer.name] = part(inputs[0] if len(inputs) == 1 else inputs)
    return keras.Model(image, tensors[layers[-1].name], name="cnnlab")


def keras_layer(layer: Layer, experiment: Experiment, policy: str, plain: bool) -> keras.Layer:
    """The Keras layer that one entry of the architecture describes; the logits are float32."""
    common = {"name": layer.name, "dtype": "float32" if layer.is_output else policy}
    if layer.kind == "bn" and not plain:
        return batch_normalization_class()(**common)
    return call_keras(keras_call(layer, experiment), **common)


def call_keras(call: KerasCall, **common: Any) -> Any:
    """What Keras makes of this call, with the arguments of `common` too."""
    arguments = {
        name: call_keras(value) if isinstance(value, KerasCall) else value for name, value in call.arguments.items()
    }
    return getattr(getattr(keras, call.module), call.class_name)(**arguments, **common)


def batch_normalization_class() -> type[keras.layers.BatchNormalization]:
    """Keras's batch normalization; on TensorFlow an equivalent with one fused kernel."""
    return FusedBatchNormalization if keras.backend.backend() == "tensorflow" else keras.layers.BatchNormalization


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization with TensorFlow's fused kernel: the same variables and results as Keras's layer, but faster.

    The kernel returns the sample variance (divided by n - 1); Keras updates its moving average with the variance
    divided by n, so it is multiplied by (n - 1) / n.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        import tensorflow as tf

        fused = tf.compat.v1.nn.fused_batch_norm
        scale, shift, mean, variance = self.gamma, self.beta, self.moving_mean, self.moving_variance
        scale, shift, mean, variance = (tf.cast(v, "float32") for v in (scale, shift, mean, variance))
        if not training:
            return fused(inputs, scale, shift, mean, variance, self.epsilon, is_training=False)[0]
        out, batch_mean, batch_variance = fused(inputs, scale, shift, epsilon=self.epsilon, is_training=True)
        count = tf.cast(tf.size(inputs) / tf.shape(inputs)[-1], "float32")
        batch_variance *= (count - 1) / count
        self.moving_mean.assign(self.moving_mean * self.momentum + batch_mean * (1 - self.momentum))
        self.moving_variance.assign(self.moving_variance * self.momentum + batch_variance * (1 - self.momentum))
        return out


def get_weights(model: keras.Model) -> Weights:
    """The weights as float32 arrays by layer and role: "conv1/kernel" (3, 3, 3, 64), "bn1/gamma" (64,), ..."""
    return {
        f"{layer.name}/{variable.name}": np.asarray(variable.numpy(), np.float32)
        for layer in model.layers
        for variable in layer.weights
        if "seed" not in variable.name
    }


def set_weights(model: keras.Model, weights: Weights) -> None:
    """Assign weights as `get_weights` returns them. Raises KeyError for a missing one, ValueError for a wrong shape."""
    for layer in model.layers:
        for variable in layer.weights:
            if "seed" not in variable.name:
                variable.assign(weights[f"{layer.name}/{variable.name}"])
