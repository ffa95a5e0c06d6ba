"""What is this machine doing? The teacher's page: every training with its owner, the disk, the load, and one switch.

Only a teacher sees more than a sentence here, and every button goes through the teacher's desk (`cnnlab.jobs.desk`),
which asks again. The page stands in no menu: a teacher finds a link at the foot of every page, or opens /host.
"""

import contextlib
import os
import shutil
import time
from typing import Any

import streamlit as st

from cnnlab import runs, settings
from cnnlab.experiment import ExperimentError
from cnnlab.jobs import desk, disk, dispatcher, eta, places
from cnnlab.jobs.limits import Refused
from cnnlab.jobs.queue import FAILED, RUNNING, Job
from cnnlab.jobs.runners import run_folder, tail
from cnnlab.pages import cached, frame, presence, train, wording
from cnnlab.runs import Run, UnknownRun

TICK_SECONDS = 2.0
RECENT = 12
WAITING = 30  # of the line, as many are drawn
LOG_BYTES = 6_000
SWITCH = "take new trainings"


def page() -> None:
    """Draw it, for a teacher."""
    st.title("What is this machine doing?", anchor=False)
    if not is_teacher():
        stranger()
        return
    st.caption("Every training and who asked for it, the disk and the load. Only a teacher sees this page.")
    switch()
    st.fragment(machine, run_every=TICK_SECONDS)()
    st.fragment(trainings, run_every=TICK_SECONDS)()
    left, right = st.columns(2, gap="large")
    with left:
        ended()
        log()
    with right:
        kept_runs()
        watched()


# -- who may -----------------------------------------------------------------------------------------------------------


def is_teacher() -> bool:
    """Whether who looks is a teacher, by name or by the key typed in this session."""
    return desk.is_teacher(frame.person(), st.session_state.get(frame.TEACHER_KEY, ""))


def at_desk() -> desk.Desk:
    """The teacher's desk. Raises Refused."""
    return desk.Desk(cached.queue(), frame.person(), st.session_state.get(frame.TEACHER_KEY, ""))


def stranger() -> None:
    """What anybody else reads: how one becomes the teacher of this machine."""
    st.write(
        f"This page is the teacher's. Your name here is `{frame.person()}`: whoever runs the server makes it a "
        f"teacher's with `CNNLAB_TEACHER`, or with `teacher` in `settings.json`."
    )
    if settings.current().teacher_key:
        with st.form("key", border=False):
            typed = st.text_input("Or type the teacher's key", type="password")
            if st.form_submit_button("Open"):
                open_with(typed)


def open_with(typed: str) -> None:
    """Keep the right key for this session; a wrong one costs a second."""
    if desk.is_teacher("", typed):
        st.session_state[frame.TEACHER_KEY] = typed
        st.rerun()
    time.sleep(1.0)
    st.error("That is not the teacher's key.")


# -- the machine -------------------------------------------------------------------------------------------------------


def switch() -> None:
    """One switch: new trainings or none."""
    st.session_state[SWITCH] = cached.queue().is_open()
    help_ = "What waits or runs goes on in either case."
    if not st.toggle("Take new trainings", key=SWITCH, help=help_, on_change=turn_switch):
        st.warning("No new trainings are taken. Students read so when they ask.")


def turn_switch() -> None:
    """The switch was turned; who is no teacher any more turns nothing, and the page says so next."""
    with contextlib.suppress(Refused):
        at_desk().take_new(bool(st.session_state[SWITCH]))


