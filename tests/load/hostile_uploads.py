"""Pictures that take gigabytes or minutes, and files without end, sent to a real web server.

    python tests/load/hostile_uploads.py

Six browsers send an RGBA PNG of 8000x8000 at once, and one sends every other attack and damaged files of all formats.
Then one session sends forty files of 24 MB, forty sessions send a photo of 10 MB each and close, and one closes its
page while its picture is decoded. The memory of the web process and of the decoding processes is sampled all the while.

Targets: each bad picture is one sentence; the web process grows by 20 MB at most through pictures; no decoding process
passes 300 MB or 2 seconds of CPU; one that nobody waits for ends within a second; files on their way take no more than
128 MB, and after the sessions have been closed nothing of their photos is left.
"""

import asyncio
import contextlib
import io
import random
import sys
import threading
import time
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from browser_protocol import COOKIE, Browser, Widget
from load_report import Findings
from server import Lab, cpu_seconds, fresh_lab, memory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hostile_images import ATTACKS, jpeg_of_scans, rgba_png, saved
from PIL import Image
from streamlit.proto.Common_pb2 import UploadedFileInfo
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

UPLOADER = "inspect.upload.file"
READERS = (b"photo_decoding", b"keras_process")  # of pictures and of networks
SAMPLE_SECONDS = 0.02
MB = 10**6
DAMAGED_FILES = 5  # of each format


