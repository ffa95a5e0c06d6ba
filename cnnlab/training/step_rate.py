"""How fast this process trains: steps a second of the report's 3-conv network, for the choice of the thread count."""

import time

import numpy as np

from cnnlab.experiment import Experiment
from cnnlab.training.compilation import compile_model
from cnnlab.training.input_pipeline import InputPipeline

STEPS, BLOCKS = 10, 4


def steps_per_second() -> float:
    """From the fastest of BLOCKS times STEPS steps of 64 images, after a warm-up: it is disturbed least by others."""
    experiment = Experiment(depth=3, train_images=64 * STEPS)
    count = 64 * STEPS
    images = InputPipeline(np.zeros((count, 32, 32, 3), np.uint8), np.arange(count, dtype=np.uint8) % 10)
    model, order, seconds = compile_model(experiment), np.arange(count), []
    for _ in range(1 + BLOCKS):
        started = time.perf_counter()
        model.fit(images.batches(order, 64), verbose=0)
        seconds.append(time.perf_counter() - started)
    return STEPS / min(seconds[1:])
