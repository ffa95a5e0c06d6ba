"""What the page shows of the experiment: its result, its training, or the button that starts it."""

import streamlit as st

from cnnlab import formatting
from cnnlab.analysis import curve_summary
from cnnlab.array_types import History
from cnnlab.experiment import Experiment
from cnnlab.explanations import learning_verdict, training_progress
from cnnlab.pages.train.learning_curves import evaluation_set, learning_curves, summary_metrics
from cnnlab.pages.train.live_training import NOTICE_SECONDS, TICK_SECONDS, watch_for_start, watch_training
from cnnlab.pages.train.seeds import seeds_panel
from cnnlab.pages.train.start import damaged_panel, interrupted_panel, start_panel, train_again_button
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.report import reestimated_accuracies
from cnnlab.storage import runs
from cnnlab.storage.runs import Run
from cnnlab.ui import app_shell, cache, control_locks, damaged_runs, query_state, training_request
from cnnlab.ui.network_links import SHIPPED_PARAM
from cnnlab.ui.training_status import training_status


def result_area(experiment: Experiment) -> None:
    """Draw the result, the live training, or the button that starts it; what a sheet covers is not drawn."""
    if experiment.split == "test" and control_locks.covers_test_results():
        control_locks.test_results_notice()
        return
    training_request.show_refusal()
    now = training_status(experiment)
    if now.is_active:
        st.fragment(watch_training, run_every=TICK_SECONDS)(experiment)
        seeds_panel(experiment)
    elif now.phase == "done" and now.run:
        finished_result(now.run)
    else:
        if now.phase == "damaged" and now.run:
            damaged_panel(now.run)
        elif now.phase == "broken":
            interrupted_panel(experiment, now)
        else:
            start_panel(experiment)
            shipped_result(experiment)
        st.fragment(watch_for_start, run_every=NOTICE_SECONDS)(experiment, now.phase)


def shipped_result(experiment: Experiment) -> None:
    """A switch that shows the result that came with the program without weights; nothing where none came.

    Off at first: a lesson asks for a prediction before anything is shown.
    """
    run = runs.find_results(experiment)
    if run and query_state.toggle_param(SHIPPED_PARAM, "Show its result that came with the program"):
        finished_result(run)


def finished_result(run: Run) -> None:
    """The verdict, the figures, the curves, and what can be done with the trained network."""
    history = cache.history(run)
    summary_metrics(run, history)
    if figures := reestimated_accuracies(run):
        train, validation = figures["train_eval_accuracy"], figures["val_accuracy"]
        st.markdown(learning_verdict.describe_reestimated(train, validation, run.experiment))
    learning_curves(run.experiment, history)
    st.caption(f"{run.title}: {escape_markdown('; '.join(run_facts(run, history)))}.")
    if sentence := damaged_runs.damage_sentence(run):
        st.warning(f"{sentence} The figures above are complete.", icon=damaged_runs.ICON)
        train_again_button(run)
    seeds_panel(run.experiment, run)
    if not run.snapshot_epochs():
        st.caption(training_progress.describe_missing_weights(run.is_pretrained))
        return
    network_buttons(run)


def run_facts(run: Run, history: History) -> list[str]:
    """Where the run comes from, its best epoch, and its accuracy on the test set unless a sheet covers that."""
    best, test = curve_summary.summarize_curves(history), run.record.test_accuracy
    facts = [training_progress.describe_origin(run.record, run.is_pretrained)]
    if best:
        measured = evaluation_set(run.experiment).lower()
        share = formatting.percent(best.best, 1)
        facts.append(f"highest {measured} accuracy of any epoch {share}, after epoch {best.best_epoch}")
    if test is not None and not control_locks.covers_test_results():
        facts.append(f"accuracy on the test set {formatting.percent(test, 1)}")
    return facts


def network_buttons(run: Run) -> None:
    """The link to Look inside and the download of the Keras model."""
    with st.container(horizontal=True, vertical_alignment="center"):
        app_shell.page_link("look_inside", "Look inside this network", {"run": run.name}, icon=":material/grid_view:")
        model = run.path / "model.keras"
        if model.is_file():
            st.download_button(
                "Download model.keras",
                data=model.read_bytes,
                on_click="ignore",  # a rerun would withdraw the very file that this click asks for
                file_name=f"{run.name}.keras",
                mime="application/octet-stream",
                icon=":material/download:",
            )
