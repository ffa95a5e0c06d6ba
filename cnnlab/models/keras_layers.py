"""One layer of a Keras model's config, checked: its kind here and its values. `keras_config` reads the whole model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cnnlab.formatting import quoted

Config = Mapping[str, Any]
MAX_WINDOW = 32  # pixels, the side of a convolution's or a pooling's window


class UnsupportedModel(ValueError):
    """A model that this program cannot compute. The message is one sentence."""


@dataclass(frozen=True)
class KerasLayer:
    """A step of a Keras model: its kind as in `architecture.Layer`, or "softmax"; `values` are fields of `Layer`."""

    name: str
    class_name: str
    kind: str
    values: dict[str, Any] = field(default_factory=dict)
    units: int = 0


def read_layer(entry: Config) -> list[KerasLayer]:
    """The steps of one entry of a config's `layers`: itself, and its activation. Raises UnsupportedModel."""
    kind, config = entry["class_name"], entry["config"]
    name = str(config["name"])
    known = kind in KINDS and str(entry.get("module", "keras.layers")).startswith("keras.")
    if not known or entry.get("registered_name") not in (None, kind):
        raise UnsupportedModel(_unknown_kind(name, kind))
    _require(config.get("data_format", "channels_last") == "channels_last", name, "data_format", "channels_last")
    steps = [READERS[kind](name, config)] if kind in READERS else []
    activation = config.get("activation", "linear")
    return steps if activation == "linear" else [*steps, _activation(name, activation, kind)]


def _unknown_kind(name: str, kind: str) -> str:
    reason = "which holds code, and no code of a file is run" if kind == "Lambda" else "a kind that is not known here"
    return f"The layer {quoted(name)} is of the kind {quoted(str(kind))}, {reason}. Known kinds: {', '.join(KINDS)}."


def _require(condition: bool, name: str, field_name: str, expected: str) -> None:
    if not condition:
        raise UnsupportedModel(
            f"The layer {quoted(name)} has another {field_name} than {expected}, the only one known here."
        )


def _square(name: str, value: Any, field_name: str) -> int:
    """The side of a square window, from 3, [3] or [3, 3]."""
    sides = [value] if isinstance(value, int) else list(value)
    _require(len(set(sides)) == 1, name, field_name, "a square one")
    return _integer(name, sides[0], field_name, MAX_WINDOW)


def _integer(name: str, value: Any, field_name: str, most: int = 2**20) -> int:
    _require(type(value) is int and 1 <= value <= most, name, field_name, f"a whole number from 1 to {most:,}")
    return int(value)


def _number(name: str, value: Any, field_name: str) -> float:
    _require(type(value) in (int, float) and abs(value) < 1e6, name, field_name, "a number")
    return float(value)


def _activation(name: str, activation: Any, kind: str) -> KerasLayer:
    known = {"relu": "relu", "softmax": "softmax"}
    if not isinstance(activation, str) or activation not in known:
        raise UnsupportedModel(
            f"The layer {quoted(name)} has an activation that is not known here. Known: relu, softmax, linear. "
            f"Received: {quoted(str(activation))}"
        )
    return KerasLayer(name, kind, known[activation])


def _window(name: str, config: Config, size: str) -> dict[str, Any]:
    _require(config["padding"] in ("valid", "same"), name, "padding", "valid or same")
    stride = config["strides"] if config["strides"] is not None else config[size]
    return {
        "kernel": _square(name, config[size], size),
        "stride": _square(name, stride, "strides"),
        "padding": config["padding"],
    }


def _conv2d(name: str, config: Config) -> KerasLayer:
    _require(_square(name, config.get("dilation_rate", 1), "dilation_rate") == 1, name, "dilation_rate", "1")
    _require(config.get("groups", 1) == 1, name, "groups", "1")
    values = _window(name, config, "kernel_size") | {"filters": _integer(name, config["filters"], "filters")}
    return KerasLayer(name, "Conv2D", "conv", values)


def _max_pooling(name: str, config: Config) -> KerasLayer:
    return KerasLayer(name, "MaxPooling2D", "pool", _window(name, config, "pool_size"))


def _dense(name: str, config: Config) -> KerasLayer:
    return KerasLayer(name, "Dense", "dense", units=_integer(name, config["units"], "units"))


def _batch_normalization(name: str, config: Config) -> KerasLayer:
    _require(config["axis"] in (-1, [-1], 3, [3]), name, "axis", "-1")
    epsilon = _number(name, config["epsilon"], "epsilon")
    _require(epsilon > 0, name, "epsilon", "a positive number")
    _require(not config.get("renorm"), name, "renorm", "false")
    return KerasLayer(name, "BatchNormalization", "bn", {"epsilon": epsilon})


def _dropout(name: str, config: Config) -> KerasLayer:
    return KerasLayer(name, "Dropout", "dropout", {"rate": _number(name, config["rate"], "rate")})


def _rescaling(name: str, config: Config) -> KerasLayer:
    values = {field: _number(name, config[field], field) for field in ("scale", "offset")}
    return KerasLayer(name, "Rescaling", "rescale", values)


def _relu(name: str, config: Config) -> KerasLayer:
    plain = config.get("max_value") is None and not config.get("negative_slope") and not config.get("threshold")
    _require(plain, name, "max_value, negative_slope or threshold", "none")
    return KerasLayer(name, "ReLU", "relu")


def _softmax(name: str, config: Config) -> KerasLayer:
    _require(config.get("axis", -1) == -1, name, "axis", "-1")
    return KerasLayer(name, "Softmax", "softmax")


READERS: dict[str, Callable[[str, Config], KerasLayer]] = {
    "Conv2D": _conv2d,
    "MaxPooling2D": _max_pooling,
    "BatchNormalization": _batch_normalization,
    "Dense": _dense,
    "Dropout": _dropout,
    "Flatten": lambda name, config: KerasLayer(name, "Flatten", "flatten"),
    "ReLU": _relu,
    "Softmax": _softmax,
    "Rescaling": _rescaling,
}
KINDS = (*READERS, "Activation")
