"""The tables and the conclusions are computed from the figures, the report's and ours alike."""

import dataclasses
import zipfile

import numpy as np
import pytest
from history_factories import history, write
from run_factories import write_run

from cnnlab import settings
from cnnlab.experiment import REPORT
from cnnlab.report import (
    ModelResults,
    ReportRow,
    check_conclusions,
    describe_uncertainty,
    duration,
    format_report,
    percent,
    report_results,
    report_rows,
    run_results,
)
from cnnlab.reproduce import missing_models, publish, publishable_models, train_missing
from cnnlab.storage import files, runs


def table(**changed):
    """Rows in which ours are the report's own figures, but for the validation accuracies given here."""
    rows = []
    for model in REPORT.values():
        report = report_results(model)
        ours = dataclasses.replace(report, validation=changed.get(model.name.replace("-", "_"), report.validation))
        rows.append(ReportRow(model, report, ours))
    return rows


def test_the_report_figures_say_what_the_report_concludes():
    judged = check_conclusions(table())
    assert len(judged) == 4
    assert [conclusion.report for conclusion in judged] == [conclusion.ours for conclusion in judged] == [True] * 4


@pytest.mark.parametrize(
    ("changed", "index"),
    [
        ({"2conv_dropout": 0.5}, 0),
        ({"3conv_none": 0.99}, 1),
        ({"2conv_l2": 0.69}, 2),
        ({"final_3conv_dropout": 0.7362}, 3),
    ],
)
def test_a_conclusion_that_our_figures_contradict_does_not_hold(changed, index):
    judged = check_conclusions(table(**changed))[index]
    assert judged.report and judged.ours is False


def test_the_smallest_gap_is_judged_as_the_report_measures_and_the_fair_measure_is_told_or_asked_for():
    """With dropout off, dropout's network knows its training images as well as any other."""
    rows = []
    for row in table():
        measured = 0.99 if "dropout" in row.model.name else 0.8
        rows.append(dataclasses.replace(row, ours=dataclasses.replace(row.ours, train_eval=measured)))
    told, asked = (check_conclusions(rows, measured)[0] for measured in (False, True))
    assert told.ours is True and "with dropout off, it does not: smallest gap at 2 layers: 2-conv" in told.evidence
    assert asked.ours is False and asked.evidence in told.evidence
    plain = check_conclusions(table(), inference_mode=True)[0]  # without such a figure there is one measure only
    assert plain == check_conclusions(table())[0] and "like validation" not in plain.evidence


def test_validation_and_test_are_compared_on_the_same_weights_where_those_were_tested():
    """A final model saw 10,000 more images: that it is better says nothing about validation and test."""
    rows = table(final_3conv_dropout=0.80)
    seven = next(row for row in rows if row.model.name == "3conv-dropout")
    for test, agrees in ((seven.report.validation + 0.01, True), (seven.report.validation - 0.03, False)):
        tested = dataclasses.replace(seven, ours=dataclasses.replace(seven.ours, test=test))
        judged = check_conclusions([tested if row is seven else row for row in rows])[3]
        assert judged.ours is agrees
        assert percent(test) in judged.evidence and "80.00 %" in judged.evidence


def test_how_sure_a_figure_is_counts_images_and_the_last_ten_epochs(tmp_path):
    curves = {"3conv-batchnorm": [0.1, 0.45, *[0.5] * 7, 0.53, 0.5], "2conv-none": [0.1, *[0.5] * 10]}
    ours = {}
    for name, curve in curves.items():
        run = runs.Run(tmp_path / name, REPORT[name].experiment)
        history = [
            dict.fromkeys(runs.HISTORY_COLUMNS, 0.0) | {"epoch": e, "val_accuracy": v} for e, v in enumerate(curve)
        ]
        runs.write_history(run.path / "history.csv", history)
        files.write_json(run.path / "record.json", {"state": "done", "epochs_done": len(curve) - 1, "seconds": 12.0})
        ours[name] = run_results(run)
    told = describe_uncertainty([dataclasses.replace(row, ours=ours.get(row.model.name)) for row in table()])
    assert (
        "10,000 images give it to about 1.0 points" in told
    )  # twice the standard error of a half: sqrt(0.25 / 10,000)
    assert "3-conv, batch norm moved most, by 8.0 points, and 2-conv, no regularizer least, by 0.0 points" in told
    assert describe_uncertainty([dataclasses.replace(row, ours=None) for row in table()]) == ""


