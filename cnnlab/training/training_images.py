"""The training images of an experiment as its network sees them: with noisy labels, augmented anew in each epoch."""

from typing import Any

import numpy as np

from cnnlab.analysis.metrics import accuracy
from cnnlab.array_types import Array, PixelArray
from cnnlab.data import augmentation
from cnnlab.data.label_noise import noisy_labels
from cnnlab.experiment import Experiment
from cnnlab.storage.history_file import CHANGED_ACCURACY, CLEAN_ACCURACY, TRUE_ACCURACY
from cnnlab.training.input_pipeline import InputPipeline, Transforms


class TrainingImages(InputPipeline):
    """Images uint8 (n, 32, 32, 3) whose `labels` (n,) hold the experiment's label noise; `true_labels` hold none."""

    def __init__(self, experiment: Experiment, images: PixelArray, labels: PixelArray):
        classes = experiment.dataset_info.class_count
        super().__init__(images, noisy_labels(labels, classes, experiment.label_noise, experiment.seed))
        self.experiment, self.true_labels = experiment, np.array(labels)

    def epoch_batches(self, epoch: int) -> Any:
        """All images in this epoch's order, augmented where the experiment says so, as an input for Keras."""
        order = np.random.default_rng([self.experiment.seed, epoch]).permutation(len(self))
        return self.batches(order, self.experiment.batch, self.transforms(epoch))

    def transforms(self, epoch: int) -> Transforms | None:
        """The flips and shifts of this epoch, None without augmentation."""
        if self.experiment.augment == "none":
            return None
        return augmentation.draw_transforms(len(self), self.experiment.seed, epoch)

    def label_noise_accuracies(self, logits: Array) -> dict[str, float]:
        """The accuracies on clean and on changed labels of the first images, whose logits these are, (n, classes).

        Columns of the history, see `storage.history_file`; a column without such an image is left out. Empty without
        label noise.
        """
        if not self.experiment.label_noise:
            return {}
        given, true = self.labels[: len(logits)], self.true_labels[: len(logits)]
        clean = given == true
        subsets = {
            CLEAN_ACCURACY: (clean, given),
            CHANGED_ACCURACY: (~clean, given),
            TRUE_ACCURACY: (~clean, true),
        }
        return {
            name: accuracy(logits[subset], labels[subset]) for name, (subset, labels) in subsets.items() if subset.any()
        }
