"""bfloat16 is offered where the processor has instructions for it, and refused with one sentence elsewhere."""

import dataclasses

import pytest

from cnnlab.experiment import Experiment
from cnnlab.jobs import devices, precision, quotas
from cnnlab.jobs.queue import Queue

SLOW = ["processor\t: 0", "model name\t: AMD EPYC 7763", "flags\t\t: fpu sse avx avx2 f16c"]


@pytest.fixture
def processor(monkeypatch):
    """Sets the flags that /proc/cpuinfo lists, on a machine without a GPU."""
    monkeypatch.setattr(devices, "list_gpus", list)

    def set_flags(*extra):
        lines = [*SLOW[:2], " ".join([SLOW[2], *extra])]
        monkeypatch.setattr(precision, "read_cpuinfo", lambda: lines)
        precision.bfloat16_hint.cache_clear()

    yield set_flags
    precision.bfloat16_hint.cache_clear()


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16"])
def test_a_processor_with_instructions_for_bfloat16_offers_it(processor, flag):
    processor(flag)
    assert precision.slow_precision(Experiment(precision="bfloat16")) == ""


@pytest.mark.parametrize("flags", [(), ("avx512f",), ("avx512_bf16x",)])
def test_a_processor_without_them_does_not(processor, flags):
    processor(*flags)
    assert precision.slow_precision(Experiment(precision="bfloat16")) == precision.SLOW_PROCESSOR
    assert precision.slow_precision(Experiment()) == ""


def test_a_system_that_lists_no_instructions_claims_nothing_about_its_processor(processor, monkeypatch):
    processor()
    monkeypatch.setattr(precision, "read_cpuinfo", list)  # macOS and Windows have no /proc/cpuinfo
    assert precision.bfloat16_hint() == precision.UNKNOWN_PROCESSOR


def test_a_gpu_that_was_not_measured_does_not(processor, monkeypatch):
    processor("amx_bf16")
    monkeypatch.setattr(devices, "list_gpus", lambda: [devices.Gpu(0, "one", 1, 0)])
    assert precision.bfloat16_hint() == precision.UNMEASURED_GPU


def test_the_queue_takes_bfloat16_only_where_it_is_offered(processor, tmp_path):
    processor()
    queue, experiment = Queue(tmp_path / "jobs.sqlite"), Experiment(dataset="shapes", precision="bfloat16")
    with pytest.raises(quotas.QuotaExceeded, match="Choose float32"):
        queue.submit(experiment, "ada")
    assert queue.active() == []
    assert queue.submit(dataclasses.replace(experiment, precision="float32"), "ada").state == "queued"
    processor("amx_bf16")
    assert queue.submit(experiment, "ada").state == "queued"
