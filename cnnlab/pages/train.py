"""Does your network learn, or does it memorize? Choose a network, open its result or train it, and watch its curves.

The page holds nothing: what was chosen stands in the address, what was asked for in the queue, what is known in the run
directory. So a reload, a second viewer and a web server that was restarted all find a training again.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import streamlit as st

from cnnlab import data, formatting
from cnnlab.analysis import curve_summary
from cnnlab.array_types import History
from cnnlab.experiment import (
    OPTIMIZERS,
    PRECISIONS,
    TRAIN_IMAGE_COUNTS,
    Experiment,
    ExperimentError,
    format_decimal,
)
from cnnlab.explanations import curves, training_progress
from cnnlab.jobs import eta
from cnnlab.jobs.dispatcher_process import ensure_running
from cnnlab.jobs.job import FAILED, QUEUED, RUNNING, Job
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.regularizers import REGULARIZERS
from cnnlab.rendering import charts, palette
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.report import reestimated_accuracies
from cnnlab.report_models import REPORT
from cnnlab.settings import SettingsError
from cnnlab.storage.runs import Run
from cnnlab.ui import (
    app_shell,
    architecture_diagram,
    cache,
    class_code,
    client_address,
    damaged_runs,
    download_panel,
    selected_network,
)
from cnnlab.ui.selection import (
    EXPERIMENT_PARAMS,
    SELECTION_PARAMS,
    experiment_params,
    open_selected_run,
    parse_experiment,
    show_problems,
    write_params,
)
from cnnlab.ui.state import session_key
from cnnlab.ui.training_times import job_seconds_left, measured_runs

DEFAULT_EXPERIMENT = REPORT["3conv-dropout"].experiment
SESSION_REFUSAL = session_key("train.refusal")  # why a training was refused
SESSION_FORM_ERROR = session_key("train.form_error")
SESSION_FORM_KEY = session_key("train.form_key")  # the key of the experiment whose fields stand in the form
REGULARIZER, STRENGTH = session_key("f_regularizer"), session_key("f_strength")
MORE_HEIGHT = 190  # pixels of the box with the other settings, so that the button stays beside the result
TICK_SECONDS = 1.0
NOTICE_SECONDS = 3.0
MAX_OTHER_TRAININGS = 5
LEARNING_RATE_STEP = 0.0005  # of one click on + or -
LIVE_CHART_NOTE = " while it trains; the figures above it are those of the last epoch"
SPLITS = {"validation": "validation images", "test": "the test set, training on all"}
PRECISION_NAMES = {"float32": "float32", "bfloat16": "bfloat16: half the digits, slow without hardware for it"}


def page() -> None:
    """Draw it."""
    st.title("Does your network learn, or does it memorize?", anchor=False)
    st.caption(
        "A network that learns is as good on new pictures (validation, red) as on those it trained on (blue). "
        "Watch the gap between the two."
    )
    experiment = requested_experiment()
    left, right = st.columns([1, 3.2], gap="large")
    with left:
        experiment_form(experiment)
        other_trainings(experiment)
    with right:
        result_area(experiment)
    architecture_diagram.architecture_diagram(experiment)


# -- what is chosen ----------------------------------------------------------------------------------------------------


def default_experiment() -> Experiment:
    """What the page opens with: the report's model 7, or the same on Shapes where there is nothing of CIFAR-10 yet."""
    if data.is_dataset_available("cifar10") or cache.find_run(DEFAULT_EXPERIMENT):
        return DEFAULT_EXPERIMENT
    return Experiment(dataset="shapes", depth=DEFAULT_EXPERIMENT.depth, regularizer=DEFAULT_EXPERIMENT.regularizer)


def requested_experiment() -> Experiment:
    """The experiment in the address, or of the run that it names; where it says nothing, the selected network's.

    A session that has selected nothing opens a training that this person has asked for, as in a second tab.
    """
    words = {name: st.query_params[name] for name in EXPERIMENT_PARAMS if name in st.query_params}
    if not words and (run := open_selected_run(st.query_params.get("run", ""), None)):
        return set_experiment(run.experiment)
    if not words:
        return set_experiment(selected_network.selected_experiment() or own_training() or default_experiment())
    experiment, problems = parse_experiment(words, default_experiment())
    show_problems(problems)
    return set_experiment(experiment)


