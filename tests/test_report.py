"""The tables and the conclusions are computed from the figures, the report's and ours alike."""

import csv
import dataclasses
import io
import json
import math
import statistics
import zipfile

import history_factories
import numpy as np
import pytest
from history_factories import history, write
from run_factories import write_run

from cnnlab import settings
from cnnlab.analysis.statistics import (
    accuracy_interval,
    generalization_gap,
    paired_difference,
    seed_difference,
    unpaired_difference,
)
from cnnlab.claims import AGREEMENT_TOLERANCE, Verdict, check_claims, judge
from cnnlab.cli import main
from cnnlab.comparison import ACCURACY, Comparison, compare
from cnnlab.data import Dataset
from cnnlab.data.cifar10 import CLASSES
from cnnlab.data.samples import sample_images
from cnnlab.explanations import learning_verdict
from cnnlab.explanations.conclusions import (
    describe_measures,
    describe_notes,
    describe_uncertainty,
    describe_verdict,
)
from cnnlab.explanations.intervals import format_margin
from cnnlab.explanations.report_tables import format_report, report_csv
from cnnlab.explanations.series_table import (
    describe_averages,
    describe_difference,
    describe_series,
    regularizer_label,
    series_csv,
)
from cnnlab.explanations.verdict_table import comparison_table, count_comparisons, evidence_rows, evidence_table
from cnnlab.formatting import exact_duration
from cnnlab.jobs import probe_job, shipped_top_images, top_activations_file, top_activations_job
from cnnlab.models.architecture import network_layers, parameter_count
from cnnlab.report import (
    ModelResults,
    ReportRow,
    reestimated_accuracies,
    report_results,
    report_rows,
    run_results,
)
from cnnlab.report_models import REPORT, models_on
from cnnlab.reproduce import missing_models, publish, publishable_models, train_missing
from cnnlab.series_results import series_results
from cnnlab.storage import files, runs


def results(train, validation, train_eval=None, images=10_000, **fields):
    """Figures of a run. Its first predictions are right: two such runs differ on as few images as can be."""
    correct = np.arange(images) < round(validation * images)
    return ModelResults(train, train, validation, validation, 10.0, train_eval=train_eval, correct=correct, **fields)


def table(train_eval=None, seeds=None, **changed):
    """Rows in which ours are the report's own figures, but for the validation accuracies given here."""
    rows = []
    for model in REPORT.values():
        validation = changed.get(model.name.replace("-", "_"), model.validation_accuracy)
        ours = results(model.train_accuracy, validation, (train_eval or {}).get(model.name))
        rows.append(ReportRow(model, report_results(model), ours, (seeds or {}).get(model.name, {})))
    return rows


def with_test(rows, test):
    """Our model 7 with this accuracy on the test images."""
    return [
        dataclasses.replace(row, ours=dataclasses.replace(row.ours, test=test))
        if row.model.name == "3conv-dropout"
        else row
        for row in rows
    ]


def test_the_report_figures_bear_out_what_the_report_concludes():
    judged = check_claims(with_test(table(), 0.7161))
    assert [result.report.verdict for result in judged[:3]] == [Verdict.HOLDS] * 3
    assert [result.verdict for result in judged] == [Verdict.HOLDS] * 4


def test_the_report_validation_and_test_differ_by_more_than_chance():
    """71.61 and 73.61 %: z = 3.2, though a fixed tolerance of two points would let them pass as equal."""
    agreement = check_claims(table())[3]
    assert agreement.report.verdict is Verdict.FAILS
    p = agreement.report.comparisons[0].estimate.p_value
    share = (0.7161 + 0.7361) / 2
    z = 0.02 / math.sqrt(2 * share * (1 - share) / 10_000)
    assert p == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.01)


@pytest.mark.parametrize(
    ("changed", "index", "verdict"),
    [
        ({"2conv_dropout": 0.5}, 0, Verdict.FAILS),
        ({"3conv_none": 0.99}, 1, Verdict.FAILS),
        ({"2conv_l2": 0.72}, 2, Verdict.FAILS),
        ({"2conv_l2": 0.6881}, 2, Verdict.UNDECIDED),  # one image of 10,000 more than at 3 layers
    ],
)
def test_a_claim_that_our_figures_contradict_fails_only_beyond_chance(changed, index, verdict):
    assert check_claims(table(**changed))[index].verdict is verdict


