"""What is this machine doing? The teacher's page: every training with its owner, the disk, the load, and one switch.

Only a teacher sees more than a sentence here, and every button goes through the teacher's desk (`cnnlab.jobs.admin`),
which asks again. The page stands in no menu: a teacher finds a link at the foot of every page, or opens /admin.
"""

import contextlib
import os
import shutil
import time
from typing import Any

import streamlit as st

from cnnlab import formatting, settings
from cnnlab.experiment import ExperimentError
from cnnlab.explanations import training_progress
from cnnlab.jobs import access_keys, admin, devices, dispatcher_process, eta
from cnnlab.jobs.job import FAILED, RUNNING, Job
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.jobs.runner import run_directory
from cnnlab.jobs.worker_outcome import read_tail
from cnnlab.rendering.markdown import escape_markdown
from cnnlab.storage import run_retention, runs
from cnnlab.storage.runs import Run, UnknownRun
from cnnlab.ui import app_shell, cache, presence, training_times
from cnnlab.ui.damaged_runs import ICON, damage_sentence
from cnnlab.ui.state import session_key

TICK_SECONDS = 2.0
RECENT_JOBS = 12
MAX_WAITING_SHOWN = 30  # of the line, as many are drawn
LOG_BYTES = 6_000
SESSION_ACCEPTING = session_key("admin.accepting")


def page() -> None:
    """Draw it, for a teacher."""
    st.title("What is this machine doing?", anchor=False)
    if not app_shell.is_teacher():
        access_panel()
        return
    st.caption("Every training and who asked for it, the disk and the load. Only a teacher sees this page.")
    accepting_toggle()
    st.fragment(machine_metrics, run_every=TICK_SECONDS)()
    st.fragment(trainings, run_every=TICK_SECONDS)()
    left, right = st.columns(2, gap="large")
    with left:
        finished_jobs()
        log_viewer()
    with right:
        stored_runs()
        viewer_counts()


# -- who may -----------------------------------------------------------------------------------------------------------


def admin_actions() -> admin.Admin:
    """The teacher's desk. Raises Refused."""
    return admin.Admin(
        cache.open_queue(), app_shell.current_person(), st.session_state.get(app_shell.SESSION_TEACHER_KEY, "")
    )


def access_panel() -> None:
    """What anybody else reads: how one becomes the teacher of this machine."""
    st.write(
        f"This page is the teacher's. Your name here is `{app_shell.current_person()}`. Whoever runs the server names"
        " the accounts of teachers in `CNNLAB_TEACHER` where people sign in, or sets `CNNLAB_TEACHER_KEY`."
    )
    if settings.current().teacher_key:
        with st.form("key", border=False):
            typed = st.text_input("Or type the teacher's key", type="password")
            if st.form_submit_button("Open"):
                check_key(typed)


def check_key(typed: str) -> None:
    """Keep the right key for this session."""
    try:
        access_keys.check_teacher_key(cache.open_queue(), typed, app_shell.current_person())
    except access_keys.KeyRefused as error:
        st.error(escape_markdown(error))
        return
    st.session_state[app_shell.SESSION_TEACHER_KEY] = typed
    st.rerun()


# -- the machine -------------------------------------------------------------------------------------------------------


def accepting_toggle() -> None:
    """One switch: new trainings or none."""
    st.session_state[SESSION_ACCEPTING] = cache.open_queue().is_accepting()
    help_ = "What waits or runs goes on in either case."
    if not st.toggle("Take new trainings", key=SESSION_ACCEPTING, help=help_, on_change=apply_accepting):
        st.warning("No new trainings are taken. Students read so when they ask.")


def apply_accepting() -> None:
    """The switch was turned; who is no teacher any more turns nothing, and the page says so next."""
    with contextlib.suppress(QuotaExceeded):
        admin_actions().take_new(bool(st.session_state[SESSION_ACCEPTING]))


def machine_metrics() -> None:
    """The figures of the machine, every two seconds."""
    allowed, queue = settings.current(), cache.open_queue()
    running, waiting = len(queue.running()), len(queue.waiting())
    free = shutil.disk_usage(nearest_existing(settings.home())).free
    with st.container(horizontal=True):
        st.metric("Running", f"{running} of {queue.slots()}", width=120)
        st.metric("Waiting", f"{waiting} of {allowed.queue_length}", width=120)
        st.metric("Watching", presence.count_tabs(), width=110, help="Open browser tabs, this one among them.")
        st.metric("Load", f"{os.getloadavg()[0]:.1f}", width=100, help=f"{os.cpu_count()} processor cores")
        st.metric("Runs on disk", f"{runs_bytes() / 1e9:.2f} of {allowed.runs_gigabytes:g} GB", width=210)
        st.metric("Disk free", f"{free / 1e9:.0f} GB", width=120)
        for gpu in gpus():
            taken = f"{gpu.used_mib / 1024:.1f} of {gpu.memory_mib / 1024:.0f} GiB"
            st.metric(escape_markdown(gpu.device), taken, width=170, help=escape_markdown(gpu.name))
    if waiting and not dispatcher_process.is_running():
        st.error("Trainings wait and no dispatcher is at work. Start one: `python -m cnnlab dispatch`.")