def machine() -> None:
    """The figures of the machine, every two seconds."""
    allowed, queue = settings.current(), cached.queue()
    running, waiting = len(queue.running()), len(queue.line())
    free = shutil.disk_usage(existing(settings.home())).free
    with st.container(horizontal=True):
        st.metric("Running", f"{running} of {queue.slots()}", width=120)
        st.metric("Waiting", f"{waiting} of {allowed.queue_length}", width=120)
        st.metric("Watching", presence.tabs(), width=110, help="Open browser tabs, this one among them.")
        st.metric("Load", f"{os.getloadavg()[0]:.1f}", width=100, help=f"{os.cpu_count()} processor cores")
        st.metric("Runs on disk", f"{runs_bytes() / 1e9:.2f} of {allowed.runs_gigabytes:g} GB", width=210)
        st.metric("Disk free", f"{free / 1e9:.0f} GB", width=120)
        for gpu in gpus():
            taken = f"{gpu.used / 1024:.1f} of {gpu.megabytes / 1024:.0f} GiB"
            st.metric(gpu.device, taken, width=170, help=gpu.name)
    if waiting and not dispatcher.is_running():
        st.error("Trainings wait and no dispatcher is at work. Start one: `python -m cnnlab dispatch`.")


@st.cache_data(ttl=20, max_entries=1, show_spinner=False)
def runs_bytes() -> int:
    """The bytes that the runs take, measured every twenty seconds."""
    return disk.used()


@st.cache_data(ttl=5, max_entries=1, show_spinner=False)
def gpus() -> list[places.Gpu]:
    """The GPUs and what is taken of their memory, asked of the driver every five seconds."""
    return places.gpus()


def existing(folder: Any) -> Any:
    """The folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.parents) if place.exists())


# -- trainings ---------------------------------------------------------------------------------------------------------


def trainings() -> None:
    """What runs and what waits, every two seconds."""
    queue = cached.queue()
    running, line = queue.running(), queue.line()
    st.subheader("Running", anchor=False)
    for job in running:
        at_work(job)
    if not running:
        st.caption("Nothing runs.")
    if line:
        st.subheader("Waiting", anchor=False)
    for place, (job, begins) in enumerate(zip(line[:WAITING], starts(running, line), strict=False), start=1):
        soon = f"starts in about {wording.duration(begins)}" if begins else "starts next" if place == 1 else ""
        row(job, [f"**{wording.ordinal(place)}**", title(job), soon, again(job), owners(job)])
    if len(line) > WAITING:
        st.caption(f"and {len(line) - WAITING} more")


def starts(running: list[Job], line: list[Job]) -> list[float | None]:
    """In how many seconds each waiting job starts, from what was measured here."""
    try:
        known = train.measured()
        at_work, waiting = ([train.left(job, known) for job in jobs] for jobs in (running, line))
    except (UnknownRun, ExperimentError):  # a job of another version is among them
        return [None] * len(line)
    return eta.starts(at_work, waiting, cached.queue().slots())


def at_work(job: Job) -> None:
    """One running training: owner, device, epoch, time left, and the button that stops it."""
    run = find(job)
    done = int(cached.record(run).get("epochs_done") or 0) if run else 0
    epochs = run.experiment.epochs if run else 1
    share, words = wording.where(run.progress() if run else {}, done, epochs)
    row(job, [f"**{title(job)}**", job.device, again(job), owners(job)])
    st.progress(share, text=words if job.is_wanted else "stopping after the batch at hand")


def row(job: Job, words: list[str]) -> None:
    """A job in words, and its stop button."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(", ".join(word for word in words if word), width="stretch")
        if job.is_wanted:
            stop = st.button("Stop", key=f"stop{job.id}", icon=":material/stop_circle:", help=f"Stop job {job.id}")
            if stop:
                at_desk().stop(job)
                st.rerun(scope="fragment")