def test_a_verdict_that_depends_on_the_measure_says_so_first():
    """With dropout off, dropout's network knows its training images as well as any other."""
    rows = table(train_eval={name: 0.99 if "dropout" in name else 0.8 for name in REPORT})
    result = check_claims(rows)[0]
    assert result.verdict is Verdict.DEPENDS
    assert [judgment.verdict for judgment in result.judgments] == [Verdict.FAILS, Verdict.HOLDS]
    assert describe_verdict(result).startswith("depends on the measure (1 seed)")
    assert format_report(rows).count("**depends on the measure (1 seed)**") == 1


def test_batch_norm_is_judged_with_moving_averages_and_with_reestimated_statistics():
    """What the re-estimation of mean and variance changes is the lag of Keras's averages, not the weights."""
    rows = [
        dataclasses.replace(
            row, ours=dataclasses.replace(row.ours, reestimated_train=0.97, reestimated_validation=0.60)
        )
        if "batchnorm" in row.model.name
        else row
        for row in table()
    ]
    result = check_claims(rows)[1]
    assert [judgment.verdict for judgment in result.judgments] == [Verdict.HOLDS, Verdict.FAILS]
    assert result.verdict is Verdict.DEPENDS
    assert len(check_claims(table())[1].judgments) == 1  # without that measurement there is one measure


def test_a_difference_that_changes_its_sign_from_epoch_to_epoch_is_not_beyond_chance():
    def jumping(row, low):
        epochs = tuple(results(0.9, low if epoch % 3 else 0.9) for epoch in range(10))
        return dataclasses.replace(row, ours=dataclasses.replace(row.ours, recent_epochs=epochs))

    rows = {row.model.name: row for row in table()}
    rows["2conv-batchnorm"] = jumping(rows["2conv-batchnorm"], 0.6)
    rows["3conv-batchnorm"] = jumping(rows["3conv-batchnorm"], 0.7)
    steady = check_claims(list(rows.values()))[2]
    assert steady.verdict is Verdict.UNDECIDED  # 6 of 10 epochs: in the others both have 0.9
    unsteady = steady.judgments[0].comparisons[-1]
    assert (unsteady.agreeing_epochs, unsteady.epochs) == (6, 10)
    assert "in only 6 of the last 10 epochs" in evidence_rows(steady)[-2][2]
    assert [row[-1] for row in evidence_rows(steady)] == [*["as claimed"] * 3, "not beyond chance", ""]
    assert [row[1] for row in evidence_rows(steady)] == ["not beyond chance", "", "", "", "holds"]


def test_a_comparison_against_the_claim_is_told_from_those_for_it():
    rows = table(train_eval=dict.fromkeys(REPORT, 0.8) | {"2conv-dropout": 0.99, "3conv-dropout": 0.75})
    by_inference = check_claims(rows)[0].judgments[0]
    found = zip(by_inference.comparisons, by_inference.findings, strict=True)
    against = [one.name for one, finding in found if finding == "the opposite"]
    assert by_inference.verdict is Verdict.FAILS
    assert against == ["2conv-none", "2conv-l2", "2conv-batchnorm"]
    assert [row[-1] for row in evidence_rows(check_claims(rows)[0])[:2]] == ["the opposite", "as claimed"]


