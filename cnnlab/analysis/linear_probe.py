"""Linear probes: how well a linear classifier on the activations of a layer predicts the class.

Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016. The probe is a ridge
regression on targets of +1 for the class and -1 for the others; the largest output is its prediction. Feature maps are
averaged over a grid of GRID by GRID cells first, so that the probes of all layers have a similar number of inputs.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from cnnlab.analysis.batched_activations import ProgressCallback, reduce_activations
from cnnlab.array_types import Array, Weights
from cnnlab.models.architecture import Layer

GRID = 4  # cells in a row and in a column
PENALTY = 0.01  # of ridge regression, times the number of images, on standardized features
TRAIN_SHARE = 0.8  # of the images, to fit the probes; the others measure their accuracy
BATCH = 16


def pooled_features(values: Array, grid: int = GRID) -> Array:
    """Features of an activation: (n, units) as it is; maps (n, h, w, f) averaged over grid cells, (n, cells * f).

    Cells differ by at most one pixel in each direction; a map smaller than the grid is not averaged.
    """
    if values.ndim == 2:
        return np.asarray(values, np.float32)
    height, width = values.shape[1:3]
    rows, columns = (np.linspace(0, side, min(grid, side) + 1).round().astype(int) for side in (height, width))
    cells = [
        values[:, top:bottom, left:right].mean(axis=(1, 2), dtype=np.float32)
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]
    return np.concatenate(cells, axis=1)


def layer_features(
    layers: Sequence[Layer],
    weights: Weights,
    images: Array,
    layer_names: Sequence[str],
    progress: ProgressCallback | None = None,
) -> dict[str, Array]:
    """The features of every layer in `layer_names` for images uint8 (n, 32, 32, 3): float32 (n, features) by name.

    progress(done, total) is called after every batch; an exception from it ends the computation.
    """
    parts = reduce_activations(layers, weights, images, layer_names, pooled_features, BATCH, progress)
    return {name: np.concatenate(batches) for name, batches in parts.items()}


def probe_accuracy(features: Array, labels: Array, penalty: float = PENALTY) -> float:
    """The accuracy of a linear probe on the images that it was not fitted on: features (n, d), labels (n,).

    The first TRAIN_SHARE of the images fit the probe. Features that are constant there are left out. Raises ValueError
    for fewer than ten images, or features that are not finite numbers.
    """
    if len(features) != len(labels) or len(features) < 10:
        raise ValueError(f"Expected at least ten images with a label each. Received: {len(features)} and {len(labels)}")
    if not np.isfinite(features).all():
        raise ValueError("Expected finite features. Received: values that are not numbers")
    split = int(TRAIN_SHARE * len(features))
    train = features[:split].astype(np.float64)
    mean, std = train.mean(axis=0), train.std(axis=0)
    used = std > 1e-6
    train = (train[:, used] - mean[used]) / std[used]
    targets = np.where(np.asarray(labels)[:split, None] == np.arange(np.max(labels) + 1), 1.0, -1.0)
    offset = targets.mean(axis=0)
    penalized = train.T @ train + penalty * split * np.eye(train.shape[1])
    kernel = np.linalg.solve(penalized, train.T @ (targets - offset))
    scores = (features[split:][:, used] - mean[used]) / std[used] @ kernel + offset
    return float((scores.argmax(axis=1) == labels[split:]).mean())


def probed_layers(layers: Sequence[Layer]) -> list[str]:
    """The layers that are probed: the pixels, every ReLU, and every hidden dense layer."""
    return [
        layer.name
        for layer in layers
        if layer.kind in ("rescale", "relu") or (layer.kind == "dense" and not layer.is_output)
    ]
