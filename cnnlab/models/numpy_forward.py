"""The forward pass of a convolutional network in NumPy: every activation by name.

A trained network is a list of layers, a dictionary of arrays, and about a dozen lines of arithmetic for each kind of
layer. The module reads top to bottom: the layers, then the forward pass through all of them. `numpy_backward`
has the backward pass of Grad-CAM.

    activations = compute_activations(layers, weights, images)     # layers = architecture.network_layers(experiment)
    activations["conv1"]                                            # (n, 30, 30, 64)
    softmax(activations["logits"])                                  # (n, classes), each row sums to 1

The functions keep no state: weights are an argument. So the same image can go through the weights of another epoch, a
filter can be set to zero (`hook`), or a kernel replaced (`weights | {"conv1/kernel": ...}`). Threads can share them
without a lock.

Not covered: training (gradients of the weights, batch statistics, random masks), windows that are not square, and kinds
of layers that `models.architecture` does not know.

Images and feature maps are (n, height, width, channels), float32. Convolution is, as in every deep-learning library, a
cross-correlation: the kernel is not flipped.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import assert_never

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import BATCHNORM_EPSILON, INPUT, Layer
from cnnlab.models.input_checks import check_inputs
from cnnlab.models.windows import pad_windows, window_pixels

Activations = dict[str, Array]  # a layer's output, by the layer's name
Hook = Callable[[Layer, Array], Array]

BATCH_SIZE = 4  # images at a time in `logits`: small enough for one activation to stay in the processor's cache


# ---- the layers -----------------------------------------------------------------------------------------------------


def rescale(pixels: Array, scale: float, offset: float = 0.0) -> Array:
    """The pixels, 0..255, in the range that the network was trained with, float32; the shape stays."""
    scaled: Array = pixels * np.float32(scale)
    return scaled + np.float32(offset) if offset else scaled


def extract_patches(maps: Array, height: int, width: int) -> Array:
    """Every window of a map, without copying: (n, h, w, c) -> (n, h - height + 1, w - width + 1, height, width, c)."""
    return sliding_window_view(maps, (height, width), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)


def conv2d(maps: Array, kernel: Array, bias: Array, padding: str = "valid", stride: int = 1) -> Array:
    """Convolution: maps (n, h, w, c), kernel (kh, kw, c, f), bias (f,).

    Each window becomes one row of a tall matrix, each filter one column of another; their product is every output
    pixel of every filter at once. 'valid' uses the windows inside the map and gives (n, h - kh + 1, w - kw + 1, f) with
    stride 1; 'same' pads the map with zeros first and gives (n, h, w, f).
    """
    kh, kw, channels, filters = kernel.shape
    maps = pad_windows(maps, (kh, kw), stride, padding)
    windows = extract_patches(maps, kh, kw)[:, ::stride, ::stride]
    n, height, width = windows.shape[:3]
    out: Array = windows.reshape(n * height * width, kh * kw * channels) @ kernel.reshape(-1, filters)
    out += bias
    return out.reshape(n, height, width, filters)


def batch_norm(
    maps: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float = BATCHNORM_EPSILON
) -> Array:
    """Batch normalization at inference: every channel is scaled and shifted. All four arrays are (c,).

    gamma * (maps - mean) / sqrt(variance + epsilon) + beta, rearranged to one product and one sum. gamma and beta are
    learned, mean and variance the moving averages of training (Ioffe and Szegedy, "Batch Normalization", 2015).
    """
    scale = gamma / np.sqrt(variance + np.float32(epsilon))
    out: Array = maps * scale
    out += beta - mean * scale
    return out


def relu(values: Array) -> Array:
    """Negative values become zero; the shape stays."""
    return np.maximum(values, 0)


def max_pool(maps: Array, size: int = 2, stride: int = 2, padding: str = "valid") -> Array:
    """The largest of each window: (n, h, w, c) -> (n, h // 2, w // 2, c) with 2x2 squares side by side.

    With 'valid' padding the rows and columns behind the last whole window are dropped.
    """
    maps = pad_windows(maps, (size, size), stride, padding, -np.inf)
    return reduce(np.maximum, (pixels for _, _, pixels in window_pixels(maps, size, stride)))


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
            return rescale(values, layer.scale, layer.offset)
        case "conv":
            kernel, bias = variables
            return conv2d(values, kernel, bias, layer.padding, layer.stride)
        case "bn":
            gamma, beta, mean, variance = variables
            return batch_norm(values, gamma, beta, mean, variance, layer.epsilon)
        case "relu":
            return relu(values)
        case "pool":
            return max_pool(values, layer.kernel, layer.stride, layer.padding)
        case "dropout":
            return values
        case "flatten":
            return values.reshape(len(values), -1)
        case "dense":
            kernel, bias = variables
            out = dense(values, kernel, bias)
            return relu(out) if layer.activation == "relu" else out
        case _:
            assert_never(layer.kind)


def iter_activations(
    layers: Sequence[Layer], weights: Weights, images: Array, hook: Hook | None = None
) -> Iterator[tuple[Layer, Array]]:
    """Each layer with its activation for images (n, h, w, 3), in order.

    `hook(layer, values)`, where given, is called after every layer (dropout included) and returns the activation that
    the pass continues with: the same array, or a changed copy of it. It must not write into the array it is given.
    An activation is released when the last layer that reads it is done.
    """
    last_reader = {name: layer.name for layer in layers for name in layer.inputs}
    live = {INPUT: images}
    for layer in layers:
        values = apply_layer(layer, weights, *(live[name] for name in layer.inputs))
        values = values if hook is None else hook(layer, values)
        live = {name: value for name, value in live.items() if last_reader.get(name) != layer.name}
        live[layer.name] = values
        yield layer, values


def compute_activations(
    layers: Sequence[Layer], weights: Weights, images: Array, hook: Hook | None = None
) -> Activations:
    """The activation of every layer for these images, by layer name, in order.

    images: uint8 (n, 32, 32, 3), or float on the same 0..255 scale. The result begins with "input", the images
    themselves; "rescale" is the same as float32 in the range that the network was trained with, 0..1 for runs; feature
    maps are float32 (n, h, w, channels), dense layers (n, units), "logits" (n, classes). Dropout layers are left out,
    unless `hook` changes their activation.

    Raises ValueError where the images have another shape, or where the weights belong to another network.
    """
    check_inputs(layers, weights, images)
    return named_activations(images, iter_activations(layers, weights, images, hook))


def named_activations(images: Array, steps: Iterator[tuple[Layer, Array]]) -> Activations:
    """The images as "input" and the activations of `iter_activations` by layer name.

    A layer that returns the very array it was given (dropout) is left out.
    """
    activations, previous = {INPUT: images}, images
    for layer, values in steps:
        if values is not previous:
            activations[layer.name] = values
        previous = values
    return activations


def logits(layers: Sequence[Layer], weights: Weights, images: Array, hook: Hook | None = None) -> Array:
    """The logits of the classes, float32 (n, classes), for any number of images, BATCH_SIZE at a time.

    Keeps no activation, so it is the function to use for many images. A `hook` sees batches of BATCH_SIZE.
    """
    check_inputs(layers, weights, images)
    batches = (images[first : first + BATCH_SIZE] for first in range(0, len(images), BATCH_SIZE))
    return np.concatenate([last_activation(iter_activations(layers, weights, batch, hook)) for batch in batches])


def last_activation(steps: Iterator[tuple[Layer, Array]]) -> Array:
    """The activation of the last layer of `iter_activations`, keeping none before it."""
    return deque(steps, maxlen=1).pop()[1]


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
