"""The number of threads is what was measured on this machine, and nothing else is believed."""

import pytest

from cnnlab.jobs import thread_measurement
from cnnlab.storage import files


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path))


def write(**fields):
    stored = {"machine": thread_measurement.machine_name(), "steps_per_second": {"1": 16.0, "2": 10.0}}
    files.write_json(thread_measurement.path(), stored | fields)


def test_without_a_measurement_there_is_no_number_of_threads():
    assert thread_measurement.best_thread_count() is None and not thread_measurement.is_measured()


def test_the_fastest_number_of_threads_is_remembered():
    write()
    assert thread_measurement.best_thread_count() == 1 and thread_measurement.is_measured()


def test_the_measurement_of_another_machine_does_not_count():
    write(machine="another processor, 64 cores")
    assert thread_measurement.best_thread_count() is None and not thread_measurement.is_measured()


@pytest.mark.parametrize("rates", [None, [1, 2], {"one": 2}, {"1": "fast"}, {}])
def test_a_damaged_measurement_counts_as_none(rates):
    write(steps_per_second=rates)
    assert thread_measurement.best_thread_count() is None


@pytest.mark.parametrize(
    ("rates", "count"),
    [({1: 16.0, 2: 10.0}, 1), ({1: 10.0, 2: 16.0}, None), ({1: 10.4, 2: 10.0}, None), ({1: 5.0, 2: 9.0, 4: 6.0}, 2)],
)
def test_fewer_threads_than_cores_are_used_only_where_clearly_faster(rates, count):
    assert thread_measurement.fastest(rates) == count


@pytest.mark.parametrize(("cores", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_powers_of_two_and_all_cores_are_measured(cores, counts):
    assert thread_measurement.thread_counts(cores) == counts
