"""The command line: python -m cnnlab COMMAND. Each command is a few lines over the module that does the work."""

import argparse
import os
import sys
from typing import Any

# With a training beside it, a matrix product of NumPy's on two threads waits for a core far longer than it computes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from cnnlab import settings
from cnnlab.experiment import CHOICES, NUMERIC_FIELDS, REPORT, Experiment, ExperimentError
from cnnlab.jobs.queue import QueueError
from cnnlab.settings import SettingsError

EXIT_CODES = {"done": 0, "failed": 1, "stopped": 3}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is 0 where it did what was asked, 2 where it was asked for nonsense.

    1 where the machine did not let it: a full disk, a folder of somebody else's, a queue that cannot be read.
    """
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except (ExperimentError, SettingsError, LookupError) as problem:
        print(problem.args[0], file=sys.stderr)
        return 2
    except QueueError as problem:
        print(problem, file=sys.stderr)
        return 1
    except OSError as problem:
        print(f"{problem.strerror or problem}: {problem.filename or settings.home()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    top = argparse.ArgumentParser(prog="python -m cnnlab", description="CNN Lab on the command line.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        add_train,
        add_reproduce,
        add_placements,
        add_data,
        add_dispatch,
        add_settings,
        add_doctor,
        add_top_images,
        add_bench,
    ):
        add(commands)
    return top


def add_train(commands: Any) -> None:
    """train: one flag for each field of an experiment, or all of them as JSON."""
    command = commands.add_parser("train", help="train one experiment into its run directory, or go on with it")
    for name, allowed in CHOICES.items():
        command.add_argument(f"--{name}", choices=allowed)
    for name, kind in NUMERIC_FIELDS.items():
        command.add_argument(flag(name), type=kind)
    command.add_argument("--json", metavar="EXPERIMENT", help="the whole experiment as JSON")
    command.add_argument("--threads", type=int, help="threads for one operation (a resumed run keeps its own number)")
    command.add_argument("--core", type=int, help="run on this processor core only")
    command.set_defaults(run=run_train)


def add_reproduce(commands: Any) -> None:
    """reproduce: the report, ours beside it."""
    command = commands.add_parser("reproduce", help="train what is missing of the report's ten; print both tables")
    command.add_argument("--tables", action="store_true", help="print the tables only, train nothing")
    command.add_argument("--only", nargs="+", choices=REPORT, metavar="NAME", help=f"of {', '.join(REPORT)}")
    command.add_argument(
        "--slots", type=int, help="processes at a time, each on a core of its own (default: all cores)"
    )
    command.add_argument("--publish", action="store_true", help="put finished runs under pretrained/")
    command.set_defaults(run=run_reproduce)


def add_placements(commands: Any) -> None:
    """placements: where the regularizing layers stand."""
    command = commands.add_parser("placements", help="compare places for dropout and batch normalization")
    command.add_argument("--epochs", type=int, default=30)
    command.add_argument("--precision", choices=CHOICES["precision"], default="float32")
    command.add_argument("--tables", action="store_true", help="print what is there, train nothing")
    command.set_defaults(run=run_placements)


def add_data(commands: Any) -> None:
    """data import, data download, data status."""
    command = commands.add_parser("data", help="fetch CIFAR-10, bring it in, or say what is there")
    actions = command.add_subparsers(required=True, metavar="ACTION")
    bring = actions.add_parser("import", help="an archive, its extracted folder, or train/<class>/*.png")
    bring.add_argument("path")
    bring.set_defaults(run=run_data_import)
    actions.add_parser("download", help="Keras's own download").set_defaults(run=run_data_download)
    actions.add_parser("status", help="what is there").set_defaults(run=run_data_status)


def add_dispatch(commands: Any) -> None:
    """dispatch: the process that starts trainings."""
    command = commands.add_parser("dispatch", help="work through the queue of trainings, one process a job")
    command.add_argument(
        "--slots", type=int, help="trainings at a time, at most (default: the GPUs found, else 1; Ray: as many as fit)"
    )
    command.add_argument("--idle", type=float, help="end after this many seconds without work")
    command.add_argument("--runner", choices=("local", "ray"), default="local", help="ray: on a cluster's machines")
    command.add_argument("--address", metavar="HOST:PORT", help="ray: the cluster (default: that of this machine)")
    command.add_argument("--per-gpu", type=int, metavar="K", help="ray: trainings that share a GPU (default: 1)")
    command.add_argument("--check", action="store_true", help="ray: say whether each machine can train, and end")
    command.set_defaults(run=run_dispatch)


def add_settings(commands: Any) -> None:
    """settings: what this machine allows."""
    command = commands.add_parser("settings", help="print every setting: its value, where it comes from, its meaning")
    command.set_defaults(run=run_settings)


def add_doctor(commands: Any) -> None:
    """doctor: is everything here?"""
    command = commands.add_parser("doctor", help="say what is here, what is missing, and what to do about it")
    command.add_argument("--exit-code", action="store_true", help="nothing slow; exit status 1 if something fails")
    command.set_defaults(run=run_doctor)


def add_top_images(commands: Any) -> None:
    """top-images: what excites each filter most."""
    command = commands.add_parser("top-images", help="find the test images that excite each filter of a run most")
    command.add_argument("reference", metavar="RUN", help="a run's name or key")
    command.set_defaults(run=run_top_images)


def add_bench(commands: Any) -> None:
    """bench: the figures that the README and the notes state."""
    command = commands.add_parser("bench", help="measure: ratios in one run, alternating, medians")
    command.add_argument("what", choices=("training", "inside", "page"))
    command.add_argument("--images", type=int, default=40_000, help="training: images an epoch")
    command.add_argument("--rounds", type=int, default=3, help="training: how often each is measured")
    command.add_argument("--depth", type=int, default=3)
    command.add_argument("--regularizer", choices=CHOICES["regularizer"], default="none")
    command.set_defaults(run=run_bench)


def chosen(options: argparse.Namespace) -> Experiment:
    """The experiment that the flags describe."""
    given = {name: getattr(options, name) for name in (*CHOICES, *NUMERIC_FIELDS)}
    given = {name: value for name, value in given.items() if value is not None}
    if options.json is None:
        return Experiment.from_dict(given)
    if given:
        raise ExperimentError(f"--json is the whole experiment: leave out {', '.join(map(flag, given))}.")
    return Experiment.from_json(options.json)


def flag(name: str) -> str:
    """The flag of an experiment's field."""
    return f"--{name.replace('_', '-')}"


