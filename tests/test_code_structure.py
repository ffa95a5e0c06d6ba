"""The code is in the form that CONTRIBUTING asks for: short files, one line that says what a module is, short names."""

import ast
from pathlib import Path

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
