"""`DATASETS`: what is known of each data set without its images: name, title, classes, numbers of images."""

from dataclasses import dataclass


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

    def usual_train_images(self, split: str) -> int:
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
