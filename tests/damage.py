"""Every way to damage a file of a run that the tests know: by the file's path in the run, a name and a function."""

import csv
import io
import json
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

Damage = Callable[[Path], None]
ARRAYS = {  # of each file of arrays, two that belong together
    "weights/001.npz": ("conv1/kernel", "conv1/bias"),
    "predictions.npz": ("test", "test_labels"),
    "top.npz": ("relu1/top/values", "relu1/top/images"),
}
FILES = ("experiment.json", "record.json", "history.csv", "model.keras", *ARRAYS, "reestimated.json")
COMPUTED_AGAIN = ("top.npz", "reestimated.json")  # these make no damaged run: pages do without, or compute them
DEEP = 900  # levels that json.loads reads and that recursive code does not survive
BOMB_BYTES = 100_000_000


@dataclass(frozen=True)
class DamageCase:
    """One way to damage one file."""

    file: str
    name: str
    apply: Damage

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


def cases(file: str) -> Iterator[DamageCase]:
    """All ways to damage this file."""
    ways: dict[str, Damage] = {**_ways_for_all(), **_ways_for(file)}
    yield from (DamageCase(file, name, way) for name, way in ways.items())


def _ways_for_all() -> dict[str, Damage]:
    cuts: dict[str, Damage] = {f"cut at {percent} %": _cut(percent / 100) for percent in (5, 25, 50, 75, 99)}
    return cuts | {
        "emptied": lambda path: path.write_bytes(b""),
        "binary": lambda path: path.write_bytes(np.random.default_rng(0).bytes(5_000)),
        "text": lambda path: path.write_text("what is this\n" * 20),
        "huge": _huge,
        "link": _replaced(lambda path: path.symlink_to("/etc/hostname")),
        "link to nothing": _replaced(lambda path: path.symlink_to("nowhere")),
        "link to itself": _replaced(lambda path: path.symlink_to(path.name)),
        "endless link": _replaced(lambda path: path.symlink_to("/dev/zero")),
        **({"pipe": _replaced(os.mkfifo)} if hasattr(os, "mkfifo") else {}),
        "folder": _replaced(Path.mkdir),
        "one byte changed": _one_byte_changed,
    }


def _ways_for(file: str) -> dict[str, Damage]:
    if file == "experiment.json":
        return _json_ways() | _experiment_ways()
    if file == "record.json":
        return _json_ways() | _record_ways()
    if file == "reestimated.json":
        return _json_ways() | _reestimated_ways()
    if file == "history.csv":
        return _history_ways()
    if file == "model.keras":
        return _bombs("model.weights.h5") | _model_ways()
    name, other = ARRAYS[file]
    return _bombs(f"{name}.npy") | _array_ways(name, other)


