"""The report as a Jupyter notebook: it reads the exported files beside it and needs only Python's standard library."""

import json
from typing import Any

from cnnlab.lesson_report.content import LessonReport
from cnnlab.rendering.markdown import escape_markdown

READ_RESULTS = """import csv
from pathlib import Path

FOLDER = Path.cwd()
with open(FOLDER / "results.csv", newline="") as file:
    results = list(csv.DictReader(file))
for row in results:
    print(row)"""
READ_HISTORIES = """histories = {}
for path in sorted((FOLDER / "histories").glob("*.csv")):
    with open(path, newline="") as file:
        histories[path.stem] = list(csv.DictReader(file))
for name, rows in histories.items():
    print(name, "accuracy on new images after the last epoch:", rows[-1]["val_accuracy"])"""
SHOW_FIGURES = '''class Picture:
    """A figure of the folder, as a notebook shows it."""

    def __init__(self, name):
        self.path = FOLDER / "figures" / name

    def _repr_png_(self):
        return self.path.read_bytes()


figures = sorted(path.name for path in (FOLDER / "figures").glob("*.png"))
print(figures)'''


def notebook_json(report: LessonReport) -> str:
    """The notebook (nbformat 4.5)."""
    author = f"{escape_markdown(report.author)}, {report.date}, {report.progress}"
    cells = [markdown_cell(f"# {escape_markdown(report.title)}\n\n{author}")]
    heading = ""
    for entry in report.entries:
        title = f"## {escape_markdown(entry.heading)}\n\n" if entry.heading != heading else ""
        heading = entry.heading
        answers = "\n\n".join(map(quoted_answer, entry.answers))
        parts = [title + entry.question, answers, *entry.evidence]
        cells.append(markdown_cell("\n\n".join(parts)))
    cells += [code_cell(READ_RESULTS), code_cell(READ_HISTORIES), code_cell(SHOW_FIGURES)]
    names = [figure.name for entry in report.entries for figure in entry.figures]
    cells += [
        code_cell(f"Picture({name + '.png'!r})") for name in (*names, *(figure.name for figure in report.run_figures))
    ]
    listed = ", ".join(f"{name} {value}" for name, value in report.versions.items())
    cells.append(markdown_cell(f"Made with {listed}."))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    value = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(value, indent=1) + "\n"


def quoted_answer(answer: str) -> str:
    """What somebody typed, as a quotation in Markdown line by line: it is shown as text, and loads nothing."""
    return "\n>\n".join(f"> {escape_markdown(line)}" for line in answer.splitlines() if line.strip())


def markdown_cell(text: str) -> dict[str, Any]:
    """A cell of text."""
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def code_cell(text: str) -> dict[str, Any]:
    """A cell of code that has not run yet."""
    source = text.splitlines(keepends=True)
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
