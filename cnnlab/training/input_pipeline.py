"""The input pipeline: batches of uint8 images in a given order.

On TensorFlow the images are one constant in memory, from which each batch is gathered inside the graph; on other
backends NumPy gathers them.

The autotuning of tf.data is disabled. Its thread sleeps for a doubling time (10 ms, 20 ms, ... 20 s), and deleting a
data set waits until it wakes: an epoch of 21 seconds takes 41, and plain `model.fit(x, y)` has the same delay at the
end of every call.
"""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


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

    def batches(self, order: NDArray[np.int64], size: int) -> Any:
        """Batches of `size` images and labels at the indices `order`, as an input for Keras."""
        if keras.backend.backend() == "tensorflow":
            return self._tensorflow(order, size)
        return NumpyBatches(self, order, size)

    def _tensorflow(self, order: NDArray[np.int64], size: int) -> Any:
        import tensorflow as tf

        def gather(indices: Any) -> tuple[Any, ...]:
            return tuple(tf.gather(constant, indices) for constant in self.constants)

        options = tf.data.Options()
        options.autotune.enabled = False
        batches = tf.data.Dataset.from_tensor_slices(order.astype(np.int32)).batch(size)
        return batches.map(gather).with_options(options)


class NumpyBatches(keras.utils.PyDataset):
    """Batches of an InputPipeline as NumPy arrays, for backends other than TensorFlow."""

    def __init__(self, pipeline: InputPipeline, order: NDArray[np.int64], size: int):
        super().__init__()
        self.pipeline, self.order, self.size = pipeline, order, size

    def __len__(self) -> int:
        return -(-len(self.order) // self.size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        indices = self.order[index * self.size : (index + 1) * self.size]
        return self.pipeline.images[indices], self.pipeline.labels[indices]
