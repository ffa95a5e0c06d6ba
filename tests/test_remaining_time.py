"""The time left of a training, on a made-up clock: compiling the first step does not count for later epochs."""

from itertools import pairwise
from types import SimpleNamespace

import pytest

from cnnlab.experiment import Experiment
from cnnlab.storage.run_record import RunRecord
from cnnlab.training import progress
from cnnlab.training.run_writer import RunWriter
from cnnlab.training.trainer import Trainer

COMPILATION, BATCH_SECONDS, BATCHES, EVALUATION, EPOCHS = 6.0, 0.05, 32, 0.8, 30
EPOCH_SECONDS = BATCHES * BATCH_SECONDS + EVALUATION


class Clock:
    """Stands in for the module `time`."""

    now = 100.0

    def perf_counter(self):
        return self.now


class Model:
    """Takes as long as a network of Shapes: the first batch is compiled, then each takes equally long."""

    def __init__(self, clock):
        self.clock, self.compilation = clock, COMPILATION

    def fit(self, batches, callbacks, **_):
        [callback] = callbacks
        callback.on_epoch_begin(0)
        for batch in range(BATCHES):
            self.clock.now += BATCH_SECONDS + self.compilation
            self.compilation = 0.0
            callback.on_train_batch_end(batch, {})
        return SimpleNamespace(history={})


@pytest.fixture
def told(tmp_path, monkeypatch):
    """(estimate, truth) of the seconds left, as a page reads them, over a whole training."""
    clock, told = Clock(), []
    monkeypatch.setattr(progress, "time", clock)
    experiment = Experiment(dataset="shapes", epochs=EPOCHS, train_images=64 * BATCHES)
    trainer = object.__new__(Trainer)
    trainer.experiment, trainer.model = experiment, Model(clock)
    trainer.writer = RunWriter(experiment, tmp_path, RunRecord())
    trainer.train_images = SimpleNamespace(epoch_batches=lambda epoch: None)
    end = clock.now + COMPILATION + EPOCHS * EPOCH_SECONDS
    trainer.report = lambda event: told.append((event["seconds_left"], end - clock.now))
    for epoch in range(1, EPOCHS + 1):
        began = clock.now
        trainer.train_epoch(epoch)
        clock.now += EVALUATION
        trainer.writer.epoch_seconds.append(clock.now - began)
    return told


def test_the_time_left_never_jumps_by_a_factor_of_two_nor_counts_the_compilation(told):
    middle = [(estimate, truth) for estimate, truth in told if truth > 5]
    assert len(middle) > 50
    assert all(0.5 < estimate / truth < 1.1 for estimate, truth in middle)
    assert all(0.5 < after / before < 2 for (before, _), (after, _) in pairwise(middle))
