"""The charts hold what they are given, and their words say what the figures say."""

import dataclasses
import importlib
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from itertools import pairwise

import altair as alt
import numpy as np
import pyarrow as pa
import pytest
from history_factories import columns
from PIL import Image

from cnnlab import settings
from cnnlab.analysis import curve_summary
from cnnlab.analysis.metrics import PairedOutcomes
from cnnlab.experiment import REGULARIZERS, Experiment
from cnnlab.explanations import curves, learning_verdict
from cnnlab.explanations.chart_descriptions import describe_ranking
from cnnlab.rendering import (
    chart_export,
    chart_specs,
    charts,
    compare_charts,
    cost_charts,
    learning_curve_specs,
    mistake_charts,
    palette,
)
from cnnlab.rendering.compare_charts import CurvePanel, RankedNetwork
from cnnlab.rendering.cost_charts import CostPoint
from cnnlab.rendering.feature_map_grid import render_feature_maps
from cnnlab.report_models import REPORT
from cnnlab.storage import chart_spec_files, runs
from cnnlab.storage.chart_spec_files import ChartSpecFiles
from cnnlab.ui import clickable_image

LEARNS = columns([0.1, 0.5, 0.62], [0.1, 0.5, 0.6])
MEMORIZES = columns([0.1, 0.7, 0.9], [0.1, 0.6, 0.65])
PANEL = CurvePanel(name="3conv-none", title="5: 3-conv", color="#6b7280", histories=[LEARNS, MEMORIZES])


def table(spec):
    return pa.ipc.open_stream(io.BytesIO(spec["datasets"]["figures"])).read_all().to_pydict()


def all_charts():
    named = {"3-conv, dropout 0.1": LEARNS, "3-conv, no regularizer": MEMORIZES}
    colours = [palette.REGULARIZER_COLORS["dropout"], palette.REGULARIZER_COLORS["none"]]
    return {
        "accuracy": charts.accuracy_chart(LEARNS, 2),
        "loss": charts.loss_chart(LEARNS, 2),
        "penalty": charts.penalty_chart(columns([0.1, 0.5], [0.1, 0.5], 0.003), 2),
        **compare_page_charts(named, colours),
        **mistake_page_charts(),
        **look_inside_charts(),
    }


def compare_page_charts(named, colours):
    networks = [ranked("a", 0.3, 0.25), ranked("b", 0.1, 0.2)]
    points = [CostPoint(title="2-conv, L2", regularizer="l2", depth=2, cost=9, accuracy=0.7, low=0.6, high=0.8)]
    return {
        "learning curves": compare_charts.learning_curves_chart([PANEL], "accuracy", 2),
        "loss curves": compare_charts.learning_curves_chart([PANEL], "loss", 2, reported=True),
        "overlay": compare_charts.overlay_chart(named, colours, 30),
        "overlay of gaps": compare_charts.overlay_chart(named, colours, 30, "gap"),
        "ranking": compare_charts.ranking_chart(networks),
        "gaps": compare_charts.ranking_chart(networks, points=True),
        "cost": cost_charts.cost_chart(points, "seconds an epoch", ".0f"),
        "agreement": compare_charts.agreement_chart(["a", "b"], np.array([[1, 0.6], [0.6, 1]])),
    }


def ranked(title, value, report):
    return RankedNetwork(
        title=title, regularizer="none", value=value, low=value - 0.01, high=value + 0.01, seeds=[value], report=report
    )


def mistake_page_charts():
    counts, curve = np.array([[5, 1, 2], [0, 7, 3], [4, 0, 9]]), (np.array([0.4]), np.array([0.5]), np.array([30]))
    groups = PairedOutcomes(**{name: np.array([index]) for index, name in enumerate(PairedOutcomes.__annotations__)})
    return {
        "matrix": mistake_charts.confusion_matrix_chart(counts, "abc", ("a", "b")),
        "class accuracy": mistake_charts.class_accuracy_chart(np.array([0.5, np.nan, 0.7]), "abc", "#111111"),
        "calibration": mistake_charts.calibration_chart({"a": curve}, ["#111111"]),
        "two calibrations": mistake_charts.calibration_chart({"a": curve, "b": curve}, ["#111111", "#222222"]),
        "outcomes": mistake_charts.outcome_chart(groups, np.arange(3), "abc"),
    }


