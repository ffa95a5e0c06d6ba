"""Which device a training runs on: its GPUs, or the processor where there is none. Or a cluster's, which it deals out.

Slots are dealt out over the GPUs in turn, so `--slots 4` on two GPUs puts two trainings on each. A training that ran
out of memory is tried once more *alone*: it gets a GPU on which nothing else runs, and nothing else is put beside it.
Where none is empty, the one with the least on it takes nothing new until it is.
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
        """How a job says where it runs."""
        return f"GPU {self.index}"


@dataclass(frozen=True)
class RunningJob:
    """A training at work on a device, perhaps with the device to itself."""

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
    found = parse_nvidia_smi(answer)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    return [gpu for gpu in found if str(gpu.index) in [word.strip() for word in visible.split(",")]]


def parse_nvidia_smi(answer: str) -> list[Gpu]:
    """The GPUs in nvidia-smi's lines; a line that is no GPU (a driver's complaint) is left out."""
    found = []
    for line in answer.splitlines():
        words = [word.strip() for word in line.split(",")]
        try:
            found.append(Gpu(int(words[0]), words[1], int(words[2]), int(words[3])))
        except (ValueError, IndexError):
            continue
    return found


class DeviceSlots:
    """The room on each device: how many trainings at a time."""

    def __init__(self, devices: Sequence[str], slots: int) -> None:
        devices = list(devices) or [CPU]
        share, more = divmod(slots, len(devices))
        dealt = {device: share + (number < more) for number, device in enumerate(devices)}
        self.capacity = {device: places for device, places in dealt.items() if places}

    @property
    def total(self) -> int:
        """How many trainings at a time."""
        return sum(self.capacity.values())

    def allocator(self, running: Iterable[RunningJob]) -> "Allocator":
        """Where there is room beside what is at work now."""
        return Allocator(self.capacity, running)


class Allocator:
    """One look along the line: asked for one waiting job after the other, it says where each could begin now."""

    def __init__(self, room: dict[str, int], at_work: Iterable[RunningJob]) -> None:
        self.capacity = room
        self.load = dict.fromkeys(room, 0)
        self.closed: set[str] = set()  # taken by one training alone, or kept free for one
        for placed in at_work:
            self.load[placed.device] = self.load.get(placed.device, 0) + 1
            if placed.exclusive:
                self.closed.add(placed.device)

    def allocate(self, job: Job) -> str | None:
        """The device for the next job in line, or None where it has to wait."""
        open_to_it = [device for device in self.capacity if device not in self.closed]
        if not open_to_it:
            return None
        best = min(open_to_it, key=self.load.__getitem__)
        if job.exclusive and self.load[best]:
            self.closed.add(best)
            return None
        return best if self.load[best] < self.capacity[best] else None


class ClusterSlots(DeviceSlots):
    """The room on the GPUs, or on the processors, of many machines: the cluster knows which one is free.

    So there is one device with `slots` places, and a training alone takes `whole` of them, a whole GPU's or machine's.
    """

    def __init__(self, device: str, slots: int, whole: int) -> None:
        super().__init__([device], slots)
        self.whole = whole

    def allocator(self, running: Iterable[RunningJob]) -> "Allocator":
        """Where there is room beside what is at work now."""
        return ClusterAllocator(self.capacity, self.whole, running)


class ClusterAllocator(Allocator):
    """One look along the line at a cluster."""

    def __init__(self, room: dict[str, int], whole: int, at_work: Iterable[RunningJob]) -> None:
        super().__init__(room, ())
        self.whole = whole
        self.taken = sum(self.slots_needed(placed.exclusive) for placed in at_work)

    def slots_needed(self, exclusive: bool) -> int:
        """How many places a training takes."""
        return self.whole if exclusive else 1

    def allocate(self, job: Job) -> str | None:
        """The cluster for the next job in line, or None where it has to wait; behind one alone, all wait."""
        takes, room = self.slots_needed(job.exclusive), sum(self.capacity.values())
        if not room or self.closed:
            return None
        if self.taken + takes <= max(room, takes):
            return next(iter(self.capacity))
        if job.exclusive:
            self.closed.update(self.capacity)
        return None
