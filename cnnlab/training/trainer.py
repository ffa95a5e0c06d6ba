"""Training one experiment into its run directory: what a worker does.

The loop is Keras's own `fit`, one epoch a call, so that between two epochs everything can be looked at and kept: the
honest training accuracy, the validation accuracy, a snapshot of the weights, a checkpoint. The order of the images in
epoch e depends on the seed and e alone, and a checkpoint holds every variable of the model and its optimizer (the state
of the dropout generators among them). So a worker that is killed and started again goes on as if nothing had happened:
on a CPU, with the same number of threads, to the last digit.

Nothing here calls TensorFlow; a host with Keras on JAX trains with the same code.
"""

import contextlib
import json
import signal
import sys
import time
import traceback
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cnnlab import data, settings
from cnnlab.analysis.metrics import accuracy, cross_entropy
from cnnlab.array_types import Weights
from cnnlab.experiment import Experiment
from cnnlab.models.architecture import LayerOrder
from cnnlab.regularizers import REGULARIZERS
from cnnlab.storage import compression, files, runs
from cnnlab.storage.process_lock import acquire
from cnnlab.training import keras_model
from cnnlab.training.input_pipeline import InputPipeline
from cnnlab.training.provenance import has_gpu, initial_record, utc_now

TRAIN_EVAL_IMAGES = 5_000  # the first ones of the training images, measured as the validation images are
EVALUATION_BATCH = 250  # twice as many take 0.2 GB more and no less time
PROGRESS_SECONDS = 0.5

EventCallback = Callable[[dict[str, Any]], None]


class Stopped(Exception):
    """Someone asked the worker to stop. What was learned up to the last whole epoch is kept."""


class RunLocked(RuntimeError):
    """Another worker is at this run."""


class Diverged(ArithmeticError):
    """The loss is no longer a number."""


class CheckpointError(ValueError):
    """A checkpoint that this training cannot go on from."""


