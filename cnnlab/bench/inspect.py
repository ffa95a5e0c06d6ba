"""Benchmark of the computations behind the page Look inside: activations, feature-map grids, occlusion."""

import statistics
import time
from collections.abc import Callable

from cnnlab.analysis import attribution
from cnnlab.bench.options import BenchOptions, print_progress
from cnnlab.data.samples import sample_images
from cnnlab.models.architecture import network_layers
from cnnlab.models.numpy_forward import compute_activations
from cnnlab.rendering import feature_map_grid
from cnnlab.storage import runs

CALLS = 50


def bench_inspect(options: BenchOptions) -> None:
    """Print the median milliseconds of CALLS calls, for the first 3-conv run and the first sample image."""
    run = next(run for run in runs.list_runs() if run.experiment.depth == 3 and run.snapshot_epochs())
    image, weights = sample_images()[0][:1], run.weights(run.snapshot_epochs()[-1])
    layers = network_layers(run.experiment)
    activations = compute_activations(layers, weights, image)
    relu = [layer for layer in layers if layer.kind == "relu"]
    print(f"{run.title}, median of {CALLS}")
    print_median_ms("all activations of one image", lambda: compute_activations(layers, weights, image))
    print_median_ms(f"all {len(relu)} feature-map grids", lambda: feature_map_grid.render_layers(activations, relu))
    print_median_ms("occlusion, patch 8, stride 2", lambda: attribution.occlusion(layers, weights, image[0], 3))


def print_median_ms(name: str, action: Callable[[], object]) -> None:
    """Print the median duration of CALLS calls, in milliseconds."""
    print_progress(f"measuring {name}, {CALLS} times")
    seconds = []
    for _ in range(CALLS):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    print(f"{name:32} {1000 * statistics.median(seconds):8.2f} ms")
