"""Evidence from learning curves: a curve, its loss, the L2 penalty, batch normalization by both measures."""

from collections.abc import Iterator

import numpy as np

from cnnlab.array_types import Float64Array
from cnnlab.explanations.lesson_evidence.result import NOT_TRAINED, Evidence, Table, find
from cnnlab.formatting import percent, points
from cnnlab.report import LAST_EPOCHS
from cnnlab.report_models import REPORT
from cnnlab.storage import runs
from cnnlab.storage.runs import REESTIMATED, Run
from cnnlab.storage.series import find_series

CURVES = ("accuracy", "train_eval_accuracy", "val_accuracy", "loss", "val_loss", "train_eval_loss")
PENALTY_SHARES = ((0.1, "less than a tenth"), (0.5, "a tenth to a half"), (2.0, "more than half"))  # (limit, in words)


def curve(table: Table, model: str, column: str) -> Evidence:
    """The learning curve of one of the report's models; see `run_curve`."""
    return run_curve(find(model), column)


def run_curve(run: Run, column: str) -> Evidence:
    """A learning curve of a run, in per cent for an accuracy, and the sentence about its last epoch.

    Raises DamagedRun; IndexError, ValueError for a run without a measured epoch.
    """
    history = run.history()
    scale = 100.0 if "accuracy" in column else 1.0
    drawn = [
        (float(epoch), scale * float(value))
        for epoch, value in zip(history["epoch"], history[column], strict=True)
        if np.isfinite(value)
    ]
    values = history["val_accuracy"]
    measured = "with dropout off" if run.experiment.regularizer == "dropout" else "after the epoch"
    best = int(np.nanargmax(values))
    sentence = (
        f"**{run.title}**: the validation accuracy is highest after epoch {history['epoch'][best]:.0f} with"
        f" {percent(float(values[best]), 1)} and is {percent(float(values[-1]), 1)} after the last epoch. The training"
        f" accuracy {measured} is {percent(float(history['train_eval_accuracy'][-1]), 1)} then, and"
        f" {percent(float(history['accuracy'][-1]), 1)} as Keras reports it (one seed)."
    )
    return Evidence(sentence, curve=tuple(drawn))


def loss_rises(table: Table, model: str) -> Evidence:
    """Whether the validation loss rises after its lowest value while the validation accuracy stays."""
    return Evidence(describe_loss(find(model)))


def describe_loss(run: Run) -> str:
    """The lowest validation loss of a run beside the last one, and the change of the accuracy between the two."""
    history = run.history()
    loss, accuracy = history["val_loss"], history["val_accuracy"]
    lowest = int(np.nanargmin(loss))
    if lowest == len(loss) - 1:
        return f"The validation loss is lowest after the last epoch with {loss[-1]:.2f}: it does not rise (one seed)."
    change = float(accuracy[-1] - accuracy[lowest])
    return (
        f"The validation loss is lowest after epoch {history['epoch'][lowest]:.0f} with {loss[lowest]:.2f} and is"
        f" {loss[-1]:.2f} after the last epoch. Between these epochs the validation accuracy changes by"
        f" {points(change, sign=True)}: loss and accuracy measure different things (one seed)."
    )


def penalty(table: Table, model: str) -> Evidence:
    """The size of the L2 penalty beside the loss without it, after the first and after the last epoch."""
    history = find(model).history()
    shares = [float(history["penalty"][row] / (history["penalty"][row] + history["loss"][row])) for row in (1, -1)]
    answer = next(name for limit, name in PENALTY_SHARES if shares[1] < limit)
    sentence = (
        f"The L2 penalty is {history['penalty'][1]:.3f} after the first epoch, {percent(shares[0], 1)} of penalty and"
        f" loss together, and {history['penalty'][-1]:.3f} after the last, {percent(shares[1], 1)}: the loss has become"
        f" small, {history['loss'][-1]:.3f} (one seed)."
    )
    return Evidence(sentence, answer=answer)


def batchnorm(table: Table, model: str) -> Evidence:
    """The validation accuracy of a network with batch normalization by both measures at the epochs that have both."""
    run = find(model)
    moving, anew = run.history()["val_accuracy"], run.reestimated_history()
    values = zip(anew["epoch"], anew["val_accuracy" + REESTIMATED], strict=True)
    pairs = [(epoch, float(moving[int(epoch)]), float(value)) for epoch, value in values if epoch > 0]
    if not pairs:
        return Evidence(NOT_TRAINED)
    listed = "; ".join(f"epoch {e:.0f}: {percent(a, 1)} and {percent(b, 1)}" for e, a, b in pairs)
    sentence = (
        "The same weights, validated with Keras's moving averages and with the mean and variance re-estimated from"
        f" training images: {listed} (one seed).{describe_jumps(model)}"
    )
    return Evidence(sentence, curve=tuple((float(e), 100 * float(b)) for e, _, b in pairs))


def describe_jumps(model: str) -> str:
    """How far both accuracies move from one epoch to the next, in the seed that has both after each; "" without one."""
    for run, moving, anew in complete_series(model):
        steps = [100 * float(np.abs(np.diff(accuracies)).mean()) for accuracies in (moving, anew)]
        return (
            f" Over the last {LAST_EPOCHS} epochs of seed {run.experiment.seed}, measured after each of them, the"
            f" accuracy changes from one epoch to the next by {steps[0]:.1f} points on average with the moving averages"
            f" and by {steps[1]:.1f} re-estimated; from the lowest to the highest by"
            f" {100 * float(np.ptp(moving)):.1f} and {100 * float(np.ptp(anew)):.1f} (one seed)."
        )
    return ""


def complete_series(model: str) -> Iterator[tuple[Run, Float64Array, Float64Array]]:
    """The runs of a model, of any seed, with both accuracies after each of the last LAST_EPOCHS epochs, and these."""
    known = [*runs.list_runs(), *runs.shipped_seeds()]
    for _, run in sorted(find_series(REPORT[model].experiment, known).runs.items()):
        anew = run.reestimated_history()
        last = np.arange(run.experiment.epochs - LAST_EPOCHS + 1, run.experiment.epochs + 1)
        if np.isin(last, anew["epoch"]).all():
            here = np.isin(anew["epoch"], last)
            yield run, run.history()["val_accuracy"][last], anew["val_accuracy" + REESTIMATED][here]
