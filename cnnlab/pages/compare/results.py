"""What the sections of the page Compare show, computed once for everybody until a training ends."""

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

import streamlit as st

from cnnlab import claims, series_results
from cnnlab.claims import ClaimResult
from cnnlab.prediction_results import PredictionResults, prediction_results
from cnnlab.report import ReportRow
from cnnlab.series_results import SeriesResult
from cnnlab.storage.runs import Run
from cnnlab.storage.series import find_series
from cnnlab.ui import cache

Shown = TypeVar("Shown")


class Results:
    """The report's models on one data set, with all their finished runs. One object for all sessions."""

    def __init__(self, dataset: str, rows: Sequence[ReportRow], runs: Sequence[Run], key: str) -> None:
        self.dataset, self.rows, self.runs = dataset, rows, runs
        self.key = f"{dataset} {key}"  # of this data set and this state of the runs
        self._cache: dict[Hashable, Any] = {}

    def cached(self, name: Hashable, compute: Callable[[], Shown]) -> Shown:
        """What `compute` returns, computed at the first call: it is the same for everybody until a training ends.

        name: of the section and of all choices that what it shows depends on; there are few of them.
        """
        if name not in self._cache:
            self._cache[name] = compute()
        return cast(Shown, self._cache[name])

    @property
    def is_report(self) -> bool:
        """Whether these are the models of the report, on its data set."""
        return all(row.model.is_in_report for row in self.rows)

    @cached_property
    def claims(self) -> list[ClaimResult]:
        """The report's conclusions, judged."""
        return claims.check_claims(self.rows)

    def series(self, reported: bool = False) -> list[SeriesResult]:
        """The trained ones of the eight models over their seeds; `reported`: with Keras's training accuracy."""
        return self.cached(("series", reported), lambda: series_results.series_results(self.rows, reported))

    @cached_property
    def series_runs(self) -> dict[str, list[Run]]:
        """The finished runs of each model that have a history, one a seed, by the model's name."""
        found = {row.model.name: find_series(row.model.experiment, self.runs).runs.values() for row in self.rows}
        return {name: [run for run in runs if len(cache.history(run)["epoch"])] for name, runs in found.items()}

    @cached_property
    def predictions(self) -> PredictionResults:
        """What the stored predictions of the models say together."""
        return prediction_results(self.runs, self.dataset)


def load_results(dataset: str) -> Results:
    """The results as they are now."""
    return _load_results(dataset, cache.finished_runs().key)


@st.cache_resource(max_entries=4, show_spinner="Comparing the networks")
def _load_results(dataset: str, key: str) -> Results:
    return Results(dataset, cache.report_rows(dataset), cache.finished_runs().runs, key)
