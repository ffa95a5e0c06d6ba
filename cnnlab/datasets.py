"""`DATASETS`: what is known of each data set without its images: name, title, classes, numbers of images.

A data set of one's own pictures is no entry of the table: its name is "own-<12 hex digits>-<title>", the digits a
digest of its pictures and class names, and `own_dataset_info` describes it.
"""

import re
from dataclasses import dataclass
from typing import Any

OWN_NAME = re.compile(r"own-[0-9a-f]{12}-(?P<title>[A-Za-z0-9][A-Za-z0-9-]{0,23})")
MIN_CLASSES, MAX_CLASSES = 2, 10
MAX_CLASS_NAME = 30  # characters
MAX_PICTURES = 60_000  # of a data set of one's own


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """One data set, whether its images are on this machine or not; `cnnlab.data` loads them.

    title: its name for display; word: what an experiment's title calls it. classes: the names of its classes by label.
    train_images, validation_images, test_images: how many there are of each; the validation images follow the training
    images in one array. default_train_images: how many an experiment takes that names no number, None for all of them.
    trains_on_validation: whether the split "test" adds the validation images to the training images, as the report
    does. image_prefix: the word for its test images in an address (`ui.selection`).
    """

    name: str
    title: str
    word: str
    classes: tuple[str, ...]
    train_images: int
    validation_images: int
    test_images: int
    default_train_images: int | None = None
    trains_on_validation: bool = True
    image_prefix: str

    @property
    def class_count(self) -> int:
        """How many classes there are; the accuracy of a guess is 1 / class_count."""
        return len(self.classes)

    def max_train_images(self, split: str) -> int:
        """The largest number of training images with this split."""
        is_final = split == "test" and self.trains_on_validation
        return self.train_images + (self.validation_images if is_final else 0)

    def train_images_by_default(self, split: str) -> int:
        """The number of training images with this split where none is named."""
        return self.default_train_images or self.max_train_images(split)


DATASETS = {
    info.name: info
    for info in (
        DatasetInfo(
            name="cifar10",
            title="CIFAR-10",
            word="CIFAR-10",
            classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
            train_images=40_000,
            validation_images=10_000,
            test_images=10_000,
            image_prefix="test",
        ),
        DatasetInfo(
            name="shapes",
            title="Shapes",
            word="shapes",
            classes=("circle", "ring", "crescent", "heart", "square", "triangle", "hexagon", "star", "cross", "arrow"),
            train_images=10_000,
            validation_images=1_000,
            test_images=1_000,
            default_train_images=2_000,
            trains_on_validation=False,
            image_prefix="shapes",
        ),
    )
}


def is_own_dataset(name: object) -> bool:
    """Whether this is the name of a data set of one's own pictures, be it on this machine or not."""
    return isinstance(name, str) and OWN_NAME.fullmatch(name) is not None


def is_class_name(name: str) -> bool:
    """Whether it has 1 to MAX_CLASS_NAME letters, digits, single spaces and hyphens, the first no hyphen.

    Such a name means nothing in Markdown, HTML, a file name or an address.
    """
    plain = all(letter.isalnum() or letter in " -" for letter in name)
    return plain and 1 <= len(name) <= MAX_CLASS_NAME and name == " ".join(name.split()) and name[0] != "-"


def own_dataset_info(name: str, class_names: str, image_counts: str) -> DatasetInfo:
    """The description of a data set of one's own, from the fields of an experiment.

    class_names: the names by label, separated by commas; image_counts: how many training, validation and test images
    there are, as "420/90/90". Raises ValueError for anything else.
    """
    match, classes = OWN_NAME.fullmatch(name), tuple(class_names.split(","))
    if match is None or not re.fullmatch(r"[1-9][0-9]{0,4}(/[1-9][0-9]{0,4}){2}", image_counts):
        raise ValueError(name)
    train, validation, test = map(int, image_counts.split("/"))
    fits = MIN_CLASSES <= len(classes) <= MAX_CLASSES and train + validation + test <= MAX_PICTURES
    if not fits or len(set(classes)) < len(classes) or not all(map(is_class_name, classes)):
        raise ValueError(name)
    return DatasetInfo(
        name=name,
        title=match["title"],
        word=match["title"],
        classes=classes,
        train_images=train,
        validation_images=validation,
        test_images=test,
        image_prefix="own",
    )


def experiment_fields(info: DatasetInfo) -> dict[str, Any]:
    """The fields of an experiment on this data set: its name and, for one's own, classes and numbers of images."""
    if not is_own_dataset(info.name):
        return {"dataset": info.name, "class_names": "", "image_counts": ""}
    counts = f"{info.train_images}/{info.validation_images}/{info.test_images}"
    return {"dataset": info.name, "class_names": ",".join(info.classes), "image_counts": counts}