def own_training() -> Experiment | None:
    """The experiment of the training that this person has asked for, a running one before those that wait."""
    with suppress(QueueError, ExperimentError):
        jobs = app_shell.own_active_jobs()
        return jobs[0].experiment if jobs else None
    return None


def set_experiment(experiment: Experiment) -> Experiment:
    """Make this the experiment of the address and of the session."""
    selected_network.select_network(experiment)
    write_params(experiment_params(experiment), [*EXPERIMENT_PARAMS, *SELECTION_PARAMS])
    return experiment


def on_set_experiment(experiment: Experiment) -> None:
    """The same, for a button."""
    set_experiment(experiment)


def experiment_form(experiment: Experiment) -> None:
    """Depth, regularizer and strength first, the rest in a box under More; the button sends all of them at once.

    The regularizer stands before the form: the field of the strength follows it. The fields have no bounds: where a
    number is out of its own, a browser keeps the whole form and says nothing.
    """
    fill_form(experiment)
    st.segmented_control("Depth, in convolutions", [1, 2, 3, 4], key="f_depth", required=True, width="stretch")
    st.radio(
        "Regularizer",
        list(REGULARIZERS),
        key=REGULARIZER,
        format_func=regularizer_label,
        on_change=lambda: st.session_state.update({STRENGTH: None}),
    )
    with st.form("network", border=False, enter_to_submit=False):
        strength_field(st.session_state[REGULARIZER])
        with st.expander("More"), st.container(height=MORE_HEIGHT, border=False):
            advanced_fields()
        st.form_submit_button("Show this network", type="primary", width="stretch", on_click=on_submit)
    if problem := st.session_state.pop(SESSION_FORM_ERROR, None):
        st.error(escape_markdown(problem))


def strength_field(regularizer: str) -> None:
    """The strength of this regularizer; empty means the report's. A regularizer without one has nothing to fill in."""
    strength = REGULARIZERS[regularizer].strength
    st.number_input(
        "Strength",
        value=None,
        key=STRENGTH,
        step=strength_step(regularizer),
        format="%.7g",
        placeholder=f"{format_decimal(strength.default)}, as in the report" if strength else "it has none",
        disabled=strength is None,
        help=" ".join(filter(None, (one.hint for one in reversed(REGULARIZERS.values())))),
    )


def regularizer_label(name: str) -> str:
    """The regularizer's name in the form."""
    return REGULARIZERS[name].label


def strength_step(regularizer: str) -> float:
    """By how much a click on + or - changes the strength; dropout's step for a regularizer without a strength."""
    strength = REGULARIZERS[regularizer].strength or REGULARIZERS["dropout"].strength
    return strength.step if strength else 0.0


def advanced_fields() -> None:
    """Everything else that decides the outcome. Left empty means the usual."""
    st.selectbox(
        "Pictures", list(formatting.DATASET_NAMES), key="f_dataset", format_func=formatting.DATASET_NAMES.__getitem__
    )
    st.selectbox("Measured on", list(SPLITS), key="f_split", format_func=SPLITS.__getitem__)
    st.number_input(
        "Training images", value=None, key="f_train_images", step=100, format="%d", placeholder="all of them"
    )
    for name, label in (("epochs", "Epochs"), ("filters", "Filters in a layer"), ("kernel", "Kernel: 1, 3, 5 or 7")):
        st.number_input(label, key=f"f_{name}", step=2 if name == "kernel" else 1)
    for name, label in (("dense", "Units in a dense layer"), ("batch", "Batch")):
        st.number_input(label, key=f"f_{name}", step=1)
    st.selectbox("Optimizer", OPTIMIZERS, key="f_optimizer")
    st.number_input("Learning rate", key="f_learning_rate", step=LEARNING_RATE_STEP, format="%.7g")
    st.number_input("Seed", key="f_seed", step=1)
    st.selectbox("Numbers", PRECISIONS, key="f_precision", format_func=PRECISION_NAMES.__getitem__)


