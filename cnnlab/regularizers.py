"""The regularizers that an experiment can choose, in one table.

To add one: an entry here, what the modules of its mechanism need (`MECHANISMS`), and a test. An entry that one of them
does not implement is an error when that module is imported, or of mypy for a kind of layer. Pages, charts, forms and
the command line read this table.
"""

from collections.abc import Collection
from dataclasses import dataclass

MECHANISMS = {  # how a regularizer acts: the modules that implement it
    "none": (),
    "layer": ("models.architecture", "models.keras_calls", "models.numpy_forward", "models.numpy_backward"),
    "weight_penalty": ("models.keras_calls",),
    "loss": ("training.compilation", "lesson_report.keras_script"),
}
VIEWS = ("dropout", "weights", "batchnorm")  # the sections of the view "Regularizer" of Look inside


@dataclass(frozen=True, kw_only=True)
class Strength:
    """The one number of a regularizer: its default (the report's), its range, and the step of one click.

    sweep: the strengths that the form of a new sweep proposes, 0 for the network without a regularizer.
    """

    default: float
    low: float
    high: float
    step: float
    sweep: tuple[float, ...]

    def __post_init__(self) -> None:
        if not all(self.low <= value <= self.high for value in (self.default, *self.sweep)):
            raise ValueError(f"Expected a default and a sweep between low and high. Received: {self}")


@dataclass(frozen=True, kw_only=True)
class Regularizer:
    """One regularizer.

    title: in the name of a network ("3-conv, no regularizer"); label: in a menu; color: on every page, a hex color of
    Okabe and Ito's palette; mechanism: how it acts in training, one of MECHANISMS: it adds layers, penalizes large
    weights of the kernels, or replaces the cross-entropy by another loss; layer_kind: the kind of layer that it adds
    (`models.architecture.Layer`), None for none; strength: None where there is nothing to choose; reported_accuracy:
    why the training accuracy that Keras reports differs from that in inference mode; view: the section of Look inside
    that shows its effect, one of VIEWS; hint: what its strength means.
    """

    name: str
    title: str
    label: str
    color: str
    reported_accuracy: str
    view: str
    mechanism: str
    strength: Strength | None = None
    layer_kind: str | None = None
    hint: str = ""

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise ValueError(f"Expected a view of {', '.join(VIEWS)}. Received: view={self.view!r} for {self.name}")
        if self.mechanism not in MECHANISMS or (self.mechanism == "layer") != (self.layer_kind is not None):
            raise ValueError(
                f"Expected a mechanism of {', '.join(MECHANISMS)}, with a layer_kind for layer only. "
                f"Received: mechanism={self.mechanism!r}, layer_kind={self.layer_kind!r} for {self.name}"
            )

    @property
    def strength_range(self) -> tuple[float, float, float]:
        """Default, minimum and maximum of the strength; zeros where it has none."""
        return (self.strength.default, self.strength.low, self.strength.high) if self.strength else (0.0, 0.0, 0.0)

    @property
    def penalizes_weights(self) -> bool:
        """Whether it adds a term to the loss that grows with the kernels' weights."""
        return self.mechanism == "weight_penalty"

    @property
    def changes_loss(self) -> bool:
        """Whether the loss that Keras trains with is another one than the cross-entropy."""
        return self.mechanism in ("weight_penalty", "loss")


REGULARIZERS: dict[str, Regularizer] = {
    entry.name: entry
    for entry in (
        Regularizer(
            name="none",
            title="no regularizer",
            label="none",
            color="#6b7280",
            reported_accuracy="while it learns",
            view="weights",
            mechanism="none",
        ),
        Regularizer(
            name="l2",
            title="L2",
            label="L2",
            color="#E69F00",
            reported_accuracy="while it learns",
            view="weights",
            mechanism="weight_penalty",
            strength=Strength(default=0.00001, low=0.0, high=0.1, step=0.00001, sweep=(0, 0.00001, 0.001, 0.01)),
            hint="L2: the factor of the penalty, 0.00001.",
        ),
        Regularizer(
            name="dropout",
            title="dropout",
            label="dropout",
            color="#009E73",
            reported_accuracy="dropout on",
            view="dropout",
            mechanism="layer",
            layer_kind="dropout",
            strength=Strength(default=0.1, low=0.0, high=0.9, step=0.05, sweep=(0, 0.1, 0.3, 0.5)),
            hint="Dropout: the share that is dropped, 0.1 in the report.",
        ),
        Regularizer(
            name="batchnorm",
            title="batch norm",
            label="batch norm",
            color="#CC79A7",
            reported_accuracy="normalized batch by batch",
            view="batchnorm",
            mechanism="layer",
            layer_kind="bn",
        ),
    )
}


def check_implemented(mechanism: str, implemented: Collection[str]) -> None:
    """Raise ValueError unless `implemented` names the regularizers of this mechanism. Modules call it at import."""
    expected = {entry.name for entry in REGULARIZERS.values() if entry.mechanism == mechanism}
    if set(implemented) != expected:
        raise ValueError(
            f"Expected {', '.join(sorted(expected)) or 'no regularizer'} for the mechanism {mechanism} of "
            f"cnnlab/regularizers.py. Received: {', '.join(sorted(implemented)) or 'none'}"
        )
