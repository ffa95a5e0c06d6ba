"""Series: the finished runs of experiments that are equal but for the seed.

A series is the unit of claims about an experiment: chance of the seed is what its runs differ by.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from cnnlab.experiment import Experiment
from cnnlab.storage.runs import Run


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


@lru_cache(maxsize=512)  # asked for each run by each section of a page
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


def find_series(experiment: Experiment, known: Iterable[Run]) -> Series:
    """The series of this experiment among the finished ones of these runs; without runs where there is none.

    Where runs were trained on different data, the series with a shipped run, else the largest.
    """
    wanted = series_experiment(experiment)
    members = [run for run in known if series_experiment(run.experiment) == wanted]
    return max(
        group_into_series(members),
        key=lambda series: (any(run.is_pretrained for run in series.runs.values()), len(series.runs)),
        default=Series(wanted, {}),
    )