@st.cache_data(ttl=20, max_entries=1, show_spinner=False)
def runs_bytes() -> int:
    """The bytes that the runs take, measured every twenty seconds."""
    return run_retention.total_bytes()


@st.cache_data(ttl=5, max_entries=1, show_spinner=False)
def gpus() -> list[devices.Gpu]:
    """The GPUs and what is taken of their memory, asked of the driver every five seconds."""
    return devices.list_gpus()


def nearest_existing(folder: Any) -> Any:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())


# -- trainings ---------------------------------------------------------------------------------------------------------


def trainings() -> None:
    """What runs and what waits, every two seconds."""
    queue = cache.open_queue()
    running, line = queue.running(), queue.waiting()
    st.header("Running", anchor=False)
    for job in running:
        running_job(job)
    if not running:
        st.caption("Nothing runs.")
    if line:
        st.header("Waiting", anchor=False)
    for place, (job, begins) in enumerate(
        zip(line[:MAX_WAITING_SHOWN], waiting_start_times(running, line), strict=False), start=1
    ):
        soon = f"starts in about {formatting.duration(begins)}" if begins else "starts next" if place == 1 else ""
        job_row(job, [f"**{formatting.ordinal(place)}**", title(job), soon, attempts_note(job), requester_names(job)])
    if len(line) > MAX_WAITING_SHOWN:
        st.caption(f"and {len(line) - MAX_WAITING_SHOWN} more")


def waiting_start_times(running: list[Job], line: list[Job]) -> list[float | None]:
    """In how many seconds each waiting job starts, from what was measured here."""
    try:
        known = training_times.measured_runs()
        at_work, waiting = ([training_times.job_seconds_left(job, known) for job in jobs] for jobs in (running, line))
    except ExperimentError:  # a job of another version is among them
        return [None] * len(line)
    return eta.start_times(at_work, waiting, cache.open_queue().slots())


def running_job(job: Job) -> None:
    """One running training: owner, device, epoch, time left, and the button that stops it."""
    run = find(job)
    done = run.record.epochs_done if run else 0
    epochs = run.experiment.epochs if run else 1
    share, words = training_progress.describe_progress(run.progress() if run else {}, done, epochs)
    job_row(job, [f"**{title(job)}**", escape_markdown(job.device), attempts_note(job), requester_names(job)])
    st.progress(share, text=escape_markdown(words) if job.is_wanted else "stopping after the batch at hand")


