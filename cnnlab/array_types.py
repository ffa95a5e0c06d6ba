"""The types of the arrays that modules hand to each other.

Images and feature maps are laid out (n, height, width, channels); a single one is (height, width, channels).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
PixelArray = NDArray[np.uint8]  # images, RGB, 0..255; class labels of a data set, 0..9
Float64Array = NDArray[np.float64]
Weights = Mapping[str, NDArray[Any]]  # by "layer/variable": "conv1/kernel" (3, 3, 3, 64), "bn1/gamma" (64,), ...
History = Mapping[str, Float64Array]  # history.csv by column, one value an epoch
