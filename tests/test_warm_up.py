"""The pages are imported and their caches filled while the server waits for its first browser."""

import asyncio
import logging
import pkgutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from cnnlab import photo_decoding, settings
from cnnlab.ui import warm_up
from cnnlab.ui.streamlit_script_context import run_without_browser

LOADED = """
import sys
from cnnlab.ui import warm_up
warm_up.import_pages(with_altair=False)
assert "altair" not in sys.modules
warm_up.import_pages(with_altair=True)
names = ("cnnlab.pages.look_inside", "cnnlab.pages.compare", "altair", "cnnlab.pages.entrypoint", "tensorflow", "keras")
print([name for name in names if name in sys.modules])
"""


@pytest.mark.slow
def test_pages_and_altair_are_imported_and_neither_the_entry_point_nor_tensorflow():
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['cnnlab.pages.look_inside', 'cnnlab.pages.compare', 'altair']"


@pytest.mark.nightly(but=["pages"])
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

    monkeypatch.setattr(warm_up, "warm_up", slow_import)

    async def serve():
        async with warm_up.warming_up(None):
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
        warm_up.import_pages(with_altair=False)
    assert len(caplog.records) == len(list(pkgutil.iter_modules(photo_decoding.__path__))) > 1


@st.cache_resource
def long_list(length):
    return list(range(length))


def in_thread(function, *arguments):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result(), pool.submit(get_script_run_ctx, True).result()


HALF_PANDAS = "from half_imported import begun, go_on\nbegun.set()\ngo_on.wait(20)\nclass Timestamp: pass\n"
READS_PANDAS = """
import sys
from half_imported import go_on, met
try:
    sys.modules["pandas"].Timestamp
except AttributeError:
    met.append("half of it")
    if len(met) == 2:
        go_on.set()
    raise
"""


def test_a_module_that_met_a_half_imported_pandas_is_imported_once_it_is_whole(monkeypatch, tmp_path):
    (tmp_path / "pandas.py").write_text(HALF_PANDAS)
    (tmp_path / "reads_modules.py").write_text(READS_PANDAS)
    half = SimpleNamespace(begun=threading.Event(), go_on=threading.Event(), met=[])
    monkeypatch.setitem(sys.modules, "half_imported", half)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pandas"]:
        monkeypatch.delitem(sys.modules, name)
    other = threading.Thread(target=__import__, args=("pandas",))
    other.start()
    assert half.begun.wait(20)
    with pytest.raises(AttributeError):
        __import__("reads_modules")
    warm_up._import("reads_modules")
    assert len(half.met) == 2 and hasattr(sys.modules["pandas"], "Timestamp")
    other.join()
    del sys.modules["pandas"], sys.modules["reads_modules"]


def test_a_page_without_a_browser_has_a_session_and_leaves_only_the_caches():
    seen = []

    def page():
        st.session_state["here"] = len(long_list(7))
        st.selectbox("Number", [1, 2], key="number")
        seen.append((st.session_state["here"], st.session_state["number"], dict(st.query_params)))
        st.stop()

    assert in_thread(run_without_browser, page) == (None, None)
    assert seen == [(7, 1, {})]
    with ThreadPoolExecutor() as pool:
        assert pool.submit(lambda: "here" in st.session_state).result() is False
    assert long_list(7) is long_list(7)


def test_a_page_that_fails_costs_one_line_and_the_next_one_is_drawn(monkeypatch, caplog):
    drawn = []
    monkeypatch.setattr(warm_up, "PAGES", ("compare", "mistakes"))
    monkeypatch.setattr("cnnlab.pages.compare.page", lambda: 1 / 0)
    monkeypatch.setattr("cnnlab.pages.mistakes.page", lambda: drawn.append(get_script_run_ctx().session_id))
    with caplog.at_level(logging.WARNING):
        in_thread(warm_up.fill_caches)
    said = [record.getMessage() for record in caplog.records if record.name == warm_up.logger.name]
    assert len(said) == 1 and "compare" in said[0] and "ZeroDivisionError" in said[0]
    assert len(drawn) == 1


FIRST_VISITS = """
import logging, sys
from streamlit.runtime import context
from streamlit.testing.v1 import AppTest
from cnnlab.ui import cache, warm_up
logging.disable()
context._get_client_context = lambda: None  # there is no server
warm_up.warm_up()
specs = [one for name, module in sys.modules.items() if name.startswith("cnnlab.rendering")
         for one in vars(module).values() if hasattr(one, "cache_info")]
built, rows = sum(one.cache_info().misses for one in specs), cache.report_rows()
for page in warm_up.PAGES:
    drawn = AppTest.from_string(f"from cnnlab.pages import {page}; {page}.page()", default_timeout=60).run()
    more = sum(one.cache_info().misses for one in specs) - built
    print(page, len(drawn.exception), more, cache.report_rows() is rows)
print(built > 10)
"""


@pytest.mark.slow
def test_the_first_visit_of_each_page_builds_no_chart_and_reads_no_results(tmp_path):
    environment = settings.subprocess_environment() | {"CNNLAB_HOME": str(tmp_path), "CNNLAB_STARTS_DISPATCHER": "0"}
    done = subprocess.run(
        [sys.executable, "-c", FIRST_VISITS], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.splitlines() == [*(f"{page} 0 0 True" for page in warm_up.PAGES), "True"]
