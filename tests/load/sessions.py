"""Many browsers that open their pages at one moment, stay for a while, and go.

    python tests/load/sessions.py [--tabs 30 100] [--seconds 20] [--cold]

A third each opens Train, Compare and Look inside. Told are the time until the first pages were drawn, that of the
pages' automatic reruns while all are open, and the memory of the web process before, with all open, and after they
have closed and expired. The server has drawn its pages for nobody when they come; with `--cold` it has just started.

Targets: 95 of 100 first openings take at most 2 s for thirty browsers, 95 of 100 automatic reruns at most 1 s.
"""

import argparse
import asyncio
import os
import sys
import tomllib
from dataclasses import dataclass, field

from browser_protocol import Browser, NotAnswered
from load_report import Findings
from server import Lab, cpu_seconds, fresh_lab, memory
from tally import CRASH, OK, SENTENCE, Tally

from cnnlab import settings

PAGES = ("", "compare", "look_inside")
SHOWN_COMPLAINTS = 10
CONFIG = tomllib.loads((settings.APP_FILES / ".streamlit" / "config.toml").read_text())
EXPIRY_SECONDS = CONFIG["server"]["disconnectedSessionTTL"] + 10.0  # after which a closed session is given up


@dataclass
class Visit:
    """What so many browsers met: seconds of openings and of automatic reruns, MB of the web process, texts of pages."""

    openings: list[float] = field(default_factory=list)
    opening_cpu: float = 0.0  # seconds of the web process for all openings
    polls: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)  # before, with all open, after they closed
    said: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


async def visit(lab: Lab, tabs: int, seconds: float) -> Visit:
    """All open at once, stay for some seconds, and close."""
    made, used = Visit(megabytes=[memory(lab.web_pid)[0]]), cpu_seconds(lab.web_pid)

    def note(what: str, seconds: float) -> None:
        (made.openings if what == "opening" else made.polls).append(seconds)

    browsers = [Browser(lab.url, note) for _ in range(tabs)]

    async def open_page(number: int) -> None:
        try:
            await browsers[number].open(PAGES[number % len(PAGES)])
        except (NotAnswered, OSError) as error:
            made.failed.append(repr(error))

    await asyncio.gather(*map(open_page, range(tabs)))
    made.opening_cpu = cpu_seconds(lab.web_pid) - used
    await asyncio.sleep(seconds)
    made.said = [text for browser in browsers for text in browser.texts]
    made.megabytes.append(memory(lab.web_pid)[0])
    for browser in browsers:
        await browser.close()
    await asyncio.sleep(EXPIRY_SECONDS)
    made.megabytes.append(memory(lab.web_pid)[0])
    return made


def p50(values: list[float]) -> float:
    """The median; 0 where there is none."""
    return sorted(values)[len(values) // 2] if values else 0.0


def p95(values: list[float]) -> float:
    """The value that 95 of 100 do not exceed; 0 where there is none."""
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))] if values else 0.0


def measure(tabs: int, seconds: float, found: Findings, cold: bool = False) -> Visit:
    """One visit to a fresh web server, which has drawn its pages for nobody unless it is cold."""
    with fresh_lab(CNNLAB_STARTS_DISPATCHER=0) as lab:
        lab.start_web()
        if not cold:
            lab.wait_until_idle()
        made = asyncio.run(visit(lab, tabs, seconds))
        complaints = lab.complaints()
    opening, polling = p95(made.openings), p95(made.polls)
    first = f"median {p50(made.openings):.2f} s, p95 {opening:.2f} s, {made.opening_cpu / tabs:.3f} s of CPU each"
    target = "p95 at most 2 s" if tabs <= 30 else ""
    found.tell(f"{tabs} tabs: first openings at once", first, target, opening <= 2)
    found.tell(
        f"{tabs} tabs: automatic reruns (n={len(made.polls)})", f"p95 {polling:.2f} s", "p95 at most 1 s", polling <= 1
    )
    before, during, after = made.megabytes
    each = (during - before) / tabs
    found.tell(
        f"{tabs} tabs: web process before, open, after, MB",
        f"{before:.0f}, {during:.0f}, {after:.0f}; {each:.1f} a tab",
    )
    found.tell(f"{tabs} tabs: pages that failed", len(made.failed), "none", not made.failed)
    found.tell(f"{tabs} tabs: complaints in the log", len(complaints), "none", not complaints)
    print("\n".join(complaints[:SHOWN_COMPLAINTS]), file=sys.stderr)
    found.tell("load of the machine", f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return made


def session_tally(visits: list[Visit]) -> Tally:
    """The openings and automatic reruns of these visits; a page that failed or shows an exception is a crash."""
    tally = Tally("sessions")
    for made in visits:
        for seconds in made.openings + made.polls:
            tally.add(OK, seconds)
        for text in made.failed + made.said:
            tally.add(CRASH if text in made.failed or text.startswith("exception") else SENTENCE, detail=text)
        tally.large += made.megabytes[1] - made.megabytes[0] > 300
    return tally


def main() -> int:
    """Measure each number of tabs with a fresh server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tabs", type=int, nargs="*", default=[30, 100], help="browsers at once")
    parser.add_argument("--seconds", type=float, default=20.0, help="for which they stay")
    parser.add_argument("--cold", action="store_true", help="to a server that has just started")
    options = parser.parse_args()
    found = Findings("Sessions")
    for tabs in options.tabs:
        measure(tabs, options.seconds, found, options.cold)
    return found.close()


if __name__ == "__main__":
    sys.exit(main())
