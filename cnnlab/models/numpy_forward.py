"""The forward pass of a convolutional network in NumPy, every activation by name, and the backward pass of Grad-CAM.

A trained network is a list of layers, a dictionary of arrays, and about a dozen lines of arithmetic for each kind of
layer. The module reads top to bottom: the layers, the forward pass through all of them, the backward pass.

    activations = compute_activations(layers, weights, images)     # layers = architecture.network_layers(experiment)
    activations["conv1"]                                            # (n, 30, 30, 64)
    softmax(activations["logits"])                                  # (n, 10), each row sums to 1

The functions keep no state: weights are an argument. So the same image can go through the weights of another epoch, a
filter can be set to zero (`hook`), a kernel replaced (`weights | {"conv1/kernel": ...}`), or the pass continued from a
changed activation in the middle (`forward_from`). Threads can share them without a lock.

Not covered: training (gradients of the weights, batch statistics, random masks), strides, even kernels with 'same'
padding, and kinds of layers that `models.architecture` does not build.

Images and feature maps are (n, height, width, channels), float32. Convolution is, as in every deep-learning library, a
cross-correlation: the kernel is not flipped.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import INPUT, Layer

Activations = dict[str, Array]  # a layer's output, by the layer's name
Hook = Callable[[Layer, Array], Array]

PIXEL_SCALE = np.float32(1 / 255)
EPSILON = np.float32(1e-3)  # Keras's default; keeps batch normalization from dividing by zero
BATCH_SIZE = 4  # images at a time in `logits`: small enough for one activation to stay in the processor's cache


# ---- the layers -----------------------------------------------------------------------------------------------------


def extract_patches(maps: Array, height: int, width: int) -> Array:
    """Every window of a map, without copying: (n, h, w, c) -> (n, h - height + 1, w - width + 1, height, width, c)."""
    return sliding_window_view(maps, (height, width), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)


def zero_pad(maps: Array, rows: int, columns: int) -> Array:
    """A border of zeros around every map: (n, h, w, c) -> (n, h + 2 * rows, w + 2 * columns, c)."""
    return np.pad(maps, ((0, 0), (rows, rows), (columns, columns), (0, 0)))


def conv2d(maps: Array, kernel: Array, bias: Array, padding: str = "valid") -> Array:
    """Convolution with stride 1: maps (n, h, w, c), kernel (kh, kw, c, f), bias (f,).

    Each window becomes one row of a tall matrix, each filter one column of another; their product is every output
    pixel of every filter at once. 'valid' uses the windows inside the map and gives (n, h - kh + 1, w - kw + 1, f);
    'same' pads the map with zeros first and gives (n, h, w, f).
    """
    kh, kw, channels, filters = kernel.shape
    if padding == "same":
        maps = zero_pad(maps, kh // 2, kw // 2)
    windows = extract_patches(maps, kh, kw)
    n, height, width = windows.shape[:3]
    out: Array = windows.reshape(n * height * width, kh * kw * channels) @ kernel.reshape(-1, filters)
    out += bias
    return out.reshape(n, height, width, filters)


def batch_norm(maps: Array, gamma: Array, beta: Array, mean: Array, variance: Array) -> Array:
    """Batch normalization at inference: every channel is scaled and shifted by four learned numbers, each (c,).

    gamma * (maps - mean) / sqrt(variance + epsilon) + beta, rearranged to one product and one sum. Ioffe and Szegedy,
    "Batch Normalization", 2015; mean and variance are the moving averages of training.
    """
    scale = gamma / np.sqrt(variance + EPSILON)
    out: Array = maps * scale
    out += beta - mean * scale
    return out


def relu(values: Array) -> Array:
    """Negative values become zero; the shape stays."""
    return np.maximum(values, 0)


def max_pool(maps: Array) -> Array:
    """The largest of each 2x2 square: (n, h, w, c) -> (n, h // 2, w // 2, c). An odd last row or column is dropped."""
    h, w = maps.shape[1] // 2 * 2, maps.shape[2] // 2 * 2
    upper = np.maximum(maps[:, 0:h:2, 0:w:2], maps[:, 0:h:2, 1:w:2])
    lower = np.maximum(maps[:, 1:h:2, 0:w:2], maps[:, 1:h:2, 1:w:2])
    return np.maximum(upper, lower)


def dense(values: Array, kernel: Array, bias: Array) -> Array:
    """Every output depends on every input: values (n, inputs), kernel (inputs, units), bias (units,) -> (n, units)."""
    out: Array = values @ kernel + bias
    return out


def softmax(scores: Array) -> Array:
    """Logits (..., classes) to probabilities: positive, summing to 1.

    The largest logit is subtracted first, so that the exponential cannot overflow; the result is the same.
    """
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    out: Array = powers / powers.sum(axis=-1, keepdims=True)
    return out


# ---- the forward pass -----------------------------------------------------------------------------------------------


def apply_layer(layer: Layer, weights: Weights, *inputs: Array) -> Array:
    """The activation of one layer. `inputs` are those of the layers in `layer.inputs`. Dropout is the identity."""
    values, variables = inputs[0], [weights[name] for name in layer.weight_names]
    match layer.kind:
        case "rescale":
            return values * PIXEL_SCALE
        case "conv":
            kernel, bias = variables
            return conv2d(values, kernel, bias, layer.padding)
        case "bn":
            return batch_norm(values, *variables)
        case "relu":
            return relu(values)
        case "pool":
            return max_pool(values)
        case "dropout":
            return values
        case "flatten":
            return values.reshape(len(values), -1)
        case "dense":
            kernel, bias = variables
            out = dense(values, kernel, bias)
            return relu(out) if layer.activation == "relu" else out
    raise ValueError(f"Expected a kind of layer that this forward pass knows. Received: kind={layer.kind!r}")


def iter_activations(
    layers: Sequence[Layer], weights: Weights, values: Array, hook: Hook | None = None, after: str = INPUT
) -> Iterator[tuple[Layer, Array]]:
    """Each layer behind the one named `after` with its activation, in order; `values` is the activation of `after`.

    `hook(layer, values)`, where given, is called after every layer (dropout included) and returns the activation that
    the pass continues with: the same array, or a changed copy of it. It must not write into the array it is given.
    An activation is released when the last layer that reads it is done. Raises ValueError for an unknown name, and
    where a layer also reads one before `after`.
    """
    remaining = layers[layer_index(layers, after) + 1 :]
    last_reader = {name: layer.name for layer in remaining for name in layer.inputs}
    live = {after: values}
    for layer in remaining:
        if missing := [name for name in layer.inputs if name not in live]:
            raise ValueError(f"Expected to continue before {missing[0]}, which {layer.name} reads. Received: {after=}")
        values = apply_layer(layer, weights, *(live[name] for name in layer.inputs))
        values = values if hook is None else hook(layer, values)
        live = {name: kept for name, kept in live.items() if last_reader.get(name) != layer.name} | {layer.name: values}
        yield layer, values


def compute_activations(
    layers: Sequence[Layer], weights: Weights, images: Array, hook: Hook | None = None
) -> Activations:
    """The activation of every layer for these images, by layer name, in order.

    images: uint8 (n, 32, 32, 3), or float on the same 0..255 scale. The result begins with "input", the images
    themselves; "rescale" is the same as float32 in 0..1; feature maps are float32 (n, h, w, channels), dense layers
    (n, units), "logits" (n, 10). Dropout layers are left out, unless `hook` changes their activation.

    Raises ValueError where the images have another shape, or where the weights belong to another network.
    """
    _check_inputs(layers, weights, images)
    return {INPUT: images} | _named_activations(iter_activations(layers, weights, images, hook), images)


def forward_from(
    layers: Sequence[Layer], weights: Weights, values: Array, after: str, hook: Hook | None = None
) -> Activations:
    """The activations behind the layer named `after`, continuing from `values`, (n, ...), as its activation.

    `after="input"` starts at the beginning. Raises ValueError for an unknown name.
    """
    return _named_activations(iter_activations(layers, weights, values, hook, after), values)


def _named_activations(passed: Iterator[tuple[Layer, Array]], previous: Array) -> Activations:
    """The activations as a dictionary, without the layers that return the very array they were given (dropout)."""
    activations = {}
    for layer, values in passed:
        if values is not previous:
            activations[layer.name] = values
        previous = values
    return activations


def logits(layers: Sequence[Layer], weights: Weights, images: Array, hook: Hook | None = None) -> Array:
    """The logits of the ten classes, float32 (n, 10), for any number of images, BATCH_SIZE at a time.

    Keeps no activation, so it is the function to use for many images. A `hook` sees batches of BATCH_SIZE.
    """
    _check_inputs(layers, weights, images)
    batches = (images[first : first + BATCH_SIZE] for first in range(0, len(images), BATCH_SIZE))
    return np.concatenate([last_activation(iter_activations(layers, weights, batch, hook)) for batch in batches])


def last_activation(passed: Iterator[tuple[Layer, Array]]) -> Array:
    """The activation of the last layer of `iter_activations`, keeping none before it."""
    return deque(passed, maxlen=1).pop()[1]


def layer_index(layers: Sequence[Layer], name: str) -> int:
    """The position of the layer of this name, from 0; -1 for "input". Raises ValueError for an unknown name."""
    names = [layer.name for layer in layers]
    if name == INPUT:
        return -1
    if name in names:
        return names.index(name)
    raise ValueError(f"Expected the name of a layer: {INPUT}, {', '.join(names)}. Received: {name!r}")


def input_name(layers: Sequence[Layer], activations: Mapping[str, Array], layer: Layer) -> str:
    """The name in `activations` of what `layer` reads first: its input, or what that was passed unchanged from."""
    name = layer.inputs[0]
    while name not in activations:
        name = layers[layer_index(layers, name)].inputs[0]
    return name


def _check_inputs(layers: Sequence[Layer], weights: Weights, images: Array) -> None:
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


# ---- the backward pass ----------------------------------------------------------------------------------------------


def gradient(
    layers: Sequence[Layer], weights: Weights, activations: Mapping[str, Array], target: int, layer_name: str
) -> Array:
    """The derivative of the logit of class `target` with respect to the activation of `layer_name`.

    activations: the result of `compute_activations`. The result is float32 and has the shape of
    activations[layer_name]: the chain rule, layer by layer from the logits backwards; where several layers read one
    activation, their gradients are added. In a pooling square with equal values the first counts, as in TensorFlow.

    Raises ValueError for an activation or a class that does not exist.
    """
    if layer_name not in activations and layer_name in [layer.name for layer in layers]:
        raise ValueError(f"Expected one of the activations {', '.join(activations)}. Received: {layer_name=}")
    classes = activations["logits"].shape[1]
    if not 0 <= target < classes:
        raise ValueError(f"Expected a class from 0 to {classes - 1}. Received: target={target}")
    one_hot = np.zeros(activations["logits"].shape, np.float32)
    one_hot[:, target] = 1
    grads = {"logits": one_hot}
    for layer in reversed(layers[layer_index(layers, layer_name) + 1 :]):
        grad = grads.pop(layer.name, None)
        if grad is not None:
            for name, part in zip(layer.inputs, _input_grads(layers, layer, weights, activations, grad), strict=True):
                grads[name] = grads[name] + part if name in grads else part
    return grads[layer_name]


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
