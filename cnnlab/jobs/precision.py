"""Whether bfloat16 is offered on this machine: only where training in it was measured to be faster than in float32."""

from collections.abc import Iterable
from functools import cache

from cnnlab.experiment import Experiment
from cnnlab.jobs import devices
from cnnlab.operating_system.machine import read_cpuinfo

BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})  # with one of them 1.4 to 1.7 times as fast as float32
SLOW_PROCESSOR = (
    "bfloat16 is slower than float32 on this processor, which has neither avx512_bf16 nor amx_bf16"
    " (measured on such a processor: 0.17 times the speed of float32)."
)
UNKNOWN_PROCESSOR = "bfloat16 is not offered: this system does not list what its processor can do."
UNMEASURED_GPU = "bfloat16 was not measured on a GPU: whether it is faster than float32 there is not known."


def slow_precision(experiment: Experiment) -> str:
    """Why the precision of this experiment is not offered on this machine, one sentence; "" where it is."""
    return bfloat16_hint() if experiment.precision == "bfloat16" else ""


@cache
def bfloat16_hint() -> str:
    """Why bfloat16 is not offered on this machine, one sentence; "" where it is."""
    if devices.list_gpus():
        return UNMEASURED_GPU
    flags = processor_flags(read_cpuinfo())
    if not flags:
        return UNKNOWN_PROCESSOR
    return "" if BFLOAT16_FLAGS & flags else SLOW_PROCESSOR


def processor_flags(lines: Iterable[str]) -> set[str]:
    """The instruction sets of the processor in the lines of /proc/cpuinfo; empty where none are listed."""
    for line in lines:
        name, _, words = line.partition(":")
        if name.strip() == "flags":
            return set(words.split())
    return set()
