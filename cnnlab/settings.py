"""Folders and settings. The environment variable `CNNLAB_HOME` moves all files.

home()/data/           prepared data sets, memory-mapped by every worker
home()/runs/<key>/     the run directory of each experiment that was trained here
home()/jobs.sqlite     the queue of trainings
home()/settings.json   settings that differ from their defaults, by name: {"jobs_per_person": 5, "teacher": "Ada"}
PRETRAINED             the ten runs that come with the code, read only

Every setting is one field of `Settings`. The environment (`CNNLAB_` and the name in capitals) takes precedence over
settings.json, and that over the default; `python -m cnnlab settings` prints the source of each. Settings are read at
each use, so a change of the file takes effect at once in the web process and in the dispatcher.
"""

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from cnnlab.operating_system import file_operations

PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parent  # of an installed wheel: the folder of the installed packages
# streamlit_app.py, .streamlit/ and pretrained/: in the repository beside the package, in a wheel inside it (setup.py)
APP_FILES = PACKAGE / "bundled" if (PACKAGE / "bundled").is_dir() else REPOSITORY
PRETRAINED = Path(os.environ.get("CNNLAB_PRETRAINED") or APP_FILES / "pretrained")
DEFAULT_SOURCE, SETTINGS_FILE = "default", "settings.json"
MAX_SETTINGS_BYTES = 100_000  # of settings.json
MIN_TEACHER_KEY_LENGTH, MIN_CLASS_CODE_LENGTH = 12, 6  # letters
BROWSER_NAME_PATTERN = re.compile(r"b[0-9a-f]{12}")  # a person who has not signed in: see `ui.browser_identity`

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(ValueError):
    """An invalid setting. The message is one sentence with its name, its range and its source."""


def home() -> Path:
    """The folder of all files that the lab writes: `CNNLAB_HOME`, else `cnnlab` under the user's cache directory."""
    if explicit := os.environ.get("CNNLAB_HOME"):
        return Path(explicit).expanduser().absolute()  # workers run in another directory
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "cnnlab"


def data_dir() -> Path:
    """The folder of prepared data sets."""
    return home() / "data"


def runs_dir() -> Path:
    """The folder of the runs trained here, each in a directory named after its experiment's key."""
    return home() / "runs"


def subprocess_environment() -> dict[str, str]:
    """The environment in which `python -m cnnlab` uses this code and this home from any working directory."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {"PYTHONPATH": os.pathsep.join(paths), "CNNLAB_HOME": str(home()), "PYTHONUNBUFFERED": "1"}
    return dict(os.environ) | variables | {"PYTHONUTF8": "1"}  # else Windows prints in cp1252


def _number(default: float, low: float, high: float, meaning: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "meaning": meaning})


def _text(default: str, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings with their defaults; numbers have a range, names are separated by commas."""

    teacher: str = _text(
        "", "accounts that may stop any training and see the Admin page; needs sign-in: deploy/README.md"
    )
    teacher_key: str = _text(
        "", f"opens the Admin page to who types it, {MIN_TEACHER_KEY_LENGTH} letters or more; empty: nobody"
    )
    class_code: str = _text(
        "", f"who has not signed in types it before asking for a training, {MIN_CLASS_CODE_LENGTH} letters or more"
    )
    slots: int = _number(0, 0, 64, "trainings at a time; 0: one for each GPU, one where there is none")
    starts_dispatcher: int = _number(1, 0, 1, "1: the app starts a dispatcher where none is at work; 0: a service does")
    standby_workers: int = _number(
        1, 0, 1, "1: a process for each slot waits with TensorFlow loaded, so that a training starts at once; 0: none"
    )
    jobs_per_person: int = _number(3, 1, 1000, "trainings that one person may have waiting or running")
    queue_length: int = _number(60, 1, 10_000, "trainings that may wait")
    reserved_percent: int = _number(25, 0, 90, "share of these places kept for people who have none waiting")
    submissions_per_minute: int = _number(12, 1, 10_000, "requests for trainings that one person may make in a minute")
    cost_per_person: float = _number(
        30.0, 0.01, 1e6, "what one person's trainings may cost together; 1: the report's 3-conv network, 30 epochs"
    )
    address_percent: int = _number(75, 1, 100, "share of the places that one network address may take; 100: all")
    address_submissions_per_minute: int = _number(
        120, 1, 100_000, "requests for trainings that may come from one network address in a minute"
    )
    address_cost: float = _number(600.0, 0.01, 1e9, "what the trainings of one network address may cost together")
    address_imports_per_hour: int = _number(240, 1, 100_000, "imports an hour from one address, failed ones too")
    address_import_megabytes: float = _number(1000.0, 0.1, 1e6, "networks kept from one address; as much of pictures")
    trusted_proxies: str = _text(
        "", "addresses or networks of proxies whose X-Forwarded-For is believed, like 10.0.0.0/8"
    )
    epochs: int = _number(200, 1, 500, "epochs of one training")
    job_minutes: float = _number(240.0, 0.01, 100_000, "minutes that one training may take")
    runs_gigabytes: float = _number(20.0, 0.001, 1_000_000, "disk for runs; the longest unused one goes first")
    viewed_minutes: float = _number(
        30.0, 1, 100_000, "minutes after somebody looked at a run in which it is not removed"
    )
    upload_megabytes: float = _number(25.0, 0.01, 1000, "size of an uploaded image file")
    upload_megapixels: float = _number(64.0, 0.001, 89, "pixels of an uploaded image, in millions")
    gpu_megabytes: int = _number(0, 0, 1_000_000, "GPU memory of one worker; 0: as much as it asks for")

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """The networks of `trusted_proxies`."""
        return tuple(ipaddress.ip_network(network, strict=False) for network in _words(self.trusted_proxies))

    def is_teacher(self, person: str) -> bool:
        """Whether this account is named as a teacher; capital letters make no difference.

        The name of a browser never is one: anybody may use that browser.
        """
        return not BROWSER_NAME_PATTERN.fullmatch(person) and person.lower() in map(str.lower, _words(self.teacher))


