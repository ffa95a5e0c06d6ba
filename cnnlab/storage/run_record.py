"""record.json of a run: how its training stands or ended, on what it ran, and its final figures."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from cnnlab.storage import files

RECORD_FILE = "record.json"


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The content of record.json. A field that the file lacks has its default.

    `state` is running, done, stopped or failed, or "" where there is no record; `reason` says why it failed. `final`
    and `best` are rows of the history by column: the last epoch's, and that of the best validation accuracy.
    `seconds` is the sum of `epoch_seconds`; `started` and `finished` are ISO 8601 times. `extra` holds what this
    version does not know.
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
    final: Mapping[str, float] | None = None
    best: Mapping[str, float] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The record in a parsed JSON object; a value of another type than the field's counts as missing."""
        known = {name: value[name] for name, kinds in JSON_TYPES.items() if _is_instance(value.get(name), kinds)}
        if "epoch_seconds" in known:
            known["epoch_seconds"] = tuple(known["epoch_seconds"])
        return cls(**known, extra={name: value[name] for name in value if name not in JSON_TYPES})

    def to_json(self) -> dict[str, Any]:
        """The JSON object of record.json, unknown fields included."""
        value = asdict(self)
        extra: dict[str, Any] = value.pop("extra")
        return value | {"epoch_seconds": list(self.epoch_seconds)} | extra


JSON_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("state", "reason", "device", "precision", "fingerprint", "commit"), (str,)),
    **dict.fromkeys(("started", "finished"), (str,)),
    **dict.fromkeys(("epochs_done", "threads", "seed"), (int,)),
    **dict.fromkeys(("seconds", "test_accuracy"), (int, float)),
    **dict.fromkeys(("versions", "final", "best"), (dict,)),
    "epoch_seconds": (list,),
}


def _is_instance(value: object, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def read_record(folder: Path) -> RunRecord:
    """The record in this run directory; an empty one where the file is missing or broken."""
    return RunRecord.from_json(files.read_json(folder / RECORD_FILE))


def write_record(folder: Path, record: RunRecord) -> None:
    """Write record.json into this run directory, atomically. Raises OSError."""
    files.write_json(folder / RECORD_FILE, record.to_json())
