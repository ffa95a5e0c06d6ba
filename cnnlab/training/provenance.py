"""Where a result comes from: machine, versions, data, code. What a record says, so that a figure can be believed.

Imported in workers only: it asks Keras what it runs on.
"""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

from cnnlab import settings
from cnnlab.experiment import Experiment
from cnnlab.storage.run_record import RunRecord


def initial_record(experiment: Experiment, fingerprint: str) -> RunRecord:
    """What a record says from the start: where, with what, on which data."""
    backend = keras.backend.backend()
    versions = {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": backend,
        "backend_version": version(backend),
        "numpy": np.__version__,
    }
    return RunRecord(
        versions=versions,
        device=device_name(),
        threads=thread_count(),
        precision=experiment.precision,
        fingerprint=fingerprint,
        seed=experiment.seed,
        commit=code_commit(),
        started=utc_now(),
    )


def thread_count() -> int:
    """How many threads share one operation: what was asked for, else the processor's cores."""
    return int(os.environ.get("TF_NUM_INTRAOP_THREADS") or len(os.sched_getaffinity(0)))


def device_name() -> str:
    """The processor or GPU in words."""
    if has_gpu():
        return str(keras.distribution.list_devices()[0])
    names = [line.split(":")[1].strip() for line in read_cpuinfo() if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {thread_count()} of {os.cpu_count()} cores"


def read_cpuinfo() -> list[str]:
    """What Linux says of the processor; empty elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def code_commit() -> str | None:
    """The commit of this code, or None outside a checkout."""
    command = ["git", "-C", str(settings.REPOSITORY), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip() or None
    except (OSError, subprocess.TimeoutExpired):
        return None


def utc_now() -> str:
    """This moment in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def has_gpu() -> bool:
    """Whether Keras trains on a GPU here."""
    return any("gpu" in device.lower() or "cuda" in device.lower() for device in keras.distribution.list_devices())
