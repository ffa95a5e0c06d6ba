"""How images reach the network: uint8 arrays, gathered in the order asked for, a batch at a time.

On TensorFlow the pictures stand in memory once, as a constant, and each batch is gathered from it inside the graph; on
any other backend NumPy does the gathering.

The automatic tuning of tf.data is switched off on purpose. Its thread sleeps for twice as long each time (10 ms, 20 ms,
... 20 s), and whoever lets go of a data set waits until it wakes: an epoch of 21 seconds is rounded up to 41, and plain
`model.fit(x, y)` pays the same at the end of every call.
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

            self.constants = tf.constant(images), tf.constant(self.labels)  # a copy: the mapped file can be let go
        else:
            self.images = np.asarray(images)

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, order: NDArray[np.int64], size: int) -> Any:
        """The images and labels at these positions, in this order, `size` at a time: something Keras reads from."""
        if keras.backend.backend() == "tensorflow":
            return self._tensorflow(order, size)
        return NumpyBatches(self, order, size)

    def _tensorflow(self, order: NDArray[np.int64], size: int) -> Any:
        import tensorflow as tf

        def gather(where: Any) -> tuple[Any, ...]:
            return tuple(tf.gather(constant, where) for constant in self.constants)

        options = tf.data.Options()
        options.autotune.enabled = False
        positions = tf.data.Dataset.from_tensor_slices(order.astype(np.int32)).batch(size)
        return positions.map(gather).with_options(options)


class NumpyBatches(keras.utils.PyDataset):
    """The same for a backend that takes NumPy arrays."""

    def __init__(self, feed: InputPipeline, order: NDArray[np.int64], size: int):
        super().__init__()
        self.feed, self.order, self.size = feed, order, size

    def __len__(self) -> int:
        return -(-len(self.order) // self.size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        where = self.order[index * self.size : (index + 1) * self.size]
        return self.feed.images[where], self.feed.labels[where]