def look_inside_charts():
    """The specifications with the columns that the views hand over."""
    return {
        "epoch cursor": with_columns("chart_specs.epoch_cursor", 30, of="epoch training validation cursor"),
        "bars": with_columns("inspect_chart_specs.probability_bars", False, of="name probability shown color"),
        "bars before": with_columns(
            "inspect_chart_specs.probability_bars", True, of="name probability shown before color"
        ),
        "dots": with_columns("inspect_chart_specs.probability_dots", of="name share whole chosen"),
        "histogram": with_columns("inspect_chart_specs.histogram", "weight", of="value count run color"),
        "probes": with_columns("inspect_chart_specs.probe_accuracies", of="name network accuracy low high"),
        "moving averages": with_columns(
            "inspect_chart_specs.moving_averages", ("a", "b"), 30, of="epoch statistics accuracy cursor"
        ),
        "channels": with_columns("inspect_chart_specs.channel_ranges", of="place channel low middle high"),
        "image": clickable(False, False),
        "clickable image with a legend": clickable(True, True),
    }


def clickable(legend, clickable):
    columns = " ".join(clickable_image.EMPTY_ROW)
    return with_columns("clickable_image_specs.clickable_image", 8, 2.5, True, legend, clickable, of=columns)


def with_columns(function, *arguments, of):
    return charts.with_data(charts.cached_spec(function, *arguments), **{name: [0.0] for name in of.split()})


@pytest.mark.parametrize("name", list(all_charts()))
@pytest.mark.slow
def test_a_chart_is_a_valid_specification_that_draws_only_what_is_in_its_figures(name):
    spec = all_charts()[name]
    held = set(table(spec))
    bare = {key: value for key, value in spec.items() if key != "datasets"}
    alt.Chart.from_dict(bare)  # raises where Vega-Lite's schema is broken
    assert fields(bare) <= held | computed(bare)
    assert bare["data"] == {"name": "figures"}
    assert set(spec["datasets"]) == {"figures"}


