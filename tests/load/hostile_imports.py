"""Imports at once, as large as they may be: twice three networks of one's own, then three sets of pictures.

    python tests/load/hostile_imports.py

The memory of the web process and of the processes that read the files is sampled all the while. A file on its way is in
the web process, so the process grows by what three uploads take, and beyond that by what the import keeps.

Targets: every import succeeds; no process that reads passes 300 MB; the web process grows by what is sent and 100 MB
at most; a second three networks leave no more than 20 MB behind.
"""

import asyncio
import io
import json
import sys
import zipfile
from collections.abc import Awaitable, Callable

import browser_protocol
import h5py
import numpy as np
from hostile_uploads import MB, Sampler, Uploader
from load_report import Findings
from PIL import Image
from server import Lab, fresh_lab, memory

from cnnlab import settings

AT_ONCE = 3
DENSE_UNITS = 1_650  # 3.9 million parameters, of the 4 million that an own network may have
NETWORK_BYTES = 24_500_000  # of the 25 MB that the server takes
PICTURES, CLASSES = 8_500, 10  # 24 MB
GROWTH, KEPT = 100.0, 20.0  # MB


def large_network(seed: int) -> bytes:
    """A `.keras` file of the report's 2-conv network with a larger dense layer, and room as an optimizer takes."""
    source = zipfile.ZipFile(settings.PRETRAINED / "2conv-none" / "model.keras")
    config, rng = json.loads(source.read("config.json")), np.random.default_rng(seed)
    for layer in config["config"]["layers"]:
        if layer["config"].get("name") == "dense1":
            layer["config"]["units"] = DENSE_UNITS
    stored = io.BytesIO(source.read("model.weights.h5"))
    with h5py.File(stored, "r+") as file:
        inputs, outputs = len(file["layers/dense/vars/0"]), file["layers/dense_1/vars/0"].shape[1]
        shapes = {"dense/vars/0": (inputs, DENSE_UNITS), "dense/vars/1": (DENSE_UNITS,)}
        for name, shape in (shapes | {"dense_1/vars/0": (DENSE_UNITS, outputs)}).items():
            del file[f"layers/{name}"]
            file[f"layers/{name}"] = rng.normal(0, 0.01, shape).astype(np.float32)
        room = NETWORK_BYTES - 4 * inputs * DENSE_UNITS - 1_500_000
        file["optimizer/vars/0"] = rng.integers(0, 256, room, np.uint8)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("metadata.json", source.read("metadata.json"))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", stored.getvalue())
    return made.getvalue()


def many_pictures(seed: int) -> bytes:
    """A ZIP archive of PICTURES small photos in CLASSES folders."""
    rng, made = np.random.default_rng(seed), io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(PICTURES):
            photo = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(photo, "JPEG")
            archive.writestr(f"class {number % CLASSES}/{number}.jpg", photo.getvalue())
    return made.getvalue()


async def bring_network(tab: Uploader, number: int, content: bytes) -> float:
    """Import a network on Look inside; the seconds until it is shown."""
    await tab.open("look_inside")
    await tab.hold_file(tab._existing("inspect.imported_network.file0"), content)
    return await tab.press("Look inside it", "a network", **{"inspect.imported_network.title0": f"large {number}"})


async def bring_pictures(tab: Uploader, number: int, content: bytes) -> float:
    """Import pictures on Train; the seconds until they are there."""
    await tab.open("")
    await tab.hold_file(tab._existing("train.own_pictures.file0"), content)
    return await tab.press("Import them", "pictures", **{"train.own_pictures.name0": f"many-{number}"})


async def measure(
    lab: Lab,
    found: Findings,
    what: str,
    bring: Callable[..., Awaitable[float]],
    make: Callable[[int], bytes],
    first: int = 0,
) -> float:
    """Three imports of this kind at once; the MB of the web process that stay. first: the number of the first one."""
    contents = [make(number) for number in range(first, first + AT_ONCE)]
    tabs = [Uploader(lab.url) for _ in contents]
    before, sent = memory(lab.web_pid)[0], sum(map(len, contents)) / MB
    with Sampler(lab.web_pid) as sampler:
        seconds = await asyncio.gather(*map(bring, tabs, range(first, first + AT_ONCE), contents))
    for tab in tabs:
        await tab.close()
    await asyncio.sleep(1)
    kept, grown = memory(lab.web_pid)[0] - before, sampler.web_peak - before
    problems = [text for tab in tabs for text in tab.texts]
    print(*problems, sep="\n", file=sys.stderr)
    peaks = [peak for peak, _ in sampler.decoders.values()] or [0.0]
    sizes = f"{AT_ONCE} of {sent / AT_ONCE:.0f} MB, {max(seconds):.0f} s"
    found.tell(f"{what}, at once", sizes, "all succeed", not problems and len(sampler.decoders) >= AT_ONCE)
    most = GROWTH + sent
    figures = f"{before:.0f}, {before + grown:.0f}, {before + kept:.0f}"
    found.tell(f"{what}: web process before, at most, after, MB", figures, f"grows by {most:.0f}", grown <= most)
    children = f"{max(peaks):.0f} (n={len(sampler.decoders)})"
    found.tell(f"{what}: processes that read, peak MB", children, "300", max(peaks) <= 300)
    return kept


async def both(lab: Lab, found: Findings) -> None:
    """Networks, then pictures."""
    await measure(lab, found, "networks", bring_network, large_network)
    kept = await measure(lab, found, "networks again", bring_network, large_network, AT_ONCE)
    found.tell("networks again: MB of the web process that stay", f"{kept:.0f}", f"{KEPT:.0f}", kept <= KEPT)
    await measure(lab, found, "pictures", bring_pictures, many_pictures)


def main() -> int:
    """Both kinds, in one web process."""
    browser_protocol.GIVE_UP_SECONDS = 280.0
    found = Findings("Imports at once")
    with fresh_lab(CNNLAB_STARTS_DISPATCHER=0) as lab:
        lab.start_web()
        lab.wait_until_idle()
        asyncio.run(both(lab, found))
        complaints = lab.complaints()
        found.tell("complaints in the log", len(complaints), "none", not complaints)
        print(*complaints[:5], sep="\n", file=sys.stderr)
    return found.close()


if __name__ == "__main__":
    sys.exit(main())
