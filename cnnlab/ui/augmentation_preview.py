"""What augmentation makes of one training image, as a picture."""

import base64

import numpy as np
import streamlit as st

from cnnlab import settings
from cnnlab.array_types import PixelArray
from cnnlab.data.augmentation import augment, draw_transforms
from cnnlab.data.samples import sample_images
from cnnlab.experiment import Experiment
from cnnlab.rendering.color_scale import image_grid_png
from cnnlab.ui import cache

VARIANTS, COLUMNS, GAP = 8, 3, 2
STYLE = "width: 100%; max-width: 288px; image-rendering: pixelated; display: block"


def augmentation_preview(experiment: Experiment) -> None:
    """Draw an image, top left, and what it becomes in the first eight epochs of this training."""
    image, source = example_image(experiment.dataset)
    pictures = np.concatenate([image[None], augmented_variants(image, experiment)])
    encoded = base64.b64encode(image_grid_png(pictures, COLUMNS, GAP)).decode()
    description = f"{source}, top left, and eight random variants of it by flip and shift of up to 4 pixels"
    st.html(f'<img src="data:image/png;base64,{encoded}" alt="{description}" style="{STYLE}">')
    st.caption(f"{description}: one for each epoch.")


def augmented_variants(image: PixelArray, experiment: Experiment) -> PixelArray:
    """What the first training image becomes in the epochs 1 to VARIANTS, uint8 (n, 32, 32, 3)."""
    count = int(experiment.train_images or 1)
    transforms = [draw_transforms(count, experiment.seed, epoch)[:1] for epoch in range(1, VARIANTS + 1)]
    return np.concatenate([augment(image[None], transform) for transform in transforms])


def example_image(dataset: str) -> tuple[PixelArray, str]:
    """The first training image of this data set and its name; the first sample where the set is not prepared."""
    if (settings.data_dir() / dataset / "manifest.json").exists():
        return np.array(cache.dataset(dataset).x_train[0]), "The first training image"
    return sample_images()[0][0], "A sample image"
