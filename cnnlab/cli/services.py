"""The commands that serve and maintain: start, export-site, dispatch, top-images, probe, batchnorm, settings, ..."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from cnnlab import settings
from cnnlab.bench import BENCHMARKS
from cnnlab.cli.output import print_error, print_progress
from cnnlab.experiment import CHOICES
from cnnlab.operating_system.processes import become
from cnnlab.settings import SettingsError


@click.command()
@click.option("--slots", type=int, help="trainings at a time, at most (default: the GPUs, else 1; Ray: as many as fit)")
@click.option("--idle", type=float, help="end after this many seconds without work")
@click.option("--runner", type=click.Choice(["local", "ray"]), default="local", help="ray: on a cluster's machines")
@click.option("--address", metavar="HOST:PORT", help="ray: the cluster (default: that of this machine)")
@click.option("--per-gpu", type=int, metavar="K", help="ray: trainings that share a GPU (default: 1)")
@click.option("--check", is_flag=True, help="ray: say whether each machine can train, and end")
def dispatch(
    slots: int | None, idle: float | None, runner: str, address: str | None, per_gpu: int | None, check: bool
) -> int:
    """Work through the queue of trainings until stopped.

    One process trains each job.
    """
    from cnnlab.jobs.dispatcher_service import dispatch as run_dispatcher

    if runner == "ray":
        from cnnlab.jobs.ray import preflight
        from cnnlab.jobs.ray.runner import RayRunner

        ray_runner = RayRunner(address or "auto", 1 if per_gpu is None else per_gpu)
        if check:
            return preflight.print_report(ray_runner)
        return run_dispatcher(slots=slots, idle=idle, runner=ray_runner)
    if address or per_gpu or check:
        raise SettingsError("--address, --per-gpu and --check are about a cluster: add --runner ray.")
    return run_dispatcher(slots=slots, idle=idle)


@click.command("top-images")
@click.argument("run")
def top_images(run: str) -> None:
    """Find the test images that activate each filter most."""
    from cnnlab.jobs import top_activations_job

    top_activations_job.run_job(run)


@click.command()
@click.argument("run")
def probe(run: str) -> None:
    """Fit a linear classifier to each layer of a run.

    And to the same layers before training.
    """
    from cnnlab.jobs import probe_job

    for name, accuracy in probe_job.run_job(run).trained.items():
        click.echo(f"{name}: {accuracy:.1%}")


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN]...")
@click.option("--images", type=int, default=2_000, show_default=True, help="training images for mean and variance")
@click.option("--last", "last_only", is_flag=True, help="only the weights after the last epoch")
def batchnorm(names: tuple[str, ...], images: int, last_only: bool) -> None:
    """Re-estimate batch normalization and write both accuracies.

    For these runs, or for all that lack them.
    """
    from cnnlab.jobs import batchnorm_job
    from cnnlab.storage import runs

    for run in [runs.open_run(name) for name in names] or batchnorm_job.pending_runs():
        batchnorm_job.run_job(run, images, print_progress, last_only=last_only)


@click.command("settings")
def print_settings() -> None:
    """Print every setting: its value, source and meaning."""
    click.echo(settings.settings_table(), nl=False)


@click.command()
@click.option("--exit-code", is_flag=True, help="leave out what is slow; exit status 1 if something fails")
def doctor(exit_code: bool) -> int:
    """Check the installation and print problems with remedies."""
    from cnnlab import doctor as checks

    return checks.print_report(exit_code)


@click.command()
@click.argument("name", metavar=f"[{'|'.join(BENCHMARKS)}]", type=click.Choice(BENCHMARKS))
@click.option("--images", type=int, default=40_000, show_default=True, help="training: images an epoch")
@click.option("--rounds", type=int, default=3, show_default=True, help="how often each is measured")
@click.option("--depth", type=int, default=3, show_default=True, help="training, probe, top-images: of the network")
@click.option(
    "--regularizer", type=click.Choice(CHOICES["regularizer"]), default="none", show_default=True, help="of the network"
)
@click.option("--batches", type=int, default=25, show_default=True, help="epochs: batches timed in each round")
@click.option("--core", type=int, help="epochs: the processor core to run on (default: any)")
def bench(name: str, **options: Any) -> None:
    """Run a benchmark and print medians.

    Of our epoch, the computations of workers, Look inside, the pages.
    """
    from cnnlab import bench as benchmarks
    from cnnlab.bench.options import BenchOptions

    benchmarks.run(name, BenchOptions(**options))


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("streamlit_options", nargs=-1, type=click.UNPROCESSED)
def start(streamlit_options: tuple[str, ...]) -> int:
    """Start the app and print its address.

    As `cnnlab` alone does. Options go to Streamlit: --server.port 8600
    """
    return become([*_streamlit_command(), *streamlit_options])


def _streamlit_command() -> list[str]:
    return [sys.executable, "-m", "streamlit", "run", str(settings.APP_FILES / "streamlit_app.py")]


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("streamlit_options", nargs=-1, type=click.UNPROCESSED)
def dev(streamlit_options: tuple[str, ...]) -> int:
    """Start the app with reload on save and tracebacks.

    Further options go to Streamlit.
    """
    command = [
        *_streamlit_command(),
        "--server.fileWatcherType",
        "auto",
        "--server.runOnSave",
        "true",
        "--client.showErrorDetails",
        "full",
    ]
    return subprocess.run([*command, *streamlit_options], cwd=settings.REPOSITORY, check=False).returncode


@click.command("export-site")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("names", metavar="[RUN]...", nargs=-1)
@click.option(
    "--picture", "pictures", type=click.Path(path_type=Path), multiple=True, help="one of your own; repeatable"
)
def export_site(folder: Path, names: tuple[str, ...], pictures: tuple[Path, ...]) -> int:
    """Write Look inside as static files for any web server.

    For these runs; by default for 3conv-dropout.
    """
    from cnnlab.site_export import SiteError
    from cnnlab.site_export import export_site as write_site
    from cnnlab.storage import runs

    try:
        size = write_site(folder, [runs.open_run(name) for name in names or ["3conv-dropout"]], pictures)
    except SiteError as error:
        return print_error(str(error), 2)
    click.echo(f"{folder}: {size / 1e6:.1f} MB; try it with python -m http.server --directory {folder}")
    return 0


COMMANDS = (start, export_site, dispatch, top_images, probe, batchnorm, print_settings, doctor, bench, dev)
