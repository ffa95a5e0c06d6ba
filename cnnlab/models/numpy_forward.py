"""A convolutional network's forward pass in NumPy, every stage by name, and the way back that Grad-CAM needs.

This is what a network *is* once it is trained: a list of layers, a dictionary of plain arrays, and about a dozen lines
of arithmetic for each kind of layer. Read it top to bottom: the layers, then the pass through all of them, then the
pass back.

    maps = stages(network, weights, images)      # network = architecture.layers(experiment)
    maps["conv1"]                                # (n, 30, 30, 64)
    softmax(maps["logits"])                      # (n, 10), each row adds up to 1

Because the weights are handed in and nothing is kept, anything can be asked: the same image through the weights of
another epoch, a filter switched off (`edit`), a kernel changed (`weights | {"conv1/kernel": ...}`), the rest of the
network from a changed map in the middle (`resume`). Many threads can ask at once.

What is left out: training (no gradients of the weights, batch statistics or random masks), strides, even kernels with
'same' padding, and any layer that the networks of this package do not have.

Layout: images and maps are (n, height, width, channels), float32. A convolution is, as in every deep-learning library,
a cross-correlation: the kernel is not turned around.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer

Activations = dict[str, Array]
Hook = Callable[[Layer, Array], Array]

PIXEL_SCALE = np.float32(1 / 255)
EPSILON = np.float32(1e-3)  # Keras's default; keeps batch normalization from dividing by zero
BATCH_SIZE = 4  # images that go through `logits` together: few, so that what lies between two layers stays in the cache


# ---- the layers -----------------------------------------------------------------------------------------------------


def extract_patches(maps: Array, height: int, width: int) -> Array:
    """Every window of a map, without copying: (n, h, w, c) -> (n, h - height + 1, w - width + 1, height, width, c)."""
    return sliding_window_view(maps, (height, width), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)


def zero_pad(maps: Array, rows: int, columns: int) -> Array:
    """A border of zeros around every map: (n, h, w, c) -> (n, h + 2 * rows, w + 2 * columns, c)."""
    return np.pad(maps, ((0, 0), (rows, rows), (columns, columns), (0, 0)))


def conv2d(maps: Array, kernel: Array, bias: Array, padding: str = "valid") -> Array:
    """Convolution with stride 1: maps (n, h, w, c), kernel (kh, kw, c, f), bias (f,).

    Each window is laid out as one row of a tall matrix, each filter as one column of another; their product is every
    output pixel of every filter at once. 'valid' uses windows that lie inside the map and gives
    (n, h - kh + 1, w - kw + 1, f); 'same' puts zeros around the map first and gives (n, h, w, f).
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
    """Batch normalization after training: every channel is scaled and shifted by four learned numbers, each (c,).

    gamma * (maps - mean) / sqrt(variance + epsilon) + beta, rearranged to one product and one sum. Ioffe and Szegedy,
    "Batch Normalization", 2015; mean and variance are the averages kept during training.
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
    """Every output looks at every input: values (n, inputs), kernel (inputs, units), bias (units,) -> (n, units)."""
    out: Array = values @ kernel + bias
    return out


def softmax(scores: Array) -> Array:
    """Logits (..., classes) to probabilities: positive, adding up to 1.

    The largest logit is subtracted first, so that the exponential cannot overflow; the result is the same.
    """
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    out: Array = powers / powers.sum(axis=-1, keepdims=True)
    return out


# ---- the pass through all of them -----------------------------------------------------------------------------------


def apply_layer(layer: Layer, weights: Weights, values: Array) -> Array:
    """One layer. Dropout does nothing once training is over."""
    match layer.kind:
        case "rescale":
            return values * PIXEL_SCALE
        case "conv":
            return conv2d(values, weights[f"{layer.name}/kernel"], weights[f"{layer.name}/bias"], layer.padding)
        case "bn":
            roles = ("gamma", "beta", "moving_mean", "moving_variance")
            return batch_norm(values, *(weights[f"{layer.name}/{role}"] for role in roles))
        case "relu":
            return relu(values)
        case "pool":
            return max_pool(values)
        case "dropout":
            return values
        case "flatten":
            return values.reshape(len(values), -1)
        case "dense":
            out = dense(values, weights[f"{layer.name}/kernel"], weights[f"{layer.name}/bias"])
            return relu(out) if layer.activation == "relu" else out
    raise ValueError(f"Expected a kind of layer that this forward pass knows. Received: kind={layer.kind!r}")


def iter_activations(
    layers: Sequence[Layer], weights: Weights, values: Array, hook: Hook | None = None
) -> Iterator[tuple[Layer, Array]]:
    """Each layer with what it puts out, first to last.

    `edit(layer, values)`, where given, is called after every layer (dropout included) and returns what the network is
    to go on with: the same array, or a changed copy of it. It must not write into the array it is handed.
    """
    for layer in layers:
        values = apply_layer(layer, weights, values)
        if hook is not None:
            values = hook(layer, values)
        yield layer, values


def compute_activations(
    layers: Sequence[Layer], weights: Weights, images: Array, hook: Hook | None = None
) -> Activations:
    """What every layer puts out for these images, by layer name, first to last.

    images: uint8 (n, 32, 32, 3), or float on the same 0..255 scale. The result begins with "input", the images
    themselves; "rescale" is the same as float32 in 0..1; maps are float32 (n, h, w, channels), dense layers
    (n, units), "logits" (n, 10). Dropout layers are left out, unless `edit` (see `walk`) makes them do something.

    Raises ValueError where the images have another shape, or where the weights are another network's.
    """
    _check_inputs(layers, weights, images)
    return {"input": images} | _named_activations(iter_activations(layers, weights, images, hook), images)


def forward_from(
    layers: Sequence[Layer], weights: Weights, values: Array, after: str, hook: Hook | None = None
) -> Activations:
    """The stages that follow the layer named `after`, continuing from `values`, what that layer is to have put out.

    values: (n, ...) of that stage's shape. `after="input"` starts at the beginning. Raises ValueError for an unknown
    name.
    """
    return _named_activations(iter_activations(layers[layer_index(layers, after) + 1 :], weights, values, hook), values)


def _named_activations(passed: Iterator[tuple[Layer, Array]], before: Array) -> Activations:
    """The stages as a dictionary, without the layers that hand on the very array they were given (dropout)."""
    found = {}
    for layer, values in passed:
        if values is not before:
            found[layer.name] = values
        before = values
    return found


def logits(layers: Sequence[Layer], weights: Weights, images: Array, hook: Hook | None = None) -> Array:
    """The scores of the ten classes, float32 (n, 10), for any number of images (see `stages`), BATCH at a time.

    Keeps no stage, so it is the one to use for many images. An `edit` sees the images in slices of BATCH.
    """
    _check_inputs(layers, weights, images)
    slices = (images[first : first + BATCH_SIZE] for first in range(0, len(images), BATCH_SIZE))
    return np.concatenate([_last_activation(iter_activations(layers, weights, part, hook)) for part in slices])


def _last_activation(passed: Iterator[tuple[Layer, Array]]) -> Array:
    return deque(passed, maxlen=1).pop()[1]


def layer_index(layers: Sequence[Layer], name: str) -> int:
    """Where the layer of this name stands in the list, counting from 0; -1 for "input". ValueError where nowhere."""
    names = [layer.name for layer in layers]
    if name == "input":
        return -1
    if name in names:
        return names.index(name)
    raise ValueError(f"Expected the name of a layer: input, {', '.join(names)}. Received: {name!r}")


def _check_inputs(layers: Sequence[Layer], weights: Weights, images: Array) -> None:
    wanted = layers[0].output_shape
    if images.shape[1:] != wanted or len(images) == 0:
        raise ValueError(
            f"Expected at least one image, as an array of shape (n, {', '.join(map(str, wanted))}). "
            f"Received: shape={images.shape}. For a single image pass image[None]."
        )
    for layer in layers:
        if layer.kind in ("conv", "dense"):
            held = weights.get(f"{layer.name}/kernel", np.zeros(0)).shape
            if held[-1] != layer.output_shape[-1]:
                raise ValueError(
                    f"Expected {layer.name}/kernel to have {layer.output_shape[-1]} filters or units. "
                    f"Received: shape={held}. Take layers and weights from the same run."
                )


# ---- the pass back --------------------------------------------------------------------------------------------------


def gradient(
    layers: Sequence[Layer], weights: Weights, activations: Mapping[str, Array], target: int, layer_name: str
) -> Array:
    """How much the logit of class `target` changes for a small change of each number of the stage `at`.

    maps: what `stages` gave for the images; the result is float32 and has the shape of maps[at]. The chain rule, layer
    by layer from the logit backwards. Where two pixels of a pooling square tie, the first one counts, as in TensorFlow.

    Raises ValueError for a stage or a class that is not there.
    """
    if layer_name not in activations and layer_name in [layer.name for layer in layers]:
        raise ValueError(f"Expected a stage of a forward pass, {', '.join(activations)}. Received: at={layer_name!r}")
    path = [layer for layer in layers[layer_index(layers, layer_name) + 1 :] if layer.kind != "dropout"]
    if not 0 <= target < activations["logits"].shape[1]:
        raise ValueError(f"Expected a class from 0 to {activations['logits'].shape[1] - 1}. Received: target={target}")
    slope = np.zeros(activations["logits"].shape, np.float32)
    slope[:, target] = 1
    sources = [layer_name, *(layer.name for layer in path[:-1])]  # the stage that each layer of the path reads
    for layer, source in reversed(list(zip(path, sources, strict=False))):
        slope = backward_layer(layer, weights, slope, activations[source], activations[layer.name])
    return slope


def backward_layer(layer: Layer, weights: Weights, grad: Array, inputs: Array, outputs: Array) -> Array:
    """The slope with respect to a layer's input (`before`), from the slope with respect to its output (`after`)."""
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
            deviation = np.sqrt(weights[f"{layer.name}/moving_variance"] + EPSILON)
            return np.asarray(grad * (weights[f"{layer.name}/gamma"] / deviation))
        case "conv":
            return conv2d_backward(grad, weights[f"{layer.name}/kernel"], layer.padding)
        case "rescale":
            return np.asarray(grad * PIXEL_SCALE)
    raise ValueError(f"Expected a kind of layer that the way back knows. Received: kind={layer.kind!r}")


