"""The README is tested like code: its commands exist, its paths exist, its tables are what the code prints."""

import re
import shlex
import tomllib

import click
import pytest

from cnnlab import report, settings
from cnnlab.cli import commands
from cnnlab.explanations.report_tables import format_report
from cnnlab.layer_order_study import comparison_table

README = (settings.REPOSITORY / "README.md").read_text()
IN_CODE = re.findall(r"`([^`\n]+)`", README) + re.findall(r"^\.venv/bin/(python .*)$", README, re.MULTILINE)
COMMANDS = sorted({shlex.join(shlex.split(text)[3:]) for text in IN_CODE if text.startswith("python -m cnnlab ")})
PATH = re.compile(r"(cnnlab|tests|pretrained|deploy|\.ci)/[\w./]*|\w+\.(py|toml)")
PATHS = sorted({text for text in IN_CODE if PATH.fullmatch(text)})
SET_UPS = re.findall(r"^python3 -m venv \.venv && .*$", README, re.MULTILINE)


def between(name: str) -> str:
    return README.split(f"<!-- {name} -->\n")[1].split(f"<!-- end of {name} -->")[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_the_readme_is_one(command):
    name, *arguments = shlex.split(command)
    group, context = commands, click.Context(commands)
    while isinstance(chosen := group.get_command(context, name), click.Group):
        group, (name, *arguments) = chosen, arguments
    assert chosen is not None, command
    chosen.make_context(name, arguments)


def test_every_command_is_in_the_readme():
    told = {shlex.split(command)[0] for command in COMMANDS}
    assert told == {name for name, command in commands.commands.items() if not command.hidden} - {"dev"}


@pytest.mark.parametrize("path", PATHS)
def test_every_path_in_the_readme_exists(path):
    assert (settings.REPOSITORY / path).exists()


@pytest.mark.parametrize("picture", re.findall(r"!\[[^]]+\]\(([^)]+)\)", README))
def test_every_picture_in_the_readme_exists(picture):
    assert (settings.REPOSITORY / picture).is_file()


def test_every_module_is_on_the_map():
    package = settings.REPOSITORY / "cnnlab"
    # By their files: Python leaves the bytecode of a package that was renamed behind.
    modules = {path.relative_to(package).parts[0] for path in package.rglob("*.py")} - {"__init__.py", "__main__.py"}
    named = {settings.REPOSITORY / path for path in PATHS}
    assert {package / module for module in modules} - named == set()


def test_the_map_has_the_floors_of_the_contract():
    contracts = tomllib.loads((settings.REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = [set(re.findall(r"\w+", floor)) for floor in contracts[0]["layers"] if floor != "__main__"]
    height = {module: index for index, floor in enumerate(floors) for module in floor}
    rows = [re.findall(r"`cnnlab/(\w+)(?:/|\.py)`", row) for row in README.splitlines() if row.startswith("| `cnnlab/")]
    heights = [sorted({height[module] for module in row}) for row in rows]
    assert [index for floor in heights for index in floor] == list(range(len(floors)))


def test_the_tables_are_what_reproduce_prints(monkeypatch, tmp_path):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    printed = format_report(report.report_rows())
    assert between("tables") == printed, "put the output of `python -m cnnlab reproduce --tables` between the markers"


def test_the_comparison_of_places_is_what_layer_order_prints(monkeypatch, tmp_path):
    """The runs of the places that are not the default do not come along: only the rows of the default are compared."""
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    printed = [line for line in comparison_table(30, "float32").splitlines() if "not trained yet" not in line]
    assert len(printed) == 2 + 2 and set(printed) < set(between("placements").splitlines())


def test_there_are_two_commands_one_that_starts_and_one_that_tests():
    assert len(SET_UPS) == 2
    for command, requirements in zip(SET_UPS, ("requirements.txt", "tests/requirements.txt"), strict=True):
        assert f"pip install -r {requirements} " in command
        assert (settings.REPOSITORY / requirements).is_file()
    assert SET_UPS[0].endswith("streamlit run streamlit_app.py")
    assert SET_UPS[1].endswith("python -m pytest -n 2")


def test_the_readme_names_no_folder_of_one_machine():
    assert re.findall(r"(?<![\w.])/(?:home|root|work|tmp|Users|opt)\b", README) == []