def fill_form(experiment: Experiment) -> None:
    """Put the experiment's fields into the form, where the form shows another one or was away."""
    if st.session_state.get(SESSION_FORM_KEY) == experiment.key and "f_depth" in st.session_state:
        return
    shown: dict[str, Any] = experiment.to_dict()
    if REGULARIZERS[experiment.regularizer].strength is None:
        shown["strength"] = None
    if experiment.train_images == TRAIN_IMAGE_COUNTS[experiment.dataset, experiment.split][0]:
        shown["train_images"] = None
    st.session_state.update({f"f_{name}": value for name, value in shown.items()})
    st.session_state[SESSION_FORM_KEY] = experiment.key


def on_submit() -> None:
    """The form was sent: its experiment is the page's from now on, or a sentence says what is wrong."""
    fields = {name: st.session_state[f"f_{name}"] for name in EXPERIMENT_PARAMS}
    if REGULARIZERS[fields["regularizer"]].strength is None:
        fields["strength"] = None
    try:
        experiment = Experiment.from_dict(fields)
    except ExperimentError as error:
        st.session_state[SESSION_FORM_ERROR] = str(error)
        return
    st.session_state[SESSION_FORM_KEY] = None
    set_experiment(experiment)


# -- what there is -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainingStatus:
    """What is known and asked for of one experiment.

    `stage`: "done"; "live"; "starting" (its worker has written nothing yet); "waiting" in line; "stopping"; "broken"
    (it can go on); "damaged"; "nothing". `run`, `job`: what the disk and the queue hold of it.
    """

    phase: str
    run: Run | None
    job: Job | None

    @property
    def is_active(self) -> bool:
        """Whether there is something to watch."""
        return self.phase in ("live", "starting", "waiting", "stopping")


def training_status(experiment: Experiment) -> TrainingStatus:
    """Ask the disk and, unless the run is done, the queue: a home that cannot be written has results too."""
    run = cache.find_run(experiment)
    if run and run.state == "done":
        return TrainingStatus("done", run, None)
    job = cache.open_queue().for_key(experiment.key)
    return TrainingStatus(training_phase(run.state if run else None, job), run, job)


def training_phase(state: str | None, job: Job | None) -> str:
    """The stage that a run's state (None: no run) and the experiment's latest job make together."""
    if state == "done":
        return "done"
    if job and job.state == RUNNING:
        return "stopping" if not job.is_wanted else "live" if state == "running" else "starting"
    if state == "running":
        return "live"
    if job and job.state == QUEUED:
        return "waiting"
    if state == "damaged":
        return "damaged"
    return "broken" if state or (job and job.state == FAILED) else "nothing"


def other_trainings(experiment: Experiment) -> None:
    """Links to this person's other trainings that run or wait: a new tab, or a browser opened again, finds them."""
    with suppress(QueueError):
        others = [job for job in app_shell.own_active_jobs() if job.key != experiment.key]
        for job in others[:MAX_OTHER_TRAININGS]:
            verb = "runs" if job.state == RUNNING else "waits"
            words = experiment_params(job.experiment)
            app_shell.page_link("train", f"{job.experiment.title} {verb}", words, icon=":material/progress_activity:")


def result_area(experiment: Experiment) -> None:
    """The result, the training to watch, or the button that starts it."""
    if refusal := st.session_state.pop(SESSION_REFUSAL, None):
        st.error(escape_markdown(refusal))
    now = training_status(experiment)
    if now.is_active:
        st.fragment(watch_training, run_every=TICK_SECONDS)(experiment)
    elif now.phase == "done" and now.run:
        finished_result(now.run)
    else:
        if now.phase == "damaged" and now.run:
            damaged_panel(now.run)
        else:
            interrupted_panel(experiment, now) if now.phase == "broken" else start_panel(experiment)
        st.fragment(watch_for_start, run_every=NOTICE_SECONDS)(experiment, now.phase)