@pytest.mark.parametrize("name", list(all_charts()))
def test_a_chart_is_authored_in_altair_and_built_once(name):
    first, second = all_charts()[name], all_charts()[name]
    assert first["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
    for part in set(first) - {"datasets"}:
        assert first[part] is second[part]


@pytest.mark.slow
def test_altair_comes_with_the_first_chart_yaml_with_a_sheet_pandas_never():
    script = """
import sys, pkgutil, importlib
import cnnlab.pages, cnnlab.inspect, cnnlab.ui
for package in (cnnlab.pages, cnnlab.inspect, cnnlab.ui):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.name != "cnnlab.pages.entrypoint":  # runs the app
            importlib.import_module(module.name)
print(sorted({"altair", "pandas", "yaml"} & set(sys.modules)))
from cnnlab.rendering import charts
charts.cached_spec("clickable_image_specs.clickable_image", 8, 8, True, True, True)
print(sorted({"altair", "pandas", "yaml"} & set(sys.modules)))
"""
    imported = subprocess.check_output([sys.executable, "-c", script], text=True, cwd=settings.REPOSITORY)
    assert imported.splitlines() == ["[]", "['altair']"]


@pytest.mark.nightly
@pytest.mark.slow
def test_no_page_for_students_imports_pandas(tmp_path):
    script = """
import sys
from streamlit.testing.v1 import AppTest
for page in ("train", "compare", "look_inside", "mistakes", "sweeps", "lesson"):
    drawn = AppTest.from_string(f"from cnnlab.pages import {page}; {page}.page()", default_timeout=60).run()
    print(page, [error.message for error in drawn.exception], "pandas" in sys.modules)
"""
    environment = os.environ | {"CNNLAB_HOME": str(tmp_path)}
    drawn = subprocess.check_output([sys.executable, "-c", script], text=True, cwd=settings.REPOSITORY, env=environment)
    pages = ("train", "compare", "look_inside", "mistakes", "sweeps", "lesson")
    assert drawn.splitlines() == [f"{page} [] False" for page in pages]


def test_a_chart_waits_for_pandas_that_another_thread_is_importing(tmp_path, monkeypatch):
    (tmp_path / "pandas.py").write_text("import time; time.sleep(0.5)\nTimestamp = str\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    monkeypatch.setattr(chart_specs, "curves", lambda: {"whole": hasattr(sys.modules["pandas"], "Timestamp")})
    importing = threading.Thread(target=importlib.import_module, args=("pandas",))
    importing.start()
    while "pandas" not in sys.modules:
        time.sleep(0.01)
    assert charts.cached_spec("chart_specs.curves") == {"whole": True}
    importing.join()
    del sys.modules["pandas"]


def test_a_spec_on_the_disk_is_read_without_altair_and_built_anew_where_damaged(tmp_path):
    script = """
import json, sys
from cnnlab.rendering import charts
charts.keep_specs()
print(json.dumps(charts.cached_spec("learning_curve_specs.learning_curves", 8, 30, 0.25, 1.0)), "altair" in sys.modules)
"""
    environment = os.environ | {"CNNLAB_HOME": str(tmp_path)}

    def drawn() -> tuple[object, str]:
        told = subprocess.check_output(
            [sys.executable, "-c", script], text=True, cwd=settings.REPOSITORY, env=environment
        )
        spec, _, imported = told.rpartition(" ")
        return json.loads(spec), imported.strip()

    built = learning_curve_specs.learning_curves(8, 30, 0.25, 1.0)
    assert drawn() == (built, "True") and drawn() == (built, "False")
    [kept] = (tmp_path / "chart-specs").rglob("*.json")
    kept.write_text("{")
    assert drawn() == (built, "True")


def test_a_folder_of_specifications_does_not_grow_without_end(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(chart_spec_files, "MAX_FILES", 2)
    kept = ChartSpecFiles([])
    for number in range(3):
        kept.write("chart_specs.curves", ("accuracy", number), {"number": number})
    assert [kept.read("chart_specs.curves", ("accuracy", number)) for number in range(3)] == [
        {"number": 0},
        {"number": 1},
        {},
    ]


def test_every_color_is_in_the_palette_or_the_table_of_regularizers():
    color, result = re.compile(r"""#(?:[0-9a-fA-F]{3}){1,2}\b|\brgba?\("""), set()
    for path in (settings.REPOSITORY / "cnnlab").rglob("*.py"):
        if color.search(path.read_text()):
            result.add(path.name)
    assert result == {"palette.py", "regularizers.py"}


def test_a_click_selects_by_the_names_that_the_pages_read():
    matrix, image = (all_charts()[name] for name in ("matrix", "clickable image with a legend"))
    assert selections(matrix) == {"cell": ["true_class", "predicted", "previous"]}
    assert selections(image) == {"pick": ["number", "previous"]}
    assert selections(all_charts()["image"]) == {}


def selections(spec):
    return {param["name"]: param["select"]["fields"] for param in spec["params"] if "select" in param}


def test_the_height_of_an_image_follows_its_width_and_leaves_room_for_the_legend():
    spec = all_charts()["clickable image with a legend"]
    height = next(param["expr"] for param in spec["params"] if param["name"] == "height")
    assert eval(height, {"width": 800}) == 800 * 2.5 / 8 + 30
    upper = spec["encoding"]["y"]["scale"]["range"][1]["expr"]
    assert eval(upper, {"height": 280}) == 250


def computed(part):
    """Every name that a transform in a specification gives to what it computes."""
    if isinstance(part, dict):
        own = part.get("as", [])
        return {own} if isinstance(own, str) else {*own}.union(*(computed(value) for value in part.values()))
    return set().union(*(computed(value) for value in part)) if isinstance(part, list) else set()


def fields(part):
    """Every "field" anywhere in a specification."""
    if isinstance(part, dict):
        own = {part["field"]} if isinstance(part.get("field"), str) else set()
        return own.union(*(fields(value) for value in part.values()))
    return set().union(*(fields(value) for value in part)) if isinstance(part, list) else set()


def test_the_accuracy_chart_shows_what_was_measured_and_what_keras_reports():
    held = table(charts.accuracy_chart(LEARNS, 30))
    assert held["epoch"] == [0, 1, 2]
    assert held["training"] == [0.1, 0.5, 0.62]
    assert held["validation"] == [0.1, 0.5, 0.6]
    assert np.isnan(held["reported"][0])
    assert held["reported"][1:] == pytest.approx([0.48, 0.6])


def test_the_gap_is_shaded_between_the_two_curves_that_are_measured_alike():
    area = charts.accuracy_chart(LEARNS, 30)["layer"][0]
    assert area["mark"]["type"] == "area"
    assert {area["encoding"]["y"]["field"], area["encoding"]["y2"]["field"]} == {"training", "validation"}


def test_training_and_validation_differ_in_colour_and_in_dash():
    colours, dashes = zip(*palette.LINE_STYLES.values(), strict=True)
    pairs = set(zip(colours, map(tuple, dashes), strict=True))
    assert len(pairs) == 3
    assert palette.LINE_STYLES["training"][0] != palette.LINE_STYLES["validation"][0]
    assert set(palette.REGULARIZER_COLORS) == set(REGULARIZERS)
    assert len(set(palette.REGULARIZER_COLORS.values())) == len(REGULARIZERS)


def tooltips(spec, field="validation"):
    """The names under which the tooltips of a specification show a column."""
    if isinstance(spec, list):
        return set().union(*(tooltips(part, field) for part in spec))
    if not isinstance(spec, dict):
        return set()
    here = {spec["title"]} if spec.get("field") == field and spec.get("format") and spec.get("title") else set()
    return here | tooltips([part for name, part in spec.items() if name != "datasets"], field)


def test_an_accuracy_on_test_images_is_called_test_under_the_pointer():
    specs = [
        charts.accuracy_chart(LEARNS, 30, "test"),
        charts.loss_chart(LEARNS, 30, "test"),
        charts.cached_spec("chart_specs.epoch_cursor", 30, "test"),
        charts.cached_spec("sweep_chart_specs.accuracy_by_size", (1000.0, 2000.0), "test"),
    ]
    noisy = ("label_noise_curves", 30, "test"), ("label_noise_levels", "test")
    noisy = [charts.cached_spec(f"sweep_chart_specs.{name}", *arguments) for name, *arguments in noisy]
    assert [tooltips(spec) for spec in (*specs, *noisy)] == [{"test"}] * 4 + [{"test images"}] * 2
    hovered = table(compare_charts.learning_curves_chart([PANEL], "accuracy", 2, split="test"))["text"]
    assert any("test 62.5 %" in one for one in hovered) and not any("validation" in one for one in hovered)
    assert tooltips(charts.accuracy_chart(LEARNS, 30)) == {"validation"}


def test_a_second_drawing_builds_nothing_and_spoils_nothing():
    first = charts.accuracy_chart(LEARNS, 30)
    kept = json.dumps({key: value for key, value in first.items() if key != "datasets"})
    first["datasets"].clear()
    first.pop("data")
    again = charts.accuracy_chart(MEMORIZES, 30)
    assert json.dumps({key: value for key, value in again.items() if key != "datasets"}) == kept
    assert table(again)["training"] == [0.1, 0.7, 0.9]


def test_panels_share_their_axes_whatever_they_hold():
    other = CurvePanel(name="3conv-l2", title="6", color="#E69F00", histories=[columns([0.1], [0.1])])
    low, high = (compare_charts.learning_curves_chart([one], "accuracy", 30) for one in (other, PANEL))
    assert low["layer"] is high["layer"]


def test_a_panel_has_the_band_of_its_seeds_and_a_ring_at_the_best_epoch():
    rows = table(compare_charts.learning_curves_chart([PANEL], "accuracy", 2))
    line = [index for index, kind in enumerate(rows["kind"]) if kind == "line" and rows["line"][index] == "validation"]
    assert [rows["low"][index] for index in line] == [0.1, 0.5, 0.6]
    assert [rows["high"][index] for index in line] == [0.1, 0.6, 0.65]
    assert [rows["value"][index] for index in line] == pytest.approx([0.1, 0.55, 0.625])
    best = rows["kind"].index("best")
    assert (rows["epoch"][best], rows["value"][best]) == (2, pytest.approx(0.625))


def test_the_lowest_loss_is_the_best_epoch_of_a_loss_curve():
    overfits = columns([0.1, 0.7, 0.9], [0.1, 0.65, 0.6])
    rows = table(compare_charts.learning_curves_chart([dataclasses.replace(PANEL, histories=[overfits])], "loss", 2))
    assert rows["epoch"][rows["kind"].index("best")] == 1


def test_the_measured_rounds_of_a_cost_are_a_line_and_a_counted_cost_has_none():
    one = CostPoint(title="a", regularizer="l2", depth=2, cost=9, accuracy=0.7, low=0.6, high=0.8)
    rows = table(cost_charts.cost_chart([one, dataclasses.replace(one, cost_range=(8.0, 12.0))], "cost", ".0f"))
    assert list(zip(rows["least"], rows["most"], strict=True)) == [(9, 9), (8, 12)]


@pytest.mark.parametrize(("before", "covered"), [(0.07, True), (0.9, False), (0.005, False)])
def test_the_mark_of_the_earlier_prediction_does_not_cover_the_number(before, covered):
    """The number of a bar of 1 % stands at the bar's end, or at the mark where that lies just behind the end."""
    spec = charts.with_data(
        charts.cached_spec("inspect_chart_specs.probability_bars", True),
        name=["dog"], probability=[0.01], shown=["1 %"], before=[before], color=["#26828e"],
    )  # fmt: skip
    (number,) = re.findall(r'text-anchor="start" transform="translate\(([\d.]+),[^>]*>1 %<', chart_export.to_svg(spec))
    end, mark = (share * (chart_export.EXPORT_WIDTH - 52) + 5 for share in (0.01, before))
    assert float(number) == pytest.approx(mark if covered else end, abs=1)


def test_marks_of_equal_cost_and_their_labels_do_not_hide_each_other():
    accuracies = {"none": 0.70, "l2": 0.701, "dropout": 0.75}
    points = [
        CostPoint(title=f"{d}-conv, {name}", regularizer=name, depth=d, cost=d, accuracy=a, low=a - 0.01, high=a + 0.01)
        for d in (2, 3)
        for name, a in accuracies.items()
    ]
    rows = table(cost_charts.cost_chart(points, "cost", ".0f"))
    assert rows["cost"] == [2, 2, 2, 3, 3, 3] and rows["accuracy"] == [0.70, 0.701, 0.75] * 2
    assert len(set(rows["place"])) == 6 and np.mean(rows["place"][:3]) == pytest.approx(2)
    assert min(rows["label_height"]) == 0.70
    assert min(np.diff(np.sort(rows["label_height"]))) > 0.004  # a line of text
    assert set(rows["label_place"]) == {min(rows["place"]), max(rows["place"])}


def test_a_click_on_a_panel_names_its_network():
    spec = all_charts()["learning curves"]
    assert selections(spec)["pick"] == ["network"]
    assert set(table(spec)["network"]) == {"3conv-none", ""}


def test_one_hover_shows_the_epoch_under_the_pointer_in_every_panel():
    """The pointer selects an epoch, not a panel's point, and all panels listen to it."""
    spec = all_charts()["learning curves"]
    assert selections(spec)["epoch"] == ["epoch"]
    listening = [layer for layer in spec["layer"] if layer.get("encoding", {}).get("opacity", {}).get("condition")]
    assert {layer["encoding"]["opacity"]["condition"]["param"] for layer in listening} == {"epoch"}


def test_the_overlay_has_its_axis_where_the_data_are_and_its_legend_beside_it():
    spec = all_charts()["overlay"]
    assert all(layer["encoding"]["y"]["scale"] == {"zero": False} for layer in spec["layer"])
    assert all(layer["encoding"]["color"]["legend"] is None for layer in spec["layer"])  # the page draws it


def test_a_gap_in_the_overlay_is_training_minus_validation_in_points():
    rows = table(compare_charts.overlay_chart({"a": MEMORIZES}, ["#111111"], 2, "gap"))
    assert rows["value"] == pytest.approx([0, 10, 25])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["learning curves", "ranking", "overlay", "cost", "agreement"])
def test_a_chart_is_saved_as_png_and_svg_without_a_browser(name):
    pytest.importorskip("vl_convert")
    spec = all_charts()[name]
    with Image.open(io.BytesIO(chart_export.to_png(spec))) as picture:
        assert picture.width >= chart_export.EXPORT_WIDTH * chart_export.PNG_SCALE
    svg = chart_export.to_svg(spec)
    assert svg.startswith("<svg") and "NaN" not in svg and palette.TEXT["light"] in svg


def test_words_and_numbers_pass_through_the_figures_unharmed():
    names = ["3-conv, dropout 0.1", "", "für Übungen", "🐈"]
    held = (
        pa.ipc.open_stream(io.BytesIO(charts.arrow_table(name=names, value=[1, 2.5, np.nan, -1])))
        .read_all()
        .to_pydict()
    )
    assert held["name"] == names
    assert held["value"][:2] == [1.0, 2.5]


def test_networks_stand_in_the_order_of_their_values_and_the_smallest_gap_first():
    best = table(compare_charts.ranking_chart([ranked("a", 0.6, 0.5), ranked("b", 0.7, 0.9), ranked("c", 0.65, 0.6)]))
    means = [index for index, kind in enumerate(best["kind"]) if kind == "mean"]
    assert [best["model"][index] for index in means] == ["b", "c", "a"]
    assert [best["label"][index] for index in means] == ["70.0 %", "65.0 %", "60.0 %"]
    assert [best["end"][index] for index in means] == pytest.approx([0.9, 0.66, 0.61])
    gaps = table(compare_charts.ranking_chart([ranked("a", 0.3, 0.3), ranked("b", 0.1, 0.2)], points=True))
    assert gaps["model"] == ["b", "b", "a", "a"]  # the mean and its one seed
    assert gaps["value"] == pytest.approx([10, 10, 30, 30])


def test_a_reading_is_the_last_epoch_and_remembers_the_best():
    reading = curve_summary.summarize_curves(columns([0.1, 0.8, 0.9], [0.1, 0.7, 0.65]))
    assert (reading.epoch, reading.training, reading.validation) == (2, 0.9, 0.65)
    assert reading.gap == pytest.approx(0.25)
    assert (reading.best, reading.best_epoch) == (0.7, 1)


def test_nothing_is_read_from_an_empty_history():
    assert curve_summary.summarize_curves(columns([], [])) is None
    assert "no epoch" in curves.describe_accuracy(columns([], []), "x")
    assert "no epoch" in curves.describe_loss(columns([], []), "x")


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([0.0, 0.01, 0.02, 0.03], "rising"),
        ([0.2, 0.15, 0.09, 0.05], "falling"),
        ([0.1, 0.1001, 0.1, 0.1002], "steady"),
        ([0.1, 0.2, 0.1, 0.22, 0.12, 0.2, 0.13, 0.2], "no clear trend"),  # rises by 0.006 an epoch, in jumps of 0.1
        ([0.5, 0.4, 0.3, 0.2, *[0.1] * 8], "steady"),
        ([0.1, 0.2, 0.3], ""),
    ],
)
def test_a_gap_rises_or_falls_only_where_its_slope_is_beyond_chance(gaps, expected):
    assert curve_summary.trend_word(np.array(gaps)) == expected


