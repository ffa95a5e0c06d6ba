"""Assigns trainings to devices: the GPUs of this machine, its processor where it has none, or a cluster.

Slots are distributed evenly over the GPUs: `--slots 4` on two GPUs runs two trainings on each. A training that ran out
of memory is retried as an *exclusive* job, which shares its GPU with no other. Where no GPU is free, the one with the
fewest jobs gets no new ones until it is.
"""

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cnnlab.jobs.job import Job

CPU = "CPU"
NVIDIA_SMI_QUERY = ("nvidia-smi", "--query-gpu=index,name,memory.total,memory.used", "--format=csv,noheader,nounits")
NVIDIA_SMI_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Gpu:
    """One GPU as its driver describes it; memory in megabytes (2**20 bytes)."""

    index: int
    name: str
    memory_mib: int
    used_mib: int

    @property
    def device(self) -> str:
        """The name under which a job stores its device: "GPU 0"."""
        return f"GPU {self.index}"


@dataclass(frozen=True)
class RunningJob:
    """A running training: its device, and whether it is the only one there."""

    device: str
    exclusive: bool


def list_gpus() -> list[Gpu]:
    """The NVIDIA GPUs that a worker may use: all, or those that `CUDA_VISIBLE_DEVICES` names by number."""
    try:
        answer = subprocess.run(
            NVIDIA_SMI_QUERY, capture_output=True, text=True, timeout=NVIDIA_SMI_TIMEOUT_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    gpus = parse_nvidia_smi(answer)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return gpus
    return [gpu for gpu in gpus if str(gpu.index) in [word.strip() for word in visible.split(",")]]


def parse_nvidia_smi(answer: str) -> list[Gpu]:
    """The GPUs in nvidia-smi's output (NVIDIA_SMI_QUERY); other lines, such as driver messages, are skipped."""
    gpus = []
    for line in answer.splitlines():
        words = [word.strip() for word in line.split(",")]
        try:
            gpus.append(Gpu(int(words[0]), words[1], int(words[2]), int(words[3])))
        except (ValueError, IndexError):
            continue
    return gpus


class DeviceSlots:
    """The number of trainings that each device runs at a time: `slots`, distributed evenly over `devices`."""

    def __init__(self, devices: Sequence[str], slots: int) -> None:
        devices = list(devices) or [CPU]
        share, remainder = divmod(slots, len(devices))
        slots_by_device = {device: share + (number < remainder) for number, device in enumerate(devices)}
        self.capacity = {device: count for device, count in slots_by_device.items() if count}

    @property
    def total(self) -> int:
        """The number of trainings that run at a time."""
        return sum(self.capacity.values())

    def allocator(self, running: Iterable[RunningJob]) -> "Allocator":
        """An allocator of the slots that the running jobs leave free."""
        return Allocator(self.capacity, running)


class Allocator:
    """Decides for the waiting jobs, in their order, on which device each can start now."""

    def __init__(self, capacity: dict[str, int], running: Iterable[RunningJob]) -> None:
        self.capacity = capacity
        self.load = dict.fromkeys(capacity, 0)
        self.closed: set[str] = set()  # devices used by an exclusive job, or reserved for one
        for job in running:
            self.load[job.device] = self.load.get(job.device, 0) + 1
            if job.exclusive:
                self.closed.add(job.device)

    def allocate(self, job: Job) -> str | None:
        """The device for the next waiting job, or None where it has to wait."""
        open_devices = [device for device in self.capacity if device not in self.closed]
        if not open_devices:
            return None
        best = min(open_devices, key=self.load.__getitem__)
        if job.exclusive and self.load[best]:
            self.closed.add(best)
            return None
        return best if self.load[best] < self.capacity[best] else None


class ClusterSlots(DeviceSlots):
    """The slots of a cluster, which itself knows which of its GPUs or processors is free.

    It is one device with `slots` slots; an exclusive job takes `whole` of them, those of a GPU or a machine.
    """

    def __init__(self, device: str, slots: int, whole: int) -> None:
        super().__init__([device], slots)
        self.whole = whole

    def allocator(self, running: Iterable[RunningJob]) -> "Allocator":
        """An allocator of the slots that the running jobs leave free."""
        return ClusterAllocator(self.capacity, self.whole, running)


class ClusterAllocator(Allocator):
    """The allocator of a cluster's slots."""

    def __init__(self, capacity: dict[str, int], whole: int, running: Iterable[RunningJob]) -> None:
        super().__init__(capacity, ())
        self.whole = whole
        self.taken = sum(self.slots_needed(job.exclusive) for job in running)

    def slots_needed(self, exclusive: bool) -> int:
        """The number of slots that a job takes."""
        return self.whole if exclusive else 1

    def allocate(self, job: Job) -> str | None:
        """The cluster for the next waiting job, or None if it has to wait; behind a waiting exclusive job all wait."""
        needed, total = self.slots_needed(job.exclusive), sum(self.capacity.values())
        if not total or self.closed:
            return None
        if self.taken + needed <= max(total, needed):
            return next(iter(self.capacity))
        if job.exclusive:
            self.closed.update(self.capacity)
        return None
