"""The cost of a network for one image, counted from its layers."""

from collections.abc import Sequence

from cnnlab.models.architecture import IMAGE_SHAPE, INPUT, Layer

TRAIN_STEP_COST = 3  # a training step costs about three forward passes


def multiply_adds(layers: Sequence[Layer]) -> int:
    """Multiplications, each with an addition, of the convolutions and dense layers of one forward pass of one image.

    A convolution has height * width * filters outputs of kernel * kernel * input channels products each, a dense layer
    one product for each of its kernel's weights. Biases, ReLU, pooling, dropout and batch normalization are left out:
    together below 2 % for the report's networks. A step of training costs about three times as much.
    """
    sizes = {INPUT: IMAGE_SHAPE} | {layer.name: layer.output_shape for layer in layers}
    return sum(_products(layer, sizes[layer.inputs[0]]) for layer in layers)


def _products(layer: Layer, incoming: tuple[int, ...]) -> int:
    if layer.kind == "conv":
        height, width, filters = layer.output_shape
        return height * width * filters * layer.kernel**2 * incoming[-1]
    return incoming[-1] * layer.output_shape[-1] if layer.kind == "dense" else 0
