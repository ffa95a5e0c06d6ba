"""Trains one experiment into its run directory: what a worker does.

Keras's `fit` is called once an epoch. After each epoch the network is evaluated in inference mode on training and
validation images, and a snapshot of the weights and a checkpoint are written. The order of the images in epoch e
depends on the seed and e alone, and a checkpoint holds every variable of the model and its optimizer, with the states
of the dropout generators. So a resumed training gives the history of an uninterrupted one, on a CPU with the same
number of threads to the last bit.

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
from cnnlab.analysis.metrics import accuracy, cross_entropy
from cnnlab.experiment import TRAIN_EVAL_IMAGES, Experiment
from cnnlab.models.architecture import LayerOrder, layer_names, network_layers
from cnnlab.regularizers import REGULARIZERS
from cnnlab.storage import compression, files, run_damage, runs
from cnnlab.storage.process_lock import acquire
from cnnlab.storage.run_record import read_record, write_record
from cnnlab.training import keras_model
from cnnlab.training.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from cnnlab.training.compilation import batches_per_epoch, compile_model, save_keras_file
from cnnlab.training.input_pipeline import InputPipeline
from cnnlab.training.progress import ProgressCallback, Stopped, stop_signals
from cnnlab.training.provenance import initial_record, utc_now
from cnnlab.training.reestimation import reestimated
from cnnlab.training.training_images import TrainingImages

REESTIMATION_IMAGES = (500, 2_000)  # at least and at most, for mean and variance of each batch normalization
EVALUATION_BATCH = 250  # twice as many take 0.2 GB more and the same time

EventCallback = Callable[[dict[str, Any]], None]

logger = logging.getLogger(__name__)


class RunLocked(RuntimeError):
    """Another process trains this run."""


class Diverged(ArithmeticError):
    """The loss is not finite."""


class Trainer:
    """The training of one experiment: its network, images, run directory and history so far."""

    def __init__(
        self, experiment: Experiment, path: Path, report: EventCallback, layer_order: LayerOrder | None = None
    ):
        self.experiment, self.path, self.report = experiment, path, report
        dataset = data.load_dataset(experiment.dataset)
        images = data.split_dataset(dataset, experiment)
        self.train_images = TrainingImages(experiment, images.x_train, images.y_train)
        self.val_images = InputPipeline(images.x_val, images.y_val)
        self.reestimation_images = np.array(images.x_train[: reestimation_count(len(images.x_train))])
        self.layers = network_layers(experiment, layer_order)
        self.model = compile_model(experiment, layer_order)
        self.history_rows: list[dict[str, float]] = []
        self.epoch_seconds: list[float] = []
        self.record = replace(initial_record(experiment, dataset.fingerprint), extra=read_record(path).extra)
        if layer_names(self.layers, "bn"):
            self.record = replace(self.record, reestimation_images=len(self.reestimation_images))
        self.train_logits: Any = None
        self.val_logits: Any = None

    @property
    def epochs_done(self) -> int:
        return max(0, len(self.history_rows) - 1)

    def run(self) -> None:
        """Train to the end, from the checkpoint where there is one."""
        self.restore_checkpoint()
        self.write_record("running")
        if not self.history_rows:
            self.end_epoch(0, {}, 0.0)
        for epoch in range(self.epochs_done + 1, self.experiment.epochs + 1):
            started = time.perf_counter()
            logs = self.train_epoch(epoch)
            self.end_epoch(epoch, logs, started)
        self.finish()

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """One pass over the training images in this epoch's order; Keras's running means of it."""
        batches = self.train_images.epoch_batches(epoch)
        callback = ProgressCallback(lambda *progress: self.report_batch(epoch, *progress))
        history = self.model.fit(batches, shuffle=False, verbose=0, callbacks=[callback])
        return {name: float(values[-1]) for name, values in history.history.items()}

    def report_batch(self, epoch: int, batch: int, seconds: float, logs: dict[str, float]) -> None:
        """Report the progress within an epoch: `batch` batches done, `seconds` since its start."""
        batches = batches_per_epoch(self.experiment)
        left = self.seconds_left(epoch, share=batch / batches)
        if left is None:  # the first epoch: extrapolate
            left = seconds / batch * batches * (self.experiment.epochs - epoch + 1 - batch / batches)
        metrics = {name: round(float(logs.get(name, 0.0)), 5) for name in ("accuracy", "loss")}
        fields = {"batch": batch, "batches": batches, "seconds_left": round(left, 1), **metrics}
        self.write_progress("training", epoch, **fields)
        self.report({"epoch": epoch, **fields})

    def end_epoch(self, epoch: int, logs: dict[str, float], started: float) -> None:
        """Evaluate the network and write history, snapshot, checkpoint and record; a killed worker resumes here."""
        self.write_progress(phase="evaluating", epoch=epoch)
        row = {"epoch": epoch, **self.training_figures(logs), **self.evaluate()}
        if not np.isfinite(row["val_loss"]):
            raise Diverged(f"The loss is no longer a number after epoch {epoch}.")
        self.history_rows.append(row)
        if epoch:
            self.epoch_seconds.append(round(time.perf_counter() - started, 3))
        try:
            self.save_epoch(epoch)
        except OSError:  # the record counts the epochs whose history was written
            self.history_rows.pop()
            del self.epoch_seconds[self.epochs_done :]
            raise
        self.write_record("running")
        batches = batches_per_epoch(self.experiment) if epoch else 0
        self.report(
            {"epoch": epoch, "batches": batches, "seconds_left": self.seconds_left(epoch, 1.0), **self.history_rows[-1]}
        )

    def save_epoch(self, epoch: int) -> None:
        """Write snapshot, checkpoint and history. Raises OSError."""
        self.keep_snapshots(epoch)
        self.save_checkpoint()
        runs.write_history(self.path / "history.csv", self.history_rows)

    @staticmethod
    def training_figures(logs: dict[str, float]) -> dict[str, float]:
        """Accuracy and loss as Keras reports them during the epoch; the loss without the L2 penalty."""
        if not logs:
            return {}
        return {"accuracy": logs["accuracy"], "loss": logs.get("cross_entropy", logs["loss"])}

    def evaluate(self) -> dict[str, float]:
        """Metrics in inference mode, the L2 penalty and, with batch normalization, the metrics with re-estimated ones.

        The latter have the suffix REESTIMATED; the model and `val_logits` are left as Keras trained them.
        """
        metrics = self.measure() | self.train_images.label_noise_accuracies(self.train_logits)
        if layer_names(self.layers, "bn"):
            val_logits = self.val_logits
            with reestimated(self.model, self.layers, self.reestimation_images):
                metrics |= {name + runs.REESTIMATED: value for name, value in self.measure().items()}
            self.val_logits = val_logits
        return metrics | {"penalty": self.l2_penalty()}

    def measure(self) -> dict[str, float]:
        """Accuracy and loss on the first TRAIN_EVAL_IMAGES training images and on the validation images."""
        self.train_logits = train = self.predict(self.train_images, TRAIN_EVAL_IMAGES)
        labels = self.train_images.labels[:TRAIN_EVAL_IMAGES]
        self.val_logits, val_labels = self.predict(self.val_images), self.val_images.labels
        return {
            "train_eval_accuracy": accuracy(train, labels),
            "train_eval_loss": cross_entropy(train, labels),
            "val_accuracy": accuracy(self.val_logits, val_labels),
            "val_loss": cross_entropy(self.val_logits, val_labels),
        }

    def predict(self, images: InputPipeline, count: int | None = None) -> Any:
        """Logits float32 (n, 10) of the first `count` images, in inference mode."""
        return self.model.predict(images.batches(np.arange(len(images))[:count], EVALUATION_BATCH), verbose=0)

    def l2_penalty(self) -> float:
        """The L2 penalty: strength times the sum of all squared kernel weights."""
        if not REGULARIZERS[self.experiment.regularizer].penalizes_weights:
            return 0.0
        kernels = [v for name, v in keras_model.get_weights(self.model).items() if name.endswith("kernel")]
        return float(self.experiment.strength or 0.0) * float(
            sum(np.square(k, dtype=np.float64).sum() for k in kernels)
        )

    def keep_snapshots(self, epoch: int) -> None:
        """Save the weights of this epoch where they are kept, and remove those of a former `worst_epoch`."""
        kept = {*runs.SNAPSHOT_EPOCHS, self.experiment.epochs, self.worst_epoch()}
        if epoch in kept:
            self.save_snapshot(epoch)
        for file in self.snapshot_files():
            if int(file.stem) not in kept:
                file.unlink(missing_ok=True)

    def worst_epoch(self) -> int | None:
        """The epoch so far whose validation accuracy gains most from re-estimation; None where none was recorded."""
        gains = {
            int(row["epoch"]): row["val_accuracy" + runs.REESTIMATED] - row["val_accuracy"]
            for row in self.history_rows
            if row["epoch"] and "val_accuracy" + runs.REESTIMATED in row
        }
        return max(gains, key=lambda epoch: gains[epoch], default=None)

    def snapshot_files(self) -> list[Path]:
        """The files of the weights of single epochs."""
        return sorted((self.path / "weights").glob("[0-9]*.npz"))

    def save_snapshot(self, epoch: int) -> None:
        """Write the weights of this epoch, float16; float32 after the last epoch."""
        weights = dict(keras_model.get_weights(self.model))
        if epoch != self.experiment.epochs:
            weights = {name: compression.to_float16(values) for name, values in weights.items()}
        files.write_npz(self.snapshot_path(epoch), weights)

    def snapshot_path(self, epoch: int) -> Path:
        """The file of this epoch's weights."""
        return self.path / "weights" / f"{epoch:03}.npz"

    def save_checkpoint(self) -> None:
        """Write every variable that the next epoch depends on, and the history so far."""
        state = {"rows": self.history_rows, "epoch_seconds": self.epoch_seconds}
        state |= {"started": self.record.started, "fingerprint": self.record.fingerprint}
        write_checkpoint(self.path / "checkpoint.npz", self.variables(), state)

    def variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def restore_checkpoint(self) -> None:
        """Load the checkpoint; without one that fits this network and data set, the training begins anew."""
        try:
            values, state = read_checkpoint(self.path / "checkpoint.npz", [v.shape for v in self.variables()])
            if state.get("fingerprint", self.record.fingerprint) != self.record.fingerprint:
                raise CheckpointError("the pictures are others than when this training began")
        except FileNotFoundError:
            return
        except CheckpointError as problem:
            logger.warning("This training begins anew: %s.", problem)
            for file in self.snapshot_files():
                file.unlink(missing_ok=True)
            return
        for variable, value in zip(self.variables(), values, strict=True):
            variable.assign(value)
        self.history_rows, self.epoch_seconds = state["rows"], state["epoch_seconds"]
        self.record = replace(self.record, started=state["started"])
        runs.write_history(self.path / "history.csv", self.history_rows)

    def finish(self) -> None:
        """Write model, predictions and record, then remove the temporary files."""
        save_keras_file(self.experiment, keras_model.get_weights(self.model), self.path / "model.keras")
        val_logits = self.predict(self.val_images) if self.val_logits is None else self.val_logits
        test, test_images, validation = val_logits, self.val_images, {}
        if self.experiment.split == "validation":
            images = data.load_dataset(self.experiment.dataset)
            test_images = InputPipeline(images.x_test, images.y_test)
            test = self.predict(test_images)
            validation = {"validation": compress_logits(val_logits), "validation_labels": self.val_images.labels}
        predictions = {**validation, "test": compress_logits(test), "test_labels": test_images.labels}
        files.write_npz(self.path / "predictions.npz", predictions, compress=True)
        self.record = replace(self.record, finished=utc_now(), test_accuracy=accuracy(test, test_images.labels))
        self.write_record("done")
        remove_temporary_files(self.path)

    def write_record(self, state: str, reason: str | None = None) -> None:
        """Write record.json."""
        best = max(self.history_rows, key=lambda row: row["val_accuracy"]) if self.history_rows else None
        self.record = replace(
            self.record,
            state=state,
            reason=reason,
            epochs_done=self.epochs_done,
            epoch_seconds=tuple(self.epoch_seconds),
            seconds=round(sum(self.epoch_seconds), 1),
            final=self.history_rows[-1] if self.history_rows else None,
            best=best,
        )
        write_record(self.path, self.record)

    def seconds_left(self, epoch: int, share: float) -> float | None:
        """Seconds until the end with `share` of this epoch done, from the last epochs; None in the first."""
        if not self.epoch_seconds:
            return None
        recent = self.epoch_seconds[-5:]
        return round(sum(recent) / len(recent) * (self.experiment.epochs - epoch + 1 - share), 1)

    def write_progress(self, phase: str, epoch: int, **more: Any) -> None:
        """Write progress.json, which the pages read."""
        fields = {"phase": phase, "epoch": epoch, "epochs": self.experiment.epochs, "updated": time.time()}
        files.write_json(self.path / "progress.json", fields | more)


