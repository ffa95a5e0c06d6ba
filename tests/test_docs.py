"""The site of the documentation: the commands on its pages run, its Python and its sheet too, and it builds."""

import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import urllib.request
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from free_ports import free_port
from nginx_server import wait_for
from test_own_pictures import write_pictures

from cnnlab import settings
from cnnlab.settings import subprocess_environment

DOCS = settings.REPOSITORY / "deploy" / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))
ARCHIVE = "cifar-10-python.tar.gz"

needs_mkdocs = pytest.mark.skipif(not find_spec("mkdocs"), reason="needs pip install -r deploy/requirements-docs.txt")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language, without the indentation that a list gives them."""
    text = (DOCS / page).read_text()
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in found]


README = (settings.REPOSITORY / "README.md").read_text()
SET_UPS = re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)
SHELL = [(page, block.strip()) for page in PAGES for block in blocks(page, "sh")]
STARTS = [(page, block) for page, block in SHELL if "streamlit run" in block and block not in SET_UPS]
RUNS = [(page, block) for page, block in SHELL if block not in SET_UPS and (page, block) not in STARTS]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder that holds what a clone holds, a home, and the files that the pages tell their reader to have."""
    for path in settings.REPOSITORY.iterdir():
        if path.name not in (".git", ".venv"):
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "home").mkdir()
    [sheet] = [block for block in blocks("teachers.md", "yaml") if block.startswith("title: ")]
    (tmp_path / "my-sheet.yaml").write_text(sheet)
    write_pictures(tmp_path / "my-pictures")
    if archive := os.environ.get("CNNLAB_TEST_ARCHIVE"):
        (tmp_path / ARCHIVE).symlink_to(archive)
    return tmp_path


def shell(block: str, clone: Path, **environment: str) -> subprocess.Popen[str]:
    """Start the commands of a block in `clone`, with this Python in the place of the one that the page installs."""
    python = shlex.quote(sys.executable)
    block = block.replace(".venv/bin/python", python).replace(".venv/bin/streamlit", f"{python} -m streamlit")
    environment = {"CNNLAB_HOME": str(clone / "home"), "CNNLAB_PYTHON": sys.executable} | environment
    return subprocess.Popen(
        ["bash", "-ec", block], cwd=clone, env=subprocess_environment() | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def test_there_are_five_pages_and_all_are_on_the_menu():
    menu = yaml.safe_load((DOCS.parent / "mkdocs.yml").read_text())["nav"]
    assert sorted(page for entry in menu for page in entry.values()) == PAGES and len(PAGES) == 5


def test_what_sets_up_is_what_the_readme_says():
    assert sorted(block for _, block in SHELL if "-m venv" in block) == sorted(SET_UPS)


@pytest.mark.nightly(but=[".venv/bin/python -m cnnlab lesson list"])
@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize(("page", "block"), RUNS, ids=[block.splitlines()[0] for _, block in RUNS])
def test_the_commands_on_a_page_run(page, block, clone):
    if ARCHIVE in block and not (clone / ARCHIVE).exists():
        pytest.skip("needs CNNLAB_TEST_ARCHIVE, the real CIFAR-10")
    process = shell(block, clone)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize(("page", "block"), STARTS, ids=[block for _, block in STARTS])
def test_a_command_that_starts_the_app_starts_it(page, block, clone):
    port = free_port()
    options = {"STREAMLIT_SERVER_PORT": str(port), "STREAMLIT_SERVER_HEADLESS": "true"}
    process = shell(block, clone, CNNLAB_STARTS_DISPATCHER="0", **options)
    try:
        wait_for(port)
        assert urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=30).status == 200
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_the_python_on_a_page_runs_and_gives_the_shapes_it_names(page):
    known: dict[str, object] = {}
    checked = 0
    for line in "".join(blocks(page, "python")).splitlines():
        code, _, comment = line.partition("  # ")
        exec(code, known)
        if shape := re.match(r"\([\d, ]+\)", comment):
            name = code.split(" = ")[0].split(", ")[0] if " = " in code else code
            value = eval(name, known)
            assert getattr(value, "shape", value) == eval(shape[0]), line
            checked += 1
    assert checked


class Outside(HTMLParser):
    """The addresses of other hosts from which a page would load something."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        words = dict(attrs)
        self.headings += [tag] if tag == "h1" else []
        loaded = words.get("href") if tag == "link" and words.get("rel") != "canonical" else words.get("src")
        self.addresses += [loaded] if loaded and "//" in loaded else []


@needs_mkdocs
@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(DOCS.parent / "mkdocs.yml")]
    built = subprocess.run([*command, "-d", str(tmp_path / "site")], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    for page in PAGES:
        reader = Outside()
        reader.feed((tmp_path / "site" / page.replace(".md", ".html")).read_text())
        assert reader.addresses == [] and reader.headings == ["h1"], page


def test_paths_that_the_pages_name_exist():
    text = "".join((DOCS / page).read_text() for page in PAGES)
    named = set(re.findall(r"`((?:deploy|cnnlab|tests|pretrained)/[\w./]+)`", text))
    assert {path for path in named if not (settings.REPOSITORY / path).exists()} == set() != named
