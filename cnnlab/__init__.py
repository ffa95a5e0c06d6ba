"""CNN Lab: train small convolutional networks, watch them learn, and look at every feature map they make.

The names in __all__ are the Python API, see `cnnlab.api`; they are imported with their first use.
"""

import importlib
from typing import Any

__all__ = [
    "Network",
    "compare",
    "import_network",
    "load",
    "load_seeds",
    "networks",
    "read_image",
    "sample_images",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("cnnlab.api"), name)
    raise AttributeError(f"module 'cnnlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
