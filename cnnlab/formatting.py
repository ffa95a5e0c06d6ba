"""Numbers, durations and dates as text."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime

MAX_QUOTED_CHARACTERS = 40  # letters of a wrong word that are repeated to its author
INSIDE_FIGURE = re.compile(r"(?<=\d) (?=%|(?:s|min|h|MB|GB)\b)|(?<=±) ")  # the spaces at which a line does not end
ORDINAL_SUFFIXES = {1: "st", 2: "nd", 3: "rd"}


def percent(share: float, digits: int | None = None) -> str:
    """A fraction in percent: 0.718 as '72 %', with `digits` decimals '71.80 %'; 'no number' for NaN and infinity.

    Without `digits`, what would round to 0 or 100 keeps a decimal, or reads '<0.1 %' or '>99.9 %'.
    """
    if not math.isfinite(share):
        return "no number"
    if digits is not None:
        return f"{100 * share:.{digits}f} %"
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    rounded = round(100 * share)
    return f"{100 * share:.1f} %" if rounded in (0, 100) and share not in (0, 1) else f"{rounded} %"


def keep_figures_whole(text: str) -> str:
    """The text with no line break between a number and its percent sign or unit, nor between ± and its number."""
    return INSIDE_FIGURE.sub("\N{NO-BREAK SPACE}", text)


def points(difference: float, sign: bool = False) -> str:
    """A difference of fractions in percentage points: 0.0232 as '2.3 points', with `sign` '+2.3 points'."""
    return f"{100 * difference:{'+' if sign else ''}.1f} points"


def format_range(low: float, high: float) -> str:
    """'0.00 to 1.83'."""
    return f"{format_value(low)} to {format_value(high)}"


def format_value(value: float) -> str:
    """Two decimals from 0.1 to 1000, two significant digits outside: '0.12', '0.0034', '1.2e+03'."""
    if value == 0:
        return "0"
    return f"{value:z.2f}" if 0.1 <= abs(value) < 1000 else f"{value:.2g}"


def pluralize(number: int, singular: str, plural: str = "") -> str:
    """'1 image', '2,639 images'; `plural` where an s at the end is not enough: '2 runs of it'."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    ending = "th" if number % 100 in (11, 12, 13) else ORDINAL_SUFFIXES.get(number % 10, "th")
    return f"{number}{ending}"


def queue_position(place: int) -> str:
    """'next in the queue', '2nd in the queue'."""
    return "next in the queue" if place == 1 else f"{ordinal(place)} in the queue"


def duration(seconds: float) -> str:
    """'40 s', '9 min', '1 h 20 min': to the second below 90 s, else to the minute."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def exact_duration(seconds: float) -> str:
    """142 as '2 min 22 s'."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """These rows as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def format_date(iso: str | None) -> str:
    """'23 November 2026' from a time in a record; 'on an unknown day' where there is none."""
    try:
        moment = datetime.fromisoformat(iso or "")
    except ValueError:
        return "on an unknown day"
    return f"{moment.day} {moment:%B %Y}"


def quoted(word: str) -> str:
    """Text from outside, safe to repeat: in quotes, at most MAX_QUOTED_CHARACTERS characters, all of them printable."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in word)
    return repr(shown if len(shown) <= MAX_QUOTED_CHARACTERS else shown[:MAX_QUOTED_CHARACTERS] + "...")