def cells_of(markdown):
    """The cells of a Markdown table, by row, without its head."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines()[2:]]


def test_every_comparison_behind_a_verdict_can_be_read_with_its_adjusted_p_value():
    rows = table(train_eval={name: 0.85 if "dropout" in name else 0.8 for name in REPORT})
    claim = check_claims(rows)[0]
    cells = cells_of(comparison_table(claim))
    assert len(cells) == count_comparisons(claim) == 3 * 6  # two measures and the report; 3 rivals at 2 depths
    measured = claim.judgments[0].comparisons
    smallest_first = sorted(one.estimate.p_value for one in measured)
    by_hand = [min(1, max(p * (6 - rank) for rank, p in enumerate(smallest_first[: place + 1]))) for place in range(6)]
    shown = [cells[index][5] for index in sorted(range(6), key=lambda index: measured[index].estimate.p_value)]
    assert shown == ["<0.001" if p < 0.001 else f"{p:.3f}" for p in by_hand]
    assert len(set(shown)) > 1
    for row in cells[:6]:
        is_small = row[5].startswith("<") or float(row[5]) <= 0.05
        assert is_small == (row[6] != "not beyond chance")
    named = {cell for row in cells_of(evidence_table(claim)) for cell in row if " against " in cell}
    assert named < {row[1] for row in cells}  # the closest ones are among them


def test_with_fewer_than_three_seeds_the_effect_is_said_to_be_that_of_the_first():
    two = {
        "3conv-none": {0: results(0.9, 0.70), 1: results(0.9, 0.60)},
        "2conv-none": {0: results(0.9, 0.6), 1: results(0.9, 0.5)},
    }
    claim = check_claims(table(seeds=two))[2]
    assert claim.judgments[0].comparisons[0].estimate.value == pytest.approx(0.10)
    assert "With fewer than 3 seeds, effect and 95 % interval are those of the first seed" in describe_notes(claim)


def test_from_three_seeds_on_chance_is_that_of_the_seed():
    """Paired differences by hand: mean 0.02, standard deviation 0.01, t with 2 degrees at 97.5 % = 4.303."""
    deep = {0: results(0.9, 0.70), 1: results(0.9, 0.71), 2: results(0.9, 0.72)}
    shallow = {0: results(0.9, 0.69), 1: results(0.9, 0.69), 2: results(0.9, 0.69)}
    compared = compare("3conv-none", "2conv-none", ACCURACY, {"3conv-none": deep, "2conv-none": shallow})
    margin = 4.303 * 0.01 / math.sqrt(3)
    assert compared.estimate.chance == "seeds" and compared.seeds == (0, 1, 2) == compared.agreeing_seeds
    assert compared.estimate.value == pytest.approx(0.02)
    assert (compared.estimate.low, compared.estimate.high) == pytest.approx((0.02 - margin, 0.02 + margin), abs=1e-4)
    assert not compared.estimate.is_significant  # though each seed's images alone would call it so


def test_a_claim_that_one_seed_of_many_contradicts_holds_in_most():
    seeds = range(1, 10)
    ahead = {seed: results(0.9, 0.72 if seed != 4 else 0.66) for seed in seeds}
    behind = {seed: results(0.9, 0.67) for seed in seeds}
    comparison = compare("a", "b", ACCURACY, {"a": ahead, "b": behind})
    assert judge("accuracy", [comparison]).verdict is Verdict.MOSTLY
    assert judge("accuracy", [compare("b", "a", ACCURACY, {"a": ahead, "b": behind})]).verdict is Verdict.FAILS


def test_many_comparisons_of_one_claim_need_smaller_p_values():
    images = 10_000
    estimate = paired_difference(
        np.arange(images) < 7_000, np.arange(images) < 6_996
    )  # 4 discordant images: p = 0.0455
    one = Comparison("a", "b", estimate, (0,), (0,))
    assert judge("accuracy", [one]).verdict is Verdict.HOLDS
    assert judge("accuracy", [one] * 6).verdict is Verdict.UNDECIDED
    assert {*judge("accuracy", [one] * 6).findings} == {"not beyond chance"} != {*judge("accuracy", [one]).findings}


def test_validation_and_test_are_compared_on_the_same_weights():
    """A final model saw 10,000 more images: that it is better says nothing about validation and test."""
    rows = table(final_3conv_dropout=0.80)
    validation = REPORT["3conv-dropout"].validation_accuracy
    for test, verdict in (
        (validation + 0.001, Verdict.HOLDS),
        (validation - 0.010, Verdict.TOO_WIDE),
        (validation - 0.030, Verdict.FAILS),
    ):
        assert check_claims(with_test(rows, test))[3].verdict is verdict
    assert check_claims(rows)[3].missing == ("3conv-dropout",)


def test_the_tolerance_within_which_two_accuracies_agree_is_stated():
    """A fixed tolerance let 2.0 points with z = 3.2 pass; now the whole interval must lie within it."""
    agreement = check_claims(with_test(table(), 0.7161))[3]
    told = describe_notes(agreement)
    assert f"whole interval lies within {100 * AGREEMENT_TOLERANCE:.1f} points of 0" in told and "excludes 0" in told
    estimate = agreement.judgments[0].comparisons[0].estimate
    assert max(abs(estimate.low), abs(estimate.high)) <= AGREEMENT_TOLERANCE


def test_depth_is_said_to_differ_in_parameters_and_dense_layers():
    counts = {depth: parameter_count(network_layers(REPORT[f"{depth}conv-none"].experiment)) for depth in (2, 3)}
    evidence = describe_notes(check_claims(table())[2])
    assert all(f"{depth}-conv has {count:,} parameters" in evidence for depth, count in counts.items())


def test_the_uncertainty_is_that_of_the_images_and_of_the_last_ten_epochs(tmp_path):
    curves = {"3conv-batchnorm": [0.1, 0.45, *[0.5] * 7, 0.53, 0.5], "2conv-none": [0.1, *[0.5] * 10]}
    ours = {}
    for name, curve in curves.items():
        run = runs.Run(tmp_path / name, REPORT[name].experiment)
        history = [
            dict.fromkeys(runs.HISTORY_COLUMNS, 0.5) | {"epoch": e, "val_accuracy": v} for e, v in enumerate(curve)
        ]
        runs.write_history(run.path / "history.csv", history)
        files.write_json(run.path / "record.json", {"state": "done", "epochs_done": len(curve) - 1, "seconds": 12.0})
        ours[name] = run_results(run)
    sentence = describe_uncertainty([dataclasses.replace(row, ours=ours.get(row.model.name)) for row in table()])
    # halves: 1.96 * sqrt(0.25 / 10,000), times sqrt(2) for a difference, and with 5,000 training images for a gap
    assert "to within 1.0 points" in sentence and "the report's 1.4 points" in sentence and "gap 1.7" in sentence
    assert "the accuracy of 3-conv, batch norm ranges over 8.0 points (the most)" in sentence
    assert "that of 2-conv, no regularizer over 0.0 points (the least)" in sentence
    assert describe_uncertainty([dataclasses.replace(row, ours=None) for row in table()]) == ""


def trained_here(seed, validation, **record):
    """A finished run of model 5 with this seed in this home."""
    experiment = dataclasses.replace(REPORT["3conv-none"].experiment, seed=seed)
    rows = history_factories.history([0.1, *[0.9] * 30], [0.1, *[validation] * 30])
    return history_factories.write(settings.runs_dir() / experiment.key, experiment, rows, **record)


def seeds_of_model_5():
    return next(row for row in report_rows() if row.model.name == "3conv-none").by_seed


@pytest.mark.slow
def test_every_seed_of_a_model_that_was_trained_on_the_same_data_counts(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    shipped = seeds_of_model_5()
    for seed, fingerprint in ((71, runs.open_run("3conv-none").record.fingerprint), (72, "0" * 64)):
        trained_here(seed, 0.61, fingerprint=fingerprint)
    now = seeds_of_model_5()
    assert set(now) == {*shipped, 71} and now[71].validation == pytest.approx(0.61)


@pytest.mark.slow
def test_predictions_that_cannot_be_read_leave_the_other_figures_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    folder = trained_here(71, 0.61, fingerprint=runs.open_run("3conv-none").record.fingerprint)
    for content in (b"no archive", (settings.PRETRAINED / "3conv-none" / "predictions.npz").read_bytes()[:5000]):
        (folder / "predictions.npz").write_bytes(content)
        seeds = seeds_of_model_5()
        assert 71 not in seeds or seeds[71].correct is None
    files.write_npz(folder / "predictions.npz", {"validation": np.eye(10), "validation_labels": np.arange(10)})
    assert 71 not in seeds_of_model_5() or seeds_of_model_5()[71].correct is None  # ten of ten thousand


def test_the_models_on_shapes_are_judged_with_the_numbers_of_shapes_images(tmp_path, monkeypatch):
    """Shapes has 2,000 training images, all evaluated, and 1,000 validation images: the intervals are wider."""
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    for name, validation in (("2conv-none", 0.70), ("2conv-dropout", 0.75)):
        experiment = models_on("shapes")[name].experiment
        rows = history_factories.history([0.1, *[0.9] * 30], [0.1, *[validation] * 30])
        history_factories.write(settings.runs_dir() / experiment.key, experiment, rows)
    assert len(report_rows("shapes")) == 8 and len(report_rows()) == 10
    plain, dropout = series_results(report_rows("shapes"))
    assert plain.accuracy == accuracy_interval(0.70, 1_000)
    assert dropout.gap == generalization_gap(0.9, 2_000, 0.75, 1_000)
    assert dropout.accuracy_difference.estimate == unpaired_difference(0.75, 1_000, 0.70, 1_000)


def test_the_models_on_shapes_are_printed_with_their_own_figures(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    command = ["reproduce", "--tables", "--dataset", "shapes"]
    assert main(command) == 0 and capsys.readouterr().out.startswith("None of the report's networks")
    for name, accuracies in {"2conv-none": (0.60, 0.62, 0.64), "2conv-dropout": (0.65, 0.68, 0.68)}.items():
        for seed, accuracy in enumerate(accuracies):
            one = dataclasses.replace(models_on("shapes")[name].experiment, seed=seed)
            rows = history_factories.history([0.1, *[0.9] * 30], [0.1, *[accuracy] * 30])
            history_factories.write(settings.runs_dir() / one.key, one, rows)
    assert main(command) == 0
    printed = capsys.readouterr().out
    difference = seed_difference({0: 0.65, 1: 0.68, 2: 0.68}, {0: 0.60, 1: 0.62, 2: 0.64})
    row = next(line for line in printed.splitlines() if line.startswith("| 2-conv, dropout 0.1 | 3 | 67.0 %"))
    assert f"| +5.0 ± {100 * difference.margin:.1f} points, beyond chance |" in row and "Table 1" not in printed


def test_two_seeds_that_disagree_decide_nothing():
    ahead = {0: results(0.9, 0.72), 1: results(0.9, 0.60)}
    behind = {seed: results(0.9, 0.67) for seed in (0, 1)}
    assert judge("accuracy", [compare("a", "b", ACCURACY, {"a": ahead, "b": behind})]).verdict is Verdict.UNDECIDED


def test_nothing_is_concluded_while_a_run_is_missing():
    rows = [dataclasses.replace(row, ours=None) if row.model.name == "3conv-l2" else row for row in table()]
    judged = check_claims(rows)
    assert [result.verdict for result in judged[:3]] == [Verdict.MISSING] * 3
    assert judged[0].missing == ("3conv-l2",)
    assert "3-conv L2 0.00001" in describe_measures(judged[0])


def test_the_tables_show_ours_beside_the_report_with_the_difference():
    text = format_report(table(**{"3conv_dropout": 0.7261}))
    line = next(line for line in text.splitlines() if line.startswith("| 7 |"))
    assert "71.61 %" in line and "72.61 %" in line and "+1.0 points" in line and "1 min 45 s" in line
    tables, conclusions = text.split("What the report concludes")
    assert tables.count("\n| ") == 2 * 2 + 10
    rows = sum(len(evidence_rows(result)) for result in check_claims(table(**{"3conv_dropout": 0.7261})))
    assert conclusions.count("\n| ") == 2 + rows


def test_a_model_that_is_not_trained_is_said_so():
    rows = [dataclasses.replace(row, ours=None) for row in table()]
    assert format_report(rows).count("not trained yet") == 10


def test_seconds_read_as_a_person_says_them():
    assert [exact_duration(seconds) for seconds in (59.6, 101, 142, 9)] == [
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
    assert [one.validation for one in run_results(run).recent_epochs] == [0.0, 0.7, 0.4]
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


def test_top_images_and_probes_that_are_computed_are_published_with_the_run(tmp_path, monkeypatch):
    model = (settings.PRETRAINED / "2conv-none" / "model.keras").read_bytes()
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    monkeypatch.setattr(settings, "PRETRAINED", tmp_path / "pretrained")
    folder = settings.runs_dir() / REPORT["2conv-none"].experiment.key
    write_run(folder, REPORT["2conv-none"].experiment, (0, 1))
    files.write_bytes(folder / "model.keras", model)
    run, (images, labels) = runs.read_run(folder), sample_images()
    dataset = Dataset("cifar10", CLASSES, images, labels, images, labels, "a fingerprint")
    top_activations_file.save(top_activations_job.compute(run, dataset), run)
    probes = probe_job.compute(run, dataset)
    files.write_json(folder / "probes.json", dataclasses.asdict(probes))
    shipped = runs.read_run(publish("2conv-none"))
    assert probe_job.load(shipped) == probes
    found = shipped_top_images.load(shipped, "a fingerprint")
    assert found is not None and found.images == 20 and set(found.examples) == {"relu1", "relu2"}


def test_no_slot_is_refused_before_anything_is_trained():
    with pytest.raises(settings.SettingsError, match="Received: slots=0"):
        train_missing(["2conv-none"], 0)


# -- each model over its seeds -----------------------------------------------------------------------------------------


def test_a_model_is_compared_with_the_plain_network_of_its_depth():
    rows = table(**{"2conv_dropout": 0.70, "2conv_none": 0.64, "2conv_l2": 0.6401})
    by_name = {one.model.name: one for one in series_results(rows)}
    dropout, l2, plain = (by_name[f"2conv-{name}"] for name in ("dropout", "l2", "none"))
    assert dropout.accuracy_difference.other == "2conv-none" and plain.accuracy_difference is None
    assert dropout.accuracy_difference.estimate.value == pytest.approx(0.06)
    assert dropout.accuracy_differs and not l2.accuracy_differs  # one image of 10,000
    assert len(by_name) == 8


def test_a_difference_says_whether_it_is_beyond_chance():
    rows = table(**{"2conv_dropout": 0.70, "2conv_none": 0.64, "2conv_l2": 0.6401})
    series = series_results(rows)
    said = {one.model.name: describe_difference(one.accuracy_difference, one.accuracy_differs) for one in series}
    assert said["2conv-dropout"].startswith("+6.0 ±") and said["2conv-dropout"].endswith("beyond chance of the images")
    assert said["2conv-l2"].endswith("points, not beyond chance") and said["2conv-none"] == ""
    assert "dropout 0.1 at 2 layers (1 seed, chance of the images only)" in describe_series(series)


def test_a_difference_that_is_beyond_chance_only_by_itself_says_so():
    """Holm: of eight comparisons, an interval that leaves out 0 with p = 0.02 is not beyond chance."""
    series = series_results(report_rows())
    alone = [one for one in series if one.gap_difference and not one.gap_differs and lies_beyond(one.gap_difference)]
    assert alone and not any(one.gap_differs for one in series)
    for one in alone:
        said = describe_difference(one.gap_difference, one.gap_differs)
        assert said.endswith("points, not beyond chance as one of several comparisons")
    compared = [one for one in series if one.gap_difference]
    count = f"{len(alone)} of {len(compared)} differences would be, as the only comparison"
    assert f"The gap is smaller beyond chance with none of the regularizers ({count})." in describe_series(series)


def lies_beyond(difference):
    return difference.estimate.low > 0 or difference.estimate.high < 0


def test_beyond_chance_names_the_images_unless_three_seeds_say_so():
    """Two seeds of L2 lay beyond the chance of the images where the plain network's gap varied more by its seed."""
    series = {one.model.name: one for one in series_results(report_rows(), reported=True)}
    dropout = series["3conv-dropout"]  # of three seeds
    assert describe_difference(dropout.gap_difference, True).endswith("points, beyond chance")
    assert "3 layers" in describe_series([dropout]) and "images only" not in describe_series([dropout])
    one_seed = {one.model.name: one for one in series_results(table(**{"3conv_dropout": 0.75}))}["3conv-dropout"]
    assert describe_difference(one_seed.accuracy_difference, True).endswith("points, beyond chance of the images")


