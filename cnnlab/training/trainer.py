"""Trains one experiment into its run directory: what a worker does.

Keras's `fit` is called once an epoch. After each epoch the network is evaluated in inference mode on training and
validation images, and a snapshot of the weights and a checkpoint are written. The order of the images in epoch e and
their augmentation depend on the seed and e alone, and a checkpoint holds every variable of the model and its optimizer,
with the states of the dropout generators. So a resumed training gives the history of an uninterrupted one, on a CPU
with the same number of threads to the last bit.

Nothing here calls TensorFlow; a host with Keras on JAX trains with the same code.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import data, settings
from cnnlab.analysis.metrics import accuracy
from cnnlab.experiment import Experiment
from cnnlab.models.architecture import LayerOrder, layer_names, network_layers
from cnnlab.operating_system import file_operations
from cnnlab.storage import compression, files, run_damage
from cnnlab.storage.process_lock import acquire
from cnnlab.storage.run_record import read_record, write_record
from cnnlab.training import keras_model
from cnnlab.training.checkpoint import CheckpointError
from cnnlab.training.compilation import batches_per_epoch, build_float32_model, compile_model, save_keras_file
from cnnlab.training.evaluation import Evaluator
from cnnlab.training.failures import Diverged, RunLocked, failure_message
from cnnlab.training.input_pipeline import InputPipeline
from cnnlab.training.progress import ProgressCallback, Stopped, stop_at_next_batch
from cnnlab.training.provenance import initial_record
from cnnlab.training.run_writer import RunWriter, remove_temporary_files
from cnnlab.training.training_images import TrainingImages

REESTIMATION_IMAGES = (500, 2_000)  # at least and at most, for mean and variance of each batch normalization

EventCallback = Callable[[dict[str, Any]], None]

logger = logging.getLogger(__name__)


class Trainer:
    """The training of one experiment: its images, its network, and the writer of its run directory."""

    def __init__(
        self, experiment: Experiment, path: Path, report: EventCallback, layer_order: LayerOrder | None = None
    ):
        self.experiment, self.report = experiment, report
        dataset = data.load_dataset(experiment.dataset)
        images = data.split_dataset(dataset, experiment)
        self.train_images = TrainingImages(experiment, images.x_train, images.y_train)
        self.val_images = InputPipeline(images.x_val, images.y_val)
        layers = network_layers(experiment, layer_order)
        self.model = compile_model(experiment, layer_order)
        float32_model = (
            self.model if experiment.precision == "float32" else build_float32_model(experiment, layer_order)
        )
        reestimation_images = np.array(images.x_train[: reestimation_count(len(images.x_train))])
        self.evaluator = Evaluator(
            experiment, self.model, float32_model, layers, self.train_images, self.val_images, reestimation_images
        )
        record = replace(initial_record(experiment, dataset.fingerprint), extra=read_record(path).extra)
        if layer_names(layers, "bn"):
            record = replace(record, reestimation_images=len(reestimation_images))
        self.writer = RunWriter(experiment, path, record)

    def run(self) -> None:
        """Train to the end, from the checkpoint where there is one."""
        self.restore_checkpoint()
        self.writer.write_record("running")
        if not self.writer.history_rows:
            self.end_epoch(0, {}, 0.0)
        for epoch in range(self.writer.epochs_done + 1, self.experiment.epochs + 1):
            started = time.perf_counter()
            logs = self.train_epoch(epoch)
            self.end_epoch(epoch, logs, started)
        self.finish()

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """One pass over the training images in this epoch's order; Keras's running means of it."""
        batches = self.train_images.epoch_batches(epoch)
        callback = ProgressCallback(lambda *progress: self.report_batch(epoch, *progress))
        history = self.model.fit(batches, shuffle=False, verbose=0, callbacks=[callback])
        if epoch == 1:
            self.writer.startup_seconds = callback.startup_seconds
        return {name: float(values[-1]) for name, values in history.history.items()}

    def report_batch(self, epoch: int, batch: int, seconds: float, logs: dict[str, float]) -> None:
        """Report the progress within an epoch: `batch` batches done, `seconds` since its start."""
        batches = batches_per_epoch(self.experiment)
        left = self.writer.seconds_left(epoch, share=batch / batches)
        if left is None:  # the first epoch: extrapolate
            left = seconds / batch * batches * (self.experiment.epochs - epoch + 1 - batch / batches)
        metrics = {name: round(float(logs.get(name, 0.0)), 5) for name in ("accuracy", "loss")}
        fields = {"batch": batch, "batches": batches, "seconds_left": round(left, 1), **metrics}
        self.writer.write_progress("training", epoch, **fields)
        self.report({"epoch": epoch, **fields})

    def end_epoch(self, epoch: int, logs: dict[str, float], started: float) -> None:
        """Evaluate the network and write history, snapshot, checkpoint and record; a killed worker resumes here."""
        writer = self.writer
        writer.write_progress(phase="evaluating", epoch=epoch)
        row = {"epoch": epoch, **training_figures(logs), **self.evaluator.evaluate()}
        if not np.isfinite(row["val_loss"]):
            raise Diverged(f"The loss is no longer a number after epoch {epoch}.")
        writer.add_epoch(row, started, keras_model.get_weights(self.model), self.variables())
        batches = batches_per_epoch(self.experiment) if epoch else 0
        self.report({"epoch": epoch, "batches": batches, "seconds_left": writer.seconds_left(epoch, 1.0), **row})

    def variables(self) -> list[Any]:
        """Every variable that the next epoch depends on: of the model and of its optimizer."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def restore_checkpoint(self) -> None:
        """Load the checkpoint; without one that fits this network and data set, the training begins anew."""
        try:
            self.writer.restore_checkpoint(self.variables())
        except FileNotFoundError:
            return
        except CheckpointError as problem:
            logger.warning("This training begins anew: %s.", problem)
            self.writer.remove_snapshots()

    def finish(self) -> None:
        """Write model, predictions and record, then remove the temporary files."""
        path, evaluator = self.writer.path, self.evaluator
        save_keras_file(self.experiment, keras_model.get_weights(self.model), path / "model.keras")
        evaluator.copy_weights()
        val_logits = evaluator.predict(self.val_images) if evaluator.val_logits is None else evaluator.val_logits
        test, test_images, validation = val_logits, self.val_images, {}
        if self.experiment.split == "validation":
            images = data.load_dataset(self.experiment.dataset)
            test_images = InputPipeline(images.x_test, images.y_test)
            test = evaluator.predict(test_images)
            validation = {"validation": compress_logits(val_logits), "validation_labels": self.val_images.labels}
        predictions = {**validation, "test": compress_logits(test), "test_labels": test_images.labels}
        files.write_npz(path / "predictions.npz", predictions, compress=True)
        self.writer.finish(accuracy(test, test_images.labels))