def run_train(options: argparse.Namespace) -> int:
    """Train, with a line on the terminal for each epoch."""
    from cnnlab.storage import runs

    experiment = chosen(options)
    recorded = runs.read_json(settings.runs_dir() / experiment.key / "record.json").get("threads")
    use_threads(recorded or options.threads)
    if options.core is not None:
        use_core(options.core)
    import_keras_quietly()
    cap_gpu_memory(settings.current().gpu_megabytes)
    from cnnlab.training.trainer import RunLocked, train

    try:
        state = train(experiment, report=print_event)
    except RunLocked as problem:
        print(problem, file=sys.stderr)
        return 1
    if state != "failed":  # then the reason was the last word
        print(f"{state}: {experiment.title}, run {experiment.key}.")
    return EXIT_CODES[state]


def use_threads(number: int | None) -> None:
    """Have TensorFlow, which reads this at its import, share an operation among so many. Raises SettingsError."""
    if number is not None and number < 1:
        raise SettingsError(f"Choose at least one thread. Received: --threads {number}")
    if number:
        os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(number)


def use_core(number: int) -> None:
    """Run on this processor core only. Raises SettingsError where there is none of this number."""
    cores = sorted(os.sched_getaffinity(0))
    if number not in cores:
        raise SettingsError(f"Choose a core of {', '.join(map(str, cores))}. Received: --core {number}")
    os.sched_setaffinity(0, {number})


