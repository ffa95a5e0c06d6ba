"""Limits how often one kind of line is written to the log of the web server, so that no visitor fills the disk with it.

Streamlit and uvicorn write a line, often with a traceback, for each message of a browser that they cannot use.
"""

import logging
import time

MAX_LINES, SECONDS = 5, 600.0  # of one kind, and the time in which they are counted
MAX_KINDS = 200  # that are counted; others are written
LOGGERS = (
    "streamlit.runtime.app_session",
    "streamlit.runtime.scriptrunner.script_runner",
    "streamlit.web.server.starlette.starlette_websocket",
    "uvicorn.error",
)


class RepeatedLines(logging.Filter):
    """Lets MAX_LINES lines with the same words before their values pass in SECONDS."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[tuple[str, str], tuple[float, int]] = {}  # since when, and how many

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; the last one says that others are left out."""
        kind, now = (record.name, str(record.msg)[:200]), time.monotonic()
        since, count = self.seen.get(kind, (now, 0))
        if now - since > SECONDS:
            since, count = now, 0
        if len(self.seen) < MAX_KINDS or kind in self.seen:
            self.seen[kind] = since, count + 1
        if count + 1 == MAX_LINES:
            record.msg = f"{record.msg} (the next lines of this kind within {SECONDS / 60:.0f} min are left out)"
        return count < MAX_LINES


def limit_repeated_lines() -> None:
    """Install the filter on LOGGERS, once."""
    lines = RepeatedLines()
    for logger in map(logging.getLogger, LOGGERS):
        if not any(isinstance(one, RepeatedLines) for one in logger.filters):
            logger.addFilter(lines)