def training_figures(logs: dict[str, float]) -> dict[str, float]:
    """Accuracy and loss as Keras reports them during the epoch; the loss without the L2 penalty."""
    if not logs:
        return {}
    return {"accuracy": logs["accuracy"], "loss": logs.get("cross_entropy", logs["loss"])}


def reestimation_count(train_images: int) -> int:
    """How many training images, the first ones, mean and variance are re-estimated from after each epoch.

    A twentieth, so that the cost stays a small share of the epoch, within REESTIMATION_IMAGES.
    """
    low, high = REESTIMATION_IMAGES
    return min(train_images, max(low, min(high, train_images // 20)))


def compress_logits(logits: Any) -> Any:
    """Logits as float16, with the same predicted class for each image."""
    return compression.preserve_argmax(compression.to_float16(logits), logits)


def train(
    experiment: Experiment,
    path: Path | None = None,
    report: EventCallback = lambda event: None,
    layer_order: LayerOrder | None = None,
) -> str:
    """Train an experiment into its run directory, or resume it; returns "done", "stopped" or "failed".

    Holds the directory's lock. Raises RunLocked where another process holds it, DatasetMissing.
    """
    path = path or settings.runs_dir() / experiment.key
    lock = acquire(path / "lock")
    if lock is None:
        raise RunLocked(f"Another worker is training {experiment.title} at this moment; watch it instead.")
    with lock, stop_at_next_batch(path):
        damage = run_damage.describe_damages(run_damage.discard_damaged_files(path, experiment))
        if damage:
            logger.warning("This run was damaged and is trained again: %s", damage)
        elif read_record(path).state == "done":
            remove_temporary_files(path)  # the last worker was killed just before this step
            return "done"
        files.write_bytes(path / "experiment.json", (experiment.to_json() + "\n").encode())
        files.write_json(path / "progress.json", {"phase": "starting", "epochs": experiment.epochs})
        try:
            trainer = Trainer(experiment, path, report, layer_order)
        except LookupError as problem:
            write_record(path, replace(read_record(path), state="failed", reason=str(problem)))
            file_operations.remove(path / "progress.json")
            raise
        return run_guarded(trainer)


def run_guarded(trainer: Trainer) -> str:
    """Train and return how it ended. On an error, record.json and the last line of the log hold the reason."""
    try:
        trainer.run()
        return "done"
    except Stopped:
        return record_exit(trainer, "stopped", None)
    except Exception as problem:
        if not isinstance(problem, (ArithmeticError, MemoryError, OSError)):
            logger.exception("Unexpected error:")
        record_exit(trainer, "failed", failure_message(problem))
        logger.error(failure_message(problem))  # last: on a full disk record.json lacks it
        return "failed"


def record_exit(trainer: Trainer, state: str, reason: str | None) -> str:
    """Write the final state; the checkpoint stays, so that the training can be resumed."""
    with contextlib.suppress(OSError):
        file_operations.remove(trainer.writer.path / "progress.json")
        trainer.writer.write_record(state, reason)
    return state