def _cut(share: float) -> Damage:
    def cut(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return cut


def _replaced(make: Damage) -> Damage:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def _huge(path: Path) -> None:
    """The content, and four gigabytes of nothing, which take no place on the disk."""
    with path.open("r+b") as file:
        file.truncate(4_000_000_000)


def _one_byte_changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(bytes(content))


# -- JSON --------------------------------------------------------------------------------------------------------------


def _json_ways() -> dict[str, Damage]:
    deep = json.loads("[" * DEEP + "]" * DEEP)
    return {
        "a list": lambda path: path.write_text("[1, 2]"),
        "a number": lambda path: path.write_text("7"),
        "null": lambda path: path.write_text("null"),
        "no fields": lambda path: path.write_text("{}"),
        "too deep to parse": lambda path: path.write_text("[" * 100_000),
        "a deep field": _changed(later=deep),
        "a deep field of its own": _changed(epochs=deep, versions={"keras": deep}),
    }


def _changed(**values: Any) -> Damage:
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _without(name: str) -> Damage:
    def remove(path: Path) -> None:
        value = json.loads(path.read_text())
        del value[name]
        path.write_text(json.dumps(value))

    return remove


def _experiment_ways() -> dict[str, Damage]:
    return {
        "of another seed": _changed(seed=77),
        "of a wider network": _changed(filters=128),
        "an unknown data set": _changed(dataset="mnist"),
        "a field of a newer version": _changed(label_smoothing=0.1),
        "an infinite rate": lambda path: path.write_text(path.read_text().replace("0.001", "1e999")),
        "a list as depth": _changed(depth=[3]),
        "a text as epochs": _changed(epochs="thirty"),
        "an enormous number": lambda path: path.write_text(
            path.read_text().replace('"seed":0', f'"seed":{"9" * 4000}')
        ),
    }


def _record_ways() -> dict[str, Damage]:
    missing = {f"without {name}": _without(name) for name in ("state", "epochs_done", "seconds")}
    wrong: dict[str, Any] = {
        "state": [None, 1, "finished", ["done"], {}],
        "epochs_done": [None, "2", -1, 2.5, 400, True, [2]],
        "epoch_seconds": ["abc", None, ["abc"], [1.0, None], [[1.0]], {"1": 2.0}, [float("nan")], [1.0] * 600],
        "seconds": ["abc", None, float("nan"), float("inf"), -1, [1]],
        "device": [1, ["AMD"], {"name": "AMD"}, "x" * 20_000],
        "finished": [1, ["2026"]],
        "test_accuracy": ["0.7", float("nan"), 7, [0.7]],
        "final": ["abc", [1], {"val_accuracy": "abc"}, {"val_accuracy": None}],
        "reason": [1, ["because"]],
        "versions": ["3.15", {"keras": 3}],
    }
    changed = {
        f"{name} is {str(value)[:20]}": _changed(**{name: value}) for name, values in wrong.items() for value in values
    }
    return missing | changed | {"one epoch less": _changed(epochs_done=1)}


def _reestimated_ways() -> dict[str, Damage]:
    def rows(edit: Callable[[list[dict[str, Any]]], object]) -> Damage:
        def apply(path: Path) -> None:
            value = json.loads(path.read_text())
            edit(value["epochs"])
            path.write_text(json.dumps(value))

        return apply

    def figure(value: object, name: str = "val_accuracy_reestimated") -> Damage:
        return rows(lambda found: found[-1].update({name: value}))

    values = ("0.7", None, [0.7], 7, -1, float("nan"), float("inf"), True, 10**400)
    epochs = (99, -1, 0.5, "2", float("nan"), 10**400)
    return {
        "epochs that are a number": _changed(epochs=7),
        "epochs that are numbers": _changed(epochs=[1, 2]),
        "an epoch twice": rows(lambda found: found.append(found[0])),
        "an epoch without a figure": rows(lambda found: found[0].pop("val_loss_reestimated")),
        **{f"an accuracy of {str(value)[:9]}": figure(value) for value in values},
        **{f"the epoch {str(value)[:9]}": figure(value, "epoch") for value in epochs},
    }


# -- history.csv -------------------------------------------------------------------------------------------------------


def _history_ways() -> dict[str, Damage]:
    def cell(value: str, column: str = "val_loss") -> Damage:
        return _edited(lambda rows: rows[-1].__setitem__(rows[0].index(column), value))

    return {
        "without a column": _edited(lambda rows: [row.pop(5) for row in rows]),
        "a column twice": _edited(lambda rows: rows[0].__setitem__(2, rows[0][1])),
        "one epoch less": _edited(lambda rows: rows.pop()),
        "one epoch more": _edited(lambda rows: rows.append(["3", *rows[-1][1:]])),
        "no epochs": _edited(lambda rows: rows.__delitem__(slice(1, None))),
        "no header": _edited(lambda rows: rows.pop(0)),
        "a short row": _edited(lambda rows: rows[-1].pop()),
        "epochs from 1": _edited(lambda rows: [row.__setitem__(0, str(n)) for n, row in enumerate(rows) if n]),
        "a word": cell("abc"),
        "not a number": cell("nan"),
        "infinite": cell("inf"),
        "an empty figure": cell(""),
        "an empty accuracy": cell("", "accuracy"),
        "a long cell": cell("1" * 200_000),
        "600 rows": _edited(lambda rows: rows.extend([str(n), *rows[-1][1:]] for n in range(3, 600))),
    }


def _edited(edit: Callable[[list[list[str]]], object]) -> Damage:
    def apply(path: Path) -> None:
        rows = list(csv.reader(path.read_text().splitlines()))
        edit(rows)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        path.write_text(text.getvalue())

    return apply


# -- archives ----------------------------------------------------------------------------------------------------------


def _bombs(member: str) -> dict[str, Damage]:
    """Archives that expand to BOMB_BYTES, as their directory says or in spite of it, and strange directories."""
    return {
        "deflated bomb": lambda path: _bomb(path, member, zipfile.ZIP_DEFLATED),
        "bzip2 bomb": lambda path: _bomb(path, member, zipfile.ZIP_BZIP2),
        "lying bzip2 bomb": lambda path: _lying(path, member, zipfile.ZIP_BZIP2),
        "lying deflated bomb": lambda path: _lying(path, member, zipfile.ZIP_DEFLATED),
        "another member": lambda path: _archive(path, {"other.npy": npy(np.zeros(3))}),
        "no members": lambda path: _archive(path, {}),
        "many members": lambda path: _archive(path, {f"{number}.npy": b"x" for number in range(5_000)}),
        "lzma members": lambda path: _archive(path, {member: npy(np.zeros(3))}, zipfile.ZIP_LZMA),
    }


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def _archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _bomb(path: Path, member: str, method: int) -> None:
    path.write_bytes(_bomb_content(member, method))


@lru_cache
def _bomb_content(member: str, method: int) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method, compresslevel=9) as archive:
        archive.writestr(member, bytes(BOMB_BYTES))
    return content.getvalue()


