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

from cnnlab import datasets, networks, runs, settings
from cnnlab.architecture import Placement
from cnnlab.experiment import Experiment
from cnnlab.feed import Feed
from cnnlab.locks import acquire
from cnnlab.metrics import accuracy, cross_entropy
from cnnlab.provenance import first_record, has_gpu, now

TRAIN_EVAL_IMAGES = 5_000  # the first ones of the training images, measured as the validation images are
EVALUATION_BATCH = 250  # twice as many take 0.2 GB more and no less time
PROGRESS_SECONDS = 0.5

Report = Callable[[dict[str, Any]], None]


class Stopped(Exception):
    """Someone asked the worker to stop. What was learned up to the last whole epoch is kept."""


class Busy(RuntimeError):
    """Another worker is at this run."""


class Diverged(ArithmeticError):
    """The loss is no longer a number."""


class BadCheckpoint(ValueError):
    """A checkpoint that this training cannot go on from."""


class Worker:
    """One experiment in training: its network, its images, its run directory and how far it has come."""

    def __init__(self, experiment: Experiment, path: Path, report: Report, placement: Placement | None = None):
        self.experiment, self.path, self.report = experiment, path, report
        dataset = datasets.load(experiment.dataset)
        images = datasets.split(dataset, experiment)
        self.train_images = Feed(images.x_train, images.y_train)
        self.val_images = Feed(images.x_val, images.y_val)
        self.model = compiled(experiment, placement)
        self.rows: list[dict[str, float]] = []
        self.epoch_seconds: list[float] = []
        self.record = first_record(experiment, dataset.fingerprint) | {"started": now()}
        self.val_logits: Any = None

    @property
    def epochs_done(self) -> int:
        return max(0, len(self.rows) - 1)

    def run(self) -> None:
        """Train to the end, from the checkpoint where there is one."""
        self.restore()
        self.write_record("running")
        if not self.rows:
            self.finish_epoch(0, {}, 0.0)
        for epoch in range(self.epochs_done + 1, self.experiment.epochs + 1):
            started = time.perf_counter()
            logs = self.train_epoch(epoch)
            self.finish_epoch(epoch, logs, started)
        self.finish()

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """One pass over the training images in this epoch's order; Keras's running means of it."""
        order = np.random.default_rng([self.experiment.seed, epoch]).permutation(len(self.train_images))
        batches = self.train_images.batches(order, self.experiment.batch)
        history = self.model.fit(batches, shuffle=False, verbose=0, callbacks=[Progress(self, epoch)])
        return {name: float(values[-1]) for name, values in history.history.items()}

    def finish_epoch(self, epoch: int, logs: dict[str, float], started: float) -> None:
        """Measure, remember, and make it safe: after this a killed worker goes on from here."""
        self.tell(phase="evaluating", epoch=epoch)
        row = {"epoch": epoch, **self.training_figures(logs), **self.evaluate()}
        if not np.isfinite(row["val_loss"]):
            raise Diverged(f"The loss is no longer a number after epoch {epoch}.")
        self.rows.append(row)
        if epoch:
            self.epoch_seconds.append(round(time.perf_counter() - started, 3))
        if epoch in runs.SNAPSHOT_EPOCHS or epoch == self.experiment.epochs:
            self.snapshot(epoch)
        self.checkpoint()
        runs.write_history(self.path / "history.csv", self.rows)
        self.write_record("running")
        batches = batch_count(self.experiment) if epoch else 0
        self.report(
            {"epoch": epoch, "batches": batches, "seconds_left": self.seconds_left(epoch, 1.0), **self.rows[-1]}
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
            "penalty": self.penalty(),
        }

    def predict(self, feed: Feed, most: int | None = None) -> Any:
        """Logits float32 (n, 10) of the first `most` images, in inference mode."""
        return self.model.predict(feed.batches(np.arange(len(feed))[:most], EVALUATION_BATCH), verbose=0)

    def penalty(self) -> float:
        """The L2 term by itself: strength times the sum of all squared kernel weights."""
        if self.experiment.regularizer != "l2":
            return 0.0
        kernels = [v for name, v in networks.read_weights(self.model).items() if name.endswith("kernel")]
        return float(self.experiment.strength or 0.0) * float(
            sum(np.square(k, dtype=np.float64).sum() for k in kernels)
        )

    def snapshot(self, epoch: int) -> None:
        """Keep the weights of this epoch: half the digits, all of them after the last epoch."""
        weights = networks.read_weights(self.model)
        if epoch != self.experiment.epochs:
            weights = {name: runs.halved(values) for name, values in weights.items()}
        runs.write_arrays(self.snapshot_file(epoch), weights)

    def snapshot_file(self, epoch: int) -> Path:
        """Where the weights of this epoch are kept."""
        return self.path / "weights" / f"{epoch:03}.npz"

    def checkpoint(self) -> None:
        """Every number that the next epoch depends on, and the history so far, in one file replaced in one step."""
        state = {f"{index:04}": np.asarray(v.numpy()) for index, v in enumerate(self.variables())}
        story = {"rows": self.rows, "epoch_seconds": self.epoch_seconds}
        story |= {name: self.record[name] for name in ("started", "fingerprint")}
        runs.write_arrays(self.path / "checkpoint.npz", {**state, "story": np.array(json.dumps(story))})

    def variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def restore(self) -> None:
        """Go back to the checkpoint; where there is none that fits this network and these images, begin anew."""
        try:
            values, story = read_checkpoint(self.path / "checkpoint.npz", [v.shape for v in self.variables()])
            if story.get("fingerprint", self.record["fingerprint"]) != self.record["fingerprint"]:
                raise BadCheckpoint("the pictures are others than when this training began")
        except FileNotFoundError:
            return
        except BadCheckpoint as problem:
            print(f"This training begins anew: {problem}.", file=sys.stderr, flush=True)
            for epoch in runs.SNAPSHOT_EPOCHS:
                self.snapshot_file(epoch).unlink(missing_ok=True)
            return
        for variable, value in zip(self.variables(), values, strict=True):
            variable.assign(value)
        self.rows, self.epoch_seconds = story["rows"], story["epoch_seconds"]
        self.record["started"] = story["started"]
        runs.write_history(self.path / "history.csv", self.rows)

    def finish(self) -> None:
        """The trained model, its predictions and the record; then the traces of the work go."""
        save_plain(self.experiment, networks.read_weights(self.model), self.path / "model.keras")
        watched = self.predict(self.val_images) if self.val_logits is None else self.val_logits
        test, test_images, validation = watched, self.val_images, {}
        if self.experiment.split == "validation":
            images = datasets.load(self.experiment.dataset)
            test_images = Feed(images.x_test, images.y_test)
            test = self.predict(test_images)
            validation = {"validation": kept(watched), "validation_labels": self.val_images.labels}
        predictions = {**validation, "test": kept(test), "test_labels": test_images.labels}
        runs.write_arrays(self.path / "predictions.npz", predictions, compress=True)
        self.record |= {"finished": now(), "test_accuracy": accuracy(test, test_images.labels)}
        self.write_record("done")
        tidy(self.path)

    def write_record(self, state: str, reason: str | None = None) -> None:
        """record.json as it stands now."""
        best = max(self.rows, key=lambda row: row["val_accuracy"]) if self.rows else None
        self.record |= {
            "state": state,
            "reason": reason,
            "epochs_done": self.epochs_done,
            "epoch_seconds": self.epoch_seconds,
            "seconds": round(sum(self.epoch_seconds), 1),
            "final": self.rows[-1] if self.rows else None,
            "best": best,
        }
        runs.write_json(self.path / "record.json", self.record)

    def seconds_left(self, epoch: int, share: float) -> float | None:
        """From the measured seconds of the epochs so far; None before the first one is over."""
        if not self.epoch_seconds:
            return None
        recent = self.epoch_seconds[-5:]
        return round(sum(recent) / len(recent) * (self.experiment.epochs - epoch + 1 - share), 1)

    def tell(self, phase: str, epoch: int, **more: Any) -> None:
        """progress.json: where the worker is, for whoever looks."""
        fields = {"phase": phase, "epoch": epoch, "epochs": self.experiment.epochs, "updated": time.time()}
        runs.write_json(self.path / "progress.json", fields | more)


