"""The sweeps of this home: their definitions, and who has asked for their trainings.

home()/sweeps/<key>/sweep.json                 the definition
home()/sweeps/<key>/requests/<person>.json     one person's request, until it is fulfilled or withdrawn
"""

import contextlib
import re
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from cnnlab import settings
from cnnlab.experiment import ExperimentError
from cnnlab.storage import bounded_files, files
from cnnlab.storage.bounded_files import DamagedFile
from cnnlab.sweeps import SHIPPED_SWEEPS, Sweep, SweepError, sweep_from_json

KEY_PATTERN = re.compile(r"[0-9a-f]{16}")
MAX_BYTES = 100_000  # of a definition; one with 100 values has 3,000


class UnknownSweep(LookupError):
    """No sweep goes by this name. The message is one sentence."""


@dataclass(frozen=True)
class SweepRequest:
    """One person's request for all trainings of a sweep; `address` and `is_teacher` are as in `Queue.submit`.

    `submitted` is a Unix time.
    """

    person: str
    address: str
    is_teacher: bool
    submitted: float


def list_sweeps() -> list[Sweep]:
    """The shipped sweeps, then those of this home, newest first; one that cannot be read is left out."""
    return list(dict.fromkeys([*SHIPPED_SWEEPS.values(), *stored_sweeps()]))


def stored_sweeps() -> list[Sweep]:
    """The sweeps of this home, newest first; one that cannot be read is left out."""
    try:
        folders = [path for path in directory().iterdir() if KEY_PATTERN.fullmatch(path.name)]
    except OSError:
        folders = []
    folders.sort(key=lambda path: files.modified_time(path / "sweep.json"), reverse=True)
    return [sweep for path in folders if (sweep := _read(path)) is not None]


def remove_sweep(sweep: Sweep) -> None:
    """Remove the definition and the requests, as far as permitted; runs stay."""
    shutil.rmtree(directory() / sweep.key, ignore_errors=True)


def open_sweep(reference: str) -> Sweep:
    """The shipped sweep of this name, or the sweep with this key. Raises UnknownSweep."""
    if reference in SHIPPED_SWEEPS:
        return SHIPPED_SWEEPS[reference]
    by_key = {sweep.key: sweep for sweep in SHIPPED_SWEEPS.values()}
    found = by_key.get(reference)
    if found is None and KEY_PATTERN.fullmatch(reference):
        found = _read(directory() / reference)
    if found is None:
        names = ", ".join(SHIPPED_SWEEPS)
        raise UnknownSweep(f"A sweep is called by its key or one of {names}. Received: {reference[:40]!r}")
    return found


def write_sweep(sweep: Sweep) -> None:
    """Store the definition. Raises OSError."""
    path = directory() / sweep.key / "sweep.json"
    if not path.exists():
        files.write_bytes(path, (sweep.to_json() + "\n").encode())


def add_request(sweep: Sweep, request: SweepRequest) -> None:
    """Store the definition and this request. Raises OSError."""
    write_sweep(sweep)
    files.write_json(_request_path(sweep, request.person), asdict(request))


def remove_request(sweep: Sweep, person: str) -> None:
    """Withdraw the request of this person, if there is one. Raises OSError."""
    _request_path(sweep, person).unlink(missing_ok=True)


def read_requests(sweep: Sweep) -> list[SweepRequest]:
    """Who has asked for this sweep and is still to get trainings, earliest first."""
    paths = _files(directory() / sweep.key / "requests")
    return sorted(filter(None, map(_read_request, paths)), key=lambda request: request.submitted)


def requested_sweeps() -> list[Sweep]:
    """The sweeps with a request."""
    keys = {path.parent.parent.name for path in directory().glob("*/requests/*.json")}
    found = [_read(directory() / key) for key in sorted(keys) if KEY_PATTERN.fullmatch(key)]
    return [sweep for sweep in found if sweep is not None]


def new_request(person: str, address: str = "", is_teacher: bool = False) -> SweepRequest:
    """A request for the trainings of a sweep, made now by this person."""
    return SweepRequest(person, address, is_teacher, time.time())


def _read(folder: Path) -> Sweep | None:
    with contextlib.suppress(OSError, DamagedFile, SweepError, ExperimentError, UnicodeDecodeError):
        sweep = sweep_from_json(bounded_files.read_file(folder / "sweep.json", MAX_BYTES).decode())
        return sweep if sweep.key == folder.name else None
    return None


def _read_request(path: Path) -> SweepRequest | None:
    value = files.read_json(path)
    try:
        request = SweepRequest(
            str(value["person"]), str(value["address"]), value["is_teacher"] is True, float(value["submitted"])
        )
    except (KeyError, TypeError, ValueError):
        return None
    return request if path.stem == request.person else None


def _request_path(sweep: Sweep, person: str) -> Path:
    return directory() / sweep.key / "requests" / f"{person}.json"


def _files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix == ".json"]
    except OSError:
        return []


def directory() -> Path:
    """The folder of this home's sweeps and of the requests for them."""
    return settings.home() / "sweeps"
