"""The command line: `python -m cnnlab COMMAND`, or `cnnlab COMMAND` where the package is installed.

One function a command, each a few lines over the module that does the work. Heavy modules are imported inside the
commands that need them. Exit status: 0 done, 1 the machine did not allow it (a full disk, a queue that cannot be read),
2 bad input, 3 a training was stopped, 130 interrupted.
"""

import copy
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# With a training beside it, a matrix product of NumPy's on two threads waits for a core far longer than it computes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click

from cnnlab import settings
from cnnlab.experiment import CHOICES, NUMERIC_FIELDS, REPORT, Experiment, ExperimentError
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.settings import SettingsError
from cnnlab.storage.run_record import read_record

EXIT_CODES = {"done": 0, "failed": 1, "stopped": 3}
MESSAGE_FORMAT, TIMESTAMP_FORMAT = "%(message)s", "%(asctime)s %(message)s"

Command = Callable[..., Any]


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status; errors are one sentence on the standard error stream."""
    try:
        status = commands.main(arguments, prog_name="cnnlab", standalone_mode=False)
    except (ExperimentError, SettingsError, LookupError) as problem:
        return _fail(problem.args[0], 2)
    except QueueError as problem:
        return _fail(str(problem), 1)
    except OSError as problem:
        return _fail(f"{problem.strerror or problem}: {problem.filename or settings.home()}", 1)
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    return int(status or 0)


def _fail(message: str, status: int) -> int:
    click.echo(message, err=True)
    return status


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """CNN Lab on the command line."""
    configure_logging(TIMESTAMP_FORMAT)


def configure_logging(line_format: str) -> None:
    """Write the package's log records, from INFO on, to the standard error stream.

    A record that cannot be written (a full disk, a closed terminal) is dropped: a service goes on without its log.
    """
    logging.raiseExceptions = False
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(line_format, datefmt="%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger("cnnlab")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)


# -- training ----------------------------------------------------------------------------------------------------------


def flag(name: str) -> str:
    """The flag of an experiment's field: 'train_images' -> '--train-images'."""
    return f"--{name.replace('_', '-')}"


def experiment_options(command: Command) -> Command:
    """Add one option for each field of an experiment, and --json for all of them."""
    for name, kind in reversed(NUMERIC_FIELDS.items()):
        command = click.option(flag(name), type=kind)(command)
    for name, allowed in reversed(CHOICES.items()):
        command = click.option(flag(name), type=click.Choice(allowed))(command)
    return click.option("--json", "json_text", metavar="EXPERIMENT", help="the whole experiment as JSON")(command)


def chosen_experiment(json_text: str | None, fields: dict[str, Any]) -> Experiment:
    """The experiment that the options describe. Raises ExperimentError."""
    given = {name: value for name, value in fields.items() if value is not None}
    if json_text is None:
        return Experiment.from_dict(given)
    if given:
        raise ExperimentError(f"--json is the whole experiment: leave out {', '.join(map(flag, given))}.")
    return Experiment.from_json(json_text)


@commands.command()
@experiment_options
@click.option("--threads", type=int, help="threads for one operation (a resumed run keeps its own number)")
@click.option("--core", type=int, help="run on this processor core only")
def train(json_text: str | None, threads: int | None, core: int | None, **fields: Any) -> int:
    """Train one experiment into its run directory, or resume it."""
    from cnnlab.training.process_setup import prepare_process

    configure_logging(MESSAGE_FORMAT)  # a worker's last line is shown as the reason of a failure
    experiment = chosen_experiment(json_text, fields)
    recorded = read_record(settings.runs_dir() / experiment.key).threads
    prepare_process(recorded or threads, core)
    from cnnlab.training.trainer import RunLocked
    from cnnlab.training.trainer import train as train_experiment

    try:
        state = train_experiment(experiment, report=print_event)
    except RunLocked as problem:
        return _fail(str(problem), 1)
    if state != "failed":  # a failure has printed its reason already
        click.echo(f"{state}: {experiment.title}, run {experiment.key}.")
    return EXIT_CODES[state]


def print_event(event: dict[str, Any]) -> None:
    """Print a line for each epoch; on a terminal also the progress within an epoch."""
    left = event.get("seconds_left")
    remaining = "" if left is None else f", {left / 60:.0f} min left" if left > 90 else f", {left:.0f} s left"
    if "batch" in event:
        if sys.stdout.isatty():
            print(f"epoch {event['epoch']}, batch {event['batch']} of {event['batches']}{remaining}  ", end="\r")
        return
    batches = f", {event['batches']} batches" if event.get("batches") else ""
    training = f"accuracy {event['accuracy']:.4f}, " if "accuracy" in event else ""
    print(f"epoch {event['epoch']}{batches}: {training}validation {event['val_accuracy']:.4f}{remaining}", flush=True)