def test_the_trend_of_the_gap_does_not_flicker_in_the_shipped_histories():
    for name in REPORT:
        history = runs.open_run(name).history()
        gaps = history["train_eval_accuracy"] - history["val_accuracy"]
        words = [curve_summary.trend_word(gaps[:end]) for end in range(5, len(gaps) + 1)]
        assert sum(a != b for a, b in pairwise(words)) <= 3, name  # five last epochs and no interval: up to eight


def test_the_jumping_gap_of_batch_normalization_is_not_said_to_be_steady():
    for name in ("2conv-batchnorm", "3conv-batchnorm"):
        history = runs.open_run(name).history()
        gaps = (history["train_eval_accuracy"] - history["val_accuracy"])[-curve_summary.TREND_EPOCHS :]
        assert np.ptp(gaps) > 0.02  # more than the 95 % interval of one of them
        assert "no clear trend" in curves.describe_accuracy(history, name)


DROPOUT, PLAIN = Experiment(regularizer="dropout"), Experiment()


def verdict(training, validation, experiment=DROPOUT, plain=None, reported=None):
    history = columns([0.1, training], [0.1, validation])
    if reported is not None:
        history["accuracy"][-1] = reported
    of_plain = curve_summary.summarize_curves(columns([0.1, plain[0]], [0.1, plain[1]])) if plain else None
    return learning_verdict.verdict(curve_summary.summarize_curves(history), experiment, of_plain)


