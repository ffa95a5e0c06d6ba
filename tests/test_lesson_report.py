"""The report of a lesson: it loads nothing, repeats what was answered, and its programs train the same network."""

import base64
import csv
import html
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from markdown_it import MarkdownIt
from test_own_pictures import write_pictures

from cnnlab import report
from cnnlab.data import shape_drawing, shapes
from cnnlab.data.picture_import import import_pictures
from cnnlab.experiment import Experiment
from cnnlab.explanations.lesson_evidence import NOT_CHOSEN, NOT_READABLE
from cnnlab.lesson_report import archive as archive_module
from cnnlab.lesson_report import drawing_program
from cnnlab.lesson_report.archive import report_zip
from cnnlab.lesson_report.content import experiment_of, make_report
from cnnlab.lesson_report.html_page import markdown_html, report_html
from cnnlab.lesson_report.keras_script import keras_script
from cnnlab.lesson_report.notebook import notebook_json
from cnnlab.lesson_report.pinned_figures import pinned_figures
from cnnlab.lessons.answers import Answer
from cnnlab.lessons.sheet_files import open_sheet
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.rendering import chart_export
from cnnlab.storage import runs

pytestmark = pytest.mark.slow

SHEET = open_sheet("taster")
SKETCH, ORDER, CHOICE, PIN, TEXT = SHEET.steps
HOSTILE = "<script>alert(1)</script> ![x](http://evil.test/x.png) **b**"
MAPS = {
    "page": "look_inside",
    "params": {"run": "3conv-dropout", "image": "sample-3", "layer": "relu2"},
    "caption": "Ears",
}
CURVES = {"page": "train", "params": {"dataset": "cifar10", "depth": "2", "regularizer": "none"}, "caption": "Gap"}


def answers() -> dict[str, list[Answer]]:
    contents = [[10.0, 40.0, 60.0, 65.0, 70.0], list(ORDER.options), CHOICE.options[0], MAPS, HOSTILE]
    given = {step.id: [Answer(step.id, 0, content, 1.0)] for step, content in zip(SHEET.steps, contents, strict=True)}
    given[PIN.id].append(Answer(PIN.id, 1, CURVES, 2.0))
    return given


@pytest.fixture(scope="module")
def archive():
    made = make_report(SHEET, answers(), "Ada <Lovelace>", report.report_rows())
    return zipfile.ZipFile(io.BytesIO(report_zip(made)))


