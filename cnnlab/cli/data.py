"""The commands for data: data import, download, status, list and remove; runs import; networks import, list, remove."""

from pathlib import Path

import click

from cnnlab.cli.output import print_error
from cnnlab.datasets import DatasetInfo
from cnnlab.formatting import pluralize


@click.group()
def data() -> None:
    """Download or import CIFAR-10, or import your own pictures."""


@data.command("import")
@click.argument("path")
@click.option("--name", help="import a folder of your own pictures, PATH/<class>/*.jpg, under this name")
@click.option("--skip-unreadable", is_flag=True, help="with --name: leave out files that are no picture")
def import_data(path: str, name: str | None, skip_unreadable: bool) -> int:
    """Import CIFAR-10, or your own pictures with --name.

    CIFAR-10: from its archive, its extracted folder, or train/<class>/*.png.
    """
    from cnnlab.data import cifar10

    if name is not None:
        return import_own_pictures(Path(path), name, skip_unreadable)
    try:
        cifar10.prepare(path, print_step)
    except cifar10.CifarError as error:
        return print_error(str(error), 1 if isinstance(error, cifar10.CifarWriteError) else 2)
    return print_data_status()


def import_own_pictures(folder: Path, name: str, skip_unreadable: bool) -> int:
    """Import a folder of classes and print what it has become; Ctrl-C ends it and leaves everything as it was."""
    from cnnlab.data.picture_folder import PictureImportError, UnreadablePictures
    from cnnlab.data.picture_import import import_pictures
    from cnnlab.photo_decoding.decoder import PhotoError

    try:
        made = import_pictures(folder.expanduser(), name, skip_unreadable=skip_unreadable, progress=print_step)
    except (PictureImportError, PhotoError) as error:
        hint = " Leave them out with --skip-unreadable." if isinstance(error, UnreadablePictures) else ""
        return print_error(f"{error}{hint}", 2)
    except KeyboardInterrupt:
        return print_error("Stopped: nothing was imported.", 130)
    left_out = [pluralize(made.duplicates, "duplicate")] * bool(made.duplicates)
    left_out += [pluralize(made.unreadable, "unreadable file")] * bool(made.unreadable)
    click.echo(describe_own_pictures(made.info) + (f"; left out: {', '.join(left_out)}" if left_out else ""))
    return 0


def print_step(step: str, share: float) -> None:
    """Print the progress of an import."""
    click.echo(f"{share:4.0%} {step}", err=True)


def describe_own_pictures(info: DatasetInfo) -> str:
    """One line about a data set of one's own pictures."""
    counts = f"{info.train_images:,} training, {info.validation_images:,} validation, {info.test_images:,} test images"
    return f"{info.title}  {info.class_count} classes ({', '.join(info.classes)}), {counts}"


@data.command("list")
def list_data() -> None:
    """Print the data sets of your own pictures, one a line."""
    from cnnlab.data import own_pictures

    for info in own_pictures.list_datasets():
        click.echo(describe_own_pictures(info))


@data.command("remove")
@click.argument("name")
@click.confirmation_option(prompt="Remove the pictures of this data set? Runs that were trained on it stay.")
def remove_data(name: str) -> None:
    """Remove a data set of your own pictures; its runs stay."""
    from cnnlab.data import dataset_fields, own_pictures

    own_pictures.remove(dataset_fields(name)["dataset"])


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
    """Read every pixel of CIFAR-10 and print its status."""
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
    """Import the results of finished runs.

    PATH is a run directory, or a folder of them.
    """
    from cnnlab.storage import run_import

    try:
        results = run_import.import_runs(path)
    except run_import.RunImportError as error:
        return print_error(str(error), 2)
    for result in results:
        problem = f"not imported: {result.problem}"
        click.echo(f"imported {result.run.title}, {result.run.key}" if result.run else problem)
    return 0 if any(result.run for result in results) else 2


@click.group()
def networks() -> None:
    """Import Keras networks from elsewhere, list or remove them."""


@networks.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--title", help="its name in the menus (default: that of the file)")
@click.option("--classes", "class_names", default="", help="names of its classes, separated by commas, in their order")
@click.option("--pixels", default="0-1", show_default=True, help="range of its input: 0-1, 0-255 or -1-1")
def import_network(file: Path, title: str | None, class_names: str, pixels: str) -> int:
    """Import a .keras file.

    Look inside and Mistakes show it then. Nothing in the file is run.
    """
    from cnnlab.jobs import network_uploads
    from cnnlab.storage.network_import import NetworkImportError

    try:
        network = network_uploads.import_file(file, title or "", class_names, pixels)
        click.echo(f"imported {network.title}, {network.name}")
        if network_uploads.can_be_tested(network):
            click.echo(f"{network_uploads.write_predictions(network):.1%} of the test images are classified correctly")
    except NetworkImportError as error:
        return print_error(str(error), 2)
    return 0


@networks.command("list")
def list_networks() -> None:
    """Print the imported networks, one a line."""
    from cnnlab.storage import imported_networks

    for network in imported_networks.list_imported():
        click.echo(f"{network.name}  {network.title}")


@networks.command("remove")
@click.argument("name")
@click.confirmation_option(prompt="Remove this network? Its .keras file is not kept here.")
def remove_network(name: str) -> None:
    """Remove an imported network."""
    from cnnlab.storage import imported_networks

    imported_networks.remove_imported(name)


@networks.command("test")
@click.argument("name")
def test_network(name: str) -> None:
    """Compute its predictions on the test images, for Mistakes."""
    from cnnlab.jobs import network_uploads
    from cnnlab.storage import imported_networks

    accuracy = network_uploads.write_predictions(imported_networks.open_imported(name))
    click.echo(f"{accuracy:.1%} of the test images are classified correctly")


COMMANDS = (data, runs, networks)
