"""The help of the command line: every summary whole in 80 columns, every option with its meaning."""

from collections.abc import Iterator

import click
import pytest

from cnnlab.cli import commands
from cnnlab.cli.training import FIELD_HELP
from cnnlab.experiment import CHOICES, NUMERIC_FIELDS, Experiment, ExperimentError

COLUMNS = 80


def groups_and_commands(command: click.Command = commands, name: str = "cnnlab") -> Iterator[tuple[str, click.Command]]:
    yield name, command
    for part in getattr(command, "commands", {}).values():
        if not part.hidden:
            yield from groups_and_commands(part, f"{name} {part.name}")


KNOWN = dict(groups_and_commands())


def printed_help(name: str) -> str:
    context = click.Context(KNOWN[name], info_name=name, terminal_width=COLUMNS)
    return KNOWN[name].get_help(context)


@pytest.mark.parametrize("name", [name for name, command in KNOWN.items() if isinstance(command, click.Group)])
def test_the_summary_of_each_command_is_whole_in_80_columns(name):
    lines = printed_help(name).partition("Commands:")[2].splitlines()
    assert len(lines) >= 1 and [line for line in lines if line.endswith("...")] == []


@pytest.mark.parametrize("name", KNOWN)
def test_every_option_says_what_it_is(name):
    shown = [option for option in KNOWN[name].params if isinstance(option, click.Option) and not option.hidden]
    assert [option.name for option in shown if not option.help] == []


def test_the_help_of_a_field_has_its_range_and_its_default():
    assert set(FIELD_HELP) == {*CHOICES, *NUMERIC_FIELDS}
    told = " ".join(printed_help("cnnlab train").split())
    assert "convolution layers (1 to 4, default 2)" in told and "(0.000001 to 10, default 0.001)" in told
    with pytest.raises(ExperimentError, match="between 1 and 4"):
        Experiment(depth=5)
    assert Experiment().depth == 2
