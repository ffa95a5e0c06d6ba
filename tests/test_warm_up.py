"""The pages are imported while the server waits for its first browser."""

import asyncio
import logging
import pkgutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest

from cnnlab import photo_decoding
from cnnlab.ui import warm_up

LOADED = """
import sys
from cnnlab.ui import warm_up
warm_up.import_pages()
names = ("cnnlab.pages.look_inside", "cnnlab.pages.compare", "altair", "cnnlab.pages.entrypoint", "tensorflow", "keras")
print([name for name in names if name in sys.modules])
"""


@pytest.mark.slow
def test_pages_and_altair_are_imported_and_neither_the_entry_point_nor_tensorflow():
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['cnnlab.pages.look_inside', 'cnnlab.pages.compare', 'altair']"


@pytest.mark.slow
@pytest.mark.skipif(not find_spec(warm_up.UNUSED_GRAMMAR), reason="JupyterLab's packages are not installed")
@pytest.mark.parametrize(("first", "grammar"), [("import altair", "lark"), (LOADED, "None")], ids=["altair", "pages"])
def test_altair_alone_compiles_a_grammar_that_the_server_does_without(first, grammar):
    """If Altair alone does not, the line in `import_pages` is no longer needed."""
    program = f"{first}\nprint('lark' if 'lark' in sys.modules else sys.modules['rfc3987_syntax'])"
    done = subprocess.run([sys.executable, "-c", f"import sys\n{program}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == grammar


def test_the_server_answers_while_the_pages_are_imported(monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def slow_import():
        begun.set()
        go_on.wait(20)

    monkeypatch.setattr(warm_up, "import_pages", slow_import)

    async def serve():
        async with warm_up.importing_pages(None):
            assert await asyncio.to_thread(begun.wait, 20) and not go_on.is_set()
            go_on.set()

    with ThreadPoolExecutor() as pool:  # Playwright's event loop may run in this thread
        pool.submit(asyncio.run, serve()).result()


def test_a_module_that_cannot_be_imported_costs_one_line(monkeypatch, caplog):
    def refuse(name):
        raise ImportError(name)

    package = warm_up.importlib.import_module
    monkeypatch.setattr(warm_up, "PACKAGES", ("cnnlab.photo_decoding",))
    monkeypatch.setattr(
        warm_up.importlib, "import_module", lambda name: package(name) if name.count(".") == 1 else refuse(name)
    )
    with caplog.at_level(logging.WARNING):
        warm_up.import_pages()
    assert len(caplog.records) == len(list(pkgutil.iter_modules(photo_decoding.__path__))) > 1
