"""The values of an experiment's fields: checked, and as text in a sentence."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


class ExperimentError(ValueError):
    """An invalid value of a field. The message is one sentence with the allowed values and the value received."""


def format_decimal(value: float | None) -> str:
    """A number in decimal notation with all its digits: 0.00001, not 1e-05; 1, not 1.0."""
    return f"{Decimal(repr(value or 0)):f}".removesuffix(".0")


def check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raises ExperimentError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ExperimentError(f"Choose {name} from {', '.join(allowed)}. Received: {name}={value!r}")


def field_label(name: str) -> str:
    """The name of a field in a sentence: 'the number of training images', 'the learning rate'."""
    counted = {"train_images": "training images", "filters": "filters", "epochs": "epochs", "dense": "dense units"}
    return f"the number of {counted[name]}" if name in counted else f"the {name.replace('_', ' ')}"


def check_integer(name: str, value: Any, low: int, high: int) -> int:
    """`value` as an int in low..high; 3.0 counts as 3. Raises ExperimentError otherwise."""
    number = check_float(name, value, low, high)
    if number != int(number):
        raise ExperimentError(f"Choose a whole number for {field_label(name)}. Received: {name}={value!r}")
    return int(number)


def check_float(name: str, value: Any, low: float, high: float) -> float:
    """`value` as a finite float in low..high; -0.0 counts as 0. Raises ExperimentError otherwise."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        limits = f"{format_decimal(low)} and {format_decimal(high)}"
        raise ExperimentError(f"Choose {field_label(name)} between {limits}. Received: {name}={value!r:.60}")
    return float(value) + 0.0


def canonical_json(values: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no spaces."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"))
