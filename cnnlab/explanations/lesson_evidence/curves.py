"""Evidence from learning curves: a curve, its loss, the L2 penalty, batch normalization by both measures."""

import numpy as np

from cnnlab.explanations.lesson_evidence.result import NOT_TRAINED, Evidence, Table, find
from cnnlab.formatting import percent, points
from cnnlab.storage.runs import REESTIMATED, Run

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
    history = find(model).history()
    loss, accuracy = history["val_loss"], history["val_accuracy"]
    lowest = int(np.nanargmin(loss))
    change = float(accuracy[-1] - accuracy[lowest])
    sentence = (
        f"The validation loss is lowest after epoch {history['epoch'][lowest]:.0f} with {loss[lowest]:.2f} and is"
        f" {loss[-1]:.2f} after the last epoch. Between these epochs the validation accuracy changes by"
        f" {points(change, sign=True)}: loss and accuracy measure different things (one seed)."
    )
    return Evidence(sentence)


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
    spreads = [100 * float(np.ptp([pair[index] for pair in pairs])) for index in (1, 2)]
    sentence = (
        "The same weights, validated with Keras's moving averages and with the mean and variance re-estimated from"
        f" training images: {listed}. From the lowest to the highest these are {spreads[0]:.1f} and"
        f" {spreads[1]:.1f} points (one seed)."
    )
    return Evidence(sentence, curve=tuple((float(e), 100 * float(b)) for e, _, b in pairs))
