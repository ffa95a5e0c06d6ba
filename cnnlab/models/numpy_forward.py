"""The forward pass of a convolutional network in NumPy: every activation by name.

A trained network is a list of layers, a dictionary of arrays, and about a dozen lines of arithmetic for each kind of
layer. The module reads top to bottom: the layers, then the forward pass through all of them. `numpy_backward`
has the backward pass of Grad-CAM.

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
        live = {name: value for name, value in live.items() if last_reader.get(name) != layer.name} | {
            layer.name: values
        }
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


def _named_activations(steps: Iterator[tuple[Layer, Array]], previous: Array) -> Activations:
    """The activations as a dictionary, without the layers that return the very array they were given (dropout)."""
    activations = {}
    for layer, values in steps:
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
