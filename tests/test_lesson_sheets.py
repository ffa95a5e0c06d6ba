"""The files of lab sheets: each mistake has its line, hostile YAML costs one sentence, a sheet in TOML is converted."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cnnlab.cli import commands
from cnnlab.lessons import sheet_files, yaml_nodes
from cnnlab.lessons.mapping_reader import MAX_MISTAKES
from cnnlab.lessons.sheet_mistakes import SheetError
from cnnlab.lessons.sheet_reader import read_sheet
from cnnlab.lessons.toml_conversion import ConversionError, yaml_of_toml

GOOD = """title: A lesson
summary: Short.
covered:
  mistakes: one
chapters:
- title: First
  minutes: 5
  steps:
  - id: one
    kind: choice
    question: |
      A text with a line that looks like a field:
      id: not a field
    options:
    - a
    - b
    answer: a
    page: compare
    hidden: [train, more]
    evidence: ["claim: 1"]
  - id: two
    kind: sketch
    question: Sketch
    x: [1, 2]
    y: [0, 100]
    x_label: epoch
    y_label: "%"
"""
OPTIONS = "    options:\n    - a\n    - b\n    answer: a\n"


@pytest.fixture(
    autouse=True, params=sorted({yaml_nodes.LOADER, yaml.BaseLoader}, key=repr), ids=lambda one: one.__name__
)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test with the parser in C, where PyYAML has it, and with that in Python."""
    monkeypatch.setattr(yaml_nodes, "LOADER", request.param)


def mistakes(text: str | bytes) -> list[tuple[int, str]]:
    with pytest.raises(SheetError) as error:
        read_sheet("test", text if isinstance(text, bytes) else text.encode())
    return [(one.line, one.message) for one in error.value.mistakes]


def test_a_good_sheet_is_read_with_its_steps_in_order():
    sheet = read_sheet("test", GOOD.encode())
    assert [step.id for step in sheet.steps] == ["one", "two"]
    assert sheet.steps[0].question == "A text with a line that looks like a field:\nid: not a field\n"
    assert sheet.minutes == 5 and sheet.steps[1].sketch.x == (1.0, 2.0)
    assert sheet.hidden_parts("one", set()) == {"mistakes", "train", "more"}
    assert sheet.hidden_parts("two", {"one"}) == set()


def test_values_are_texts_as_they_are_written():
    """YAML 1.1 makes of these a truth value, sexagesimals, a date, nothing, numbers."""
    text = GOOD.replace(
        OPTIONS, "    options: [yes, no, 1:30, 0, 2024-01-01, ~, 0x1F, .5, 1_000, null]\n    answer: no\n"
    )
    text = text.replace("title: A lesson", "title: 2024-01-01").replace(
        "    page: compare\n", "    page: compare\n" + PARAMS
    )
    sheet = read_sheet("test", text.encode())
    assert sheet.title == "2024-01-01" and sheet.steps[0].answer == "no"
    assert sheet.steps[0].options == ("yes", "no", "1:30", "0", "2024-01-01", "~", "0x1F", ".5", "1_000", "null")
    assert sheet.steps[0].params == {"depth": "2", "epoch": "010", "sanity": "on"}