# -- a result ----------------------------------------------------------------------------------------------------------


def finished_result(run: Run) -> None:
    """What came out, before anything else."""
    history, record = cache.history(run), run.record
    summary_metrics(run.experiment, history)
    if figures := reestimated_accuracies(run):
        train, validation = figures["train_eval_accuracy"], figures["val_accuracy"]
        st.markdown(curves.describe_reestimated(train, validation, run.experiment))
    learning_curves(run.experiment, history)
    best = curve_summary.summarize_curves(history)
    test = record.test_accuracy
    told = [training_progress.describe_origin(record, run.is_pretrained)]
    told += (
        [
            f"highest {evaluation_set(run.experiment).lower()} accuracy of any epoch"
            f" {formatting.percent(best.best, 1)}, after epoch {best.best_epoch}"
        ]
        if best
        else []
    )
    told += [f"accuracy on the test set {formatting.percent(test, 1)}"] if test is not None else []
    st.caption(f"{run.title}: {escape_markdown('; '.join(told))}.")
    if sentence := damaged_runs.damage_sentence(run):
        st.warning(f"{escape_markdown(sentence)} The figures above are whole.", icon=damaged_runs.ICON)
        train_again_button(run)
    with st.container(horizontal=True, vertical_alignment="center"):
        app_shell.page_link("look_inside", "Look inside this network", {"run": run.name}, icon=":material/grid_view:")
        model = run.path / "model.keras"
        if model.exists():
            st.download_button(
                "Download model.keras",
                data=model.read_bytes,
                on_click="ignore",  # a rerun would withdraw the very file that this click asks for
                file_name=f"{run.name}.keras",
                mime="application/octet-stream",
                icon=":material/download:",
            )


def summary_metrics(experiment: Experiment, history: History) -> None:
    """The question answered in one sentence, and the three figures behind it."""
    reading = curve_summary.summarize_curves(history)
    if reading is None:
        return
    st.header(curves.verdict(reading, experiment, plain_summary(experiment)), anchor=False)
    with st.container(horizontal=True):
        st.metric("Training accuracy", formatting.percent(reading.training, 1), width=155)
        st.metric(f"{evaluation_set(experiment)} accuracy", formatting.percent(reading.validation, 1), width=155)
        st.metric(", ".join(filter(None, ("Gap", reading.trend))), formatting.points(reading.gap), width=155)
    st.caption(curves.describe_interval(experiment))


def plain_summary(experiment: Experiment) -> curve_summary.CurveSummary | None:
    """The figures of the same network without a regularizer, where it has finished."""
    run = cache.find_run(experiment.without_regularizer())
    return curve_summary.summarize_curves(cache.history(run)) if run and run.state == "done" else None


def evaluation_set(experiment: Experiment) -> str:
    """What the red curve is measured on."""
    return "Test" if experiment.split == "test" else "Validation"


def learning_curves(experiment: Experiment, history: History, live: bool = False) -> None:
    """Accuracy and loss over the epochs, and the L2 penalty by itself where there is one.

    A chart whose words change is built anew in the browser: while it grows, the figures above it have the words.
    """
    title, epochs = experiment.title, experiment.epochs
    regularizer = REGULARIZERS[experiment.regularizer]
    off = "dropout off" if regularizer.layer_kind == "dropout" else "after the epoch"
    measured = f"training ({off}, first {experiment.train_eval_images:,} images)"
    reported = f"training, averaged during the epoch (Keras, {regularizer.reported_accuracy})"
    st.html(palette.legend_html(measured, evaluation_set(experiment).lower(), reported))
    left, right = st.columns(2)
    with left:
        st.markdown("**Accuracy**")
        words = (
            f"Accuracy of {title}, growing{LIVE_CHART_NOTE}"
            if live
            else curves.describe_accuracy(history, title, experiment.split)
        )
        st.vega_lite_chart(spec=charts.accuracy_chart(history, epochs), alt=words, key="accuracy")
    with right:
        st.markdown("**Loss**, without any penalty")
        words = (
            f"Loss of {title}, growing{LIVE_CHART_NOTE}"
            if live
            else curves.describe_loss(history, title, experiment.split)
        )
        st.vega_lite_chart(spec=charts.loss_chart(history, epochs), alt=words, key="loss")
    if sentence := curves.describe_penalty(history):
        left, right = st.columns(2, vertical_alignment="center")
        left.markdown(f"**L2 penalty**, on a scale of its own. {sentence}")
        words = f"L2 penalty of {title} over the epochs: the sentence beside it has its size"
        right.vega_lite_chart(spec=charts.penalty_chart(history, epochs), alt=words, key="penalty")