def ended() -> None:
    """The last trainings that came to an end; what failed can be asked for again."""
    st.subheader("Ended", anchor=False)
    jobs = [job for job in cached.queue().recent(4 * RECENT) if job.attempts][:RECENT]
    if not jobs:
        st.caption("Nothing has ended yet.")
    for job in jobs:
        with st.container(horizontal=True, vertical_alignment="center"):
            mark = ":material/error:" if job.state == FAILED else ":material/check:" if job.state == "done" else ""
            st.markdown(f"{mark} {title(job)}, {job.state}, {ago(job.finished)}. {job.reason or ''}", width="stretch")
            if job.state != "done" and st.button("Retry", key=f"retry{job.id}", help=f"Ask for job {job.id} again"):
                try:
                    at_desk().retry(job)
                    dispatcher.ensure_running()
                    st.rerun()
                except Refused as error:
                    st.error(str(error))


def log() -> None:
    """The end of a log."""
    choices: dict[str, Any] = {"the dispatcher": dispatcher.log_path()}
    for job in [*cached.queue().running(), *cached.queue().recent(RECENT)]:
        if job.attempts:
            choices.setdefault(f"job {job.id}, {title(job)}", run_folder(job) / "worker.log")
    st.subheader("Log", anchor=False)
    chosen = st.selectbox("Log of", list(choices), label_visibility="collapsed")
    words = tail(choices[chosen], LOG_BYTES).strip() if chosen else ""
    if words:
        st.code(words, language=None, height=260, wrap_lines=True)
    else:
        st.caption("Nothing has been written there.")


# -- runs --------------------------------------------------------------------------------------------------------------


def kept_runs() -> None:
    """The runs trained here, and which of them are kept whatever room others need."""
    allowed = settings.current()
    st.subheader("Runs trained here", anchor=False)
    trained = [run for run in cached.all_runs() if not run.is_pretrained]
    if not trained:
        st.caption("None yet.")
        return
    st.caption(
        f"When they take more than {allowed.runs_gigabytes:g} GB, the longest unused goes first; a pinned one never."
    )
    rows = [about(run) for run in trained]
    shown = hash(tuple((run.key, row["pinned"]) for run, row in zip(trained, rows, strict=True)))
    edited = st.data_editor(rows, key=f"runs{shown}", disabled=["run", "MB", "used"], hide_index=True)
    for run, before, after in zip(trained, rows, edited, strict=True):
        if before["pinned"] != after["pinned"]:
            pin(run, bool(after["pinned"]))


def pin(run: Run, yes: bool) -> None:
    """Pin a run, or no longer."""
    try:
        at_desk().pin(run.key, yes)
    except UnknownRun as error:
        st.error(str(error))
        return
    st.rerun()


def about(run: Run) -> dict[str, Any]:
    """A run in a row of the table."""
    return {
        "pinned": disk.is_pinned(run.key),
        "run": run.experiment.title,
        "MB": round(disk.size(run.path) / 1e6, 1),
        "used": ago(disk.last_used(run.path)),
    }


def watched() -> None:
    """How many look at what; nobody's name."""
    st.subheader("Being watched", anchor=False)
    for (where, reference), number in presence.count().most_common(RECENT):
        what = run_title(reference)
        st.markdown(f"{number} on {where.replace('_', ' ')}{f', {what}' if what else ''}")


# -- words -------------------------------------------------------------------------------------------------------------


def find(job: Job) -> Run | None:
    """The run of a job; None while there is nothing of it on the disk."""
    try:
        return runs.find(job.experiment)
    except (UnknownRun, ExperimentError):
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


def owners(job: Job) -> str:
    """Who wants a job: the first by name, the others by number."""
    others = f" and {len(job.people) - 1} more" if len(job.people) > 1 else ""
    return f"for `{job.people[0]}`{others}" if job.people else "nobody wants it any more"


def again(job: Job) -> str:
    """That a job was begun before, and why it broke off."""
    attempt = job.attempts - (job.state == RUNNING)
    return f"begun {attempt} time{'s' if attempt > 1 else ''} before: {job.reason or 'stopped'}" if attempt else ""


def ago(moment: float | None) -> str:
    """'3 min ago'."""
    return f"{wording.duration(max(0.0, time.time() - (moment or 0.0)))} ago" if moment else "never"