def test_an_interval_is_never_printed_as_no_uncertainty():
    three = accuracy_interval(0.7, 10_000)
    narrow = dataclasses.replace(three, low=three.value - 0.0004, high=three.value + 0.0004)
    assert (format_margin(three), format_margin(narrow)) == ("± 0.9", "± 0.04")


def test_the_figures_of_the_grid_are_the_rows_of_its_file():
    series = series_results(table(**{"2conv_dropout": 0.70, "2conv_none": 0.64}))
    rows = {row["network"]: row for row in csv.DictReader(io.StringIO(series_csv(series)))}
    assert float(rows["2conv-dropout"]["accuracy"]) == 0.70
    assert float(rows["2conv-dropout"]["accuracy_difference"]) == pytest.approx(0.06)
    assert rows["2conv-none"]["accuracy_difference"] == "" and len(rows) == 8


def test_the_file_of_a_table_has_the_report_and_ours():
    rows = table(**{"3conv_dropout": 0.75})
    rows[1] = dataclasses.replace(rows[1], ours=None)
    read = {row["model"]: row for row in csv.DictReader(io.StringIO(report_csv(rows)))}
    assert read["3conv-dropout"]["report_validation"] == "0.7161" and read["3conv-dropout"]["validation"] == "0.7500"
    assert read["2conv-l2"]["validation"] == "" and read["2conv-l2"]["wall_seconds"] == ""