# -- a training to watch -----------------------------------------------------------------------------------------------


def watch_training(experiment: Experiment) -> None:
    """Drawn again every second while the training moves; what goes wrong meanwhile is a sentence."""
    try:
        live_training(experiment)
    except (QueueError, OSError) as error:
        st.warning(escape_markdown(error))


def live_training(experiment: Experiment) -> None:
    """The bar or the place in line, and the curves; the end of the training draws the whole page once more."""
    now = training_status(experiment)
    if now.phase != "live":  # the dispatcher may have died, with its worker or alone: whoever looks sees to it
        ensure_running()
    if not now.is_active:
        st.rerun()
    if now.phase == "waiting" and now.job:
        queued_panel(now.job)
    else:
        progress_panel(experiment, now)
    if now.job and now.phase != "stopping" and app_shell.current_person() in now.job.requesters:
        stop_button(now.job)
    if now.run:
        history = curve_summary.append_progress(cache.history(now.run), now.run.progress())
        summary_metrics(experiment, cache.history(now.run))
        learning_curves(experiment, history, live=True)


def watch_for_start(experiment: Experiment, seen: str) -> None:
    """Draws nothing: where somebody else starts this training, whoever looks at it sees it start."""
    with suppress(QueueError, OSError):  # the page itself has said so
        if training_status(experiment).phase != seen:
            st.rerun()


def queued_panel(job: Job) -> None:
    """The place in line, and when the turn comes."""
    place = cache.open_queue().position(job) or 1
    begins = expected_start(place)
    expected = f", starts in about {formatting.duration(begins)}" if begins else ""
    said = formatting.queue_position(place).capitalize()
    st.info(f"**{said}**{expected}. You may close this page: it is trained all the same.")


def progress_panel(experiment: Experiment, now: TrainingStatus) -> None:
    """The bar: epoch, batch, time left."""
    done = now.run.record.epochs_done if now.run else 0
    share, words = training_progress.describe_progress(now.run.progress() if now.run else {}, done, experiment.epochs)
    if now.phase == "stopping":
        words = "stopping after the batch at hand; the whole epochs are kept"
    st.progress(share, text=f"**{experiment.title}**: {escape_markdown(words)}")


def stop_button(job: Job) -> None:
    """Stop, for who asked for it."""
    others = len(job.requesters) - 1
    label = "Stop" if job.state == RUNNING else "Leave the queue"
    note = f"It goes on for {others} more who want it." if others else "You can go on later, from the last whole epoch."
    if st.button(label, icon=":material/stop_circle:", help=note):
        cache.open_queue().cancel(job, app_shell.current_person())
        st.rerun()


# -- what is not trained yet -------------------------------------------------------------------------------------------


def start_panel(experiment: Experiment) -> None:
    """The button that asks for the training; where its pictures are missing, the way to get them."""
    st.header(f"{experiment.title} is not trained yet", anchor=False)
    if not data.is_dataset_available(experiment.dataset):
        instead = Experiment(dataset="shapes", depth=experiment.depth, regularizer=experiment.regularizer)
        st.button(
            "Train on Shapes instead",
            type="primary",
            on_click=on_set_experiment,
            args=(instead,),
            icon=":material/category:",
        )
        st.caption(f"Ten kinds of shapes, drawn on the spot: {expected_duration(instead)}.")
        download_panel.download_panel()
        return
    if not class_code.require_class_code():
        return
    label = f"Train it: {expected_duration(experiment)}"
    st.button(
        label,
        type="primary",
        icon=":material/play_arrow:",
        key="train_it",
        on_click=submit_training,
        args=(experiment,),
    )
    st.caption("It trains on the server. You may close this page, come back and find it again.")