@pytest.mark.parametrize(
    ("training", "validation", "begins"),
    [
        (0.61, 0.60, "It learns, with no overfitting beyond chance: correct on 61 %"),
        (0.95, 0.65, "It learns, with overfitting"),
        (0.11, 0.10, "It guesses"),
        (0.90, 0.10, "It knows its training images only"),
        (0.20, 0.20, "It has learned a little"),
    ],
)
def test_the_question_of_the_page_is_answered_from_the_figures(training, validation, begins):
    assert verdict(training, validation).startswith(begins)


@pytest.mark.parametrize(
    ("validation", "strength"), [(0.85, "weak overfitting (17 %"), (0.75, "some overfitting (50 %"), (0.66, "strong")]
)
def test_overfitting_is_weak_or_strong_relative_to_the_plain_network(validation, strength):
    assert strength in verdict(0.90, validation, plain=(0.95, 0.65))
    assert strength not in verdict(0.90, validation, experiment=PLAIN, plain=(0.95, 0.65))


def test_no_shipped_network_is_said_to_memorize_and_dropout_overfits_less():
    words = {}
    for name in ("3conv-none", "3conv-dropout", "2conv-dropout"):
        run, plain = runs.open_run(name), runs.open_run(f"{name[0]}conv-none")
        summaries = [curve_summary.summarize_curves(one.history()) for one in (run, plain)]
        words[name] = learning_verdict.verdict(summaries[0], run.experiment, summaries[1])
    assert "some overfitting (54 %" in words["3conv-dropout"]  # (0.8732 - 0.7496) / (0.9236 - 0.6957)
    assert "strong overfitting (81 %" in words["2conv-dropout"]  # (0.9496 - 0.7074) / (0.9704 - 0.6726)
    assert not any("memorizes" in one for one in words.values())


