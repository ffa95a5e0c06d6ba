"""The code is in the form that CONTRIBUTING asks for: short files, one line that says what a module is, short names."""

import ast
import re
from pathlib import Path

import pytest

from cnnlab import settings

PACKAGE = settings.REPOSITORY / "cnnlab"
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((settings.REPOSITORY / "tests").rglob("*.py"))
MAX_LINES, MAX_NAME = 250, 80


def name(path: Path) -> str:
    return str(path.relative_to(settings.REPOSITORY))


def test_no_module_of_the_program_is_longer_than_250_lines():
    lines = {name(path): path.read_text(encoding="utf-8").count("\n") for path in MODULES}
    assert len(lines) > 300
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}


def test_every_module_says_in_one_line_what_it_is():
    docstrings = {name(path): ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "" for path in MODULES}
    first_paragraphs = {path: docstring.partition("\n\n")[0] for path, docstring in docstrings.items()}
    assert [path for path, first in first_paragraphs.items() if not first or "\n" in first] == []


def test_the_names_of_tests_have_at_most_80_characters():
    functions = [one for path in TESTS for one in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    names = [one.name for one in functions if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")]
    assert len(names) > 1000
    assert [one for one in names if len(one) > MAX_NAME] == []


def test_only_the_modules_named_streamlit_import_what_streamlit_does_not_document():
    public = {"streamlit", "streamlit.delta_generator", "streamlit.typing"}
    found = {
        name(path)
        for path in MODULES
        for one in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(one, ast.ImportFrom) and (one.module or "").split(".")[0] == "streamlit"
        if one.module not in public
    }
    assert found and [path for path in found if not path.startswith("cnnlab/ui/streamlit_")] == []


FILE_ENDINGS = {"csv", "json", "keras", "lock", "log", "npz", "py", "sqlite"}
OTHERS = ("keras.", "ray.", "st.")  # modules of other packages, named as they are imported
REFERENCE = re.compile(r"`(?:cnnlab\.)?((?:[a-z_]\w*\.)+)([a-z_]\w*)`")  # `receptive_field.input_region`
NAMED = {ast.FunctionDef: "name", ast.ClassDef: "name", ast.Name: "id", ast.arg: "arg", ast.Attribute: "attr"}


@pytest.mark.slow
def test_every_name_of_a_module_that_a_docstring_refers_to_is_there():
    known: dict[str, set[str]] = {}
    references = []
    for path in MODULES:
        is_package = path.stem == "__init__"
        names = known.setdefault(path.parent.name if is_package else path.stem, set())
        names.update({one.stem for one in path.parent.iterdir()} if is_package else ())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if attribute := NAMED.get(type(node)):
                names.add(getattr(node, attribute))
            elif isinstance(node, ast.alias):
                names.add((node.asname or node.name).split(".")[-1])
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                references += [(name(path), *parts) for parts in REFERENCE.findall(ast.get_docstring(node) or "")]
    assert len(references) > 100
    assert [
        f"{path}: {modules}{last}"
        for path, modules, last in references
        if not modules.startswith(OTHERS) and last not in FILE_ENDINGS
        if last not in known.get(modules.split(".")[-2], {last})
    ] == []
