"""Below the view of batch normalization: validation accuracy with Keras's moving averages and re-estimated."""

import numpy as np
import streamlit as st

from cnnlab.explanations.moving_averages import STATISTICS, describe_differences, describe_moving_averages
from cnnlab.inspect.context import InspectContext
from cnnlab.rendering.charts import cached_spec, with_data
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage.runs import DamagedRun, Run
from cnnlab.ui import cache
from cnnlab.ui.chart_download import chart_with_download

REMEDY = "`python -m cnnlab batchnorm` computes it again."


def moving_averages_section(context: InspectContext) -> None:
    """Both accuracies at the chosen epoch in a sentence, and at every epoch in a chart; nothing where unknown.

    A sentence where their file is damaged.
    """
    run = context.trained_run
    try:
        anew = run.reestimated_history()
    except DamagedRun as damage:
        st.warning(f"{escape_markdown(damage)} {REMEDY}")
        return
    if not len(anew["epoch"]):
        return
    history = cache.history(run)
    st.markdown(f"**What the moving averages do to the {run.experiment.split} curve**")
    sentence = describe_moving_averages(history, anew, context.epoch, run.experiment)
    differences = describe_differences(history, anew)
    words = " ".join(filter(None, (sentence, differences)))
    st.markdown(words)
    accuracies_chart(run, context.epoch, words)


def accuracies_chart(run: Run, epoch: int, words: str) -> None:
    """The two accuracies over the epochs, with a line at the chosen one."""
    columns = dict(zip(STATISTICS, (cache.history(run), run.reestimated_history()), strict=True))
    epochs = [source["epoch"] for source in columns.values()]
    spec = with_data(
        cached_spec("inspect_chart_specs.moving_averages", tuple(STATISTICS.values()), run.experiment.epochs),
        epoch=np.concatenate(epochs),
        statistics=[STATISTICS[name] for name, found in zip(columns, epochs, strict=True) for _ in found],
        accuracy=np.concatenate([source[name] for name, source in columns.items()]),
        cursor=np.full(sum(map(len, epochs)), epoch),
    )
    title = f"{run.title}: {run.experiment.split} accuracy, mean and variance of batch normalization"
    chart_with_download(
        spec,
        alt=f"Accuracy with moving averages and re-estimated. {words}",
        key="moving averages",
        name="moving averages",
        title=title,
    )
