"""`Experiment`: the complete configuration of one training, validated.

Forms, command-line flags and the files of a run all create the same frozen `Experiment`, so a configuration is checked
in one place. The key of a run is a digest of its experiment: equal experiments share one run.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cnnlab.datasets import DATASETS, DatasetInfo, experiment_fields, is_own_dataset, own_dataset_info
from cnnlab.experiment_values import ExperimentError as ExperimentError
from cnnlab.experiment_values import canonical_json as canonical_json
from cnnlab.experiment_values import check_choice, check_float, check_integer
from cnnlab.experiment_values import format_decimal as format_decimal
from cnnlab.formatting import pluralize
from cnnlab.regularizers import REGULARIZERS

SPLITS = ("validation", "test")
OPTIMIZERS = ("adam", "sgd", "rmsprop")
PRECISIONS = ("float32", "bfloat16")
AUGMENTATIONS = ("none", "flip_shift")  # of the training images, see `data.augmentation`
TRAIN_EVAL_IMAGES = 5_000  # the first training images, at most so many, evaluated after each epoch in inference mode
INTEGER_RANGES = {  # field: (minimum, maximum)
    "depth": (1, 4),
    "filters": (1, 256),
    "kernel": (1, 7),
    "dense": (1, 1024),
    "epochs": (1, 500),
    "batch": (1, 1024),
    "seed": (0, 2**31 - 1),
}
NUMERIC_FIELDS = {  # every field that is a number, with its type on the command line
    **dict.fromkeys(INTEGER_RANGES, int),
    "train_images": int,
    "strength": float,
    "learning_rate": float,
    "label_noise": float,
}
CHOICES = {
    "dataset": tuple(DATASETS),
    "split": SPLITS,
    "regularizer": tuple(REGULARIZERS),
    "optimizer": OPTIMIZERS,
    "precision": PRECISIONS,
    "augment": AUGMENTATIONS,
}
LEARNING_RATE_RANGE = (1e-6, 10.0)
LABEL_NOISE_RANGE = (0.0, 1.0)
KEY_DEFAULT = "key_default"  # metadata of a field: see `added_field`


def added_field(default: Any) -> Any:
    """A field that `Experiment` gained after runs had been made; `default` is what those runs were trained with.

    It enters the file and the key only where its value differs from this default, and a file without it means this
    default, so runs from before the field keep their keys. A later change of the default for new experiments must not
    change this one: then write `dataclasses.field(default=NEW, metadata={KEY_DEFAULT: OLD})`.
    """
    return field(default=default, metadata={KEY_DEFAULT: default})


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One network, one data set, one way of training: every setting that affects the result, and no other.

    Fields left out take the report's values. `strength` and `train_images` may be None: the regularizer's default
    strength, and all images of the split. `augment` is how the training images are changed at random in each epoch
    (`data.augmentation`), `label_noise` the share of training labels that are replaced at random (`data.label_noise`).
    Numbers are stored in one form (learning rate 1 becomes 1.0), so equal experiments have equal keys. A new field is
    declared with `added_field`.

    An experiment on one's own pictures has their class names and numbers too (`datasets.own_dataset_info`), so that its
    run can be read without them; `data.dataset_fields` gives these three fields.

    Raises ExperimentError for a value outside its range.
    """

    dataset: str = "cifar10"
    split: str = "validation"
    depth: int = 2
    regularizer: str = "none"
    strength: float | None = None
    filters: int = 64
    kernel: int = 3
    dense: int = 100
    epochs: int = 30
    batch: int = 64
    optimizer: str = "adam"
    learning_rate: float = 0.001
    seed: int = 0
    train_images: int | None = None
    precision: str = "float32"
    augment: str = added_field("none")
    label_noise: float = added_field(0.0)
    class_names: str = added_field("")
    image_counts: str = added_field("")

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if not (name == "dataset" and is_own_dataset(self.dataset)):
                check_choice(name, getattr(self, name), allowed)
        self._check_dataset_fields()
        for name, (low, high) in INTEGER_RANGES.items():
            self._set_normalized(name, check_integer(name, getattr(self, name), low, high))
        if self.kernel % 2 == 0:
            raise ExperimentError(f"Choose an odd kernel size: 1, 3, 5 or 7. Received: kernel={self.kernel}")
        self._set_normalized("learning_rate", check_float("learning_rate", self.learning_rate, *LEARNING_RATE_RANGE))
        self._set_normalized("strength", self._checked_strength())
        self._set_normalized("label_noise", check_float("label_noise", self.label_noise, *LABEL_NOISE_RANGE))
        info = self.dataset_info
        images = info.train_images_by_default(self.split) if self.train_images is None else self.train_images
        most = info.max_train_images(self.split)
        self._set_normalized("train_images", check_integer("train_images", images, 1, most))

    def _checked_strength(self) -> float:
        """The regularizer's strength, by default the report's; 0 for a regularizer without one."""
        regularizer = REGULARIZERS[self.regularizer]
        default, low, high = regularizer.strength_range
        if regularizer.strength is None and self.strength not in (None, 0):
            received = f"Received: strength={self.strength!r:.60}"
            raise ExperimentError(f"The regularizer {self.regularizer} has no strength. {received}")
        return check_float("strength", default if self.strength is None else self.strength, low, high)

    def _set_normalized(self, name: str, value: float) -> None:
        object.__setattr__(self, name, value)  # the dataclass is frozen; called in __post_init__ only

    def _check_dataset_fields(self) -> None:
        """Raise ExperimentError where class names and numbers of images do not describe the data set."""
        try:
            if is_own_dataset(self.dataset) or (self.class_names, self.image_counts) != ("", ""):
                own_dataset_info(self.dataset, self.class_names, self.image_counts)
        except (ValueError, AttributeError, TypeError):
            raise ExperimentError(
                "Only an experiment on one's own pictures has class_names, like cat,dog, and image_counts, like"
                f" 420/90/90. Received: dataset={self.dataset!r:.60}, class_names={self.class_names!r:.60},"
                f" image_counts={self.image_counts!r:.30}"
            ) from None

    @cached_property
    def dataset_info(self) -> DatasetInfo:
        """What is known of its data set without the images."""
        if is_own_dataset(self.dataset):
            return own_dataset_info(self.dataset, self.class_names, self.image_counts)
        return DATASETS[self.dataset]

    @property
    def dataset_fields(self) -> dict[str, Any]:
        """The fields that say which data set it is: for an experiment on the same images."""
        return experiment_fields(self.dataset_info)

    @property
    def train_eval_images(self) -> int:
        """How many training images are evaluated in inference mode after each epoch."""
        return min(int(self.train_images or 0), TRAIN_EVAL_IMAGES)

    @property
    def validation_images(self) -> int:
        """How many images the validation accuracy is measured on: of the test set for split "test"."""
        info = self.dataset_info
        return info.test_images if self.split == "test" else info.validation_images

    def without_regularizer(self) -> "Experiment":
        """The same experiment without a regularizer: the plain network that this one is compared with."""
        return dataclasses.replace(self, regularizer="none", strength=None)

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, as plain numbers and strings."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Canonical JSON: keys sorted, no spaces, every number in one form. Equal experiments give equal text.

        It has the fields of the first version, always, and of each field added since (`added_field`) those that differ
        from their value of that time. So a new field changes neither the text nor the key of an existing experiment.
        """
        absent = object()
        defaults = self._key_defaults()
        return canonical_json(
            {name: value for name, value in self.to_dict().items() if defaults.get(name, absent) != value}
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Experiment":
        """The experiment with these fields. Raises ExperimentError for a name that is no field or a bad value."""
        known = [entry.name for entry in dataclasses.fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise ExperimentError(f"An experiment has the fields {', '.join(known)}. Received: {', '.join(unknown)}")
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> "Experiment":
        """The experiment that `to_json` wrote, in this version or an earlier one.

        A field that the text lacks because it was added later takes its value of that time (`added_field`). Raises
        ExperimentError where the text is anything else.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise ExperimentError(f"An experiment is written as JSON. Received: {text[:80]!r}") from None
        if not isinstance(values, dict):
            raise ExperimentError(f"An experiment is written as a JSON object. Received: {text[:80]!r}")
        return cls.from_dict(cls._key_defaults() | values)

    @cached_property
    def key(self) -> str:
        """The name of the run's directory: 16 hex digits of the SHA-256 of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @classmethod
    def _key_defaults(cls) -> dict[str, Any]:
        """The fields added after the first version, with the values that runs without them were trained with."""
        return {
            entry.name: entry.metadata[KEY_DEFAULT]
            for entry in dataclasses.fields(cls)
            if KEY_DEFAULT in entry.metadata
        }

    @property
    def regularizer_title(self) -> str:
        """The regularizer with its strength: 'dropout 0.1'."""
        title = REGULARIZERS[self.regularizer].title
        return f"{title} {format_decimal(self.strength)}" if self.strength else title

    @cached_property
    def title(self) -> str:
        """A short name for display: '3-conv, dropout 0.1', followed by all fields that differ from the report's."""
        return ", ".join([f"{self.depth}-conv", self.regularizer_title, *self._non_default_parts()])

    def _non_default_parts(self) -> list[str]:
        default = Experiment(**self.dataset_fields, split=self.split)
        parts = [self.dataset_info.word] if self.dataset != "cifar10" else []
        parts += ["final"] if self.split == "test" else []
        for name, unit in (("train_images", "image"), ("epochs", "epoch"), ("filters", "filter")):
            if (value := getattr(self, name)) != getattr(default, name):
                parts.append(pluralize(value, unit))
        for name in ("batch", "kernel", "dense", "seed"):
            if (value := getattr(self, name)) != getattr(default, name):
                parts.append(f"{name} {value}")
        if (self.optimizer, self.learning_rate) != (default.optimizer, default.learning_rate):
            parts.append(f"{self.optimizer} {format_decimal(self.learning_rate)}")
        parts += ["flip and shift"] if self.augment == "flip_shift" else []
        parts += [f"label noise {format_decimal(self.label_noise)}"] if self.label_noise else []
        return parts + ([self.precision] if self.precision != default.precision else [])
