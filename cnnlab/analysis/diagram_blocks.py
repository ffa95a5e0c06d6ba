"""The network as the blocks of its diagram: each step that changes a shape, with the layers that keep it.

A block begins with the image, a convolution, a pooling or a dense layer. Batch normalization, ReLU, dropout and flatten
belong to the block before them. So every layer is in one block, and the blocks' parameters add up to the network's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.array_types import Array
from cnnlab.models.architecture import IMAGE_SHAPE, INPUT, Layer

BLOCK_KINDS = ("conv", "pool", "dense")


@dataclass(frozen=True, kw_only=True)
class DiagramBlock:
    """Layers that are drawn as one block.

    name: that of its first layer, or "input"; kind: "input", conv, pool or dense; shape: of its activation for one
    image, (height, width, channels) or (units,); layers: in order.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """How many numbers its layers store."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Rows and columns of the side that is drawn: a map; of a dense layer its units, in a square where it can be.

        The square of units has as many columns as rows, or one row less than it has columns, and may not be filled.
        """
        if len(self.shape) == 3:
            return self.shape[0], self.shape[1]
        columns = math.ceil(math.sqrt(self.shape[0]))
        return math.ceil(self.shape[0] / columns), columns

    def find(self, kind: str) -> Layer | None:
        """Its first layer of a kind, or None."""
        return next((layer for layer in self.layers if layer.kind == kind), None)


def diagram_blocks(layers: Sequence[Layer]) -> tuple[DiagramBlock, ...]:
    """The blocks of a network, first to last; the first is the image."""
    groups: list[list[Layer]] = [[]]
    for layer in layers:
        if layer.kind in BLOCK_KINDS:
            groups.append([])
        groups[-1].append(layer)
    first = DiagramBlock(name=INPUT, kind=INPUT, shape=IMAGE_SHAPE, layers=tuple(groups[0]))
    return (first, *map(_block, groups[1:]))


def _block(layers: Sequence[Layer]) -> DiagramBlock:
    head = layers[0]
    return DiagramBlock(name=head.name, kind=head.kind, shape=head.output_shape, layers=tuple(layers))


def dropout_masks(block: DiagramBlock, count: int, seed: int = 0) -> Array:
    """Random masks of the drawn side of a block with dropout: bool (count, rows, columns), True where a value is kept.

    Each value is dropped by itself with the layer's rate, as in training. Raises ValueError for a block without one.
    """
    layer = block.find("dropout")
    if layer is None:
        raise ValueError(f"Expected a block with a dropout layer. Received: {block.name!r}")
    rng = np.random.default_rng((seed, *layer.name.encode()))
    return rng.random((count, *block.grid_shape)) >= layer.rate


def paired_samples(before: Array, after: Array, count: int = 1000, seed: int = 0) -> tuple[Array, Array]:
    """The same random positions of two activations of one shape: two float32 arrays of `count` values, or of all."""
    flat = before.ravel(), after.ravel()
    chosen = np.arange(flat[0].size)
    if flat[0].size > count:
        chosen = np.random.default_rng(seed).choice(flat[0].size, count, replace=False)
    return np.asarray(flat[0][chosen], np.float32), np.asarray(flat[1][chosen], np.float32)
