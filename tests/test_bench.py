"""Benchmarks: what is measured in turn, what is printed, that progress is shown; the size of an installed package."""

import itertools
import py_compile
import re
from importlib.metadata import PathDistribution

import pytest

from cnnlab import bench as benchmarks
from cnnlab import settings
from cnnlab.bench import install, training
from cnnlab.bench.options import BenchOptions
from cnnlab.jobs import probe_job, top_activations_job


def test_measures_take_turns_after_a_warm_up_that_does_not_count(capsys):
    order, clock = [], itertools.count(1)

    def measure(name):
        return lambda: order.append(name) or next(clock)

    seconds = training.measure_alternately({"a": measure("a"), "b": measure("b")}, rounds=2)
    assert order == ["a", "b"] * 3 and seconds == {"a": [3, 5], "b": [4, 6]}
    shown = capsys.readouterr().err
    assert "warm-up: a 1.0 s" in shown and "round 2 of 2: b 6.0 s" in shown


@pytest.mark.parametrize(("hint", "precisions"), [("slower here", 1), ("", 2)])
def test_ours_is_printed_as_times_plain_fit_and_bfloat16_only_where_offered(monkeypatch, capsys, hint, precisions):
    monkeypatch.setattr(training, "bfloat16_hint", lambda: hint)
    monkeypatch.setattr(training, "plain_epoch", lambda options: lambda: 30.0)
    monkeypatch.setattr(training, "our_epoch", lambda options, precision, path: lambda: 24.0)
    monkeypatch.setattr(training, "worker_peak_gb", lambda options: 1.2)
    training.bench_training(BenchOptions(rounds=3))
    printed = capsys.readouterr()
    ours = [line for line in printed.out.splitlines() if line.startswith("ours")]
    assert len(ours) == precisions and all("1.25 times plain fit" in line for line in ours)
    assert "n=3" in printed.out and ("bfloat16 is not measured: slower here" in printed.err) == bool(hint)


@pytest.mark.parametrize(("name", "job"), [("probe", probe_job), ("top-images", top_activations_job)])
def test_seconds_of_a_worker_name_run_images_and_n(name, job, monkeypatch, tmp_path, capsys):
    """Without CIFAR-10 the images are those of Shapes."""
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))
    computed = []
    monkeypatch.setattr(job, "compute", lambda run, dataset: computed.append((run.name, dataset.name)))
    benchmarks.run(name, BenchOptions(rounds=2, depth=2, regularizer="l2"))
    assert computed == [("2conv-l2", "shapes")] * 3  # one to warm up
    heading, line = capsys.readouterr().out.splitlines()
    assert "2-conv, L2" in heading and "1,000 test images of shapes, n=2" in heading
    assert re.fullmatch(rf"{name} +\d+\.\d s +\(\d+\.\d \d+\.\d\)", line)


def test_every_benchmark_has_a_name_on_the_command_line_and_in_the_readme():
    readme = (settings.REPOSITORY / "README.md").read_text()
    assert [name for name in benchmarks.BENCHMARKS if f"bench {name}" not in readme] == []


@pytest.mark.nightly
def test_the_size_of_a_package_is_that_of_its_files_without_what_was_compiled(tmp_path, capsys):
    module, table = tmp_path / "one.py", tmp_path / "one" / "table.bin"
    module.write_text("value = 1\n")
    table.parent.mkdir()
    table.write_bytes(bytes(5_000))
    about = tmp_path / "one-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: one\nVersion: 1.0\n")
    (about / "RECORD").write_text("one.py,,\none/table.bin,,\n__pycache__/one.cpython-311.pyc,,\ngone.py,,\n")
    size = install.package_size(PathDistribution(about))
    assert size == install.PackageSize("one", files=5_010, compiled=0)
    compiled = py_compile.compile(str(module), doraise=True)
    size = install.package_size(PathDistribution(about))
    assert (size.files, size.compiled) == (5_010, (tmp_path / compiled).stat().st_size)
    install.bench_install(BenchOptions())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + install.SHOWN + 2 and lines[-1].startswith("all ")
