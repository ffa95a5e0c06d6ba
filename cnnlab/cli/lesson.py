"""The commands of lab sheets: lesson check, lesson list."""

from pathlib import Path

import click

from cnnlab.cli.output import print_error
from cnnlab.formatting import pluralize


@click.group()
def lesson() -> None:
    """Check a lab sheet, or list those of this machine."""


@lesson.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def check_sheet(file: Path) -> int:
    """Read a lab sheet (a TOML file) and name the line of each mistake."""
    from cnnlab.lessons import sheet_files

    found = sheet_files.load_sheet(file)
    if found.sheet is None:
        return print_error("\n".join(f"{file.name}, {mistake}" for mistake in found.mistakes), 2)
    chapters, steps = len(found.sheet.chapters), len(found.sheet.steps)
    counts = pluralize(chapters, "chapter"), pluralize(steps, "step"), pluralize(found.sheet.minutes, "minute")
    click.echo(f"{found.sheet.title}: {', '.join(counts)}")
    return 0


@lesson.command("list")
def list_sheets() -> int:
    """List the shipped sheets and those in the home's folder `lessons`."""
    from cnnlab.lessons import sheet_files

    for found in sheet_files.list_sheets():
        if found.sheet:
            click.echo(f"{found.name}: {found.sheet.title}, {found.sheet.minutes} minutes")
        else:
            click.echo(f"{found.name}: {found.mistakes[0]}")
    return 0
