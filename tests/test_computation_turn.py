"""Workers that compute for a page work one after the other, whatever they compute; too many are refused."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from fake_worker import wait_for
from run_factories import write_run

from cnnlab import data, settings
from cnnlab.data import Dataset
from cnnlab.data.cifar10 import CLASSES
from cnnlab.data.samples import sample_images
from cnnlab.experiment import Experiment
from cnnlab.jobs import network_uploads, probe_job, top_activations_job
from cnnlab.jobs.computation_turn import MAX_WAITING, WorkersBusy
from cnnlab.storage import process_lock

STATES = {
    "top images": top_activations_job.COMPUTATION.status,
    "probes": probe_job.COMPUTATION.status,
    "own network": network_uploads.test_status,
}


@pytest.fixture
def run(home, monkeypatch):
    """A small run, and the twenty samples as its test set."""
    images, labels = sample_images()
    known = Dataset("cifar10", CLASSES, images, labels, images, labels, "samples")
    monkeypatch.setattr(data, "load_dataset", lambda name: known)
    monkeypatch.setattr(data, "is_dataset_available", lambda name: True)
    experiment = Experiment(depth=2, filters=5, epochs=2)
    return write_run(settings.runs_dir() / experiment.key, experiment)


def compute(kind, run):
    """The body of the worker of this kind."""
    if kind == "own network":
        facts = {"classes": CLASSES, "dataset": "cifar10", "dataset_info": run.dataset_info, "title": "mine"}
        network = SimpleNamespace(path=run.path, layers=run.layers, weights=lambda: run.weights(2), **facts)
        return network_uploads.write_predictions(network)
    return {"top images": top_activations_job, "probes": probe_job}[kind].run_job(run)


def locked(name):
    return process_lock.acquire(settings.home() / "workers" / f"{name}.lock")


@pytest.mark.parametrize("kind", ["top images", "probes", "own network"])
def test_a_worker_computes_after_the_one_before_it_whatever_that_computes(run, kind):
    with locked("turn") as turn, ThreadPoolExecutor(1) as pool:
        worker = pool.submit(compute, kind, run)
        waits = settings.home() / "workers" / "ticket0.lock"  # taken by whoever waits for its turn
        wait_for(lambda: worker.done() or (process_lock.is_locked(waits) and STATES[kind](run)))
        assert not worker.done()
        assert STATES[kind](run).state == ("running" if kind == "own network" else "waiting")
        turn.release()
        assert worker.result(60) is not None


@pytest.mark.parametrize("kind", ["top images", "probes", "own network"])
def test_more_than_five_workers_are_refused_in_one_sentence(run, kind):
    with ExitStack() as held:
        for number in range(MAX_WAITING):
            held.enter_context(locked(f"ticket{number}"))
        with pytest.raises(LookupError, match=r"^5 networks are being computed already: [^\n]*\.$") as refused:
            compute(kind, run)
        assert isinstance(refused.value.__cause__ or refused.value, WorkersBusy)
    assert STATES[kind](run).state == "failed" and STATES[kind](run).message.startswith("5 networks are being computed")
    assert compute(kind, run) is not None
    assert STATES[kind](run).state == "done"