def conv2d_backward(grad: Array, kernel: Array, padding: str = "valid") -> Array:
    """The way back through a convolution is a convolution too: slope (n, h', w', f) -> (n, h, w, c).

    The kernel (kh, kw, c, f) is turned around by 180 degrees and its input and output channels are exchanged.
    """
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    kh, kw, channels, _ = kernel.shape
    nothing = np.zeros(channels, np.float32)
    if padding == "same":
        return conv2d(grad, turned, nothing, "same")
    return conv2d(zero_pad(grad, kh - 1, kw - 1), turned, nothing)


def max_pool_backward(grad: Array, maps: Array) -> Array:
    """The whole slope goes to the winner of each 2x2 square: slope (n, h // 2, w // 2, c) -> (n, h, w, c) as maps."""
    n, h, w, channels = grad.shape
    squares = maps[:, : 2 * h, : 2 * w].reshape(n, h, 2, w, 2, channels)
    squares = squares.transpose(0, 1, 3, 5, 2, 4).reshape(n, h, w, channels, 4)
    winners = np.arange(4) == squares.argmax(axis=-1)[..., None]
    spread = (grad[..., None] * winners).reshape(n, h, w, channels, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    out = np.zeros(maps.shape, np.float32)
    out[:, : 2 * h, : 2 * w] = spread.reshape(n, 2 * h, 2 * w, channels)
    return out
