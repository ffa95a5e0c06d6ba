"""The regularizers that an experiment can choose, in one table.

To add one: an entry here; what it does in training (`training.keras_model`), where it adds a layer also in
`models.architecture` and `models.numpy_forward`; and a test. Pages, charts, forms and the command line read this table.
"""

from dataclasses import dataclass

VIEWS = ("dropout", "weights", "batchnorm")  # the sections of the view "Regularizer" of Look inside


@dataclass(frozen=True, kw_only=True)
class Strength:
    """The one number of a regularizer: its default (the report's), its range, and the step of one click."""

    default: float
    low: float
    high: float
    step: float


@dataclass(frozen=True, kw_only=True)
class Regularizer:
    """One regularizer.

    title: in the name of a network ("3-conv, no regularizer"); label: in a menu; color: on every page, a hex color of
    Okabe and Ito's palette; strength: None where there is nothing to choose; layer_kind: the kind of layer it adds
    (`models.architecture.Layer`), None for none; penalizes_weights: whether it adds a term to the loss that grows with
    the kernels' weights; reported_accuracy: why the training accuracy that Keras reports differs from that in inference
    mode; view: the section of Look inside that shows its effect, one of VIEWS; hint: what its strength means.
    """

    name: str
    title: str
    label: str
    color: str
    reported_accuracy: str
    view: str
    strength: Strength | None = None
    layer_kind: str | None = None
    penalizes_weights: bool = False
    hint: str = ""

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise ValueError(f"Expected a view of {', '.join(VIEWS)}. Received: view={self.view!r} for {self.name}")


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
        ),
        Regularizer(
            name="l2",
            title="L2",
            label="L2",
            color="#E69F00",
            reported_accuracy="while it learns",
            view="weights",
            strength=Strength(default=0.00001, low=0.0, high=0.1, step=0.00001),
            penalizes_weights=True,
            hint="L2: the factor of the penalty, 0.00001.",
        ),
        Regularizer(
            name="dropout",
            title="dropout",
            label="dropout",
            color="#009E73",
            reported_accuracy="dropout on",
            view="dropout",
            strength=Strength(default=0.1, low=0.0, high=0.9, step=0.05),
            layer_kind="dropout",
            hint="Dropout: the share that is dropped, 0.1 in the report.",
        ),
        Regularizer(
            name="batchnorm",
            title="batch norm",
            label="batch norm",
            color="#CC79A7",
            reported_accuracy="normalized batch by batch",
            view="batchnorm",
            layer_kind="bn",
        ),
    )
}