@commands.command()
@click.option("--tables", is_flag=True, help="print the tables only, train nothing")
@click.option("--only", multiple=True, type=click.Choice(list(REPORT)), metavar="NAME", help="this model; repeatable")
@click.argument("more", nargs=-1, type=click.Choice(list(REPORT)), metavar="[NAME]...")
@click.option("--slots", type=int, help="processes at a time, each on a core of its own (default: all cores)")
@click.option("--publish", is_flag=True, help="put finished runs under pretrained/")
@click.option("--seeds", type=click.IntRange(min=1), default=1, help="train the eight models with the seeds 0 to N-1")
@click.option("--dataset", type=click.Choice(CHOICES["dataset"]), default="cifar10", help="for --seeds")
def reproduce(
    tables: bool,
    only: tuple[str, ...],
    more: tuple[str, ...],
    slots: int | None,
    publish: bool,
    seeds: int,
    dataset: str,
) -> int:
    """Train what is missing of the report's ten models (or of these), and print both tables."""
    from cnnlab import report
    from cnnlab import reproduce as reproduction
    from cnnlab.explanations.report_tables import format_report

    names = [*only, *more] or list(REPORT)
    failed = [] if tables else reproduction.train_missing(reproduction.missing_models(names), slots)
    series = reproduction.series_experiments(names, seeds, dataset) if seeds > 1 or dataset != "cifar10" else []
    if not tables:
        failed += reproduction.train_experiments(reproduction.missing_experiments(series), slots)
    if publish:
        for experiment in reproduction.publishable_experiments(series):
            click.echo(f"published {reproduction.publish_results(experiment).name}", err=True)
        for name in reproduction.publishable_models(names):
            click.echo(f"published {reproduction.publish(name).name}", err=True)
    click.echo(format_report(report.report_rows()), nl=False)
    return 1 if failed else 0


@commands.command("layer-order")
@click.option("--epochs", type=int, default=30, show_default=True)
@click.option("--precision", type=click.Choice(CHOICES["precision"]), default="float32", show_default=True)
@click.option("--tables", is_flag=True, help="print what is there, train nothing")
@click.option("--case", type=int, hidden=True, help="train this case in this process: a worker's command line")
@click.option("--core", type=int, hidden=True, help="with --case: run on this processor core only")
def layer_order(epochs: int, precision: str, tables: bool, case: int | None, core: int | None) -> int:
    """Compare the positions of dropout and batch normalization in the network."""
    from cnnlab import layer_order_study

    if case is not None:
        configure_logging(MESSAGE_FORMAT)
        return EXIT_CODES[layer_order_study.train_case(case, epochs, precision, core, print_event)]
    failed = [] if tables else layer_order_study.train_missing(epochs, precision)
    click.echo(layer_order_study.comparison_table(epochs, precision), nl=False)
    return 1 if failed else 0


old_layer_order = copy.copy(layer_order)  # its name until version 0.1
old_layer_order.hidden = True
commands.add_command(old_layer_order, "placements")


# -- data --------------------------------------------------------------------------------------------------------------


@commands.group()
def data() -> None:
    """Fetch CIFAR-10, import it, or say what is there."""


@data.command("import")
@click.argument("path")
def import_data(path: str) -> int:
    """Import CIFAR-10 from its archive, its extracted folder, or train/<class>/*.png."""
    from cnnlab.data import cifar10

    try:
        cifar10.prepare(path, lambda step, share: click.echo(f"{share:4.0%} {step}", err=True))
    except cifar10.CifarError as problem:
        return _fail(str(problem), 1)
    return print_data_status()


@data.command("download")
def download_data() -> int:
    """Download CIFAR-10 with Keras's downloader."""
    from cnnlab.data import cifar10, download

    def print_status(status: download.DownloadStatus) -> None:
        click.echo(f"{status.state}: {status.bytes:,} of {status.total:,} bytes {status.message}", err=True)

    try:
        download.download(print_status)
    except cifar10.CifarError as problem:
        return _fail(str(problem), 1)
    return print_data_status()


@data.command("status")
def data_status() -> int:
    """Say what is there, after reading every pixel again."""
    return print_data_status()


def print_data_status() -> int:
    """Print one sentence about CIFAR-10; the exit status is 1 where it is not ready."""
    from cnnlab.data import cifar10

    status = cifar10.status(verify=True)
    click.echo(status.message)
    return 0 if status.ready else 1


@commands.group("runs")
def run_commands() -> None:
    """Import runs that were trained elsewhere."""


