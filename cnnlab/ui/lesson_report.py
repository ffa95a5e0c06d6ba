"""The report of a lesson: one click saves it as one HTML file, another one as a zip with everything beside it."""

from functools import partial

import streamlit as st

from cnnlab.analysis.batched_activations import ProgressCallback
from cnnlab.lesson_report.archive import report_zip
from cnnlab.lesson_report.content import LessonReport, make_report
from cnnlab.lesson_report.html_page import report_html
from cnnlab.lessons import classes
from cnnlab.ui import cache, generated_download, lesson_results, lesson_store
from cnnlab.ui.lesson_store import OpenLesson


@st.fragment
def report_download(lesson: OpenLesson) -> None:
    """The two buttons, and below them the progress of the one that was pressed."""
    name = f"{lesson.sheet.name}-report"
    with st.container(horizontal=True):
        page = st.button("Download the report", key="lesson_report_page", icon=":material/description:", type="primary")
        archive = st.button("All files (zip)", key="lesson_report_zip", icon=":material/folder_zip:")
    if page:
        make = partial(page_bytes, lesson)
        generated_download.generate_and_save(make, f"{name}.html", "text/html", "lesson_report_page")
    if archive:
        make = partial(zip_bytes, lesson)
        generated_download.generate_and_save(make, f"{name}.zip", "application/zip", "lesson_report_zip")
    st.caption(
        "The report is one HTML file: it opens without internet and prints. The zip holds it too, with a notebook,"
        " figures, histories, models, and Keras programs."
    )


def page_bytes(lesson: OpenLesson, progress: ProgressCallback) -> bytes:
    """The report as an HTML file. Raises DamagedRun, LessonError."""
    return report_html(current_report(lesson, progress)).encode()


def zip_bytes(lesson: OpenLesson, progress: ProgressCallback) -> bytes:
    """The report with everything beside it. Raises DamagedRun, LessonError, OSError."""
    return report_zip(current_report(lesson, progress))


def current_report(lesson: OpenLesson, progress: ProgressCallback) -> LessonReport:
    """The report with the answers as they are now; what the panel has computed is not computed again.

    lesson: as it was when the page was drawn; the panel may have taken answers since.
    """
    lesson = lesson_store.current_lesson() or lesson
    covered: set[str] = set()
    if lesson.lesson_class:
        covered = classes.unrevealed_steps(lesson_store.lesson_file(), lesson.lesson_class, lesson.sheet)
    return make_report(
        lesson.sheet,
        lesson.answers,
        lesson.learner.nickname,
        cache.report_rows(),
        lesson_results.computed,
        progress,
        covered,
    )
