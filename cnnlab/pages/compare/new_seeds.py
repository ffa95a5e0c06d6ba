"""Trainings of the networks that the page Compare shows: their results join the page when they finish."""

from collections.abc import Sequence
from contextlib import suppress

import streamlit as st

from cnnlab.formatting import pluralize
from cnnlab.jobs.queue_schema import QueueError
from cnnlab.report import ReportRow
from cnnlab.storage.series import series_experiment
from cnnlab.ui import cache

WATCH_SECONDS = 5.0


def watch_trainings(table: Sequence[ReportRow]) -> None:
    """How many trainings of these networks, with any seed, run or wait; the page is drawn again when that changes."""
    series = {series_experiment(row.model.experiment).key for row in table}
    with suppress(QueueError):
        if active := active_keys(series):
            count = pluralize(len(active), "training")
            st.info(f"{count} of these networks under way: each finished seed joins the figures.")
            st.fragment(watch, run_every=WATCH_SECONDS)(series, active)


def watch(series: set[str], seen: set[str]) -> None:
    """Draw the page again where other trainings are active than `seen`."""
    with suppress(QueueError):
        if active_keys(series) != seen:
            st.rerun()


def active_keys(series: set[str]) -> set[str]:
    """The keys of the active jobs that train one of these series. Raises QueueError."""
    jobs = [job for job in cache.open_queue().active() if job.is_readable]
    return {job.key for job in jobs if series_experiment(job.experiment).key in series}