class Resources(HTMLParser):
    """Every address that a browser would load or lead to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.addresses = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]


def test_the_page_loads_nothing_and_shows_hostile_words_as_words(archive):
    page = archive.read("report.html").decode()
    found = Resources(page)
    assert found.addresses and all(address.startswith("data:image/") for address in found.addresses)
    assert "script" not in found.tags and "&lt;script&gt;" in page and "Ada &lt;Lovelace&gt;" in page
    assert "url(" not in page.split("</style>")[0]


def test_every_answer_is_in_the_page_and_in_the_notebook(archive):
    page = archive.read("report.html").decode()
    notebook = json.loads(archive.read("report.ipynb"))
    text = "".join("".join(cell["source"]) for cell in notebook["cells"])
    for word in ("Ears", "Gap", "1. no regularizer, 2. L2 0.00001", "10: 60", CHOICE.options[0]):
        assert word in page and word in text


def test_the_notebook_loads_nothing_and_shows_what_somebody_typed_as_words(archive):
    given = {TEXT.id: [Answer(TEXT.id, 0, f"{HOSTILE}\n\n# big\n- item", 1.0)]}
    made = make_report(SHEET, given, HOSTILE, report.report_rows())
    sources = ["".join(cell["source"]) for cell in json.loads(notebook_json(made))["cells"]]
    pages = [MarkdownIt("commonmark", {"html": True}).render(source) for source in sources]
    found = Resources("\n".join(pages))
    assert not found.addresses and not {"script", "strong", "ul"} & set(found.tags) and found.tags.count("h1") == 1
    words = html.unescape("".join(pages)).replace("\N{WORD JOINER}", "")
    assert words.count(HOSTILE) == 2 and "# big" in words and "- item" in words


def test_pinned_and_chosen_runs_bring_figures_history_model_and_program(archive):
    names = set(archive.namelist())
    for run in ("3conv-dropout", "2conv-none"):
        folder = {f"histories/{run}.csv", f"models/{run}.keras", f"scripts/{run}.py", f"figures/curves-{run}.svg"}
        assert folder <= names
    figures = {name for name in names if name.startswith("figures/")}
    assert "figures/maps-3conv-dropout-relu2-sample-3.png" in figures
    stems = [{name.rpartition(".")[0] for name in figures if name.endswith(kind)} for kind in (".png", ".svg")]
    assert stems[0] == stems[1]
    picture = ElementTree.fromstring(archive.read("figures/maps-3conv-dropout-relu2-sample-3.svg"))
    png = base64.b64decode(picture[0].attrib["href"].partition("base64,")[2])
    assert png == archive.read("figures/maps-3conv-dropout-relu2-sample-3.png")
    rows = list(csv.DictReader(io.StringIO(archive.read("histories/2conv-none.csv").decode())))
    assert float(rows[-1]["val_accuracy"]) == pytest.approx(runs.open_run("2conv-none").history()["val_accuracy"][-1])
    results = list(csv.DictReader(io.StringIO(archive.read("results.csv").decode())))
    assert {row["measured on"] for row in results} == {"10,000 validation images"}
    assert {row["seed"] for row in results} == {"0"} and all("to" in row["gap (95 % interval)"] for row in results)


def test_a_sketch_is_drawn_with_the_measured_curve_over_it(archive):
    drawn = archive.read("figures/sketch-memorize.svg").decode()
    assert drawn.count('class="mark-line') == 2  # the sketch and the measured curve
    assert "Dashed with points: your prediction. Solid: measured." in archive.read("report.html").decode()
    own = open_sheet("seven-questions").steps[0]  # no measured curve is laid over this one
    made = make_report(open_sheet("seven-questions"), {own.id: [Answer(own.id, 0, [50.0] * 5, 1.0)]}, "", ())
    assert made.entries[0].figures[0].svg.count('class="mark-line') == 1


def test_the_notebook_runs_in_the_unpacked_folder(archive, tmp_path, monkeypatch):
    archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    cells = json.loads((tmp_path / "report.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    program = "\n".join(code[:3] + [f"print(len(({cell})._repr_png_()))" for cell in code[3:]])
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert "2conv-none accuracy on new images after the last epoch: 0.67" in done.stdout
    sizes = [int(line) for line in done.stdout.splitlines() if line.isdigit()]
    assert len(sizes) == len(code) - 3 and all(size > 1000 for size in sizes)


def test_a_prediction_stands_beside_its_result_and_a_pinned_curve_at_its_step(archive):
    page = archive.read("report.html").decode()
    assert "5 of 5 steps answered" in page
    parts = {one.partition("</section>")[0].partition("<p>")[2] for one in page.split("<section>")[1:]}
    [order] = [part for part in parts if part.startswith("Order these four")]
    assert "Measured order: <strong>dropout 0.1" in order and "pairs agree with it" in order
    [pinned] = [part for part in parts if part.startswith("Choose a picture and a layer")]
    assert "Gap (pinned: train, dataset cifar10, depth 2, regularizer none)" in pinned
    assert "Accuracy of 2-conv, no regularizer" in pinned and "Dashed red: validation" in pinned
    assert "all maps of relu2 for test image 3 (airplane)" in pinned and page.count("Dashed red") == 2 * 2
    curves = ElementTree.fromstring(archive.read("figures/curves-2conv-none.svg"))
    assert float(curves.attrib["width"]) <= 640  # pixels of the text on A4 paper: letters are printed as large as drawn


def test_the_page_alone_draws_each_figure_once_and_tells_how_far_it_is(monkeypatch):
    monkeypatch.setattr(chart_export, "to_png", lambda *_: pytest.fail("the page holds no PNG of a chart"))
    parts = []
    made = make_report(SHEET, answers(), "Ada", report.report_rows(), progress=lambda *part: parts.append(part))
    assert report_html(made).count("<figure>") == 4  # the sketch, the pinned maps, the two runs
    assert parts == [(done, 7) for done in range(1, 8)]  # five steps, two chosen runs


def test_the_report_has_the_figures_of_the_learners_own_training():
    sheet = open_sheet("seven-questions")
    step = sheet.steps[sheet.index("q4-parameters")]
    chosen = {"run": "2conv-none", "title": "2-conv", "terms": []}
    given = {step.id: [Answer(step.id, 0, step.options[0], 1.0)], "start-run": [Answer("start-run", 0, chosen, 1.0)]}
    told = "\n".join(make_report(sheet, given, "Ada", ()).entries[-1].evidence)
    assert "**Your training** (2-conv, no regularizer): 270,230 parameters" in told
    alone = make_report(sheet, {step.id: given[step.id]}, "Ada", ()).entries[0].evidence
    assert (
        len(alone) == 2
        and alone[0].startswith("Your prediction agrees with the evidence")
        and not {NOT_CHOSEN, NOT_READABLE} & set(alone)
    )


def test_the_curve_of_the_learners_own_training_is_drawn_over_the_sketch():
    sheet = open_sheet("seven-questions")
    sketch, choosing = sheet.steps[:2]
    chosen = {"run": "2conv-none", "title": "2-conv", "terms": []}
    given = {sketch.id: [Answer(sketch.id, 0, [50.0] * 5, 1.0)], choosing.id: [Answer(choosing.id, 0, chosen, 2.0)]}
    first, second = (entry.figures[0] for entry in make_report(sheet, given, "", ()).entries)
    assert [first.name, second.name] == ["sketch-start-sketch", "sketch-start-run"]
    assert [one.svg.count('class="mark-line') for one in (first, second)] == [1, 2]


def test_an_empty_report_is_one_too():
    made = make_report(SHEET, {}, "", report.report_rows())
    names = zipfile.ZipFile(io.BytesIO(report_zip(made))).namelist()
    assert sorted(names) == ["report.html", "report.ipynb", "results.csv"]


def test_a_pin_of_a_run_that_is_gone_is_left_out():
    gone = {"page": "look_inside", "params": {"run": "no-such-run", "image": "sample-99"}, "caption": "Lost"}
    made = make_report(SHEET, {PIN.id: [Answer(PIN.id, 0, gone, 1.0)]}, "Ada", report.report_rows())
    assert made.runs == () and made.entries[0].figures == ()


PINNED = {
    "compare": ({"measure": "reported", "add": "2conv-none,3conv-dropout", "show": "loss"},
                ["compare-validation-accuracy", "compare-gap-reported", "compare-loss-2conv-none-3conv-dropout"]),
    "mistakes": ({"run": "3conv-none", "true_class": "cat", "predicted": "dog"}, ["mistakes-3conv-none"]),
    "look_inside": ({"run": "2conv-none", "image": "sample-0", "off": "conv1.0-9"}, ["maps-2conv-none-relu1-sample-0"]),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("page", PINNED)
def test_a_pin_brings_the_figure_of_its_page(page):
    params, names = PINNED[page]
    found = pinned_figures({"page": page, "params": params, "caption": "x"}, report.report_rows())
    assert [figure.name for figure in found] == names
    assert all(figure.png.startswith(b"\x89PNG") and figure.caption for figure in found)


@pytest.mark.slow
def test_the_captions_of_pins_count_what_the_predictions_hold():
    predictions = runs.open_run("3conv-none").predictions()
    guess, truth = predictions["test"].argmax(axis=1), predictions["test_labels"]
    (figure,) = pinned_figures({"page": "mistakes", "params": PINNED["mistakes"][0]}, [])
    assert f"misclassifies {(guess != truth).sum():,} of" in figure.caption
    assert f"{((truth == 3) & (guess == 5)).sum()} images of a cat" in figure.caption
    (other,) = pinned_figures({"page": "mistakes", "params": {"run": "3conv-none", "versus": "3conv-l2"}}, [])
    assert "now correct: " in other.caption


GONE = [
    ("mistakes", {"run": "no-such-run"}), ("mistakes", {"run": "3conv-none", "versus": "../x"}),
    ("compare", {"add": "no-such-run"}), ("look_inside", {"run": "2conv-none", "edited": "0.AAAA"}),
]  # fmt: skip


@pytest.mark.parametrize(("page", "params"), GONE)
def test_a_pin_of_what_is_gone_brings_no_figure_and_no_error(page, params):
    assert pinned_figures({"page": page, "params": params}, []) == []


def test_a_pinned_page_names_its_experiment_with_every_field():
    asked = Experiment(
        dataset="shapes", depth=3, regularizer="l2", strength=0.001, label_noise=0.2, augment="flip_shift"
    )
    assert experiment_of({name: str(value) for name, value in asked.to_dict().items()} | {"view": "maps"}) == asked


def test_markdown_of_a_sheet_cannot_bring_html():
    assert "<script" not in markdown_html("<script>alert(1)</script>") and "<strong>b</strong>" in markdown_html(
        "**b**"
    )


@pytest.mark.parametrize("name", ["2conv-none", "3conv-dropout", "3conv-batchnorm", "2conv-l2", "final-3conv-dropout"])
def test_the_program_names_the_layers_of_the_network(name):
    experiment = runs.open_run(name).experiment
    script = keras_script(experiment, "script.py")
    compile(script, "script.py", "exec")
    named = re.findall(r'name="(\w+)"', script)
    assert named == [layer.name for layer in network_layers(experiment)]
    assert f"{experiment.split} {{accuracy" in script  # what it prints is called by what it is measured on


@pytest.mark.nightly
@pytest.mark.parametrize("regularizer", ["none", "dropout"])
def test_the_program_trains_the_network_of_the_run(tmp_path, monkeypatch, regularizer):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    known = {run.experiment: run for run in runs.shipped_seeds()}
    experiment = Experiment(dataset="shapes", depth=2, regularizer=regularizer)
    run = known[experiment]
    (tmp_path / "script.py").write_text(keras_script(experiment, "script.py"))
    (tmp_path / drawing_program.FILE).write_text(drawing_program.drawing_program())
    command = [sys.executable, str(tmp_path / "script.py"), "--epochs", "1"]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert int(re.search(r"parameters: (\d+)", done.stdout)[1]) == parameter_count(network_layers(experiment))
    training, validation = map(float, re.search(r"training ([\d.]+), validation ([\d.]+)", done.stdout).groups())
    history = run.history()
    assert training == pytest.approx(history["accuracy"][1], abs=0.01)
    assert validation == pytest.approx(history["val_accuracy"][1], abs=0.03)


def test_the_images_for_the_program_are_those_of_shapes(tmp_path):
    """In a Python without this package."""
    (tmp_path / drawing_program.FILE).write_text(drawing_program.drawing_program())
    code = f"""{drawing_program.READ.replace("11000", "250").replace("1000", "250")}