def read_checkpoint(path: Path, shapes: list[tuple[int, ...]]) -> tuple[list[Any], dict[str, Any]]:
    """The arrays of a checkpoint, of these shapes, and its story. Raises FileNotFoundError, BadCheckpoint."""
    try:
        with np.load(path) as file:
            values = [file[f"{index:04}"] for index in range(len(shapes))]
            story = json.loads(str(file["story"]))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        raise BadCheckpoint("its checkpoint cannot be read") from None
    if [value.shape for value in values] != [tuple(shape) for shape in shapes]:
        raise BadCheckpoint("its checkpoint is that of another version of this network")
    return values, story


def kept(logits: Any) -> Any:
    """Logits as predictions.npz keeps them: half the digits, the same answers."""
    return runs.with_winners(runs.halved(logits), logits)


def tidy(path: Path) -> None:
    """Remove what only a training in progress needs, and the halves of files that killed workers left behind."""
    halves = [half for half in path.rglob(".*.part*") if not half.name.startswith(".top")]  # those may be at work now
    for leftover in (path / "checkpoint.npz", path / "progress.json", *halves):
        leftover.unlink(missing_ok=True)


class Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells how far an epoch has come, twice a second, and ends it when someone asks."""

    stop_asked = False

    def __init__(self, worker: Worker, epoch: int):
        super().__init__()
        self.worker, self.epoch, self.told, self.started = worker, epoch, 0.0, time.perf_counter()
        self.batches = batch_count(worker.experiment)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if Progress.stop_asked:
            raise Stopped
        moment = time.perf_counter()
        if moment - self.told < PROGRESS_SECONDS:
            return
        self.told, share = moment, (batch + 1) / self.batches
        left = self.worker.seconds_left(self.epoch, share)
        if left is None:  # the first epoch: as fast as so far
            left = (moment - self.started) / share * (self.worker.experiment.epochs - self.epoch + 1 - share)
        figures = {name: round(float((logs or {}).get(name, 0.0)), 5) for name in ("accuracy", "loss")}
        fields = {"batch": batch + 1, "batches": self.batches, "seconds_left": round(left, 1), **figures}
        self.worker.tell("training", self.epoch, **fields)
        self.worker.report({"epoch": self.epoch, **fields})


def compiled(experiment: Experiment, placement: Placement | None = None) -> keras.Model:
    """The network, ready to train as the report says: its optimizer, cross-entropy on logits, accuracy."""
    model = networks.build_network(experiment, placement=placement)
    metrics: list[Any] = ["accuracy"]
    if experiment.regularizer == "l2":  # Keras's loss then has the penalty in it; this one has not
        metrics.append(keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="cross_entropy"))
    makers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD, "rmsprop": keras.optimizers.RMSprop}
    model.compile(
        optimizer=makers[experiment.optimizer](learning_rate=experiment.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=metrics,
        steps_per_execution=batches_together(batch_count(experiment)),
    )
    model.optimizer.build(model.trainable_variables)
    return model


def batch_count(experiment: Experiment) -> int:
    """How many batches an epoch has; the last one may be smaller."""
    return -(-(experiment.train_images or 0) // experiment.batch)


def batches_together(batches: int) -> int:
    """How many batches run between two looks at the clock: at most 5 on a CPU, 25 on a GPU; a divisor of `batches`."""
    most = 25 if has_gpu() else 5
    return max(size for size in range(1, most + 1) if batches % size == 0)


def save_plain(experiment: Experiment, weights: networks.Weights, path: Path) -> None:
    """Save a float32 model made of Keras's own layers only, so that `keras.models.load_model` opens it anywhere."""
    model = networks.build_network(experiment, plain=True)
    networks.write_weights(model, weights)
    part = path.with_name(".model.part.keras")
    model.save(part, include_optimizer=False)
    part.replace(path)


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """While this lasts, Ctrl-C and SIGTERM end the training at the next batch instead of at once."""

    def ask(number: int, frame: object) -> None:
        Progress.stop_asked = True

    Progress.stop_asked = False
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(
    experiment: Experiment,
    path: Path | None = None,
    report: Report = lambda event: None,
    placement: Placement | None = None,
) -> str:
    """Train an experiment into its run directory, or go on where a worker left off; 'done', 'stopped' or 'failed'.

    The directory's lock is held meanwhile; raises Busy where another worker is at it. Raises DatasetMissing.
    """
    path = path or settings.runs_dir() / experiment.key
    lock = acquire(path / "lock")
    if lock is None:
        raise Busy(f"Another worker is training {experiment.title} at this moment; watch it instead.")
    with lock, stop_signals():
        if runs.read_json(path / "record.json").get("state") == "done":
            tidy(path)  # the last worker was killed just before it did
            return "done"
        runs.write_atomically(path / "experiment.json", (experiment.to_json() + "\n").encode())
        runs.write_json(path / "progress.json", {"phase": "starting", "epochs": experiment.epochs})
        try:
            worker = Worker(experiment, path, report, placement)
        except LookupError as problem:
            record = {"epochs_done": 0} | runs.read_json(path / "record.json")
            runs.write_json(path / "record.json", record | {"state": "failed", "reason": str(problem)})
            (path / "progress.json").unlink(missing_ok=True)
            raise
        return at_work(worker)