class Uploader(Browser):
    """A tab of Look inside with the field for a picture."""

    session = ""

    def _take(self, message: ForwardMsg) -> None:
        if message.WhichOneof("type") == "new_session":
            self.session = message.new_session.initialize.session_id
        super()._take(message)

    async def open_uploader(self) -> None:
        await self.open("look_inside", **{"from": "upload"})

    async def put(self, data: bytes, name: str) -> int:
        """Send a file to this session; the status."""
        return await asyncio.to_thread(self._put, data, name)

    def _put(self, data: bytes, name: str) -> int:
        cookie, mark = self._cookie(), uuid.uuid4().hex
        head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'
        request = urllib.request.Request(
            f"{self.url}/_stcore/upload_file/{self.session}/{name}",
            data=b"".join([head.encode(), data, f"\r\n--{mark}--\r\n".encode()]),
            method="PUT",
            headers={
                "Content-Type": f"multipart/form-data; boundary={mark}",
                "Cookie": f"{COOKIE}={cookie}",
                "X-Xsrftoken": cookie,
            },
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return int(answer.status)

    async def choose_file(self, data: bytes) -> float:
        """Choose a picture; the seconds until the page has shown what became of it."""
        widget = self._existing(UPLOADER)
        await self.hold_file(widget, data)
        return await self._ask("a picture", widget.fragment)

    async def hold_file(self, widget: Widget, data: bytes) -> None:
        """Send a file, which the field holds from then on."""
        name = str(uuid.uuid4())
        await self.put(data, name)
        value = WidgetState(id=widget.proto.id)
        value.file_uploader_state_value.uploaded_file_info.append(
            UploadedFileInfo(file_id=name, name="photo", size=len(data))
        )
        self.states[widget.proto.id] = value


@dataclass
class Sampler:
    """Samples the web process and its decoding processes in a thread until it is left."""

    web: int
    web_peak: float = 0.0
    decoders: dict[int, tuple[float, float]] = field(default_factory=dict)  # peak in MB, seconds of CPU
    done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Sampler":
        self.thread = threading.Thread(target=self._sample)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def _sample(self) -> None:
        while not self.done.wait(SAMPLE_SECONDS):
            self.web_peak = max(self.web_peak, memory(self.web)[0])
            for process in readers(self.web):
                with contextlib.suppress(OSError, KeyError, IndexError):
                    status = Path(f"/proc/{process}/status").read_text()
                    peak = int(status.split("VmHWM:")[1].split()[0]) / 1000
                    self.decoders[process] = peak, cpu_seconds(process)


def decoders(web: int) -> list[int]:
    """The processes that decode a picture for this web process."""
    return readers(web, (b"photo_decoding",))


def readers(web: int, names: tuple[bytes, ...] = READERS) -> list[int]:
    """The processes that read a file that is not trusted for this web process."""
    children = " ".join(path.read_text() for path in Path(f"/proc/{web}/task").glob("*/children"))
    found = []
    for child in map(int, children.split()):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            found += [child] * any(name in command for name in names)
    return found


def damaged_files() -> list[bytes]:
    """Pictures of every format with some bytes changed, and cut."""
    chance = random.Random(0)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8))
    found = []
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"):
        whole = saved(noise, kind)
        for _ in range(DAMAGED_FILES):
            spoilt = bytearray(whole)
            for _ in range(10):
                spoilt[chance.randrange(len(whole))] = chance.randrange(256)
            found.append(bytes(spoilt[: chance.randrange(len(whole) // 2, len(whole))]))
    return found


# -- the measurements --------------------------------------------------------------------------------------------------


async def opened(url: str, count: int) -> list[Uploader]:
    """So many tabs."""
    tabs = [Uploader(url) for _ in range(count)]
    for tab in tabs:
        await tab.open_uploader()
    return tabs


async def close(tabs: list[Uploader]) -> None:
    for tab in tabs:
        await tab.close()


async def attacks(lab: Lab, found: Findings) -> None:
    """The pictures: six large ones at once, then every attack, then damaged files."""
    web = lab.web_pid
    tabs = await opened(lab.url, 6)
    photo = saved(Image.new("RGB", (4000, 3000), "red"), "JPEG")
    seconds = [await tab.choose_file(photo) for tab in tabs]
    found.tell("a photo of 12 million pixels, seconds from click to page", f"{max(seconds):.2f}")
    before = memory(web)[0]
    with Sampler(web) as sampler:
        large = rgba_png(8000, 8000)
        seconds = await asyncio.gather(*(tab.choose_file(large) for tab in tabs))
        said = [tab.texts for tab in tabs]
        for data in [*(make() for make in ATTACKS.values()), *damaged_files()]:
            seconds.append(await tabs[0].choose_file(data))
            said.append(tabs[0].texts)
    after = memory(web)[0]
    bad = [texts for texts in said if len(texts) > 1 or any("exception" in text or "\n" in text for text in texts)]
    peak, cpu = (max(used) for used in zip(*sampler.decoders.values(), strict=True))
    found.tell("pictures sent, one sentence or none", f"{len(said)}, {len(said) - len(bad)}", "all", not bad)
    found.tell("the longest wait, seconds", f"{max(seconds):.1f}")
    found.tell("web process before, at most, after, MB", f"{before:.0f}, {sampler.web_peak:.0f}, {after:.0f}")
    found.tell(
        "web process, growth at most, MB", f"{sampler.web_peak - before:.0f}", "20", sampler.web_peak - before <= 20
    )
    found.tell("decoding processes, peak of memory, MB", f"{peak:.0f}", "300", peak <= 300)
    found.tell("decoding processes, most CPU seconds", f"{cpu:.2f}", "2", cpu <= 2.0)
    await close(tabs)


async def page_that_goes(lab: Lab, found: Findings) -> None:
    """Close a page while its picture is decoded."""
    web = lab.web_pid
    [tab] = await opened(lab.url, 1)
    task = asyncio.create_task(tab.choose_file(jpeg_of_scans(4000)))
    while not decoders(web):
        await asyncio.sleep(0.01)
    await tab.close()
    started = time.monotonic()
    while decoders(web):
        await asyncio.sleep(0.01)
    seconds = time.monotonic() - started
    task.cancel()
    found.tell("seconds until the decoder of a closed page has ended", f"{seconds:.2f}", "1", seconds <= 1)


async def files_without_end(lab: Lab, found: Findings) -> None:
    """Forty files of 24 MB by one session."""
    web = lab.web_pid
    [tab] = await opened(lab.url, 1)
    before = memory(web)[0]
    data = bytes(24 * MB)
    statuses = [await tab.put(data, f"file-{number}") for number in range(40)]
    grown = memory(web)[0] - before
    found.tell("forty files of 24 MB by one session: accepted", statuses.count(204))
    found.tell("web process, growth, MB", f"{grown:.0f}", "160", grown <= 160)
    await tab.close()


async def closed_sessions(lab: Lab, found: Findings) -> None:
    """Forty sessions with a photo of 10 MB each, closed one after the other."""
    web = lab.web_pid
    file = io.BytesIO()
    Image.new("RGB", (1900, 1750), "blue").save(file, "BMP")
    before = memory(web)[0]
    for _ in range(40):
        [tab] = await opened(lab.url, 1)
        await tab.choose_file(file.getvalue())
        await tab.close()
    grown = memory(web)[0] - before
    found.tell("forty closed sessions with a photo of 10 MB: growth, MB", f"{grown:.0f}", "100", grown <= 100)


def main() -> int:
    """All measurements, each with a fresh web server."""
    found = Findings("Hostile uploads")
    works: list[Any] = [attacks, page_that_goes, files_without_end, closed_sessions]
    for work in works:
        with fresh_lab(CNNLAB_STARTS_DISPATCHER=0) as lab:
            lab.start_web()
            asyncio.run(work(lab, found))
            complaints = lab.complaints()
            found.tell(f"complaints in the log ({work.__name__})", len(complaints), "none", not complaints)
    return found.close()


if __name__ == "__main__":
    sys.exit(main())
