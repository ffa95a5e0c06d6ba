"""The number of threads with which one training is fastest on this machine's processor: measured once, remembered.

More threads are not always faster: on two cores of an AVX2 processor one thread made 16 steps a second, two threads 8
to 11. home()/threads.json holds what was measured:

    {"machine": "AMD EPYC, 2 cores", "steps_per_second": {"1": 16.0, "2": 10.2}, "measured": "2026-11-25T01:00+00:00"}

A dispatcher starts the measurement while it has nothing to train, as `python -m cnnlab measure-threads`; a training
that starts meanwhile ends it, and it is made later. Every run records the number of threads that it was trained with.
"""

import datetime
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from cnnlab import settings
from cnnlab.operating_system import machine, processes
from cnnlab.storage import files
from cnnlab.storage.background_process import Process, cnnlab_command, start_detached

MIN_GAIN = 1.1  # fewer threads than cores are used where they are so many times as fast
ROUNDS = 2  # each number of threads is measured so often, alternating; the fastest counts
PROCESS_TIMEOUT_SECONDS = 120.0
RETRY_SECONDS = 900.0  # after a measurement that ended without a result


def best_thread_count() -> int | None:
    """The fastest number of threads; None where nothing was measured here, or where all cores are fastest."""
    stored = files.read_json(path())
    rates = stored.get("steps_per_second")
    if stored.get("machine") != machine_name() or not isinstance(rates, dict):
        return None
    try:
        return fastest({int(count): float(rate) for count, rate in rates.items()})
    except (TypeError, ValueError):
        return None


def fastest(rates: dict[int, float]) -> int | None:
    """The number of threads with the most steps a second; None where it gains less than MIN_GAIN over all cores."""
    if not rates:
        return None
    best = max(rates, key=lambda count: rates[count])
    return best if rates[best] >= MIN_GAIN * rates[max(rates)] else None


def is_measured() -> bool:
    """Whether this machine was measured."""
    return files.read_json(path()).get("machine") == machine_name()


def thread_counts(cores: int) -> list[int]:
    """The numbers of threads to measure on so many cores: 1, 2, 4, ... and all."""
    return sorted({cores, *(1 << power for power in range(cores.bit_length()) if 1 << power < cores)})


def measure() -> dict[int, float]:
    """Measure each number of threads in processes of their own, and store the steps a second.

    Raises subprocess.SubprocessError, OSError.
    """
    counts = thread_counts(len(machine.cores()))
    rates = dict.fromkeys(counts, 0.0)
    for _ in range(ROUNDS if len(counts) > 1 else 0):
        for count in counts:
            command = cnnlab_command("measure-threads", "--threads", str(count))
            answer = subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=PROCESS_TIMEOUT_SECONDS
            )
            rates[count] = max(rates[count], float(answer.stdout.split()[-1]))
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    files.write_json(path(), {"machine": machine_name(), "steps_per_second": rates, "measured": now})
    return rates


class ThreadMeasurement:
    """The measurement as a process of a dispatcher."""

    def __init__(self) -> None:
        self.process: Process | None = None
        self.next_start = 0.0  # monotonic seconds

    def start(self, niceness: int) -> None:
        """Start the measurement, unless it runs, was made, or failed a short while ago."""
        if self.process and self.process.poll() is None:
            return
        if time.monotonic() < self.next_start or is_measured():
            return
        self.next_start = time.monotonic() + RETRY_SECONDS
        with suppress(OSError):
            self.process = start_detached(cnnlab_command("measure-threads"), niceness=niceness)

    def stop(self) -> None:
        """End the measurement where it runs; it may start again."""
        if self.process and self.process.poll() is None:
            processes.kill_session(self.process)
            self.next_start = 0.0
        self.process = None


def machine_name() -> str:
    """The processor and the number of cores that this process may use."""
    return f"{machine.processor_name() or 'unknown processor'}, {len(machine.cores())} cores"


def path() -> Path:
    """The file with the result."""
    return settings.home() / "threads.json"
