"""Checks of the installation: packages, settings, sign-in, devices, Keras."""

import json
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from cnnlab import settings
from cnnlab.doctor.finding import FAIL, NOTE, OK, Finding
from cnnlab.formatting import pluralize
from cnnlab.jobs import devices
from cnnlab.operating_system import machine
from cnnlab.settings import SettingsError, subprocess_environment
from cnnlab.training_packages import TRAINING_PACKAGES, install_hint

SECRETS = settings.APP_FILES / ".streamlit" / "secrets.toml"
AUTH_PACKAGES = ("authlib", "httpx")  # needed by Streamlit for an [auth] section
REQUIRED_PACKAGES = (  # the dependencies of pyproject.toml; a test compares
    "streamlit",
    "altair",
    "click",
    "numpy",
    "pillow",
    "h5py",
    "pyarrow",
    "markdown-it-py",
    "segno",
    "vl-convert-python",
    "PyYAML",
)
KERAS_SECONDS = 120.0
KERAS_PROBE = """
import json, keras
print(json.dumps([keras.backend.backend(), keras.distribution.list_devices()]))
"""


def check_versions() -> Iterator[Finding]:
    """The versions of Python and of the required packages."""
    installed, missing = [f"Python {platform.python_version()}"], []
    for package in (*REQUIRED_PACKAGES, *TRAINING_PACKAGES):
        try:
            installed.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    yield Finding("versions", OK, ", ".join(installed))
    if required := [package for package in missing if package in REQUIRED_PACKAGES]:
        yield Finding("versions", FAIL, f"missing: {', '.join(required)}", "pip install -r requirements.txt")
    if hint := install_hint():
        message, _, remedy = hint.partition(": ")
        yield Finding("training", NOTE, f"{message}; everything else works", remedy)


def check_settings() -> Iterator[Finding]:
    """Whether the settings are valid, and whether a teacher is named."""
    try:
        current = settings.current()
    except SettingsError as error:
        yield Finding("settings", FAIL, str(error), "correct it; python -m cnnlab settings prints all")
        return
    yield Finding("settings", OK, f"home {settings.home()}; all of them: python -m cnnlab settings")
    if current.teacher and not current.teacher_key and not SECRETS.exists():
        remedy = "set CNNLAB_TEACHER_KEY, or let people sign in: deploy/README.md"
        yield Finding("teacher", NOTE, "named is an account, and nobody signs in here", remedy)
    if not current.teacher and not current.teacher_key:
        remedy = "set CNNLAB_TEACHER or CNNLAB_TEACHER_KEY"
        yield Finding("teacher", NOTE, "none is named, so nobody sees the Admin page", remedy)


def check_auth() -> Iterator[Finding]:
    """With an [auth] section, whether the packages that it needs are installed."""
    try:
        has_auth = "auth" in tomllib.loads(SECRETS.read_text())
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        yield Finding("sign-in", FAIL, f"{SECRETS} cannot be read ({error})", "correct it or remove it")
        return
    missing = [name for name in AUTH_PACKAGES if find_spec(name) is None]
    if has_auth and missing:
        remedy = "pip install -r deploy/requirements-auth.txt"
        yield Finding("sign-in", FAIL, f"[auth] needs {' and '.join(missing)}", remedy)
    elif has_auth:
        yield Finding("sign-in", OK, "people sign in with an account")


def check_gpus() -> Iterator[Finding]:
    """The GPUs that the driver lists, or the number of processor cores."""
    gpus = devices.list_gpus()
    for gpu in gpus:
        free = (gpu.memory_mib - gpu.used_mib) / 1024
        yield Finding("device", OK, f"{gpu.device}: {gpu.name}, {gpu.memory_mib / 1024:.0f} GiB, {free:.0f} GiB free")
    if not gpus:
        message = f"no NVIDIA GPU; trainings use {pluralize(len(machine.cores()), 'core')} of the processor"
        has_driver = shutil.which("nvidia-smi") is not None
        yield Finding("device", NOTE, message, "nvidia-smi finds none: look at the driver" if has_driver else "")


def check_keras() -> Iterator[Finding]:
    """Backend and devices of Keras, determined in a subprocess."""
    variables = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        output = subprocess.run(
            [sys.executable, "-c", KERAS_PROBE],
            env=subprocess_environment() | variables,
            capture_output=True,
            text=True,
            timeout=KERAS_SECONDS,
            check=True,
        ).stdout
        backend, keras_devices = json.loads(output.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        yield Finding(
            "Keras", FAIL, f"cannot be imported ({type(error).__name__})", "python -c 'import keras' says why"
        )
        return
    yield Finding("Keras", OK, f"backend {backend} sees {', '.join(keras_devices)}")
    if devices.list_gpus() and not any("gpu" in name.lower() or "cuda" in name.lower() for name in keras_devices):
        remedy = "pip install 'tensorflow[and-cuda]', or use the GPU image in deploy/"
        yield Finding("Keras", FAIL, "the driver knows a GPU and Keras does not", remedy)
