"""Whether the packages that training needs are installed; they are an extra of the package, `cnnlab[train]`."""

import sys
from importlib.util import find_spec

from cnnlab.operating_system import machine

TRAINING_PACKAGES = ("tensorflow", "keras")
NEWEST_PYTHON = (3, 13)  # that TensorFlow has a wheel for


def missing_packages() -> list[str]:
    """The training packages that are not installed. They are not imported."""
    return [name for name in TRAINING_PACKAGES if find_spec(name) is None]


def install_hint(python: tuple[int, int] = sys.version_info[:2]) -> str:
    """One sentence: how to install what training needs with this version of Python; "" where nothing is missing.

    The extra brings TensorFlow for the systems and versions for which it has a wheel; elsewhere the sentence says so.
    """
    if not missing_packages():
        return ""
    if machine.is_intel_mac():
        return "Training needs TensorFlow, which does not support Macs with Intel processors: train on another machine."
    if python > NEWEST_PYTHON:
        newest = ".".join(map(str, NEWEST_PYTHON))
        return f"Training needs TensorFlow, which does not support Python {python[0]}.{python[1]}: use Python {newest}."
    return "Training needs TensorFlow: install it with pip install 'cnnlab[train]', then start CNN Lab again."