@dataclass(frozen=True)
class Setting:
    """One setting: its current value, the source of the value, and its meaning."""

    name: str
    value: Any
    source: str
    meaning: str

    @property
    def display_value(self) -> str:
        """The value for a reader; a secret is not shown."""
        if self.name in ("teacher_key", "class_code") and self.value:
            return "(set)"
        return f"{self.value:g}" if isinstance(self.value, float) else str(self.value)


def environment_variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"CNNLAB_{name.upper()}"


def current() -> Settings:
    """The current settings; read again where the file or the environment has changed. Raises SettingsError."""
    path = home() / SETTINGS_FILE
    status = path.stat() if path.is_file() else None
    state = (status.st_mtime_ns, status.st_size, status.st_ino) if status else ()
    environment = tuple(os.environ.get(environment_variable(setting.name)) for setting in fields(Settings))
    return _current(str(path), state, environment)


@lru_cache(maxsize=8)  # a page asks seven times
def _current(path: str, state: tuple[int, ...], environment: tuple[str | None, ...]) -> Settings:
    return Settings(**{setting.name: setting.value for setting in list_settings()})


def list_settings() -> list[Setting]:
    """Each setting with its source, in the order of `Settings`. Raises SettingsError."""
    stored = _read_settings_file()
    result = []
    for setting in fields(Settings):
        value, source = setting.default, DEFAULT_SOURCE
        if setting.name in stored:
            value, source = stored[setting.name], str(home() / SETTINGS_FILE)
        if environment_variable(setting.name) in os.environ:
            value, source = os.environ[environment_variable(setting.name)], environment_variable(setting.name)
        checked = _validated(setting.name, value, type(setting.default), setting.metadata, source)
        result.append(Setting(setting.name, checked, source, setting.metadata["meaning"]))
    return result


def settings_table() -> str:
    """All settings as a table in text: name, value, source, meaning. Raises SettingsError."""
    source = "CNNLAB_HOME" if os.environ.get("CNNLAB_HOME") else DEFAULT_SOURCE
    rows = [("home", str(home()), source, "the folder of all files")]
    rows += [(setting.name, setting.display_value, setting.source, setting.meaning) for setting in list_settings()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "".join("  ".join([*map(str.ljust, row[:3], widths), row[3]]) + "\n" for row in rows)


def _read_settings_file() -> dict[str, Any]:
    """The content of settings.json; empty without the file. Raises SettingsError."""
    path = home() / SETTINGS_FILE
    try:
        written = json.loads(file_operations.read_regular_file(path, MAX_SETTINGS_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"{path} cannot be read ({reason}): correct it or remove it.") from None
    known = {setting.name for setting in fields(Settings)}
    if not isinstance(written, dict):
        raise SettingsError(f'{path} must hold one object, like {{"jobs_per_person": 5}}.')
    if unknown := sorted(set(written) - known):
        raise SettingsError(f"{path} may name {', '.join(sorted(known))}. Received: {', '.join(unknown)}")
    return written


def _words(text: str) -> list[str]:
    """The parts between commas, without spaces around them."""
    return [word.strip() for word in text.split(",") if word.strip()]


TEXT_FORMS = {
    "teacher_key": f"{MIN_TEACHER_KEY_LENGTH} letters or more",
    "class_code": f"{MIN_CLASS_CODE_LENGTH} letters or more",
    "trusted_proxies": "addresses or networks with commas between them",
}


def _is_valid_text(name: str, value: str) -> bool:
    """Whether a setting of text has the form in TEXT_FORMS; an empty one always has."""
    if name == "trusted_proxies":
        try:
            return all(ipaddress.ip_network(network, strict=False) for network in _words(value))
        except ValueError:
            return False
    shortest = {"teacher_key": MIN_TEACHER_KEY_LENGTH, "class_code": MIN_CLASS_CODE_LENGTH}.get(name, 0)
    return not value or len(value) >= shortest


def _validated(name: str, value: Any, kind: type, bounds: Mapping[str, Any], source: str) -> Any:
    """The value in its type, or SettingsError."""
    if kind is str:
        if not isinstance(value, str) or not _is_valid_text(name, value):
            raise SettingsError(f"The setting {name} is {TEXT_FORMS.get(name, 'words in quotes')} (from {source}).")
        return value
    try:
        number = kind(value) if isinstance(value, str) else value
        is_valid = not isinstance(number, bool) and number == kind(number) and bounds["low"] <= number <= bounds["high"]
    except (TypeError, ValueError, OverflowError):
        is_valid = False
    if not is_valid:
        number_kind = "whole number" if kind is int else "number"
        expected = f"a {number_kind} from {bounds['low']:,} to {bounds['high']:,}"
        raise SettingsError(f"The setting {name} is {expected} (from {source}). Received: {name}={value!r:.60}")
    return kind(number)
