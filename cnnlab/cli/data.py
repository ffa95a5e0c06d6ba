"""The commands about CIFAR-10: data import, data download, data status."""

import click

from cnnlab.cli.output import print_error


@click.group()
def data() -> None:
    """Fetch CIFAR-10, import it, or say what is there."""


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
    """Say what is there, after reading every pixel again."""
    return print_data_status()


def print_data_status() -> int:
    """Print one sentence about CIFAR-10; the exit status is 1 where it is not ready."""
    from cnnlab.data import cifar10

    status = cifar10.status(verify=True)
    click.echo(status.message)
    return 0 if status.ready else 1
