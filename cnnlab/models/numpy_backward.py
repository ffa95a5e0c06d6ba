"""The backward pass of a network in NumPy: gradients with respect to activations and to the image.

The chain rule, layer by layer, for the layers and activations of `numpy_forward`. Gradients of weights are not covered:
training is Keras's task. The module reads top to bottom: the whole pass, one layer, then the two layers that need more
than a line.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

import numpy as np

from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import INPUT, Layer
from cnnlab.models.numpy_forward import (
    Activations,
    conv2d,
    input_name,
    iter_activations,
    layer_index,
    named_activations,
)
from cnnlab.models.windows import pad_border, pad_windows, window_padding, window_pixels


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
    return layers, named_activations(images, iter_activations(layers, weights, images))


def _input_grads(
    layers: Sequence[Layer], layer: Layer, weights: Weights, activations: Mapping[str, Array], grad: Array
) -> tuple[Array, ...]:
    """The gradient for each of the layer's inputs, from that of its activation."""
    if layer.kind == "dropout":  # it has no activation of its own
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
            return max_pool_backward(grad, inputs, layer.kernel, layer.stride, layer.padding)
        case "relu":
            return np.asarray(grad * (outputs > 0))
        case "bn":
            std = np.sqrt(weights[f"{layer.name}/moving_variance"] + np.float32(layer.epsilon))
            return np.asarray(grad * (weights[f"{layer.name}/gamma"] / std))
        case "conv":
            kernel, size = weights[f"{layer.name}/kernel"], inputs.shape[1:3]
            return conv2d_backward(grad, kernel, size, layer.padding, layer.stride)
        case "rescale":
            return np.asarray(grad * np.float32(layer.scale))
        case "dropout":
            return grad
        case _:
            assert_never(layer.kind)


def conv2d_backward(
    grad: Array, kernel: Array, size: tuple[int, ...], padding: str = "valid", stride: int = 1
) -> Array:
    """The backward pass of a convolution is a convolution: grad (n, h', w', f) -> (n, h, w, c), `size` is (h, w).

    The kernel (kh, kw, c, f) is rotated by 180 degrees and its input and output channels are exchanged. A stride puts
    zeros between the gradients. Pixels that no window read have the gradient 0.
    """
    rotated = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    kh, kw, channels, _ = kernel.shape
    around = pad_border(_spread(grad, stride), (kh - 1, kh - 1), (kw - 1, kw - 1))
    padded = conv2d(around, rotated, np.zeros(channels, np.float32))
    before = [window_padding(side, k, stride, padding)[0] for side, k in zip(size, (kh, kw), strict=True)]
    inside = padded[:, before[0] : before[0] + size[0], before[1] : before[1] + size[1]]
    rows, columns = ((0, side - found) for side, found in zip(size, inside.shape[1:3], strict=True))
    return pad_border(inside, rows, columns)


def _spread(grad: Array, stride: int) -> Array:
    """The gradients with stride - 1 zeros between them."""
    if stride == 1:
        return grad
    n, height, width, filters = grad.shape
    spread = np.zeros((n, (height - 1) * stride + 1, (width - 1) * stride + 1, filters), np.float32)
    spread[:, ::stride, ::stride] = grad
    return spread


def max_pool_backward(grad: Array, maps: Array, size: int = 2, stride: int = 2, padding: str = "valid") -> Array:
    """The gradient goes to the largest of each window: grad (n, h', w', c) -> (n, h, w, c) as maps.

    Where several are equal, to the first, as in TensorFlow.
    """
    padded = pad_windows(maps, (size, size), stride, padding, -np.inf)
    pixels = np.stack([values for _, _, values in window_pixels(padded, size, stride)])
    largest = pixels.argmax(axis=0)
    out = np.zeros(padded.shape, np.float32)
    for number, (_, _, target) in enumerate(window_pixels(out, size, stride)):
        np.add(target, grad * (largest == number), out=target)  # a view of `out`
    top, left = (window_padding(side, size, stride, padding)[0] for side in maps.shape[1:3])
    return out[:, top : top + maps.shape[1], left : left + maps.shape[2]]
