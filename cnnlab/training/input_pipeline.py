"""The input pipeline: batches of uint8 images in a given order.

On TensorFlow the images are one constant in memory, from which each batch is gathered inside the graph; on other
backends NumPy gathers them. Augmentation is part of it: the transforms of an epoch are drawn beforehand
(`data.augmentation`), and each pixel of an augmented batch is gathered from its place in the padded image.

The autotuning of tf.data is disabled. Its thread sleeps for a doubling time (10 ms, 20 ms, ... 20 s), and deleting a
data set waits until it wakes: an epoch of 21 seconds takes 41, and plain `model.fit(x, y)` has the same delay at the
end of every call.
"""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cnnlab.data import augmentation

Transforms = NDArray[np.int32]


class InputPipeline:
    """Images uint8 (n, 32, 32, 3) with their labels (n,), ready for `fit` and `predict` in any order."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.uint8]):
        self.labels = np.array(labels)
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self.constants = tf.constant(images), tf.constant(self.labels)  # a copy: the mapped file can be closed
        else:
            self.images = np.asarray(images)

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, order: NDArray[np.int64], size: int, transforms: Transforms | None = None) -> Any:
        """Batches of `size` images and labels at the indices `order`, as an input for Keras.

        With `transforms`, int32 (n, 3), a row for each image of the pipeline, the images are augmented.
        """
        if keras.backend.backend() == "tensorflow":
            return self._tensorflow(order, size, transforms)
        return NumpyBatches(self, order, size, transforms)

    def _tensorflow(self, order: NDArray[np.int64], size: int, transforms: Transforms | None) -> Any:
        import tensorflow as tf

        def gather(indices: Any, *sources: Any) -> tuple[Any, ...]:
            images, labels = (tf.gather(constant, indices) for constant in self.constants)
            return (gather_pixels(images, *sources) if sources else images), labels

        options = tf.data.Options()
        options.autotune.enabled = False
        sources = () if transforms is None else pixel_sources(transforms[order], self.constants[0].shape)
        batches = tf.data.Dataset.from_tensor_slices((order.astype(np.int32), *sources)).batch(size)
        return batches.map(gather).with_options(options)


def pixel_sources(transforms: Transforms, shape: Any) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The rows and columns of `augmentation.source_indices` for images of this shape (n, height, width, channels)."""
    return augmentation.source_indices(transforms, int(shape[1]), int(shape[2]))


def gather_pixels(images: Any, rows: Any, columns: Any) -> Any:
    """`augmentation.augment` in TensorFlow's graph: images uint8 (n, h, w, c), rows (n, h) and columns (n, w)."""
    import tensorflow as tf

    room = [augmentation.MAX_SHIFT] * 2
    padded = tf.pad(images, [[0, 0], room, room, [0, 0]])
    return tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)


class NumpyBatches(keras.utils.PyDataset):
    """Batches of an InputPipeline as NumPy arrays, for backends other than TensorFlow."""

    def __init__(self, pipeline: InputPipeline, order: NDArray[np.int64], size: int, transforms: Transforms | None):
        super().__init__()
        self.pipeline, self.order, self.size, self.transforms = pipeline, order, size, transforms

    def __len__(self) -> int:
        return -(-len(self.order) // self.size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        indices = self.order[index * self.size : (index + 1) * self.size]
        images = self.pipeline.images[indices]
        if self.transforms is not None:
            images = augmentation.augment(images, self.transforms[indices])
        return images, self.pipeline.labels[indices]
