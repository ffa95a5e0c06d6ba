"""What the server does before its first browser comes: it limits its memory, imports the pages and draws them once.

Altair, the pages, and what they compute for all sessions (results of the report's networks, specifications of charts)
take about seven seconds of CPU, four after a restart in the same home. Without this, the first of a class who open the
app wait for them, and all others too.
"""

import contextlib
import importlib
import logging
import pkgutil
import sys
import threading
from collections.abc import AsyncIterator, Iterator

from cnnlab.operating_system.c_library import limit_malloc_cache
from cnnlab.ui.log_limit import limit_repeated_lines
from cnnlab.ui.streamlit_script_context import run_without_browser

logger = logging.getLogger("cnnlab.warm_up")
PACKAGES = ("cnnlab.pages", "cnnlab.rendering")
PAGES = ("train", "compare", "look_inside", "mistakes")  # whose caches are filled, in this order
IMPORTS_ALTAIR = "_specs"  # the end of the names of the modules that do; specifications on the disk need none of them
# Altair imports jsonschema, and that, where this package is installed (JupyterLab brings it), compiles a grammar of
# international addresses: two seconds, for a format that no chart has. jsonschema does without it.
UNUSED_GRAMMAR = "rfc3987_syntax"


def import_pages(with_altair: bool) -> None:
    """Import the modules of PACKAGES with Altair, or all others but the entry point, which Streamlit runs.

    One log line where one fails.

    UNUSED_GRAMMAR is not imported in this process, unless it was before.
    """
    sys.modules.setdefault(UNUSED_GRAMMAR, None)  # type: ignore[arg-type]  # the import system's own "not there"
    for name in _module_names(with_altair):
        try:
            _import(name)
        except Exception as error:  # the page that needs it says so
            logger.warning("%s cannot be imported: %r", name, error)


def _module_names(with_altair: bool) -> Iterator[str]:
    """As `import_pages` says; a package is imported before its modules are listed."""
    for package in PACKAGES:
        folders = importlib.import_module(package).__path__
        names = (module.name for module in pkgutil.walk_packages(folders, f"{package}."))
        wanted = (name for name in names if name.endswith(IMPORTS_ALTAIR) == with_altair)
        yield from (name for name in wanted if name != "cnnlab.pages.entrypoint")


def _import(name: str) -> None:
    """Import a module; once more where pandas, which Altair uses, was only half imported by another thread then."""
    try:
        importlib.import_module(name)
    except AttributeError:
        if "pandas" not in sys.modules:
            raise
        importlib.import_module("pandas")  # waits until it is whole
        importlib.import_module(name)


def fill_caches() -> None:
    """Run each of PAGES without a browser, as a first visit would; what it computes stays in all sessions' caches.

    One log line where a page fails.
    """
    for name in PAGES:
        try:
            run_without_browser(importlib.import_module(f"cnnlab.pages.{name}").page)
        except Exception as error:  # a browser that opens the page is told
            logger.warning("the page %s cannot be drawn: %r", name, error)


def warm_up() -> None:
    """Import the pages, fill the caches, import Altair: in this order, as a restarted server finds its charts."""
    importlib.import_module("cnnlab.rendering.charts").keep_specs()
    import_pages(with_altair=False)
    fill_caches()
    import_pages(with_altair=True)


@contextlib.asynccontextmanager
async def warming_up(app: object) -> AsyncIterator[None]:
    """The lifespan of the server: limits of memory and of the log, and `warm_up` in a thread.

    The limits of memory hold for threads to come.
    """
    limit_malloc_cache()
    limit_repeated_lines()
    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
    yield
