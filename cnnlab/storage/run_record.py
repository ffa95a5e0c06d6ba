"""record.json of a run: the state of its training, its device and versions, and its final figures."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from cnnlab.storage import bounded_files, files
from cnnlab.storage.bounded_files import DamagedFile

RECORD_FILE = "record.json"
STATES = ("running", "done", "stopped", "failed")
MAX_JSON_BYTES = 1_000_000  # of record.json and experiment.json; a run of 500 epochs writes about 8,000
MAX_TEXT = 10_000  # characters of one text
MAX_NUMBER = 1e15  # no figure of a training is larger


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The content of record.json. A field that the file lacks has its default.

    `state` is running, done, stopped or failed, or "" where there is no record; `reason` says why it failed. `final`
    and `best` are rows of the history by column: the last epoch's, and that of the best validation accuracy.
    `seconds` is the sum of `epoch_seconds`; `started` and `finished` are ISO 8601 times. `reestimation_images`
    is how many training images batch normalization's statistics are re-estimated from, None without that layer.
    `extra` holds what this version does not know.
    """

    state: str = ""
    reason: str | None = None
    epochs_done: int = 0
    epoch_seconds: tuple[float, ...] = ()
    seconds: float = 0.0
    device: str | None = None
    threads: int | None = None
    precision: str | None = None
    fingerprint: str | None = None
    seed: int | None = None
    commit: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    started: str | None = None
    finished: str | None = None
    test_accuracy: float | None = None
    reestimation_images: int | None = None
    final: Mapping[str, float] | None = None
    best: Mapping[str, float] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The record in a parsed JSON object; a value of another type than the field's counts as missing."""
        known = {name: value[name] for name, kind in FIELD_TYPES.items() if name in value and kind.fits(value[name])}
        if "epoch_seconds" in known:
            known["epoch_seconds"] = tuple(known["epoch_seconds"])
        return cls(**known, extra={name: value[name] for name in value if name not in FIELD_TYPES})

    def to_json(self) -> dict[str, Any]:
        """The JSON object of record.json, unknown fields included."""
        value = asdict(self)
        extra: dict[str, Any] = value.pop("extra")
        if self.reestimation_images is None:
            del value["reestimation_images"]
        return value | {"epoch_seconds": list(self.epoch_seconds)} | extra


@dataclass(frozen=True)
class FieldType:
    """What a field of record.json holds: in words, and whether a value is one."""

    words: str
    fits: Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _is_number(value: Any) -> bool:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool)
    return usable and -MAX_NUMBER <= value <= MAX_NUMBER  # false for NaN and the infinities too


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value) and value >= 0


def _or_null(kind: FieldType) -> FieldType:
    return FieldType(f"{kind.words} or null", lambda value: value is None or kind.fits(value))


def _mapping(words: str, fits: Callable[[Any], bool]) -> FieldType:
    return FieldType(words, lambda value: isinstance(value, dict) and all(map(fits, value.values())))


TEXT, COUNT = FieldType("a text", _is_text), FieldType("a whole number from 0", _is_count)
SECONDS = FieldType("a number from 0", lambda value: _is_number(value) and value >= 0)
SECONDS_LIST = FieldType("a list of numbers", lambda value: isinstance(value, list) and all(map(SECONDS.fits, value)))
SHARE = FieldType("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
ROW = _mapping("an object of numbers", _is_number)
FIELD_TYPES: dict[str, FieldType] = {
    "state": FieldType(f"one of {', '.join(STATES)}", lambda value: value in STATES),
    "epochs_done": COUNT,
    "epoch_seconds": SECONDS_LIST,
    "seconds": SECONDS,
    "versions": _mapping("an object of texts", _is_text),
    "test_accuracy": _or_null(SHARE),
    **dict.fromkeys(("final", "best"), _or_null(ROW)),
    **dict.fromkeys(("threads", "seed", "reestimation_images"), _or_null(COUNT)),
    **dict.fromkeys(("reason", "device", "precision", "fingerprint", "commit", "started", "finished"), _or_null(TEXT)),
}
REQUIRED_FIELDS = ("state", "epochs_done")
REQUIRED_WHEN_DONE = ("seconds",)  # of a finished run, whose duration the pages state


def read_record(folder: Path) -> RunRecord:
    """The record in this run directory; an empty one where the file is missing or broken."""
    try:
        return RunRecord.from_json(read_record_object(folder / RECORD_FILE))
    except (FileNotFoundError, DamagedFile):
        return RunRecord()


def read_record_object(path: Path) -> dict[str, Any]:
    """The JSON object in a record.json. Raises FileNotFoundError, DamagedFile."""
    return bounded_files.parse_json_object(bounded_files.read_file(path, MAX_JSON_BYTES))


def read_valid_record(path: Path, epochs: int) -> RunRecord:
    """The record of a run of `epochs` epochs, every field checked. Raises FileNotFoundError, DamagedFile."""
    value = read_record_object(path)
    required = REQUIRED_FIELDS + (REQUIRED_WHEN_DONE if value.get("state") == "done" else ())
    if missing := [name for name in required if name not in value]:
        raise DamagedFile(f"lacks {' and '.join(missing)}")
    for name, kind in FIELD_TYPES.items():
        if name in value and not kind.fits(value[name]):
            raise DamagedFile(f"has a wrong {name}: expected {kind.words}, received {repr(value[name])[:40]}")
    record = RunRecord.from_json(value)
    if max(record.epochs_done, len(record.epoch_seconds)) > epochs:
        raise DamagedFile(f"counts {max(record.epochs_done, len(record.epoch_seconds))} epochs of {epochs}")
    return record


def write_record(folder: Path, record: RunRecord) -> None:
    """Write record.json into this run directory, atomically. Raises OSError."""
    files.write_json(folder / RECORD_FILE, record.to_json())
