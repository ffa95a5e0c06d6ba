"""The backward pass of a network in NumPy: gradients with respect to activations and to the image.

The chain rule, layer by layer, for the layers and activations of `numpy_forward`. Gradients of weights are not covered:
training is Keras's task. The module reads top to bottom: the whole pass, one layer, then the two layers that need more
than a line.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import INPUT, Layer
from cnnlab.models.numpy_forward import (
    EPSILON,
    PIXEL_SCALE,
    Activations,
    conv2d,
    input_name,
    iter_activations,
    layer_index,
    zero_pad,
)


def gradient(
    layers: Sequence[Layer], weights: Weights, activations: Mapping[str, Array], target: int, layer_name: str
) -> Array:
    """The derivative of the logit of class `target` with respect to the activation of `layer_name`.

    activations: the result of `compute_activations`. The result is float32 and has the shape of
    activations[layer_name]: the chain rule, layer by layer from the logits backwards; where several layers read one
    activation, their gradients are added. In a pooling square with equal values the first counts, as in TensorFlow.

    Raises ValueError for an activation or a class that does not exist.
    """
    classes = activations["logits"].shape[1]
    if not 0 <= target < classes:
        raise ValueError(f"Expected a class from 0 to {classes - 1}. Received: target={target}")
    one_hot = np.zeros(activations["logits"].shape, np.float32)
    one_hot[:, target] = 1
    return backpropagate(layers, weights, activations, {"logits": one_hot}, layer_name)


def backpropagate(
    layers: Sequence[Layer],
    weights: Weights,
    activations: Mapping[str, Array],
    output_grads: Mapping[str, Array],
    layer_name: str = INPUT,
) -> Array:
    """The gradient of sum(output_grads[name] * activations[name]) with respect to the activation of `layer_name`.

    output_grads: by layer name, float32 arrays with the shape of its activation: the vector of a vector-Jacobian
    product. The result is float32 with the shape of activations[layer_name]; "input" is the image on its 0..255 scale,
    (n, 32, 32, 3). It is zero where no layer in `output_grads` reads that activation.

    Raises ValueError for an activation that does not exist.
    """
    known = [INPUT, *(layer.name for layer in layers)]
    if missing := [name for name in (layer_name, *output_grads) if name in known and name not in activations]:
        raise ValueError(
            f"Expected one of the activations {', '.join(activations)}. Received: layer_name={missing[0]!r}"
        )
    last = max(layer_index(layers, name) for name in output_grads)
    grads = dict(output_grads)
    for layer in reversed(layers[layer_index(layers, layer_name) + 1 : last + 1]):
        grad = grads.pop(layer.name, None)
        if grad is not None:
            for name, part in zip(layer.inputs, _input_grads(layers, layer, weights, activations, grad), strict=True):
                grads[name] = grads[name] + part if name in grads else part
    return grads.get(layer_name, np.zeros(activations[layer_name].shape, np.float32))


def activations_up_to(
    layers: Sequence[Layer], weights: Weights, images: Array, layer_name: str
) -> tuple[Sequence[Layer], Activations]:
    """The layers up to the one of this name, and their activations, which is all that a gradient of it needs.

    images: float or uint8 (n, h, w, 3); without padding they may be smaller than those of the network. Raises
    ValueError for an unknown name.
    """
    layers = layers[: layer_index(layers, layer_name) + 1]
    activations, previous = {INPUT: images}, images
    for layer, values in iter_activations(layers, weights, images):
        if values is not previous:  # dropout returns its input
            activations[layer.name] = values
        previous = values
    return layers, activations


def _input_grads(
    layers: Sequence[Layer], layer: Layer, weights: Weights, activations: Mapping[str, Array], grad: Array
) -> tuple[Array, ...]:
    """The gradient for each of the layer's inputs, from that of its activation."""
    if layer.kind == "dropout":
        return (grad,)
    inputs = activations[input_name(layers, activations, layer)]
    return (backward_layer(layer, weights, grad, inputs, activations[layer.name]),)


def backward_layer(layer: Layer, weights: Weights, grad: Array, inputs: Array, outputs: Array) -> Array:
    """The gradient with respect to a layer's input, from `grad`, the gradient with respect to its output."""
    match layer.kind:
        case "dense":
            grad = grad * (outputs > 0) if layer.activation == "relu" else grad
            return np.asarray(grad @ weights[f"{layer.name}/kernel"].T)
        case "flatten":
            return grad.reshape(inputs.shape)
        case "pool":
            return max_pool_backward(grad, inputs)
        case "relu":
            return np.asarray(grad * (outputs > 0))
        case "bn":
            std = np.sqrt(weights[f"{layer.name}/moving_variance"] + EPSILON)
            return np.asarray(grad * (weights[f"{layer.name}/gamma"] / std))
        case "conv":
            return conv2d_backward(grad, weights[f"{layer.name}/kernel"], layer.padding)
        case "rescale":
            return np.asarray(grad * PIXEL_SCALE)
    raise ValueError(f"Expected a kind of layer that this backward pass knows. Received: kind={layer.kind!r}")


def conv2d_backward(grad: Array, kernel: Array, padding: str = "valid") -> Array:
    """The backward pass of a convolution is a convolution: grad (n, h', w', f) -> (n, h, w, c).

    The kernel (kh, kw, c, f) is rotated by 180 degrees and its input and output channels are exchanged.
    """
    rotated = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    kh, kw, channels, _ = kernel.shape
    no_bias = np.zeros(channels, np.float32)
    if padding == "same":
        return conv2d(grad, rotated, no_bias, "same")
    return conv2d(zero_pad(grad, kh - 1, kw - 1), rotated, no_bias)


def max_pool_backward(grad: Array, maps: Array) -> Array:
    """The gradient goes to the largest of each 2x2 square: grad (n, h // 2, w // 2, c) -> (n, h, w, c) as maps."""
    n, h, w, channels = grad.shape
    squares = maps[:, : 2 * h, : 2 * w].reshape(n, h, 2, w, 2, channels)
    squares = squares.transpose(0, 1, 3, 5, 2, 4).reshape(n, h, w, channels, 4)
    is_largest = np.arange(4) == squares.argmax(axis=-1)[..., None]
    spread = (grad[..., None] * is_largest).reshape(n, h, w, channels, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    out = np.zeros(maps.shape, np.float32)
    out[:, : 2 * h, : 2 * w] = spread.reshape(n, 2 * h, 2 * w, channels)
    return out
