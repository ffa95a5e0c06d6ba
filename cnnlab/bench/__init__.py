"""Benchmarks. Variants that are compared are measured alternately in one run; medians, ratios and n are printed.

training   one epoch of ours (progress, validation, training accuracy in inference mode, snapshot, checkpoint)
           against plain `model.fit(x, y, batch_size=64, validation_data=...)`, and the peak memory of a worker
epochs     processor seconds of an epoch of each of the report's eight networks, one thread on one core; kept in a file
probe      seconds of the linear probes of all layers of one run, as a worker computes them
top-images seconds of the top images of all filters of one run, as a worker computes them
inside     milliseconds for all activations of one image, for all feature-map grids of a run, for occlusion
start      seconds from the request for a training on Shapes to its first numbers, with and without a standby worker
install    megabytes of each package of this environment, with and without what Python has compiled of it
page       seconds until the first page and until an enlarged map; memory growth of the server over 500 selections

Results go to the standard output, progress to the standard error stream.
"""

from cnnlab.bench.options import BenchOptions
from cnnlab.settings import SettingsError
from cnnlab.training_packages import install_hint

BENCHMARKS = ("training", "epochs", "probe", "top-images", "inside", "install", "start", "page")
TRAINING_BENCHMARKS = ("training", "epochs", "start")


def run(name: str, options: BenchOptions) -> None:
    """Print the results of one benchmark, one of BENCHMARKS.

    Raises SettingsError for one that trains where TensorFlow is missing.
    """
    if name in TRAINING_BENCHMARKS and (hint := install_hint()):
        raise SettingsError(hint)
    from cnnlab.bench.epochs import bench_epochs
    from cnnlab.bench.inspect import bench_inspect
    from cnnlab.bench.install import bench_install
    from cnnlab.bench.page import bench_page
    from cnnlab.bench.run_computations import bench_probe, bench_top_images
    from cnnlab.bench.start import bench_start
    from cnnlab.bench.training import bench_training

    benchmarks = {
        "training": bench_training,
        "epochs": bench_epochs,
        "probe": bench_probe,
        "top-images": bench_top_images,
        "inside": bench_inspect,
        "install": bench_install,
        "start": bench_start,
        "page": bench_page,
    }
    benchmarks[name](options)