PARAMS = "    params: {depth: 2, epoch: 010, sanity: on}\n"


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_the_marks_and_ends_of_lines_of_windows_change_nothing(change):
    assert read_sheet("test", change(GOOD).encode()) == read_sheet("test", GOOD.encode())
    assert mistakes(change(GOOD.replace("minutes: 5", "minutes: 50")))[0][0] == 7


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("title: A lesson", "titel: A lesson", 1, "titel"),
        ("title: A lesson", "title:", 1, "title is empty"),
        ("title: A lesson", "title: [A, lesson]", 1, "one value for title"),
        ("title: A lesson", "title: A lesson: dropout", 1, "no colon is expected here. Put a text with a colon"),
        ("title: A lesson", "title: A lesson\n\tx: y", 2, "Indent with spaces"),
        ("title: A lesson", "title: '**A** lesson", 1, "Close the quotation mark"),
        ("title: A lesson", "title: **A** lesson", 1, "in quotes"),
        ("title: A lesson", "title: *A", 1, "in quotes"),
        ("title: A lesson", "title: !A lesson", 1, "in quotes"),
        ("title: A lesson", "title: A lesson\ntitle: Another", 2, "title is there twice"),
        ("summary: Short.", "summary: Short.\n[a]: b", 3, "a name before the colon"),
        ("summary: Short.", "summary: " + "a" * 4001, 2, "4,000 characters"),
        ("  mistakes: one", "  mistakes: three", 4, "id of a step"),
        ("  mistakes: one", "  mistake: one", 4, "'mistake'"),
        ("  mistakes: one", "- mistakes", 4, "Expected fields"),
        ("minutes: 5", "minutes: 11", 7, "11"),
        ("minutes: 5", "minutes: five", 7, "whole number"),
        ("minutes: 5", "minutes: [5]", 7, "one value for minutes"),
        ("minutes: 5", "minutes: 5\n  minuets: 5", 8, "minuets"),
        ("  - id: one", "  - Step one\n  - id: one", 9, "Expected fields"),
        ("kind: choice", "kind: guess", 10, "guess"),
        ("    question: Sketch\n", "", 21, "question is missing"),
        ("question: Sketch", "question: {Sketch}", 23, "one value for question"),
        ("id: two", "id: one", 21, "Another step"),
        ("id: two", "id: Two!", 21, "Two!"),
        ("    - b\n", "", 14, "list of 2 to 12 items"),
        ("    - b\n", "    - a\n", 16, "there twice"),
        ("    - b\n", "    - b: c\n", 16, "one value for options"),
        ("    - b\n", "    -\n", 16, "options is empty"),
        ("    - b\n", "    - " + "b" * 201 + "\n", 16, "200 characters"),
        (OPTIONS, "    options: a, b\n", 14, "options is a list"),
        (OPTIONS, "    options: [a, b\n    answer: a\n", 14, "Close the bracket"),
        (OPTIONS, "    options: [a,\n      b, a]\n", 15, "there twice"),
        ("answer: a", "answer: c", 17, "'c'"),
        ("page: compare", "page: compair", 18, "compair"),
        ("    page: compare\n", PARAMS, 18, "Params need a page"),
        ("hidden: [train, more]", "hidden:\n    - train\n    - moer", 21, "'moer'"),
        ("hidden: [train, more]", "locked: [depht]", 19, "'depht'"),
        ("claim: 1", "claim: 9", 20, "'9'"),
        ("claim: 1", "opinion: 1", 20, "opinion"),
        ("claim: 1", "own: opinion", 20, "opinion"),
        ("claim: 1", "own: gap", 20, "a step of the kind run before it"),
        ('["claim: 1"]', "\n    - claim: 1", 21, "one value for evidence"),
        ("    evidence:", "    result: opinion\n    evidence:", 20, "opinion"),
        ("    evidence:", "    condition: gap\n    evidence:", 20, "has no condition"),
        ("x: [1, 2]", "x: [2, 1]", 24, "rising"),
        ("x: [1, 2]", "x:\n    - 1\n    - two", 26, "list of numbers"),
        ("x: [1, 2]", "x: [1, .nan]", 24, "list of numbers"),
        ("x: [1, 2]", "x: [1, 1e400]", 24, "list of numbers"),
        ("y: [0, 100]", "y: [0]", 25, "list of 2 items"),
        ("    y: [0, 100]\n", "", 21, "needs y"),
        ("kind: sketch", "kind: text", 24, "has no x:"),
        ("title: A lesson", "title: Lesson #2", 1, "after ' #' is a comment"),
        ("question: Sketch", "question: Größe of\n      the layer # 2?", 24, "put the text in quotes"),
        ("question: Sketch", "question: The layer #2 is\n      large.", 23, "put the text in quotes"),
        (OPTIONS, "    options:\n    - a #1\n    - b\n    answer: a\n", 15, "is a comment"),
        (OPTIONS, "    options: [a #1, b]\n    answer: a\n", 14, "is a comment"),
        ("answer: a", "answer: a # the first", 17, "is a comment"),
    ],
)
def test_each_mistake_is_named_with_its_line(old, new, line, word):
    assert GOOD.count(old) == 1
    found = mistakes(GOOD.replace(old, new))
    assert [number for number, message in found if word in message] == [line], found
    assert new == "kind: text" or {number for number, _ in found} == {line}, found


def test_comments_are_allowed_where_they_cannot_be_a_part_of_a_text():
    commented = GOOD.replace("minutes: 5", "minutes: 5 # at most 10").replace("id: two", "id: two # the last")
    commented = commented.replace("kind: sketch", "kind: sketch # a curve").replace("x: [1, 2]", "x: [1, 2] # epochs")
    commented = commented.replace("question: |", "question: | # below").replace("    - b\n", "    # of two\n    - b\n")
    commented = commented.replace("title: A lesson", "# mine\ntitle: 'A lesson' # mine")
    commented = commented.replace("- a\n", "- 0 # none\n").replace("answer: a", "answer: 0 # none")
    assert commented.count("#") == 10
    plain = GOOD.replace("- a\n", "- 0\n").replace("answer: a", "answer: 0")
    assert read_sheet("test", commented.encode()) == read_sheet("test", plain.encode())
    numbered = GOOD.replace("title: A lesson", "title: 'Lesson #2'").replace("not a field", "the #2")
    assert read_sheet("test", numbered.encode()).title == "Lesson #2"