class Trainer:
    """One experiment in training: its network, its images, its run directory and how far it has come."""

    def __init__(
        self, experiment: Experiment, path: Path, report: EventCallback, layer_order: LayerOrder | None = None
    ):
        self.experiment, self.path, self.report = experiment, path, report
        dataset = data.load_dataset(experiment.dataset)
        images = data.split_dataset(dataset, experiment)
        self.train_images = InputPipeline(images.x_train, images.y_train)
        self.val_images = InputPipeline(images.x_val, images.y_val)
        self.model = compile_model(experiment, layer_order)
        self.history_rows: list[dict[str, float]] = []
        self.epoch_seconds: list[float] = []
        self.record = initial_record(experiment, dataset.fingerprint) | {"started": utc_now()}
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
        order = np.random.default_rng([self.experiment.seed, epoch]).permutation(len(self.train_images))
        batches = self.train_images.batches(order, self.experiment.batch)
        history = self.model.fit(batches, shuffle=False, verbose=0, callbacks=[ProgressCallback(self, epoch)])
        return {name: float(values[-1]) for name, values in history.history.items()}

    def end_epoch(self, epoch: int, logs: dict[str, float], started: float) -> None:
        """Measure, remember, and make it safe: after this a killed worker goes on from here."""
        self.write_progress(phase="evaluating", epoch=epoch)
        row = {"epoch": epoch, **self.training_figures(logs), **self.evaluate()}
        if not np.isfinite(row["val_loss"]):
            raise Diverged(f"The loss is no longer a number after epoch {epoch}.")
        self.history_rows.append(row)
        if epoch:
            self.epoch_seconds.append(round(time.perf_counter() - started, 3))
        if epoch in runs.SNAPSHOT_EPOCHS or epoch == self.experiment.epochs:
            self.save_snapshot(epoch)
        self.save_checkpoint()
        runs.write_history(self.path / "history.csv", self.history_rows)
        self.write_record("running")
        batches = batches_per_epoch(self.experiment) if epoch else 0
        self.report(
            {"epoch": epoch, "batches": batches, "seconds_left": self.seconds_left(epoch, 1.0), **self.history_rows[-1]}
        )

    @staticmethod
    def training_figures(logs: dict[str, float]) -> dict[str, float]:
        """Accuracy and loss as Keras reports them in training; the loss without the L2 penalty."""
        if not logs:
            return {}
        return {"accuracy": logs["accuracy"], "loss": logs.get("cross_entropy", logs["loss"])}

    def evaluate(self) -> dict[str, float]:
        """The network as it is now, in inference mode, on 5,000 training images and on the validation images."""
        train, train_labels = (
            self.predict(self.train_images, TRAIN_EVAL_IMAGES),
            self.train_images.labels[:TRAIN_EVAL_IMAGES],
        )
        self.val_logits, val_labels = self.predict(self.val_images), self.val_images.labels
        return {
            "train_eval_accuracy": accuracy(train, train_labels),
            "train_eval_loss": cross_entropy(train, train_labels),
            "val_accuracy": accuracy(self.val_logits, val_labels),
            "val_loss": cross_entropy(self.val_logits, val_labels),
            "penalty": self.l2_penalty(),
        }

    def predict(self, feed: InputPipeline, most: int | None = None) -> Any:
        """Logits float32 (n, 10) of the first `most` images, in inference mode."""
        return self.model.predict(feed.batches(np.arange(len(feed))[:most], EVALUATION_BATCH), verbose=0)

    def l2_penalty(self) -> float:
        """The L2 term by itself: strength times the sum of all squared kernel weights."""
        if not REGULARIZERS[self.experiment.regularizer].penalizes_weights:
            return 0.0
        kernels = [v for name, v in keras_model.get_weights(self.model).items() if name.endswith("kernel")]
        return float(self.experiment.strength or 0.0) * float(
            sum(np.square(k, dtype=np.float64).sum() for k in kernels)
        )

    def save_snapshot(self, epoch: int) -> None:
        """Keep the weights of this epoch: half the digits, all of them after the last epoch."""
        weights = dict(keras_model.get_weights(self.model))
        if epoch != self.experiment.epochs:
            weights = {name: compression.to_float16(values) for name, values in weights.items()}
        files.write_npz(self.snapshot_path(epoch), weights)

    def snapshot_path(self, epoch: int) -> Path:
        """Where the weights of this epoch are kept."""
        return self.path / "weights" / f"{epoch:03}.npz"

    def save_checkpoint(self) -> None:
        """Every number that the next epoch depends on, and the history so far, in one file replaced in one step."""
        state = {f"{index:04}": np.asarray(v.numpy()) for index, v in enumerate(self.variables())}
        story = {"rows": self.history_rows, "epoch_seconds": self.epoch_seconds}
        story |= {name: self.record[name] for name in ("started", "fingerprint")}
        files.write_npz(self.path / "checkpoint.npz", {**state, "story": np.array(json.dumps(story))})

    def variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def restore_checkpoint(self) -> None:
        """Go back to the checkpoint; where there is none that fits this network and these images, begin anew."""
        try:
            values, story = read_checkpoint(self.path / "checkpoint.npz", [v.shape for v in self.variables()])
            if story.get("fingerprint", self.record["fingerprint"]) != self.record["fingerprint"]:
                raise CheckpointError("the pictures are others than when this training began")
        except FileNotFoundError:
            return
        except CheckpointError as problem:
            print(f"This training begins anew: {problem}.", file=sys.stderr, flush=True)
            for epoch in runs.SNAPSHOT_EPOCHS:
                self.snapshot_path(epoch).unlink(missing_ok=True)
            return
        for variable, value in zip(self.variables(), values, strict=True):
            variable.assign(value)
        self.history_rows, self.epoch_seconds = story["rows"], story["epoch_seconds"]
        self.record["started"] = story["started"]
        runs.write_history(self.path / "history.csv", self.history_rows)

    def finish(self) -> None:
        """The trained model, its predictions and the record; then the traces of the work go."""
        save_keras_file(self.experiment, keras_model.get_weights(self.model), self.path / "model.keras")
        watched = self.predict(self.val_images) if self.val_logits is None else self.val_logits
        test, test_images, validation = watched, self.val_images, {}
        if self.experiment.split == "validation":
            images = data.load_dataset(self.experiment.dataset)
            test_images = InputPipeline(images.x_test, images.y_test)
            test = self.predict(test_images)
            validation = {"validation": compress_logits(watched), "validation_labels": self.val_images.labels}
        predictions = {**validation, "test": compress_logits(test), "test_labels": test_images.labels}
        files.write_npz(self.path / "predictions.npz", predictions, compress=True)
        self.record |= {"finished": utc_now(), "test_accuracy": accuracy(test, test_images.labels)}
        self.write_record("done")
        remove_temporary_files(self.path)

    def write_record(self, state: str, reason: str | None = None) -> None:
        """record.json as it stands now."""
        best = max(self.history_rows, key=lambda row: row["val_accuracy"]) if self.history_rows else None
        self.record |= {
            "state": state,
            "reason": reason,
            "epochs_done": self.epochs_done,
            "epoch_seconds": self.epoch_seconds,
            "seconds": round(sum(self.epoch_seconds), 1),
            "final": self.history_rows[-1] if self.history_rows else None,
            "best": best,
        }
        files.write_json(self.path / "record.json", self.record)

    def seconds_left(self, epoch: int, share: float) -> float | None:
        """From the measured seconds of the epochs so far; None before the first one is over."""
        if not self.epoch_seconds:
            return None
        recent = self.epoch_seconds[-5:]
        return round(sum(recent) / len(recent) * (self.experiment.epochs - epoch + 1 - share), 1)

    def write_progress(self, phase: str, epoch: int, **more: Any) -> None:
        """progress.json: where the worker is, for whoever looks."""
        fields = {"phase": phase, "epoch": epoch, "epochs": self.experiment.epochs, "updated": time.time()}
        files.write_json(self.path / "progress.json", fields | more)