def test_nothing_is_concluded_while_a_run_is_missing():
    rows = [dataclasses.replace(row, ours=None) if row.model.name == "3conv-l2" else row for row in table()]
    judged = check_conclusions(rows)
    assert [conclusion.ours for conclusion in judged] == [None, None, None, True]
    assert "3conv-l2" in judged[0].evidence


def test_the_tables_show_ours_beside_the_report_with_the_difference():
    text = format_report(table(**{"3conv_dropout": 0.7261}))
    line = next(line for line in text.splitlines() if line.startswith("| 7 |"))
    assert "71.61 %" in line and "72.61 %" in line and "+1.0 points" in line and "1 min 45 s" in line
    assert text.count("\n| ") == 2 * 2 + 10


def test_a_model_that_is_not_trained_is_said_so():
    rows = [dataclasses.replace(row, ours=None) for row in table()]
    assert format_report(rows).count("not trained yet") == 10


def test_seconds_read_as_a_person_says_them():
    assert [duration(seconds) for seconds in (59.6, 101, 142, 9)] == [
        "1 min 00 s",
        "1 min 41 s",
        "2 min 22 s",
        "9 s",
    ]


def test_figures_are_read_off_the_history(tmp_path):
    rows = [dict.fromkeys(runs.HISTORY_COLUMNS, 0.0) | {"epoch": epoch} for epoch in range(3)]
    rows[1] |= {"accuracy": 0.5, "val_accuracy": 0.7}
    rows[2] |= {"accuracy": 0.6, "val_accuracy": 0.4, "train_eval_accuracy": 0.8}
    runs.write_history(tmp_path / "history.csv", rows)
    files.write_json(
        tmp_path / "record.json", {"state": "done", "epochs_done": 2, "seconds": 12.0, "test_accuracy": 0.41}
    )
    run = runs.Run(tmp_path, REPORT["3conv-none"].experiment)
    assert run_results(run) == ModelResults(0.6, 0.6, 0.4, 0.7, 12.0, 0.41, 0.8, pytest.approx(0.7))
    assert run_results(run).gap == pytest.approx(0.2)


def test_only_finished_runs_count(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    assert missing_models() == list(REPORT)
    assert all(row.ours is None for row in report_rows())
    experiment = REPORT["2conv-l2"].experiment
    folder = tmp_path / "runs" / experiment.key
    files.write_bytes(folder / "experiment.json", experiment.to_json().encode())
    files.write_json(folder / "record.json", {"state": "stopped", "epochs_done": 0})
    assert "2conv-l2" in missing_models() and publishable_models(REPORT) == []
    write(folder, experiment, history([0.1, 0.5], [0.1, 0.4]))
    assert "2conv-l2" not in missing_models() and publishable_models(REPORT) == ["2conv-l2"]


def test_a_run_whose_publishing_was_broken_off_is_not_shipped_and_is_published_again(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    name, experiment = "2conv-none", REPORT["2conv-none"].experiment
    folder = settings.runs_dir() / experiment.key
    write_run(folder, experiment, (0, 1))
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    files.write_npz(folder / "predictions.npz", {"test": np.eye(10, dtype=np.float16), "test_labels": np.arange(10)})
    write, written = files.write_npz_bzip2, []

    def killed(path, arrays):
        written.append(path)
        if len(written) == 2:
            raise KeyboardInterrupt
        write(path, arrays)

    monkeypatch.setattr(files, "write_npz_bzip2", killed)
    with pytest.raises(KeyboardInterrupt):
        publish(name)
    assert publishable_models([name]) == [name] and not runs.find_run(experiment).is_pretrained
    publish(name)
    assert publishable_models([name]) == [] and runs.find_run(experiment).is_pretrained
    assert len(runs.find_run(experiment).predictions()["test"]) == 10


def test_no_slot_is_refused_before_anything_is_trained():
    with pytest.raises(settings.SettingsError, match="Received: slots=0"):
        train_missing(["2conv-none"], 0)
