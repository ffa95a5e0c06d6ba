"""A data set that is replaced: whoever reads, whenever, and whatever is killed, it is the old one or the new one."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnnlab import settings
from cnnlab.data import array_store
from cnnlab.data.array_store import Arrays, ArrayStoreError

pytestmark = pytest.mark.slow

# Replaces "old" by "new" again and again, each time in a child that is killed one step later; then writes "last".
KILLED = """
import json, os, signal, sys
from pathlib import Path
import numpy as np
from cnnlab.data import array_store as store

STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")

def arrays(value):
    images, labels = np.full((10, 32, 32, 3), value, np.uint8), np.full(10, value, np.uint8)
    return dict(zip(store.ARRAY_NAMES, (images, labels) * 2, strict=True))

def kill_before(step):
    left = [step]
    def hook(event, _):
        if event in STEPS:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

def there(folder):
    found, manifest = store.read(folder)
    return manifest["said"] if manifest["fingerprint"] == store.fingerprint(found) else "a mixture"

def replaced(folder, step):
    store.write(folder, arrays(0), {"said": "old"})
    child = os.fork()
    if child == 0:
        kill_before(step)
        store.write(folder, arrays(1), {"said": "new"})
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        found = there(folder)
    except store.ArrayStoreError:
        found = "nothing"
    store.write(folder, arrays(2), {"said": "last"})
    return ended, found, there(folder), sorted(os.listdir(folder.parent))

step, told = 1, []
while not told or told[-1][0]:
    told.append(replaced(Path(sys.argv[1]) / str(step) / "data", step))
    step += 1
print(json.dumps(told))
"""


def arrays(value: int) -> Arrays:
    images, labels = np.full((10, 32, 32, 3), value, np.uint8), np.full(10, value, np.uint8)
    return dict(zip(array_store.ARRAY_NAMES, (images, labels) * 2, strict=True))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a data set, "old"."""
    array_store.write(tmp_path / "data", arrays(0), {"said": "old"})
    return tmp_path / "data"


@pytest.mark.posix
def test_a_replacement_killed_at_any_step_leaves_the_old_or_the_new_data_set(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    told = json.loads(subprocess.check_output(command, cwd=settings.REPOSITORY, text=True))
    ends, stored, afterwards, left = zip(*told, strict=True)
    assert set(ends[:-1]) == {-9} and len(ends) > 15
    assert set(stored) == {"old", "new"}
    assert list(stored) == sorted(stored, reverse=True)  # once the new one is there, it stays
    assert set(afterwards) == {"last"}
    assert {tuple(names) for names in left} == {(".data.lock", "data")}


def test_a_replacement_that_fails_at_its_last_step_leaves_the_old_data_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def rename(old: Path, new: Path) -> None:
        if Path(new) == folder:
            monkeypatch.setattr(os, "replace", real)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(old, new)

    monkeypatch.setattr(os, "replace", rename)
    with pytest.raises(ArrayStoreError, match="Input/output error"):
        array_store.write(folder, arrays(1), {"said": "new"})
    assert array_store.read(folder)[1]["said"] == "old"
    assert sorted(os.listdir(folder.parent)) == [".data.lock", "data"]


@pytest.mark.posix
@pytest.mark.parametrize("moment", range(1, 5))
def test_who_reads_while_it_is_replaced_gets_no_mixture(
    folder: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    real, loaded = np.lib.format.open_memmap, []

    def load(path: Path, **how: object) -> np.ndarray:
        loaded.append(path)
        if len(loaded) == moment:
            array_store.write(folder, arrays(1), {"said": "new"})
        return real(path, **how)

    monkeypatch.setattr(np.lib.format, "open_memmap", load)
    stored, manifest = array_store.read(folder)
    assert manifest["fingerprint"] == array_store.fingerprint(stored)
    assert (manifest["said"], stored["x_train"].max()) == ("new", 1)