def test_a_gap_within_its_interval_is_no_overfitting():
    """5,000 training images and 1,000 of Shapes: 2 points of gap are within 95 % of chance, 10,000 make them count."""
    shapes = Experiment(dataset="shapes")
    assert "no overfitting beyond chance" in verdict(0.62, 0.60, experiment=shapes)
    assert "with overfitting" in verdict(0.62, 0.60)


def test_batch_norm_whose_moving_averages_lag_is_not_said_to_guess():
    """On Shapes at epoch 5: 82 % with the batches' own statistics, 15 % with the moving averages."""
    batchnorm = Experiment(dataset="shapes", regularizer="batchnorm")
    words = verdict(0.16, 0.15, experiment=batchnorm, reported=0.82)
    assert "82 %" in words and "moving averages lag" in words and "guesses" not in words
    assert "It guesses" in verdict(0.105, 0.10, experiment=batchnorm, reported=0.12)
    assert "moving averages" not in verdict(0.16, 0.15, experiment=DROPOUT, reported=0.82)


def test_a_validation_accuracy_that_still_rises_is_still_learning():
    rising = columns([0.1, 0.3, 0.4, 0.5, 0.6], [0.1, 0.3, 0.4, 0.5, 0.6])
    level = columns([0.1, *[0.6] * 8], [0.1, *[0.6] * 8])
    words = [learning_verdict.verdict(curve_summary.summarize_curves(one), DROPOUT) for one in (rising, level)]
    assert words[0].startswith("It is still learning") and words[1].startswith("It learns")
    ended = learning_verdict.verdict(curve_summary.summarize_curves(rising), Experiment(epochs=4))
    assert ended.startswith("It was still learning at the end")
    assert "rises beyond chance" in learning_verdict.describe_early_limit(ended, Experiment(epochs=4), None)