def test_the_gap_as_keras_reports_it_is_compared_with_the_plain_network_alike():
    by_name = {one.model.name: one for one in series_results(table(), reported=True)}
    gap = REPORT["3conv-dropout"].gap - REPORT["3conv-none"].gap
    assert by_name["3conv-dropout"].gap.value == pytest.approx(REPORT["3conv-dropout"].gap)
    assert by_name["3conv-dropout"].gap_difference.estimate.value == pytest.approx(gap)


def test_the_mean_of_three_seeds_has_the_interval_of_the_seeds():
    """0.70, 0.71, 0.72: mean 0.71, standard deviation 0.01, t with 2 degrees at 97.5 % = 4.303."""
    further = {"3conv-none": {1: results(0.9, 0.71), 2: results(0.9, 0.72)}}
    by_name = {one.model.name: one for one in series_results(table(seeds=further, **{"3conv_none": 0.70}))}
    series = by_name["3conv-none"]
    assert series.seeds == (0, 1, 2) and series.accuracy.value == pytest.approx(0.71)
    assert series.accuracy.margin == pytest.approx(4.303 * 0.01 / math.sqrt(3), abs=1e-4)
    assert by_name["3conv-l2"].accuracy.chance == "images"


def shipped_reestimated_mean(folders, depth):
    """The mean of the last re-estimated validation accuracy in the files of batch norm's CIFAR-10 seeds."""
    asked = {"dataset": "cifar10", "split": "validation", "regularizer": "batchnorm", "depth": depth}
    found = []
    for folder in folders:
        experiment = json.loads((folder / "experiment.json").read_text())
        if experiment | asked == experiment:
            epochs = json.loads((folder / "reestimated.json").read_text())["epochs"]
            found.append(epochs[-1]["val_accuracy_reestimated"])
    return statistics.mean(found)