def interrupted_panel(experiment: Experiment, now: TrainingStatus) -> None:
    """A training that ended before its end: why, what there is of it, and how it goes on."""
    st.warning(escape_markdown(interruption_message(now)))
    if class_code.require_class_code():
        args = (experiment,)
        st.button("Continue", type="primary", icon=":material/play_arrow:", on_click=submit_training, args=args)
    if now.run:
        history = cache.history(now.run)
        summary_metrics(experiment, history)
        learning_curves(experiment, history)


def interruption_message(now: TrainingStatus) -> str:
    """Why a training ended early, in one or two sentences."""
    done = now.run.record.epochs_done if now.run else 0
    kept = (
        f"The first {done} epochs are kept, and Continue goes on from there." if done else "Continue starts it again."
    )
    state = now.run.state if now.run else "failed"
    failure = now.job.reason if now.job and now.job.state == FAILED else None
    reason = failure or (now.run.record.reason if now.run else None)
    if state == "stopped" and not failure:
        return f"This training was stopped. {kept}"
    if state == "interrupted" and not failure:
        return f"This training broke off: its process is gone. {kept}"
    return f"This training failed. {reason or 'It gave no reason.'} {kept}"


def damaged_panel(run: Run) -> None:
    """A run with files that cannot be used: which and why, training again, and what is whole of it."""
    st.error(damaged_runs.damage_sentence(run), icon=damaged_runs.ICON)
    train_again_button(run)
    if run.snapshot_epochs():
        app_shell.page_link(
            "look_inside", "Look inside its whole weights", {"run": run.name}, icon=":material/grid_view:"
        )
    history = cache.history(run)
    if len(history["epoch"]):
        summary_metrics(run.experiment, history)
        learning_curves(run.experiment, history)


def train_again_button(run: Run) -> None:
    """The button that trains a damaged run anew; where its pictures are missing, the way to get them."""
    if not data.is_dataset_available(run.experiment.dataset):
        download_panel.download_panel()
        return
    st.button(
        f"Train it again: {expected_duration(run.experiment)}",
        icon=":material/replay:",
        key="train_again",
        on_click=submit_training,
        args=(run.experiment,),
        help="Its damaged files are replaced. A teacher can remove the run on the page Admin.",
    )


def submit_training(experiment: Experiment) -> None:
    """Ask for the training, and see that somebody works through the queue.

    This is done before the page is drawn anew: where somebody else was faster the button is not there any more, and who
    pressed it wants the training all the same.
    """
    try:
        cache.open_queue().submit(
            experiment,
            app_shell.current_person(),
            address=client_address.address_group(),
            is_teacher=app_shell.is_teacher(),
        )
        ensure_running()
    except (QuotaExceeded, QueueError, SettingsError) as no:
        st.session_state[SESSION_REFUSAL] = str(no)


def expected_duration(experiment: Experiment) -> str:
    """'about 9 min, 2nd in line': what asking for it now would mean."""
    seconds = eta.seconds_left(experiment, measured_runs())
    expected = f"about {formatting.duration(seconds)}" if seconds else "time unknown (first run)"
    line = cache.open_queue().active()
    waiting = sum(job.state == QUEUED for job in line)
    starts_now = len(line) < cache.open_queue().slots()
    return expected if starts_now else f"{expected}, {formatting.queue_position(waiting + 1)}"


def expected_start(place: int) -> float | None:
    """In how many seconds the job at this place in line starts, from what was measured here."""
    known = measured_runs()
    running = [job_seconds_left(job, known) for job in cache.open_queue().running()]
    line = [job_seconds_left(job, known) for job in cache.open_queue().waiting()]
    begins = eta.start_times(running, line, cache.open_queue().slots())
    return begins[place - 1] if place <= len(begins) else None
