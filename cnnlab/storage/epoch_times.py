"""The measured duration of an epoch of each of the report's eight networks, as `cnnlab bench epochs` writes it.

All were measured alternately by one process with one thread on one core, so the times can be compared with each other;
the wall times of trainings cannot, because other work ran beside them.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cnnlab import settings
from cnnlab.storage import files

EPOCH_TIMES_FILE = "epoch_seconds.json"


@dataclass(frozen=True, kw_only=True)
class EpochTimes:
    """Processor seconds of one epoch by model ("3conv-none"), one figure a round, and how they were measured.

    `batches` of 64 images were timed in each round and scaled to the `epoch_batches` of an epoch. `load` is the highest
    load average of a minute meanwhile: how many processes of the machine wanted a core, this one included.
    """

    machine: str
    cores: int
    threads: int
    batches: int
    epoch_batches: int
    load: float
    finished: str
    versions: Mapping[str, str]
    seconds: Mapping[str, tuple[float, ...]]

    @property
    def rounds(self) -> int:
        """How often each network was measured."""
        return min(len(values) for values in self.seconds.values())

    @property
    def median_seconds(self) -> dict[str, float]:
        """The median of the rounds by model."""
        return {name: statistics.median(values) for name, values in self.seconds.items()}


def write_epoch_times(path: Path, times: EpochTimes) -> None:
    """Write the measured times to `path`, in place of what is there. Raises OSError."""
    files.write_json(path, asdict(times))


def load_epoch_times() -> EpochTimes | None:
    """Those measured on this machine (in this home), else the shipped ones; None where neither can be read."""
    return read_epoch_times(measured_path()) or read_epoch_times(settings.PRETRAINED / EPOCH_TIMES_FILE)


def measured_path() -> Path:
    """The file in which this machine's times are kept."""
    return settings.home() / EPOCH_TIMES_FILE


def read_epoch_times(path: Path) -> EpochTimes | None:
    """The times in this file; None where there is none or it holds something else."""
    try:
        return _parse(files.read_json(path))
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def _parse(value: Mapping[str, Any]) -> EpochTimes:
    seconds = {str(name): tuple(map(float, rounds)) for name, rounds in value["seconds"].items()}
    if not seconds or not all(rounds and all(map(_is_duration, rounds)) for rounds in seconds.values()):
        raise ValueError("Expected at least one positive duration for each network.")
    return EpochTimes(
        machine=str(value["machine"]),
        cores=int(value["cores"]),
        threads=int(value["threads"]),
        batches=int(value["batches"]),
        epoch_batches=int(value["epoch_batches"]),
        load=float(value["load"]),
        finished=str(value["finished"]),
        versions={str(name): str(version) for name, version in value["versions"].items()},
        seconds=seconds,
    )


def _is_duration(seconds: float) -> bool:
    return math.isfinite(seconds) and seconds > 0