def read_checkpoint(path: Path, shapes: list[tuple[int, ...]]) -> tuple[list[Any], dict[str, Any]]:
    """The arrays of a checkpoint, of these shapes, and its story. Raises FileNotFoundError, BadCheckpoint."""
    try:
        with np.load(path) as file:
            values = [file[f"{index:04}"] for index in range(len(shapes))]
            story = json.loads(str(file["story"]))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        raise CheckpointError("its checkpoint cannot be read") from None
    if [value.shape for value in values] != [tuple(shape) for shape in shapes]:
        raise CheckpointError("its checkpoint is that of another version of this network")
    return values, story


def compress_logits(logits: Any) -> Any:
    """Logits as predictions.npz keeps them: half the digits, the same answers."""
    return compression.preserve_argmax(compression.to_float16(logits), logits)


def remove_temporary_files(path: Path) -> None:
    """Remove what only a training in progress needs, and the halves of files that killed workers left behind."""
    halves = [half for half in path.rglob(".*.part*") if not half.name.startswith(".top")]  # those may be at work now
    for leftover in (path / "checkpoint.npz", path / "progress.json", *halves):
        leftover.unlink(missing_ok=True)


class ProgressCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells how far an epoch has come, twice a second, and ends it when someone asks."""

    stop_requested = False

    def __init__(self, worker: Trainer, epoch: int):
        super().__init__()
        self.trainer, self.epoch, self.written_at, self.started = worker, epoch, 0.0, time.perf_counter()
        self.batches = batches_per_epoch(worker.experiment)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if ProgressCallback.stop_requested:
            raise Stopped
        moment = time.perf_counter()
        if moment - self.written_at < PROGRESS_SECONDS:
            return
        self.written_at, share = moment, (batch + 1) / self.batches
        left = self.trainer.seconds_left(self.epoch, share)
        if left is None:  # the first epoch: as fast as so far
            left = (moment - self.started) / share * (self.trainer.experiment.epochs - self.epoch + 1 - share)
        figures = {name: round(float((logs or {}).get(name, 0.0)), 5) for name in ("accuracy", "loss")}
        fields = {"batch": batch + 1, "batches": self.batches, "seconds_left": round(left, 1), **figures}
        self.trainer.write_progress("training", self.epoch, **fields)
        self.trainer.report({"epoch": self.epoch, **fields})


def compile_model(experiment: Experiment, layer_order: LayerOrder | None = None) -> keras.Model:
    """The network, ready to train as the report says: its optimizer, cross-entropy on logits, accuracy."""
    model = keras_model.build_model(experiment, layer_order=layer_order)
    metrics: list[Any] = ["accuracy"]
    if REGULARIZERS[experiment.regularizer].penalizes_weights:  # Keras's loss includes the penalty, this does not
        metrics.append(keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="cross_entropy"))
    makers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD, "rmsprop": keras.optimizers.RMSprop}
    model.compile(
        optimizer=makers[experiment.optimizer](learning_rate=experiment.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=metrics,
        steps_per_execution=steps_per_execution(batches_per_epoch(experiment)),
    )
    model.optimizer.build(model.trainable_variables)
    return model


def batches_per_epoch(experiment: Experiment) -> int:
    """How many batches an epoch has; the last one may be smaller."""
    return -(-(experiment.train_images or 0) // experiment.batch)


def steps_per_execution(batches: int) -> int:
    """How many batches run between two looks at the clock: at most 5 on a CPU, 25 on a GPU; a divisor of `batches`."""
    most = 25 if has_gpu() else 5
    return max(size for size in range(1, most + 1) if batches % size == 0)


def save_keras_file(experiment: Experiment, weights: Weights, path: Path) -> None:
    """Save a float32 model made of Keras's own layers only, so that `keras.models.load_model` opens it anywhere."""
    model = keras_model.build_model(experiment, plain=True)
    keras_model.set_weights(model, weights)
    part = path.with_name(".model.part.keras")
    model.save(part, include_optimizer=False)
    part.replace(path)


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """While this lasts, Ctrl-C and SIGTERM end the training at the next batch instead of at once."""

    def ask(number: int, frame: object) -> None:
        ProgressCallback.stop_requested = True

    ProgressCallback.stop_requested = False
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(
    experiment: Experiment,
    path: Path | None = None,
    report: EventCallback = lambda event: None,
    layer_order: LayerOrder | None = None,
) -> str:
    """Train an experiment into its run directory, or go on where a worker left off; 'done', 'stopped' or 'failed'.

    The directory's lock is held meanwhile; raises Busy where another worker is at it. Raises DatasetMissing.
    """
    path = path or settings.runs_dir() / experiment.key
    lock = acquire(path / "lock")
    if lock is None:
        raise RunLocked(f"Another worker is training {experiment.title} at this moment; watch it instead.")
    with lock, stop_signals():
        if files.read_json(path / "record.json").get("state") == "done":
            remove_temporary_files(path)  # the last worker was killed just before it did
            return "done"
        files.write_bytes(path / "experiment.json", (experiment.to_json() + "\n").encode())
        files.write_json(path / "progress.json", {"phase": "starting", "epochs": experiment.epochs})
        try:
            worker = Trainer(experiment, path, report, layer_order)
        except LookupError as problem:
            record = {"epochs_done": 0} | files.read_json(path / "record.json")
            files.write_json(path / "record.json", record | {"state": "failed", "reason": str(problem)})
            (path / "progress.json").unlink(missing_ok=True)
            raise
        return run_guarded(worker)


