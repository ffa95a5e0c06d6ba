"""Pictures sent to the decoding process: those made to take gigabytes, damaged ones, and a folder of the caller's."""

import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tally import CRASH, OK, SENTENCE, Tally

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hostile_images import ATTACKS, Usage, decoded_with_meter
from hostile_uploads import damaged_files

from cnnlab.data import photo_preprocessing
from cnnlab.operating_system.resource_limits import limit_exit_codes

AT_ONCE = photo_preprocessing.MAX_DECODERS
MOST_BYTES = 25 * 10**6  # what the page accepts


def upload_table(steps: int, corpus: Path | None) -> list[Tally]:
    """Every picture, decoded by the app's own process within its limits."""
    tallies = [tally_of("uploads", pictures(), steps)]
    if corpus:
        files = sorted(path for path in corpus.rglob("*") if path.is_file() and path.stat().st_size <= MOST_BYTES)
        tallies.append(tally_of("uploads, corpus", ((path.name, path.read_bytes()) for path in files[:steps]), steps))
    return tallies


def pictures() -> Iterator[tuple[str, bytes]]:
    """Names and files."""
    yield from ((name, make()) for name, make in ATTACKS.items())
    yield from ((f"damaged file {number}", data) for number, data in enumerate(damaged_files()))


def tally_of(name: str, files: Iterable[tuple[str, bytes]], steps: int) -> Tally:
    """The counts of these files, as many at once as the app decodes."""
    tally = Tally(name)
    some = [one for one, _ in zip(files, range(steps), strict=False)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for (file, _), used in zip(some, pool.map(decoded_with_meter, [data for _, data in some]), strict=True):
            tally.add(outcome(used), used.cpu_seconds, used.megabytes, f"{file}: {used.problem or 'decoded'}")
    return tally


def outcome(used: Usage) -> str:
    """A process that its limits ended is answered with a sentence by the page; any other signal is a crash."""
    if used.code and used.code not in limit_exit_codes():
        return CRASH
    if not used.problem:
        return OK
    return SENTENCE if "\n" not in used.problem else CRASH