def test_all_mistakes_are_found_at_once():
    text = GOOD.replace("minutes: 5", "minutes: 0").replace("claim: 1", "claim: 0").replace("id: two", "id: Two")
    assert [line for line, _ in mistakes(text)] == [7, 20, 21]


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    ("content", "line", "word"),
    [
        (b"", 1, "Expected fields"),
        (b"# nothing\n", 1, "Expected fields"),
        (b"title", 1, "'title'"),
        (b"- title: a\n", 1, "Received: a list"),
        (b"title: a\nsummary: \xff", 2, "UTF-8"),
        (GOOD.encode("utf-16"), 1, "UTF-8"),
        (b"title: a\nsummary: \x00", 2, "control character"),
        (b"\x7fELF\x02\x01\x01\x00", 1, "control character"),
        (b"title: a\n---\ntitle: b\n", 2, "one document"),
        (b"title: a\n...\n", 1, "missing"),
        (b"a: 1\n<<: *a\n", 2, "quotes"),
        (b"title: a\nsummary: &a b\n", 2, "quotes"),
        (BOMB.encode(), 1, "quotes"),
        (b"title: !!python/object/apply:os.system [touch x]\n", 1, "quotes"),
        (b"%TAG ! tag:example.org,2000:\n---\ntitle: !a b\n", 3, "quotes"),
        (b"title: a\nx: " + b"[" * 190_000, 2, "nest"),
        (b"title: a\nx: " + b"{a: " * 40_000, 2, "nested"),
        (b"title: a\nx:\n" + b"- " * 90_000 + b"a", 3, "nested"),
        (b"title: a\n" + b"? " * 90_000 + b"a", 2, "nested"),
        (b"title: a\n" + b"x" * 190_000, 2, "not YAML"),
        (b'title: a\nsummary: "' + b"x\n" * 90_000, 2, "Close the quotation mark"),
        (b"title: a\nx: [a" + b", a" * 6_000, 2, "Close the bracket"),
    ],
)
def test_hostile_and_strange_files_cost_a_sentence_with_a_line(content, line, word):
    found = mistakes(content)
    assert (line, True) in [(number, word in message) for number, message in found], found
    assert len(found) <= 5 and all(len(message) < 500 for _, message in found)


def test_a_file_with_thousands_of_mistakes_tells_the_first_hundred():
    found = mistakes("title: a\n" + "".join(f"x{number}: 1\n" for number in range(300)))
    assert len(found) == MAX_MISTAKES


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `lessons` of a home."""
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    (tmp_path / "lessons").mkdir()
    return tmp_path / "lessons"


def lesson(*words: str | Path) -> tuple[int, str]:
    """Exit status and output of a command of `cnnlab lesson`."""
    result = CliRunner().invoke(commands, ["lesson", *map(str, words)], standalone_mode=False)
    assert result.exception is None
    return result.return_value, result.output


def test_a_file_of_the_home_appears_and_a_broken_one_is_listed_with_its_error(folder):
    for name in ("good.yaml", "short.yml", "Bad Name.yaml"):
        (folder / name).write_text(GOOD)
    (folder / "broken.yaml").write_text("title: ")
    (folder / "large.yaml").write_text(GOOD + "#" * sheet_files.MAX_BYTES)
    (folder / "link.yaml").symlink_to(folder / "good.yaml")
    (folder / "folder.yaml").mkdir()
    (folder / "notes.txt").write_text(GOOD)
    found = {one.name: one for one in sheet_files.list_sheets()}
    assert found["good"].sheet and sheet_files.open_sheet("short").title == "A lesson"
    for name in ("broken", "Bad Name", "large", "link", "folder"):
        assert found[name].sheet is None and found[name].mistakes
    assert "notes" not in found and "my-lesson.yaml" in str(sheet_files.load_sheet(folder / "notes.txt").mistakes[0])
    with pytest.raises(sheet_files.UnknownSheet):
        sheet_files.open_sheet("broken")


def test_a_file_of_the_home_takes_the_place_of_a_shipped_one(folder):
    (folder / "taster.yaml").write_text(GOOD)
    assert sheet_files.open_sheet("taster").title == "A lesson"
    shutil.copy(sheet_files.SHIPPED / "seven-questions.yaml", folder / "copy.yaml")
    assert sheet_files.open_sheet("copy").steps == sheet_files.open_sheet("seven-questions").steps


def test_two_files_of_one_name_are_listed_with_a_sentence(folder):
    (folder / "mine.yaml").write_text(GOOD)
    (folder / "mine.yml").write_text(GOOD)
    [found] = [one for one in sheet_files.list_sheets() if one.name == "mine"]
    assert found.sheet is None and "mine.yaml has the same name" in found.mistakes[0].message


def test_the_command_names_file_and_line_and_ends_with_2(folder):
    path = folder / "mine.yaml"
    path.write_text(GOOD.replace("minutes: 5", "minutes: 50"))
    status, told = lesson("check", path)
    assert status == 2 and told.startswith("mine.yaml, line 7:")
    path.write_text(GOOD)
    assert lesson("check", path) == (0, "A lesson: 1 chapter, 2 steps, 5 minutes\n")
    status, told = lesson("check", folder / "none.yaml")
    assert status == 2 and "cannot be read" in told


# -- sheets in TOML ----------------------------------------------------------------------------------------------------

TOML = '''# a comment
title = "A lesson: no"
summary = "yes"
covered = { mistakes = "one" }

[[chapter]]
title = "# 1"
minutes = 5

[[chapter.step]]
id = "one"
kind = "choice"
question = """
**Which** one?

    code