def test_before_the_first_epoch_nothing_was_learned():
    summary = curve_summary.summarize_curves(columns([0.1], [0.1]))
    assert "not been trained yet" in learning_verdict.verdict(summary, DROPOUT)


def test_the_penalty_is_told_as_a_share_of_what_training_makes_small():
    history = columns([0.1, 0.5], [0.1, 0.5], penalty=0.003)
    share = 0.003 / (0.003 + 2.35 * 0.5)
    assert f"{100 * share:.1f} %" in curves.describe_penalty(history)
    assert "changes little" in curves.describe_penalty(history)
    assert curves.describe_penalty(LEARNS) is None


def test_the_epoch_at_work_lengthens_keras_curve_alone():
    progress = {"phase": "training", "epoch": 3, "batch": 5, "batches": 10, "accuracy": 0.61, "loss": 1.0}
    longer = curve_summary.append_progress(LEARNS, progress)
    assert longer["epoch"].tolist() == [0, 1, 2, 2.5]
    assert longer["accuracy"][-1] == 0.61
    assert np.isnan(longer["val_accuracy"][-1])
    assert curve_summary.summarize_curves(longer) == curve_summary.summarize_curves(LEARNS)
    assert curves.describe_accuracy(longer, "x") == curves.describe_accuracy(LEARNS, "x")