def test_an_accuracy_with_moving_averages_says_so_and_names_the_reestimated_one():
    words = describe_averages(series_results(report_rows()))
    assert "moving averages" in words
    for depth in (2, 3):
        folders = [settings.PRETRAINED / f"{depth}conv-batchnorm", *(settings.PRETRAINED / "seeds").iterdir()]
        assert f"{shipped_reestimated_mean(folders, depth):.1%}".replace("%", f" % at {depth} layers") in words
    assert describe_averages(series_results(table())) == ""


def test_batch_norm_is_named_only_where_both_of_its_measures_agree():
    """The moving averages' accuracy is no better than the plain network's; re-estimated it is."""
    rows = [
        dataclasses.replace(row, ours=dataclasses.replace(row.ours, reestimated_train=0.9, reestimated_validation=0.75))
        if row.model.name == "3conv-batchnorm"
        else row
        for row in table(**{"3conv_batchnorm": 0.6691, "3conv_none": 0.6691})
    ]
    series = series_results(rows)
    both = [one for one in series if one.model.name == "3conv-batchnorm"]
    assert [(one.reestimated, one.accuracy_differs) for one in both] == [(False, False), (True, True)]
    sentence = describe_series(series)
    assert "batch norm at 3 layers" not in sentence.split("The gap is ")[0]
    assert "validation accuracy of batch norm at 3 layers differs depends on the measure" in sentence
    assert [regularizer_label(one, series) for one in both] == [
        "batch norm, moving averages",
        "batch norm, re-estimated",
    ]
    assert len(series_results(table())) == 8 == len(series_results(rows, reported=True))


def test_a_batch_norm_result_shows_both_figures_on_train():
    figures = reestimated_accuracies(runs.open_run("3conv-batchnorm"))
    sentence = learning_verdict.describe_reestimated(
        figures["train_eval_accuracy"], figures["val_accuracy"], REPORT["3conv-batchnorm"].experiment
    )
    assert "training 97.6 %, validation 73.6 %, gap 23.9 points" in sentence
    assert reestimated_accuracies(runs.open_run("3conv-dropout")) == {}