- a list
"""
options = ["no", "1:30", "it's", "{a}, [b]", "a: b # c", "at its end  \\n a space", "ä \\U0001F600"]
answer = "no"
page = "compare"
params = { step = 3, depth = 2, l2 = 0.00001, measure = "reported" }
hint = "   three spaces\\n\\n  at the beginning"
explanation = """*Two* lines
without an end"""

[[chapter.step]]
id = "two"
kind = "sketch"
question = "Sketch"
x = [1, 2.5]
y = [-1, 1]
x_label = "epoch"
y_label = "%"
'''


def as_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: as_texts(one) for name, one in value.items()}
    return [as_texts(one) for one in value] if isinstance(value, list) else str(value)


def test_a_sheet_in_toml_keeps_every_value_in_yaml():
    written = yaml_of_toml(TOML.encode())
    expected = as_texts(tomllib.loads(TOML))
    expected["chapters"] = expected.pop("chapter")
    expected["chapters"][0]["steps"] = expected["chapters"][0].pop("step")
    assert yaml.load(written, Loader=yaml.BaseLoader) == expected
    assert "    explanation: |-\n      *Two* lines\n      without an end\n" in written
    one, two = read_sheet("test", written.encode()).steps
    old = tomllib.loads(TOML)["chapter"][0]["step"][0]
    assert (one.question, one.hint, one.options) == (old["question"], old["hint"], tuple(old["options"]))
    assert one.params == {"step": "3", "depth": "2", "l2": "1e-05", "measure": "reported"}
    assert (two.sketch.x, two.sketch.low, two.sketch.high) == ((1.0, 2.5), -1.0, 1.0)


def test_an_empty_field_in_toml_is_left_out_in_yaml():
    emptied = TOML.replace('y_label = "%"', 'y_label = "%"\nhint = ""\nhidden = []\nparams = {}')
    assert yaml_of_toml(emptied.encode()) == yaml_of_toml(TOML.encode())


def test_a_sheet_in_toml_is_listed_with_the_command_that_converts_it(folder):
    path = folder / "mine.toml"
    path.write_text(TOML)
    [found] = [one for one in sheet_files.list_sheets() if one.name == "mine"]
    assert found.sheet is None and "cnnlab lesson convert mine.toml" in found.mistakes[0].message
    assert lesson("convert", path) == (0, "Written: mine.yaml\nA lesson: no: 1 chapter, 2 steps, 5 minutes\n")
    [found] = [one for one in sheet_files.list_sheets() if one.name == "mine"]
    assert found.sheet == sheet_files.open_sheet("mine") and path.read_text() == TOML


@pytest.mark.parametrize("taken", ["mine.yaml", "mine.yml"])
def test_converting_overwrites_no_sheet(folder, taken):
    (folder / "mine.toml").write_text(TOML)
    (folder / taken).write_text(GOOD)
    status, told = lesson("convert", folder / "mine.toml")
    assert status == 2 and f"{taken} is there already" in told
    assert (folder / taken).read_text() == GOOD and len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("content", ["title = ", "a = " + "[" * 5000, "\x00", None])
def test_what_is_no_toml_is_not_converted(folder, content):
    if content is not None:
        (folder / "mine.toml").write_text(content)
    status, told = lesson("convert", folder / "mine.toml")
    assert status == 2 and told.startswith("mine.toml") and told.count("\n") == 1
    assert not (folder / "mine.yaml").exists()
    with pytest.raises(ConversionError):
        yaml_of_toml(b"\xff")