@pytest.mark.parametrize("progress", [{}, {"phase": "evaluating", "epoch": 3}, {"phase": "starting"}])
def test_without_a_batch_the_history_stays_as_it_is(progress):
    assert curve_summary.append_progress(LEARNS, progress) is LEARNS


def test_a_chart_in_words_has_its_figures():
    words = curves.describe_accuracy(MEMORIZES, "2-conv, no regularizer")
    assert all(part in words for part in ("2-conv, no regularizer", "90.0 %", "65.0 %", "25.0 points"))
    assert "0.80" in curves.describe_loss(MEMORIZES, "x")
    sentence = describe_ranking(["a", "b"], [0.1, 0.3], as_points=True)
    assert sentence == "Gaps, smallest first: a 10.0 points, b 30.0 points."


@pytest.mark.parametrize(("validation", "early"), [(0.29, True), (0.32, False)])
def test_half_of_the_way_to_what_the_series_reached_it_is_still_learning(validation, early):
    """From chance level, 10 %, to 50 %: the half is at 30 %."""
    summary = curve_summary.summarize_curves(columns([0.1, 0.45], [0.1, validation]))
    words = learning_verdict.verdict(summary, DROPOUT, series_accuracy=0.5)
    assert words.startswith("It is still learning") is early
    assert ("reached 50 %" in words) is early
    rule = learning_verdict.describe_early_limit(words, DROPOUT, series_accuracy=0.5)
    assert ("below 30 %, half of the way from a guess (10 %)" in rule) is early and bool(rule) is early


def test_a_grid_that_a_class_looks_at_is_written_once_and_another_choice_anew(monkeypatch):
    drawn = []
    monkeypatch.setattr(clickable_image.st, "vega_lite_chart", lambda spec, **_: drawn.append(spec["datasets"]))
    maps = np.random.default_rng(0).random((4, 4, 64), np.float32)
    grids = [clickable_image.from_feature_maps(render_feature_maps(maps)) for _ in range(2)]
    for grid, selected in ((grids[0], None), (grids[1], None), (grids[1], 5)):
        clickable_image.clickable_image(grid, "grid", "64 maps", selected=selected)
    first, again, chosen = (one["figures"] for one in drawn)
    assert again is first and chosen != first
    large = clickable_image.from_feature_map(np.ones((30, 30, 1), np.float32), 0, 1.0, signed=False)
    clickable_image.clickable_image(large, "map", "one map")
    clickable_image.clickable_image(large, "map", "one map")
    assert drawn[-1]["figures"] == drawn[-2]["figures"] and drawn[-1]["figures"] is not drawn[-2]["figures"]
