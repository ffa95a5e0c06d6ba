"""One adversarial step: a small change of every pixel in the direction that increases the loss most.

The fast gradient sign method of Goodfellow, Shlens and Szegedy, "Explaining and harnessing adversarial examples", 2015.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.array_types import Array, PixelArray, Weights
from cnnlab.models.architecture import Layer
from cnnlab.models.numpy_backward import backpropagate
from cnnlab.models.numpy_forward import compute_activations, logits, softmax

MAX_STRENGTH = 32  # pixel values
CONTROLS = 20  # images with random signs


@dataclass(frozen=True, kw_only=True, eq=False)
class AdversarialStep:
    """An image after one step of the fast gradient sign method, and a control with random signs.

    image: uint8 (h, w, 3); signs: float32 (h, w, 3), -1, 0 or 1, the direction of each value; probabilities: float32
    (classes,), of the image after the step; control_agreement: how many of `controls` images, changed by the same
    strength with random signs, keep the prediction of the unchanged image.
    """

    image: PixelArray
    signs: Array
    probabilities: Array
    control_agreement: int
    controls: int


def loss_gradient(layers: Sequence[Layer], weights: Weights, image: PixelArray, label: int) -> Array:
    """The gradient of the cross-entropy of class `label` with respect to the image, (h, w, 3) -> float32 (h, w, 3).

    The gradient with respect to the logits is softmax(logits) minus the one-hot label. Raises ValueError for a class
    that does not exist.
    """
    activations = compute_activations(layers, weights, image[None])
    grad = softmax(activations["logits"])
    if not 0 <= label < grad.shape[1]:
        raise ValueError(f"Expected a class from 0 to {grad.shape[1] - 1}. Received: label={label}")
    grad[0, label] -= 1
    return np.asarray(backpropagate(layers, weights, activations, {"logits": grad})[0])


def adversarial_step(
    layers: Sequence[Layer], weights: Weights, image: PixelArray, label: int, strength: int, seed: int = 0
) -> AdversarialStep:
    """Add `strength` times the sign of the loss gradient to every value of the image, (h, w, 3), uint8.

    strength: whole pixel values, 0 to MAX_STRENGTH; the result is clipped to 0..255. The control adds random signs,
    drawn from `seed`. Raises ValueError for another strength or a class that does not exist.
    """
    if not 0 <= strength <= MAX_STRENGTH:
        raise ValueError(f"Expected a strength of 0 to {MAX_STRENGTH} pixel values. Received: strength={strength}")
    signs = np.sign(np.nan_to_num(loss_gradient(layers, weights, image, label)))
    changed = _add(image, strength * signs)
    random_signs = np.random.default_rng(seed).choice([-1, 1], (CONTROLS, *image.shape))
    batch = np.concatenate([image[None], changed[None], _add(image, strength * random_signs)])
    scores = logits(layers, weights, batch)
    return AdversarialStep(
        image=changed,
        signs=signs,
        probabilities=np.asarray(softmax(scores[1])),
        control_agreement=int((scores[2:].argmax(axis=1) == scores[0].argmax()).sum()),
        controls=CONTROLS,
    )


def _add(image: PixelArray, change: Array) -> PixelArray:
    return np.clip(image + change, 0, 255).astype(np.uint8)
