"""Series: the finished runs of experiments that are equal but for the seed.

A series is the unit of claims about an experiment. `figures` and `gaps` are what `analysis.statistics.seed_mean` and
`seed_difference` take; `curves` are for bands over seeds.
"""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cnnlab.array_types import Float64Array
from cnnlab.experiment import Experiment
from cnnlab.storage.runs import Run, list_runs


@dataclass(frozen=True)
class Series:
    """Finished runs of one experiment by seed, ascending; `experiment` is that of seed 0, trained or not.

    All were trained on the same data (`fingerprint`, None where the records name none).
    """

    experiment: Experiment
    runs: Mapping[int, Run]
    fingerprint: str | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that have a finished run, ascending."""
        return tuple(self.runs)

    def figures(self, column: str) -> dict[int, float]:
        """The value of a column of history.csv after the last epoch, by seed; seeds without one (NaN) are left out."""
        last = {
            seed: float(run.history()[column][-1]) for seed, run in self.runs.items() if len(run.history()["epoch"])
        }
        return {seed: value for seed, value in last.items() if np.isfinite(value)}

    def gaps(self) -> dict[int, float]:
        """The generalization gap after the last epoch by seed: training minus validation, both in inference mode."""
        train, validation = self.figures("train_eval_accuracy"), self.figures("val_accuracy")
        return {seed: train[seed] - validation[seed] for seed in train if seed in validation}

    def curves(self, column: str) -> Float64Array:
        """A column of history.csv of every run: float64 (seeds, epochs + 1), NaN where there is no value."""
        rows = np.full((len(self.runs), self.experiment.epochs + 1), np.nan)
        for row, run in zip(rows, self.runs.values(), strict=True):
            values = run.history()[column][: rows.shape[1]]
            row[: len(values)] = values
        return rows


def series_experiment(experiment: Experiment) -> Experiment:
    """The experiment with seed 0: equal for all members of a series."""
    return dataclasses.replace(experiment, seed=0)


def group_into_series(runs: Iterable[Run]) -> list[Series]:
    """The finished ones of these runs as series, in the order of their first runs.

    Runs on different data are different series. Of two runs of one experiment (shipped, and trained here) the first
    one counts.
    """
    groups: dict[tuple[Experiment, str | None], dict[int, Run]] = {}
    for run in runs:
        if run.state == "done":
            group = groups.setdefault((series_experiment(run.experiment), run.record.fingerprint), {})
            group.setdefault(run.experiment.seed, run)
    return [
        Series(experiment, dict(sorted(by_seed.items())), fingerprint)
        for (experiment, fingerprint), by_seed in groups.items()
    ]


def find_series(experiment: Experiment) -> Series:
    """The series of this experiment among all runs there are; without runs where none is finished.

    Where its runs were trained on different data, the largest series, of equal ones the one with the shipped run.
    """
    wanted = series_experiment(experiment)
    members = [run for run in list_runs() if series_experiment(run.experiment) == wanted]
    return max(group_into_series(members), key=lambda series: len(series.runs), default=Series(wanted, {}))


def next_seed(experiment: Experiment, taken: Collection[int] = ()) -> int:
    """The smallest seed of the series without a run in any state, and not in `taken` (seeds that are queued)."""
    wanted = series_experiment(experiment)
    used = {run.experiment.seed for run in list_runs() if series_experiment(run.experiment) == wanted} | set(taken)
    return next(seed for seed in range(len(used) + 1) if seed not in used)