def _lying(path: Path, member: str, method: int) -> None:
    """A bomb whose directory states a thousand bytes."""
    stated = struct.pack("<I", BOMB_BYTES)
    path.write_bytes(_bomb_content(member, method).replace(stated, struct.pack("<I", 1_000)))


def _array_ways(name: str, labels: str) -> dict[str, Damage]:
    """Other arrays under the file's own names."""
    object_array = np.array([{"a": 1}], object)
    changes: dict[str, Callable[[dict[str, np.ndarray]], object]] = {
        "another shape": lambda arrays: arrays.update({name: arrays[name][..., :-1]}),
        "one dimension": lambda arrays: arrays.update({name: arrays[name].ravel()}),
        "no images": lambda arrays: arrays.update({name: arrays[name][:0], labels: arrays[labels][:0]}),
        "texts": lambda arrays: arrays.update({name: np.full(arrays[name].shape, "abc")}),
        "integers": lambda arrays: arrays.update({name: np.ones(arrays[name].shape, np.int64)}),
        "complex numbers": lambda arrays: arrays.update({name: arrays[name].astype(np.complex64)}),
        "NaN": lambda arrays: arrays[name].ravel().__setitem__(slice(3), np.nan),
        "infinite": lambda arrays: arrays[name].ravel().__setitem__(slice(3), np.inf),
        "an array less": lambda arrays: arrays.pop(name),
        "the other array less": lambda arrays: arrays.pop(labels),
        "objects": lambda arrays: arrays.update({name: object_array}),
        "other second array": lambda arrays: arrays.update({labels: arrays[labels][:-1]}),
    }
    if not labels.endswith("bias"):
        changes["large labels"] = lambda arrays: arrays.update({labels: np.full_like(arrays[labels], 200) * 50})
    ways = {way: _rewritten(change) for way, change in changes.items()}
    header = npy(np.zeros(4, np.float32)).replace(b"(4,), }     ", b"(4, 10**9)} ")
    stated = npy(np.zeros(4, np.float32)).replace(b"(4,), }            ", b"(400000000000,), } ")
    return ways | {
        "a strange header": lambda path: _archive(path, {f"{name}.npy": header}),
        "an enormous shape": lambda path: _archive(path, {f"{name}.npy": stated}),
        "no array": lambda path: _archive(path, {f"{name}.npy": b"abc"}),
    }


def _rewritten(change: Callable[[dict[str, np.ndarray]], object]) -> Damage:
    def apply(path: Path) -> None:
        with np.load(path) as file:
            arrays = {name: file[name].copy() for name in file.files}
        change(arrays)
        np.savez(path, **arrays)

    return apply


def _model_ways() -> dict[str, Damage]:
    def members(**changes: Any) -> Damage:
        def apply(path: Path) -> None:
            with zipfile.ZipFile(path) as archive:
                found = {name: archive.read(name) for name in archive.namelist()}
            config = json.loads(found["config.json"])
            content = changes.get("config", lambda config: config)(config)
            found["config.json"] = content if isinstance(content, bytes) else json.dumps(content).encode()
            if "weights" in changes:
                found["model.weights.h5"] = changes["weights"](found["model.weights.h5"])
            _archive(path, found)

        return apply

    def layers(edit: Callable[[list[Any]], object]) -> Damage:
        def apply(config: Any) -> Any:
            edit(config["config"]["layers"])
            return config

        return members(config=apply)

    def place(found: list[Any]) -> int:
        """Of the first convolution."""
        return [layer["class_name"] for layer in found].index("Conv2D")

    return {
        "no layers": members(config=lambda config: {"config": {}}),
        "a list of layers": members(config=lambda config: [config]),
        "a deep configuration": members(config=lambda config: b'{"config":' + b"[" * DEEP + b"]" * DEEP + b"}"),
        "one layer less": layers(lambda found: found.pop(place(found))),
        "layers that are numbers": layers(lambda found: found.__setitem__(0, 7)),
        "a layer of another name": layers(lambda found: found[place(found)]["config"].__setitem__("name", "x")),
        "no HDF5": members(weights=lambda content: b"abc"),
        "half an HDF5": members(weights=lambda content: content[: len(content) // 2]),
        "zeros in HDF5": members(weights=lambda content: bytes(2000) + content[2000:]),
    }