def reestimation_count(train_images: int) -> int:
    """How many training images, the first ones, mean and variance are re-estimated from after each epoch.

    A twentieth, so that the cost stays a small share of the epoch, within REESTIMATION_IMAGES.
    """
    low, high = REESTIMATION_IMAGES
    return min(train_images, max(low, min(high, train_images // 20)))


def compress_logits(logits: Any) -> Any:
    """Logits as float16, with the same predicted class for each image."""
    return compression.preserve_argmax(compression.to_float16(logits), logits)


def remove_temporary_files(path: Path) -> None:
    """Remove checkpoint and progress, and partly written files that killed workers left."""
    parts = [part for part in path.rglob(".*.part*") if not part.name.startswith(".top")]  # of another, live process
    for file in (path / "checkpoint.npz", path / "progress.json", *parts):
        file.unlink(missing_ok=True)


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
    with lock, stop_signals():
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
            (path / "progress.json").unlink(missing_ok=True)
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
        (trainer.path / "progress.json").unlink(missing_ok=True)
        trainer.write_record(state, reason)
    return state


def failure_message(problem: BaseException) -> str:
    """The reason of a failure: one sentence for a student."""
    if isinstance(problem, Diverged):
        return f"{problem} Its learning rate is probably too high: choose a smaller one."
    if isinstance(problem, MemoryError) or "RESOURCE_EXHAUSTED" in str(problem) or "OOM" in str(problem):
        return "The machine ran out of memory; choose fewer filters or a smaller batch."
    if isinstance(problem, OSError):
        return f"The run could not be written: {problem.strerror or problem}."
    first_line = (str(problem).strip() or "no message").splitlines()[0]
    return f"Something unexpected happened ({type(problem).__name__}: {first_line[:120]}); the log has the details."
