"""Sweeps: sets of experiments that differ in a few fields, one of which is swept.

    sweep = create_sweep(Experiment(dataset="shapes"), {"train_images": (500, 1000), "augment": ("none", "flip_shift")})
    sweep.experiments()    # four of them

A sweep holds no results: its runs are those of its experiments, shared with everybody who asks for one of them.
"""

import dataclasses
import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cnnlab.experiment import Experiment, ExperimentError, canonical_json, format_decimal
from cnnlab.regularizers import REGULARIZERS
from cnnlab.report_models import REPORT

MAX_EXPERIMENTS = 100
KINDS = {  # the swept field: its name for a reader
    "train_images": "Size of the training set",
    "strength": "Strength of the regularizer",
    "label_noise": "Noisy labels",
}
OTHER_AXES = ("augment", "depth", "seed")  # the fields that may be varied beside the swept one
Value = str | float
Coordinates = tuple[tuple[str, Value], ...]  # field and value of each axis but the seed, in the order of the axes


class SweepError(ValueError):
    """No sweep can be made of these values. The message is one sentence with what was received."""


@dataclass(frozen=True)
class Sweep:
    """All combinations of the values of `axes`, applied to `base`; the first axis is the swept field, one of KINDS.

    Use `create_sweep`, which checks the values.
    """

    base: Experiment
    axes: tuple[tuple[str, tuple[Value, ...]], ...]

    @property
    def kind(self) -> str:
        """The swept field."""
        return self.axes[0][0]

    def values(self, field: str) -> tuple[Value, ...]:
        """The values of this axis; the one of `base` where the field is no axis."""
        return dict(self.axes).get(field, (getattr(self.base, field),))

    @cached_property
    def points(self) -> dict[Coordinates, tuple[Experiment, ...]]:
        """The experiments of each point, one for each seed, by the point's coordinates."""
        fields = [(field, values) for field, values in self.axes if field != "seed"]
        found: dict[Coordinates, tuple[Experiment, ...]] = {}
        for values in itertools.product(*(values for _, values in fields)):
            coordinates = tuple((field, value) for (field, _), value in zip(fields, values, strict=True))
            found[coordinates] = tuple(
                point_experiment(self.base, {**dict(coordinates), "seed": seed}) for seed in self.values("seed")
            )
        return found

    def experiments(self) -> list[Experiment]:
        """Every experiment once, seed by seed, so that the first seed of all points is there early."""
        by_seed = zip(*self.points.values(), strict=True)
        return list(dict.fromkeys(itertools.chain.from_iterable(by_seed)))

    @property
    def measured_on(self) -> str:
        """ "test" where a point trains on the validation images too, so that all are measured on the test images."""
        return "test" if any(experiment.split == "test" for experiment in self.experiments()) else "validation"

    @property
    def title(self) -> str:
        """A name for display: 'Size of the training set: 3-conv, dropout 0.1, shapes'."""
        base = dataclasses.replace(self.base, train_images=None) if self.kind == "train_images" else self.base
        if self.kind != "strength":
            return f"{KINDS[self.kind]}: {base.title}"
        plain = base.without_regularizer().title.split(", ")[2:]
        depths = "/".join(map(str, self.values("depth")))
        return ", ".join([f"{KINDS[self.kind]}: {depths}-conv, {self.base.regularizer}", *plain])

    def to_json(self) -> str:
        """Canonical JSON, which `sweep_from_json` reads."""
        base = json.loads(self.base.to_json())
        return canonical_json({"base": base, "axes": [[field, list(values)] for field, values in self.axes]})

    @property
    def key(self) -> str:
        """16 hex digits of the SHA-256 of `to_json`: equal sweeps have equal keys."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]


def point_experiment(base: Experiment, changes: Mapping[str, Value]) -> Experiment:
    """`base` with these fields; strength 0 is the network without a regularizer, so that its runs are shared.

    More training images than the validation split leaves (CIFAR-10: 40,000) take the split "test".
    """
    fields: dict[str, Any] = dict(changes)
    if fields.get("strength") == 0:
        fields |= {"regularizer": "none", "strength": None}
    images = fields.get("train_images")
    if images is not None and images > base.dataset_info.max_train_images("validation"):
        fields["split"] = "test"
    return dataclasses.replace(base, **fields)


def create_sweep(base: Experiment, axes: Mapping[str, Sequence[Value]]) -> Sweep:
    """The sweep of these axes, the swept field first; values are sorted and each is taken once.

    The fields of `base` that are varied do not matter. Raises SweepError, ExperimentError.
    """
    swept = [field for field in axes if field in KINDS]
    if len(swept) != 1 or set(axes) - {*KINDS, *OTHER_AXES}:
        raise SweepError(
            f"A sweep varies one of {', '.join(KINDS)}, and {', '.join(OTHER_AXES)} beside it."
            f" Received: {', '.join(axes) or 'nothing'}"
        )
    if empty := [field for field, values in axes.items() if not values]:
        raise SweepError(f"Choose at least one value for each field. Received: {empty[0]}=()")
    if swept[0] == "strength" and REGULARIZERS[base.regularizer].strength is None:
        known = " or ".join(entry.label for entry in REGULARIZERS.values() if entry.strength)
        raise SweepError(f"A strength has {known}. Received: regularizer={base.regularizer!r}")
    ordered = {field: axes[field] for field in (*swept, *OTHER_AXES) if field in axes}
    count = math.prod(map(len, ordered.values()))
    if count > MAX_EXPERIMENTS:
        raise SweepError(f"A sweep has at most {MAX_EXPERIMENTS} trainings: choose fewer values. Received: {count:,}")
    base = dataclasses.replace(base, **_first_values(base, ordered))
    return Sweep(base, tuple((field, _normalized(base, field, values)) for field, values in ordered.items()))


def _first_values(base: Experiment, axes: Mapping[str, Sequence[Value]]) -> dict[str, Any]:
    """Values for the varied fields of `base` that are the same for equal sweeps: those of the defaults."""
    default = Experiment(**base.dataset_fields, regularizer=base.regularizer)
    return {field: getattr(default, field) for field in axes} | {"split": "validation"}


def _normalized(base: Experiment, field: str, values: Sequence[Value]) -> tuple[Value, ...]:
    """The values as an experiment stores them, checked, each once, ascending."""
    checked = {
        0.0 if field == "strength" and value == 0 else getattr(point_experiment(base, {field: value}), field)
        for value in values
    }
    return tuple(
        sorted(checked, key=lambda value: ("none", "flip_shift").index(value) if field == "augment" else value)
    )


def sweep_from_json(text: str) -> Sweep:
    """The sweep that `to_json` wrote. Raises SweepError, ExperimentError."""
    try:
        content = json.loads(text)
        base, axes = Experiment.from_json(json.dumps(content["base"])), dict(content["axes"])
        return create_sweep(base, axes)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        if isinstance(error, (SweepError, ExperimentError)):
            raise
        raise SweepError(f"A sweep is written as JSON with base and axes. Received: {text[:80]!r}") from None


def describe_value(field: str, value: Value) -> str:
    """A value of an axis for a reader: '1,000', 'flip and shift', '0.00001'."""
    if field == "augment":
        return {"none": "no augmentation", "flip_shift": "flip and shift"}[str(value)]
    return f"{value:,.0f}" if field == "train_images" else format_decimal(float(value))


_SHAPES = Experiment(dataset="shapes")
_SMALL = Experiment(dataset="shapes", depth=3, regularizer="dropout", filters=16)  # a tenth of the multiplications
SHIPPED_SWEEPS: dict[str, Sweep] = {  # by name; their runs come with the program
    "shapes-size": create_sweep(_SMALL, {"train_images": (250, 500, 1000, 2000), "augment": ("none", "flip_shift")}),
    "shapes-dropout": create_sweep(_SMALL, {"strength": (0, 0.1, 0.3), "depth": (1, 2, 3, 4)}),
    "shapes-label-noise": create_sweep(_SHAPES, {"label_noise": (0, 0.2, 0.4, 0.8)}),
    "cifar10-size": create_sweep(
        REPORT["3conv-dropout"].experiment, {"train_images": (1000, 5000, 10_000, 20_000, 40_000, 50_000)}
    ),
}


def sweep_name(sweep: Sweep) -> str:
    """The name of a shipped sweep, the key of another one: what an address and the command line call it."""
    return next((name for name, shipped in SHIPPED_SWEEPS.items() if shipped == sweep), sweep.key)