def job_row(job: Job, words: list[str]) -> None:
    """A job in words, and its stop button."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(", ".join(word for word in words if word), width="stretch")
        if job.is_wanted:
            stop = st.button("Stop", key=f"stop{job.id}", icon=":material/stop_circle:", help=f"Stop job {job.id}")
            if stop:
                admin_actions().stop(job)
                st.rerun(scope="fragment")


def finished_jobs() -> None:
    """The last trainings that came to an end; what failed can be asked for again."""
    st.header("Ended", anchor=False)
    jobs = [job for job in cache.open_queue().recent(4 * RECENT_JOBS) if job.attempts][:RECENT_JOBS]
    if not jobs:
        st.caption("Nothing has ended yet.")
    for job in jobs:
        with st.container(horizontal=True, vertical_alignment="center"):
            mark = ":material/error:" if job.state == FAILED else ":material/check:" if job.state == "done" else ""
            st.markdown(
                f"{mark} {title(job)}, {job.state}, {format_age(job.finished)}. {escape_markdown(job.reason or '')}",
                width="stretch",
            )
            if job.state != "done" and st.button("Retry", key=f"retry{job.id}", help=f"Ask for job {job.id} again"):
                try:
                    admin_actions().retry(job)
                    dispatcher_process.ensure_running()
                    st.rerun()
                except QuotaExceeded as error:
                    st.error(escape_markdown(error))


def log_viewer() -> None:
    """The end of a log."""
    choices: dict[str, Any] = {"the dispatcher": dispatcher_process.log_path()}
    for job in [*cache.open_queue().running(), *cache.open_queue().recent(RECENT_JOBS)]:
        if job.attempts:
            choices.setdefault(f"job {job.id}, {title(job)}", run_directory(job) / "worker.log")
    st.header("Log", anchor=False)
    chosen = st.selectbox("Log of", list(choices), label_visibility="collapsed")
    words = read_tail(choices[chosen], LOG_BYTES).strip() if chosen else ""
    if words:
        st.code(words, language=None, height=260, wrap_lines=True)
    else:
        st.caption("Nothing has been written there.")


# -- runs --------------------------------------------------------------------------------------------------------------


def stored_runs() -> None:
    """The runs trained here, and which of them are kept whatever room others need."""
    allowed = settings.current()
    st.header("Runs trained here", anchor=False)
    trained = [run for run in cache.list_runs() if not run.is_pretrained]
    damaged_run_rows()
    if not trained:
        st.caption("None yet.")
        return
    st.caption(
        f"When they take more than {allowed.runs_gigabytes:g} GB, the longest unused goes first; a pinned one never."
    )
    rows = [run_row(run) for run in trained]
    shown = hash(tuple((run.key, row["pinned"]) for run, row in zip(trained, rows, strict=True)))
    edited = st.data_editor(rows, key=f"runs{shown}", disabled=["run", "state", "MB", "used"], hide_index=True)
    for run, before, after in zip(trained, rows, edited, strict=True):
        if before["pinned"] != after["pinned"]:
            pin(run, bool(after["pinned"]))


def damaged_run_rows() -> None:
    """The damaged runs, and the button that removes one trained here."""
    found = [(run.path, damage_sentence(run)) for run in cache.damaged_runs()]
    found += [(folder.path, escape_markdown(folder.damage)) for folder in cache.damaged_folders()]
    for path, sentence in found:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{ICON} {sentence}", width="stretch")
            if path.parent == settings.runs_dir():
                st.button("Remove", key=f"remove{path.name}", on_click=remove, args=(path.name,), help=path.name)


def remove(name: str) -> None:
    """Remove a run; where that is refused, a sentence."""
    try:
        admin_actions().remove(name)
        cache.forget_listings()
    except (UnknownRun, QuotaExceeded) as error:
        st.error(escape_markdown(str(error)))


def pin(run: Run, yes: bool) -> None:
    """Pin a run, or no longer."""
    try:
        admin_actions().pin(run.key, yes)
    except UnknownRun as error:
        st.error(escape_markdown(error))
        return
    st.rerun()


def run_row(run: Run) -> dict[str, Any]:
    """A run in a row of the table."""
    return {
        "pinned": run_retention.is_pinned(run.key),
        "run": run.experiment.title,
        "state": "damaged" if run.damages() else run.state,
        "MB": round(run_retention.directory_bytes(run.path) / 1e6, 1),
        "used": format_age(run_retention.last_used(run.path)),
    }


def viewer_counts() -> None:
    """How many look at what; nobody's name."""
    st.header("Being watched", anchor=False)
    for (where, reference), number in presence.count_views().most_common(RECENT_JOBS):
        what = run_title(reference)
        st.markdown(f"{number} on {where.replace('_', ' ')}{f', {what}' if what else ''}")


# -- words -------------------------------------------------------------------------------------------------------------


def find(job: Job) -> Run | None:
    """The run of a job; None while there is nothing of it on the disk."""
    try:
        return runs.find_run(job.experiment)
    except ExperimentError:
        return None


def title(job: Job) -> str:
    """What a job trains, in words."""
    try:
        return job.experiment.title
    except ExperimentError:
        return "of another version"


def run_title(reference: str) -> str:
    """What a run is, in words; "" where there is none of that name."""
    try:
        return runs.open_run(reference).title if reference else ""
    except UnknownRun:
        return ""


def requester_names(job: Job) -> str:
    """Who wants a job: the first by name, the others by number."""
    others = f" and {len(job.requesters) - 1} more" if len(job.requesters) > 1 else ""
    return f"for `{job.requesters[0]}`{others}" if job.requesters else "nobody wants it any more"


def attempts_note(job: Job) -> str:
    """That a job was begun before, and why it broke off."""
    attempt = job.attempts - (job.state == RUNNING)
    return (
        f"begun {attempt} time{'s' if attempt > 1 else ''} before: {escape_markdown(job.reason or 'stopped')}"
        if attempt
        else ""
    )


def format_age(moment: float | None) -> str:
    """'3 min ago'."""
    return f"{formatting.duration(max(0.0, time.time() - (moment or 0.0)))} ago" if moment else "never"