def at_work(worker: Worker) -> str:
    """Train, and say how it ended. Whatever goes wrong, the record says failed and why; so does the log's last line."""
    try:
        worker.run()
        return "done"
    except Stopped:
        return leave(worker, "stopped", None)
    except Exception as problem:
        if not isinstance(problem, (ArithmeticError, MemoryError, OSError)):
            traceback.print_exc()  # for the worker's log
        leave(worker, "failed", readable(problem))
        print(readable(problem), file=sys.stderr, flush=True)  # on a full disk it stands nowhere else
        return "failed"


def leave(worker: Worker, state: str, reason: str | None) -> str:
    """Write down how it ended; the checkpoint stays, so that training can go on from it."""
    with contextlib.suppress(OSError):
        (worker.path / "progress.json").unlink(missing_ok=True)
        worker.write_record(state, reason)
    return state


def readable(problem: BaseException) -> str:
    """One sentence for a student."""
    if isinstance(problem, Diverged):
        return f"{problem} Its learning rate is probably too high: choose a smaller one."
    if isinstance(problem, MemoryError) or "RESOURCE_EXHAUSTED" in str(problem) or "OOM" in str(problem):
        return "The machine ran out of memory; choose fewer filters or a smaller batch."
    if isinstance(problem, OSError):
        return f"The run could not be written: {problem.strerror or problem}."
    first_line = (str(problem).strip() or "no message").splitlines()[0]
    return f"Something unexpected happened ({type(problem).__name__}: {first_line[:120]}); the log has the details."
