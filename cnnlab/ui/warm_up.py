"""What the server does before its first browser comes: it limits its memory and imports what the first page needs.

Altair and the pages take about five seconds of CPU. Without this, the first of a class who open the app wait for them,
and all others with it.
"""

import contextlib
import importlib
import logging
import pkgutil
import sys
import threading
from collections.abc import AsyncIterator

from cnnlab.operating_system.c_library import limit_malloc_cache

logger = logging.getLogger("cnnlab.warm_up")
PACKAGES = ("cnnlab.pages", "cnnlab.rendering")
# Altair imports jsonschema, and that, where this package is installed (JupyterLab brings it), compiles a grammar of
# international addresses: two seconds, for a format that no chart has. jsonschema does without it.
UNUSED_GRAMMAR = "rfc3987_syntax"


def import_pages() -> None:
    """Import every module of PACKAGES but the entry point, which Streamlit runs; one log line where one fails.

    UNUSED_GRAMMAR is not imported in this process, unless it was before.
    """
    sys.modules.setdefault(UNUSED_GRAMMAR, None)  # type: ignore[arg-type]  # the import system's own "not there"
    for package in PACKAGES:
        folders = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(folders, f"{package}."):
            if module.name != "cnnlab.pages.entrypoint":
                try:
                    importlib.import_module(module.name)
                except Exception as error:  # the page that needs it says so
                    logger.warning("%s cannot be imported: %r", module.name, error)


@contextlib.asynccontextmanager
async def importing_pages(app: object) -> AsyncIterator[None]:
    """The lifespan of the server: limits of memory, which hold for threads to come, and `import_pages` in a thread."""
    limit_malloc_cache()
    threading.Thread(target=import_pages, name="warm-up", daemon=True).start()
    yield