def run_guarded(trainer: Trainer) -> str:
    """Train, and say how it ended. Whatever goes wrong, the record says failed and why; so does the log's last line."""
    try:
        trainer.run()
        return "done"
    except Stopped:
        return record_exit(trainer, "stopped", None)
    except Exception as problem:
        if not isinstance(problem, (ArithmeticError, MemoryError, OSError)):
            traceback.print_exc()  # for the worker's log
        record_exit(trainer, "failed", failure_message(problem))
        print(failure_message(problem), file=sys.stderr, flush=True)  # on a full disk it stands nowhere else
        return "failed"


def record_exit(trainer: Trainer, state: str, reason: str | None) -> str:
    """Write down how it ended; the checkpoint stays, so that training can go on from it."""
    with contextlib.suppress(OSError):
        (trainer.path / "progress.json").unlink(missing_ok=True)
        trainer.write_record(state, reason)
    return state


def failure_message(problem: BaseException) -> str:
    """One sentence for a student."""
    if isinstance(problem, Diverged):
        return f"{problem} Its learning rate is probably too high: choose a smaller one."
    if isinstance(problem, MemoryError) or "RESOURCE_EXHAUSTED" in str(problem) or "OOM" in str(problem):
        return "The machine ran out of memory; choose fewer filters or a smaller batch."
    if isinstance(problem, OSError):
        return f"The run could not be written: {problem.strerror or problem}."
    first_line = (str(problem).strip() or "no message").splitlines()[0]
    return f"Something unexpected happened ({type(problem).__name__}: {first_line[:120]}); the log has the details."