np_ = __import__("numpy"); np_.savez("drawn.npz", images=images, labels=labels, test=test_images)"""
    (tmp_path / "read.py").write_text(code)
    subprocess.run([sys.executable, "read.py"], cwd=tmp_path, check=True, env={"PATH": os.environ["PATH"]})
    drawn = np.load(tmp_path / "drawn.npz")
    images, labels = shape_drawing.generate(250, shapes.SEED)
    assert np.array_equal(drawn["images"], images) and np.array_equal(drawn["labels"], labels)
    assert np.array_equal(drawn["test"], shape_drawing.generate(250, shapes.SEED + 1)[0])
    assert "generate(11000, 2026)" in drawing_program.READ and "generate(1000, 2027)" in drawing_program.READ


def test_the_zip_of_a_report_holds_no_large_set_of_images(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(archive_module, "MAX_DATA_BYTES", 1_000_000)
    info = import_pictures(write_pictures(tmp_path / "pictures"), "leaves").info
    names = {}
    for limit in (1_000_000, 1_000):
        monkeypatch.setattr(archive_module, "MAX_DATA_BYTES", limit)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as opened:
            for name in (info.name, "shapes"):
                archive_module.write_images(opened, name)
        names[limit] = set(opened.namelist())
    drawing = f"scripts/{drawing_program.FILE}"
    assert names == {
        1_000_000: {f"scripts/{info.name}.npz", drawing}, 1_000: {f"scripts/{info.name}.txt", drawing},
    }  # fmt: skip
    assert len(packed.getvalue()) < 20_000
