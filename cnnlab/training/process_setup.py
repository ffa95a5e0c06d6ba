"""Prepares a worker process before it trains: its threads, its processor core, its limit of GPU memory.

Keras is not imported at module level: the number of threads must be set before TensorFlow is imported.
"""

import os

from cnnlab import settings
from cnnlab.operating_system import machine
from cnnlab.settings import SettingsError


def prepare_process(threads: int | None, core: int | None) -> None:
    """Set the threads, the core and the GPU memory limit of this process, and import Keras. Raises SettingsError."""
    set_threads(threads)
    if core is not None:
        set_core(core)
    import_keras_quietly()
    cap_gpu_memory(settings.current().gpu_megabytes)


def set_threads(number: int | None) -> None:
    """Make TensorFlow, which reads this at its import, use so many threads per operation. Raises SettingsError."""
    if number is not None and number < 1:
        raise SettingsError(f"Choose at least one thread. Received: --threads {number}")
    if number:
        os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(number)


def set_core(number: int) -> None:
    """Run on this processor core only. Raises SettingsError where there is none of this number."""
    cores = machine.cores()
    if number not in cores:
        raise SettingsError(f"Choose a core of {', '.join(map(str, cores))}. Received: --core {number}")
    machine.set_core(number)


def import_keras_quietly() -> None:
    """Import Keras without the lines about processors and drivers that TensorFlow prints at any log level."""
    stderr = os.dup(2)
    with open(os.devnull, "w", encoding="utf-8") as devnull:
        os.dup2(devnull.fileno(), 2)
    try:
        import keras  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def cap_gpu_memory(megabytes: int) -> None:
    """Limit TensorFlow's GPU memory (0: no limit); JAX reads a variable before its import instead."""
    import keras

    if not megabytes or keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.set_logical_device_configuration(gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=megabytes)])
