"""The commands of lab sheets: lesson check, lesson convert, lesson list."""

from pathlib import Path

import click

from cnnlab.cli.output import print_error
from cnnlab.formatting import pluralize


@click.group()
def lesson() -> None:
    """Check, convert or list lab sheets."""


@lesson.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def check_command(file: Path) -> int:
    """Read a lab sheet (YAML) and name the line of each mistake."""
    return check_sheet(file)


def check_sheet(file: Path) -> int:
    """Print how long a sheet is, or its mistakes; returns the exit status."""
    from cnnlab.lessons import sheet_files

    found = sheet_files.load_sheet(file)
    if found.sheet is None:
        return print_error("\n".join(f"{file.name}, {mistake}" for mistake in found.mistakes), 2)
    chapters, steps = len(found.sheet.chapters), len(found.sheet.steps)
    counts = pluralize(chapters, "chapter"), pluralize(steps, "step"), pluralize(found.sheet.minutes, "minute")
    click.echo(f"{found.sheet.title}: {', '.join(counts)}")
    return 0


@lesson.command("convert")
@click.argument("file", type=click.Path(path_type=Path))
def convert_sheet(file: Path) -> int:
    """Convert a lab sheet from TOML to YAML, beside it.

    TOML is the form of earlier versions. Comments are not kept.
    """
    from cnnlab.lessons import toml_conversion
    from cnnlab.storage.bounded_files import DamagedFile

    try:
        target = toml_conversion.convert_sheet(file)
    except (toml_conversion.ConversionError, DamagedFile) as error:
        return print_error(f"{file.name}: {error}", 2)
    except OSError as error:
        return print_error(f"{file.name}: {error.strerror or error}", 2)
    click.echo(f"Written: {target.name}")
    return check_sheet(target)


@lesson.command("list")
def list_sheets() -> int:
    """List the shipped sheets and those in the folder `lessons`."""
    from cnnlab.lessons import sheet_files

    for found in sheet_files.list_sheets():
        if found.sheet:
            click.echo(f"{found.name}: {found.sheet.title}, {found.sheet.minutes} minutes")
        else:
            click.echo(f"{found.name}: {found.mistakes[0]}")
    return 0