def import_keras_quietly() -> None:
    """Import Keras without the lines about processors and drivers that TensorFlow prints whatever it is told."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        import keras  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def cap_gpu_memory(megabytes: int) -> None:
    """Have TensorFlow take no more of the GPU than this (0: no cap); JAX is told by a variable before its import."""
    import keras

    if not megabytes or keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.set_logical_device_configuration(gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=megabytes)])


def print_event(event: dict[str, Any]) -> None:
    """A line an epoch; between them, on a terminal, how far the epoch has come."""
    left = event.get("seconds_left")
    remaining = "" if left is None else f", {left / 60:.0f} min left" if left > 90 else f", {left:.0f} s left"
    if "batch" in event:
        if sys.stdout.isatty():
            print(f"epoch {event['epoch']}, batch {event['batch']} of {event['batches']}{remaining}  ", end="\r")
        return
    batches = f", {event['batches']} batches" if event.get("batches") else ""
    training = f"accuracy {event['accuracy']:.4f}, " if "accuracy" in event else ""
    print(f"epoch {event['epoch']}{batches}: {training}validation {event['val_accuracy']:.4f}{remaining}", flush=True)


def run_reproduce(options: argparse.Namespace) -> int:
    """Train what is missing, publish where asked, and print both tables."""
    from cnnlab import report

    names = options.only or list(REPORT)
    failed = [] if options.tables else report.train_missing(report.missing_models(names), options.slots)
    if options.publish:
        for name in report.publishable_models(names):
            print(f"published {report.publish(name).name}", file=sys.stderr)
    print(report.format_report(report.report_rows()), end="")
    return 1 if failed else 0


def run_placements(options: argparse.Namespace) -> None:
    """Train the cases that are missing and print the comparison."""
    from cnnlab import layer_order_study

    if not options.tables:
        layer_order_study.train_missing(options.epochs, options.precision)
    print(layer_order_study.comparison_table(options.epochs, options.precision), end="")


def run_data_import(options: argparse.Namespace) -> int:
    """Bring CIFAR-10 in, with what is being done on the terminal."""
    from cnnlab.data import cifar10

    def tell(words: str, share: float) -> None:
        print(f"{share:4.0%} {words}", file=sys.stderr)

    try:
        cifar10.prepare(options.path, tell)
    except cifar10.CifarError as problem:
        print(problem, file=sys.stderr)
        return 1
    return run_data_status(options)


def run_data_download(options: argparse.Namespace) -> int:
    """Download CIFAR-10, with the bytes on the terminal."""
    from cnnlab.data import cifar10, download

    def tell(state: download.DownloadStatus) -> None:
        print(f"{state.state}: {state.bytes:,} of {state.total:,} bytes {state.message}", file=sys.stderr)

    try:
        download.download(tell)
    except cifar10.CifarError as problem:
        print(problem, file=sys.stderr)
        return 1
    return run_data_status(options)


def run_data_status(options: argparse.Namespace) -> int:
    """Say what is there, after reading every pixel again."""
    from cnnlab.data import cifar10

    status = cifar10.status(verify=True)
    print(status.message)
    return 0 if status.ready else 1


def run_dispatch(options: argparse.Namespace) -> int:
    """Work through the queue until told to stop."""
    from cnnlab.jobs.dispatcher import dispatch

    runner = None
    if options.runner == "ray":
        from cnnlab.jobs.ray import preflight
        from cnnlab.jobs.ray.runner import RayRunner

        runner = RayRunner(options.address or "auto", 1 if options.per_gpu is None else options.per_gpu)
        if options.check:
            return preflight.print_report(runner)
    elif options.address or options.per_gpu or options.check:
        raise SettingsError("--address, --per-gpu and --check are about a cluster: add --runner ray.")
    return dispatch(slots=options.slots, idle=options.idle, runner=runner)


def run_settings(options: argparse.Namespace) -> None:
    """Print them."""
    print(settings.settings_table(), end="")


def run_doctor(options: argparse.Namespace) -> int:
    """Look at everything."""
    from cnnlab import doctor

    return doctor.print_report(options.exit_code)


def run_top_images(options: argparse.Namespace) -> None:
    """Look through the test images for one run."""
    from cnnlab.jobs import top_activations_job

    top_activations_job.run_job(options.reference)


def run_bench(options: argparse.Namespace) -> None:
    """Measure."""
    from cnnlab import bench

    bench.run(options)


if __name__ == "__main__":
    sys.exit(main())
