"""The students of a class: their places in the sheet, since when, and the results of their trainings."""

from pathlib import Path

import streamlit as st

from cnnlab.formatting import pluralize
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.lessons import classes
from cnnlab.lessons.sheet import Sheet
from cnnlab.settings import home
from cnnlab.ui import app_shell, cache, lesson_store, my_trainings
from cnnlab.ui.state import session_key

STUCK_MINUTES = 6
RESULT_SECONDS, MAX_RESULTS = 5.0, 3  # of a student's trainings: for how long they are kept, how many are listed
SESSION_NAMES = session_key("lesson_board.names")


@app_shell.errors_as_sentences()
def members_table(code: str, sheet: Sheet, presenter: bool) -> None:
    """Who is at which step since when, with the results of their trainings; nicknames only where they are asked for."""
    file = lesson_store.lesson_file()
    lesson_class = classes.find_class(file, code)
    if lesson_class is None:
        return
    found = classes.members(file, lesson_class)
    st.header(pluralize(len(found), "student"), anchor=False)
    names = not presenter and st.toggle("Show nicknames", key=SESSION_NAMES, help="Off on the projector.")
    rows = []
    for number, member in enumerate(found, start=1):
        since = lesson_store.minutes_since(max(member.learner.moved, member.last_answer or 0.0))
        shown = (member.learner.nickname or member.learner.learner) if names else f"Student {number}"
        place = lesson_class.step if lesson_class.follow else member.learner.step
        rows.append(
            {
                "student": shown,
                "step": f"{sheet.index(place) + 1} of {len(sheet.steps)}",
                "answered": f"{member.answered} of {len(sheet.steps)}",
                "at this step": f"{since} min{', stuck?' if since >= STUCK_MINUTES else ''}",
                "own trainings": training_results(home(), member.persons),
            }
        )
    if rows:
        st.dataframe(rows, hide_index=True, key="lesson_board_members")
    else:
        st.caption("Nobody has joined yet.")


@st.cache_data(ttl=RESULT_SECONDS, max_entries=1_000, show_spinner=False)
def training_results(place: Path, persons: tuple[str, ...]) -> str:
    """The newest trainings that these persons asked for, as states or results: 'running, validation 62.0 %'."""
    try:
        jobs = [job for person in persons for job in cache.open_queue().jobs_for(person) if job.is_readable]
        jobs.sort(key=lambda job: -job.id)
        states = [my_trainings.describe_state(job) for job in jobs[:MAX_RESULTS]]
    except QueueError:
        return ""
    more = f" and {len(jobs) - MAX_RESULTS} more" if len(jobs) > MAX_RESULTS else ""
    return ", ".join(states) + more
