"""The commands for data: data import, data download, data status, runs import."""

from pathlib import Path

import click

from cnnlab.cli.output import print_error


@click.group()
def data() -> None:
    """Download CIFAR-10, import it, or print its status."""


@data.command("import")
@click.argument("path")
def import_data(path: str) -> int:
    """Import CIFAR-10 from its archive, its extracted folder, or train/<class>/*.png."""
    from cnnlab.data import cifar10

    try:
        cifar10.prepare(path, lambda step, share: click.echo(f"{share:4.0%} {step}", err=True))
    except cifar10.CifarError as error:
        return print_error(str(error), 1)
    return print_data_status()


@data.command("download")
def download_data() -> int:
    """Download CIFAR-10 with Keras's downloader."""
    from cnnlab.data import cifar10, download

    def print_status(status: download.DownloadStatus) -> None:
        click.echo(f"{status.state}: {status.bytes:,} of {status.total:,} bytes {status.message}", err=True)

    try:
        download.download(print_status)
    except cifar10.CifarError as error:
        return print_error(str(error), 1)
    return print_data_status()


@data.command("status")
def data_status() -> int:
    """Print the status of CIFAR-10, after reading every pixel again."""
    return print_data_status()


def print_data_status() -> int:
    """Print one sentence about CIFAR-10; the exit status is 1 where it is not ready."""
    from cnnlab.data import cifar10

    status = cifar10.status(verify=True)
    click.echo(status.message)
    return 0 if status.ready else 1


@click.group()
def runs() -> None:
    """Import runs that were trained elsewhere."""


@runs.command("import")
@click.argument("path", type=click.Path(path_type=Path))
def import_runs(path: Path) -> int:
    """Import the results of finished runs: a run directory, or a folder of them."""
    from cnnlab.storage import run_import

    try:
        results = run_import.import_runs(path)
    except run_import.RunImportError as error:
        return print_error(str(error), 1)
    for result in results:
        problem = f"not imported: {result.problem}"
        click.echo(f"imported {result.run.title}, {result.run.key}" if result.run else problem)
    return 0 if any(result.run for result in results) else 1
