"""The provenance of a run, for its record: machine, versions, data set, commit.

Imported in workers only, since it imports Keras.
"""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version

import keras
import numpy as np

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.operating_system import machine
from cnnlab.storage.run_record import RunRecord


def initial_record(experiment: Experiment, fingerprint: str) -> RunRecord:
    """What a record says from the start: where, with what, on which data."""
    return RunRecord(
        versions=package_versions(),
        device=device_name(),
        threads=thread_count(),
        precision=experiment.precision,
        fingerprint=fingerprint,
        seed=experiment.seed,
        commit=code_commit(),
        started=utc_now(),
    )


def package_versions() -> dict[str, str]:
    """The versions of what trains: Python, Keras, its backend, NumPy."""
    backend = keras.backend.backend()
    return {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": backend,
        "backend_version": version(backend),
        "numpy": np.__version__,
    }


def thread_count() -> int:
    """The number of threads per operation: as set in the environment, else the number of cores."""
    return int(os.environ.get("TF_NUM_INTRAOP_THREADS") or len(machine.cores()))


def device_name() -> str:
    """The name of the GPU, or of the processor with the number of cores used."""
    if has_gpu():
        return str(keras.distribution.list_devices()[0])
    return f"{machine.processor_name()}, {thread_count()} of {os.cpu_count()} cores"


def code_commit() -> str | None:
    """The commit of this code, or None outside a checkout."""
    command = ["git", "-C", str(settings.REPOSITORY), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip() or None
    except (OSError, subprocess.TimeoutExpired):
        return None


def utc_now() -> str:
    """The current time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def has_gpu() -> bool:
    """Whether Keras trains on a GPU here."""
    return any("gpu" in device.lower() or "cuda" in device.lower() for device in keras.distribution.list_devices())