@run_commands.command("import")
@click.argument("path", type=click.Path(path_type=Path))
def import_runs(path: Path) -> int:
    """Import the results of finished runs: a run directory, or a folder of them."""
    from cnnlab.storage import run_import

    try:
        results = run_import.import_runs(path)
    except run_import.RunImportError as problem:
        return _fail(str(problem), 1)
    for result in results:
        click.echo(
            f"imported {result.run.title}, {result.run.key}" if result.run else f"not imported: {result.problem}"
        )
    return 0 if any(result.run for result in results) else 1


# -- services ----------------------------------------------------------------------------------------------------------


@commands.command()
@click.option("--slots", type=int, help="trainings at a time, at most (default: the GPUs, else 1; Ray: as many as fit)")
@click.option("--idle", type=float, help="end after this many seconds without work")
@click.option("--runner", type=click.Choice(["local", "ray"]), default="local", help="ray: on a cluster's machines")
@click.option("--address", metavar="HOST:PORT", help="ray: the cluster (default: that of this machine)")
@click.option("--per-gpu", type=int, metavar="K", help="ray: trainings that share a GPU (default: 1)")
@click.option("--check", is_flag=True, help="ray: say whether each machine can train, and end")
def dispatch(
    slots: int | None, idle: float | None, runner: str, address: str | None, per_gpu: int | None, check: bool
) -> int:
    """Work through the queue of trainings, one process a job, until stopped."""
    from cnnlab.jobs import dispatcher

    if runner == "ray":
        from cnnlab.jobs.ray import preflight
        from cnnlab.jobs.ray.runner import RayRunner

        ray_runner = RayRunner(address or "auto", 1 if per_gpu is None else per_gpu)
        if check:
            return preflight.print_report(ray_runner)
        return dispatcher.dispatch(slots=slots, idle=idle, runner=ray_runner)
    if address or per_gpu or check:
        raise SettingsError("--address, --per-gpu and --check are about a cluster: add --runner ray.")
    return dispatcher.dispatch(slots=slots, idle=idle)


@commands.command("top-images")
@click.argument("run")
def top_images(run: str) -> None:
    """Find the test images that activate each filter of a run most."""
    from cnnlab.jobs import top_activations_job

    top_activations_job.run_job(run)


@commands.command()
@click.argument("names", nargs=-1, metavar="[RUN]...")
@click.option("--images", type=int, default=2_000, show_default=True, help="training images for mean and variance")
def batchnorm(names: tuple[str, ...], images: int) -> None:
    """Re-estimate the batch normalization of these runs (or of all that lack it) and write both accuracies."""
    from cnnlab.jobs import batchnorm_job
    from cnnlab.storage import runs

    for run in [runs.open_run(name) for name in names] or batchnorm_job.pending_runs():
        batchnorm_job.run_job(run, images, print_progress)


def print_progress(line: str) -> None:
    """Print a line; one that begins with a carriage return only on a terminal, where the next overwrites it."""
    if not line.startswith("\r"):
        click.echo(line)
    elif sys.stdout.isatty():
        click.echo(f"{line:<60}", nl=False)


# -- looking after it --------------------------------------------------------------------------------------------------


@commands.command("settings")
def print_settings() -> None:
    """Print every setting: its value, where it comes from, its meaning."""
    click.echo(settings.settings_table(), nl=False)


@commands.command()
@click.option("--exit-code", is_flag=True, help="leave out what is slow; exit status 1 if something fails")
def doctor(exit_code: bool) -> int:
    """Say what is here, what is missing, and what to do about it."""
    from cnnlab import doctor as checks

    return checks.print_report(exit_code)


@commands.command()
@click.argument("what", type=click.Choice(["training", "inside", "page"]))
@click.option("--images", type=int, default=40_000, show_default=True, help="training: images an epoch")
@click.option("--rounds", type=int, default=3, show_default=True, help="training, page: how often each is measured")
@click.option("--depth", type=int, default=3, show_default=True)
@click.option("--regularizer", type=click.Choice(CHOICES["regularizer"]), default="none", show_default=True)
def bench(what: str, **options: Any) -> None:
    """Measure: ratios in one run, alternating, medians."""
    from cnnlab import bench as benchmarks

    benchmarks.run(what, benchmarks.BenchOptions(**options))


@commands.command(context_settings={"ignore_unknown_options": True})
@click.argument("streamlit_options", nargs=-1, type=click.UNPROCESSED)
def dev(streamlit_options: tuple[str, ...]) -> int:
    """Start the app for development: reload on save, tracebacks in the page. Further options go to Streamlit."""
    command = [sys.executable, "-m", "streamlit", "run", str(settings.REPOSITORY / "streamlit_app.py")]
    command += ["--server.fileWatcherType", "auto", "--server.runOnSave", "true", "--client.showErrorDetails", "full"]
    return subprocess.run([*command, *streamlit_options], cwd=settings.REPOSITORY, check=False).returncode
