"""The tables of attacks, in one command:

    python -m tests.load.attack [uploads] [damage] [addresses] [values] [sweep] [kills] [sessions] [--steps N]
        [--corpus FOLDER]

Each row says how many attempts were made, how many were answered as if nothing had happened ("ok") or with a sentence,
how many crashed, and how many took more than 2 seconds of CPU or 300 MB of memory. For `kills` an attempt is a training
that somebody asked for while processes were killed, and ok is a history equal to the undisturbed one's; for `sessions`
it is an opening or an automatic rerun of a page, and its seconds are those on the wall. Progress goes to standard
error. All tables whole take hours; the exit code is 1 where anything crashed.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from load_report import Findings
from tally import Tally, print_tallies

ALL_STEPS = 3000
Options = argparse.Namespace
Table = Callable[[Options], list[Tally]]


def uploads(options: Options) -> list[Tally]:
    """Pictures to the decoding process, then to a real web server."""
    import hostile_imports
    import hostile_uploads
    from upload_attacks import upload_table

    tallies = upload_table(options.steps, options.corpus)
    if not options.quick:
        hostile_uploads.main()
        hostile_imports.main()
    return tallies


def damage(options: Options) -> list[Tally]:
    """Every file of a run, damaged in every way, on every page."""
    from page_attacks import damage_table

    return damage_table(options.steps)


def addresses(options: Options) -> list[Tally]:
    """Pages at hostile addresses."""
    from page_attacks import address_table

    return address_table(options.steps)


def values(options: Options) -> list[Tally]:
    """Fields of every page of a real web server with values that no browser sends."""
    from hostile_values import values_table

    return values_table(options.steps)


def sweep(options: Options) -> list[Tally]:
    """Every option of every page, and a random walk."""
    from page_attacks import sweep_table

    return sweep_table(options.steps, options.archive)


def kills(options: Options) -> list[Tally]:
    """SIGKILL to every process of a lab at work."""
    from kills import QUICK, WHOLE, storm_tally

    return [storm_tally(min(options.steps, options.kills), seed=0, size=QUICK if options.quick else WHOLE)]


def sessions(options: Options) -> list[Tally]:
    """Many tabs at once; then many requests for trainings at once."""
    import submissions
    from sessions import measure, session_tally

    found = Findings("Sessions")
    visits = [measure(tabs, options.seconds, found) for tabs in options.tabs]
    found.close()
    if not options.quick:
        submissions.main()
    return [session_tally(visits)]


TABLES: dict[str, Table] = {
    table.__name__: table for table in (uploads, damage, addresses, values, sweep, kills, sessions)
}


def parsed(arguments: list[str] | None = None) -> Options:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="table", help=f"of {', '.join(TABLES)}; none: all")
    parser.add_argument("--steps", type=int, default=ALL_STEPS, help="attempts of each part of a table, at most")
    parser.add_argument("--kills", type=int, default=20, help="processes to kill")
    parser.add_argument("--tabs", type=int, nargs="*", default=[30, 100], help="browsers at once")
    parser.add_argument("--seconds", type=float, default=20.0, help="for which the browsers stay")
    parser.add_argument("--corpus", type=Path, help="a folder of pictures, as Tests/images of Pillow's sources")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="without the real web server of uploads and of submissions; kills with one person and shorter trainings",
    )
    archive = os.environ.get("CNNLAB_TEST_ARCHIVE")
    parser.add_argument("--archive", type=Path, default=archive, help="of the real CIFAR-10 (CNNLAB_TEST_ARCHIVE)")
    options = parser.parse_args(arguments)
    if unknown := set(options.tables) - set(TABLES):
        parser.error(f"Expected tables of {', '.join(TABLES)}. Received: {', '.join(sorted(unknown))}")
    if options.steps < 1:
        parser.error(f"Expected --steps of 1 or more. Received: --steps {options.steps}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the tables one after the other; print each when it is done, and all at the end."""
    options, tallies = parsed(arguments), list[Tally]()
    chosen = options.tables or list(TABLES)
    for number, name in enumerate(chosen, 1):
        print(f"table {number} of {len(chosen)}: {name}", file=sys.stderr, flush=True)
        made = TABLES[name](options)
        if len(chosen) > 1:
            print_tallies(made)
        tallies += made
    return print_tallies(tallies)


if __name__ == "__main__":
    sys.exit(main())
