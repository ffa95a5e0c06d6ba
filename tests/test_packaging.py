"""The package's description, the requirements, the lock file and CONTRIBUTING.md agree with each other and the code."""

import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import tomllib
import venv
import zipfile
from contextlib import suppress
from email.parser import Parser
from importlib.metadata import Distribution, PackageNotFoundError, distribution, entry_points, files, metadata
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from free_ports import free_port
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from cnnlab import settings
from cnnlab.doctor.installation import REQUIRED_PACKAGES
from cnnlab.lessons.sheet_files import SHIPPED_ORDER

PYPROJECT = tomllib.loads((settings.REPOSITORY / "pyproject.toml").read_text())
CONTRIBUTING = (settings.REPOSITORY / "CONTRIBUTING.md").read_text()


def requirements(name: str) -> list[Requirement]:
    lines = (settings.REPOSITORY / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith(("#", "-"))]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_requirements_and_the_package_name_the_same_dependencies():
    project = PYPROJECT["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["train"]]
    declared = {str(Requirement(text)) for text in texts}
    assert {str(requirement) for requirement in requirements("requirements.txt")} == declared


def test_the_doctor_looks_for_every_dependency():
    declared = [Requirement(text).name for text in PYPROJECT["project"]["dependencies"]]
    assert list(REQUIRED_PACKAGES) == declared


@pytest.mark.parametrize("requirement", requirements("requirements.txt"), ids=lambda one: one.name)
def test_the_lock_file_satisfies_every_requirement(requirement):
    pins = [pin for pin in requirements("requirements.lock") if canonical(pin.name) == canonical(requirement.name)]
    assert pins
    for pin in pins:
        [specifier] = pin.specifier
        assert specifier.operator == "==" and requirement.specifier.contains(Version(specifier.version))


@pytest.mark.parametrize("name", ["streamlit", "keras", "tensorflow"])
def test_a_dependency_whose_insides_matter_is_held_at_its_minor_version(name):
    [requirement] = [one for one in requirements("requirements.txt") if one.name == name]
    low, high = sorted(Version(specifier.version) for specifier in requirement.specifier)
    assert high.release == (low.major, low.minor + 1)


def test_the_lock_file_names_no_index_and_no_path():
    text = (settings.REPOSITORY / "requirements.lock").read_text()
    assert re.findall(r"https?:|file:|--index|/", text) == []


def test_the_command_is_the_function_that_the_package_declares():
    module, function = PYPROJECT["project"]["scripts"]["cnnlab"].split(":")
    script = f"from {module} import {function}; raise SystemExit({function}(['settings']))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=settings.REPOSITORY)
    assert done.returncode == 0 and "jobs_per_person" in done.stdout


def test_the_entry_point_for_jupyter_names_a_server_with_a_port_and_a_base_url():
    [(name, target)] = PYPROJECT["project"]["entry-points"]["jupyter_serverproxy_servers"].items()
    module, function = target.split(":")
    told = getattr(importlib.import_module(module), function)()
    assert name == "cnnlab" and {"{port}", "{base_url}cnnlab"} <= set(told["command"]) and told["absolute_url"]


@pytest.mark.skipif(not entry_points(name="cnnlab", group="console_scripts"), reason="needs pip install -e .")
def test_the_installed_command_starts():
    [script] = entry_points(name="cnnlab", group="console_scripts")
    assert callable(script.load())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this repository, built from a copy without network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=settings.REPOSITORY, text=True).split("\0")
    for name in filter(None, listed):
        if not name.startswith(("tests/", "deploy/")) and (settings.REPOSITORY / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(settings.REPOSITORY / name, source / name)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True)
    [path] = folder.glob("*.whl")
    return path


def test_beyond_streamlit_the_first_install_brings_only_what_contributing_counts():
    """What is installed without TensorFlow; CONTRIBUTING says what each takes, so a new one changes that table."""
    ours = dependencies({Requirement(text).name for text in PYPROJECT["project"]["dependencies"]})
    table = CONTRIBUTING.partition("| installed | MB")[2].partition("\n\n")[0]
    told = {canonical(name) for name in re.findall(r"^\| ([\w-]+) \| [\d.]+ \|", table, re.MULTILINE)}
    assert ours.keys() - dependencies({"streamlit"}).keys() - {"mdurl"} == told - {"cnnlab", "streamlit"}


@pytest.mark.slow
def test_the_wheel_holds_the_app_and_every_shipped_file_and_asks_for_no_tensorflow(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [about] = [name for name in names if name.endswith(".dist-info/METADATA")]
        declared = Parser().parsestr(archive.read(about).decode())
    shipped = {f"cnnlab/bundled/{path.relative_to(settings.REPOSITORY)}" for path in files_below(settings.PRETRAINED)}
    assert shipped <= names
    assert {"cnnlab/bundled/streamlit_app.py", "cnnlab/bundled/.streamlit/config.toml"} <= names
    assert {f"cnnlab/lessons/sheets/{name}.yaml" for name in SHIPPED_ORDER} <= names
    assert not any(name.startswith(("tests/", "cnnlab/bundled/tests")) for name in names)
    requires = [Requirement(text) for text in declared.get_all("Requires-Dist")]
    without_extra = {one.name for one in requires if one.marker is None or one.marker.evaluate({"extra": ""})}
    assert "streamlit" in without_extra and not {"tensorflow", "keras"} & without_extra
    on_313 = {"extra": "train", "python_version": "3.13", "python_full_version": "3.13.0"}
    assert {"tensorflow", "keras"} <= {
        one.name for one in requires if one.marker is None or one.marker.evaluate(on_313)
    }


NO_PAGES = {"__init__", "__pycache__", "entrypoint", "look_inside"}  # the last one is the picture of the README
DISABLED = {"train": ["Train a small network now"]}


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def dependencies(names: set[str]) -> dict[str, Distribution]:
    """The installed distributions of these names and of all that they ask for, without extras."""
    found: dict[str, Distribution] = {}
    wanted = {canonical(name) for name in names}
    while wanted:
        name = wanted.pop()
        found[name] = distribution(name)
        asked = [Requirement(text) for text in found[name].requires or ()]
        here = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
        wanted |= {canonical(one.name) for one in here} - found.keys()
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A fresh virtual environment with the wheel and links to what it asks for: neither a clone nor TensorFlow.

    Returns its folder of programs, the variables of its processes, and the folder they run in.
    """
    place, home = tmp_path_factory.mktemp("clean") / "venv", tmp_path_factory.mktemp("home")
    venv.create(place, symlinks=True)
    paths = sysconfig.get_paths("venv", vars={"base": str(place), "platbase": str(place)})
    names = {Requirement(text).name for text in PYPROJECT["project"]["dependencies"]}
    for one in dependencies(names).values():
        for top in {file.parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
            (Path(paths["purelib"]) / top).symlink_to(one.locate_file(top))
    python = Path(paths["scripts"]) / Path(sys.executable).name
    options = ["--no-deps", "--no-index", "-q"]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", *options, str(wheel)], check=True)
    hidden = ("CNNLAB_HOME", "CNNLAB_PRETRAINED", "PYTHONPATH", "VIRTUAL_ENV")
    variables = {name: value for name, value in os.environ.items() if name not in hidden}
    return python, variables | {"CNNLAB_HOME": str(home)}, home


def run_installed(installed, *command):
    python, environment, home = installed
    return subprocess.run(
        [str(python), *command], check=False, capture_output=True, text=True, cwd=home, env=environment
    )


@pytest.mark.posix
@pytest.mark.slow
def test_every_page_of_an_installed_wheel_works_without_tensorflow_but_training(installed):
    python = installed[0]
    done = run_installed(installed, str(settings.REPOSITORY / "tests" / "installed_pages.py"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["at"]).is_relative_to(python.parents[1]) and not found["tensorflow"] and found["png"] == "PNG"
    pages = found["pages"]
    assert {path.stem for path in (settings.PACKAGE / "pages").iterdir()} - pages.keys() <= NO_PAGES
    assert all(page["words"] for page in pages.values())
    assert {name: page["disabled"] for name, page in pages.items() if page["disabled"]} == DISABLED
    assert "Prediction: **cat**" in pages["look_inside"]["words"]
    assert "of the test images" in pages["mistakes"]["words"]
    assert pages["compare"]["charts"] >= 2


@pytest.mark.posix
@pytest.mark.slow
@pytest.mark.nightly
def test_an_installed_wheel_knows_its_runs_and_says_how_to_get_tensorflow(installed):
    listed = run_installed(installed, "-c", "import cnnlab; print(len(cnnlab.networks()))")
    assert listed.stdout.strip() == "10", listed.stderr
    trained = run_installed(installed, "-m", "cnnlab", "train", "--dataset", "shapes")
    assert trained.returncode == 2 and "cnnlab[train]" in trained.stderr and trained.stderr.count("\n") == 1
    own = str(settings.PRETRAINED / "2conv-none" / "model.keras")
    assert "imported model" in run_installed(installed, "-m", "cnnlab", "networks", "import", own).stdout
    checked = run_installed(installed, "-m", "cnnlab", "doctor")
    failed = [line for line in checked.stdout.splitlines() if line.startswith("FAIL")]
    assert "note  training" in checked.stdout and all("dispatcher" in line for line in failed)


@pytest.mark.posix
@pytest.mark.slow
def test_an_installed_wheel_serves_the_app_without_tensorflow(installed):
    python, environment, home = installed
    port = free_port()
    command = [str(python.parent / "cnnlab"), "start", "--server.port", str(port), "--server.address", "127.0.0.1"]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        assert wait_for_health(port)
        with urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert answer.status == 200 and answer.headers["Content-Security-Policy"]
        assert f"http://127.0.0.1:{port}" in (home / "log").read_text()
        server.terminate()
        server.wait(30)
        with pytest.raises(URLError), urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
            pass  # whoever stops the command has stopped the server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)


def wait_for_health(port):
    for _ in range(900):
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
            return answer.status == 200
        time.sleep(0.1)
    return False


def test_the_workflow_installs_the_wheel_with_every_allowed_version_of_python():
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    jobs = yaml.safe_load((settings.REPOSITORY / ".github/workflows/tests.yml").read_text())["jobs"]
    versions = jobs["installed"]["strategy"]["matrix"]["python"]
    allowed = SpecifierSet(PYPROJECT["project"]["requires-python"])
    assert versions == [one for one in (f"3.{minor}" for minor in range(30)) if one in allowed]
    [pages] = set(re.findall(r"tests/\w+\.py", str(jobs["installed"]["steps"])))
    assert (settings.REPOSITORY / pages).is_file()


def test_sample_images_and_their_notice_are_part_of_the_package():
    [pattern] = PYPROJECT["tool"]["setuptools"]["package-data"]["cnnlab.data"]
    files = {path.name for path in (settings.REPOSITORY / "cnnlab" / "data").glob(pattern)}
    assert "NOTICE" in files and len(files) > 20


def test_every_path_in_contributing_exists():
    paths = re.findall(r"`((?:cnnlab|\.ci|tests)/[\w/.]+|[\w.]+\.(?:toml|txt|lock|md))`", CONTRIBUTING)
    assert len(paths) > 10
    missing = [path for path in paths if "NAME" not in path and not (settings.REPOSITORY / path).exists()]
    assert missing == []


def test_contributing_and_pre_commit_use_the_ruff_of_the_tests():
    [ruff] = [one for one in requirements("tests/requirements.txt") if one.name == "ruff"]
    text = (settings.REPOSITORY / ".pre-commit-config.yaml").read_text()
    assert text.count(f'"ruff{ruff.specifier}"') == 2 or text.count('"ruff>=0.17,<0.18"') == 2


# -- licences and vulnerabilities --------------------------------------------------------------------------------------

REQUIREMENT_FILES = ("requirements.txt", "tests/requirements.txt", *sorted(
    f"deploy/{path.name}" for path in (settings.REPOSITORY / "deploy").glob("requirements-*.txt")
))  # fmt: skip
DIRECT = sorted({canonical(one.name) for name in REQUIREMENT_FILES for one in requirements(name)})
LICENSE_TABLE = CONTRIBUTING.partition("| package | licence")[2].partition("\n\n")[0]
LICENSES = {
    canonical(name): found
    for name, found in re.findall(r"^\| ([\w-]+) \| ([\w. -]+) \| \w", LICENSE_TABLE, re.MULTILINE)
}
FAMILIES = {"Apache": "Apache-2.0", "BSD": "BSD-", "MIT": "MIT"}  # what packages without an SPDX expression say


def test_the_licence_of_every_direct_dependency_is_listed_and_of_no_other():
    assert sorted(LICENSES) == DIRECT


@pytest.mark.parametrize("name", DIRECT)
def test_a_listed_licence_is_the_one_that_the_installed_package_declares(name):
    try:
        declared = metadata(name)
    except PackageNotFoundError:
        pytest.skip(f"needs {name}")
    if expression := declared.get("License-Expression"):
        assert expression == LICENSES[name]
        return
    texts = [file.read_text().split("\n", 1)[0] for file in files(name) or () if file.name == "LICENSE"]
    words = [
        *texts,
        declared.get("License") or "",
        *(c for c in declared.get_all("Classifier", []) if c.startswith("License")),
    ]
    told = {family for word, family in FAMILIES.items() if any(word in one for one in words)}
    assert told
    assert any(LICENSES[name].startswith(family) for family in told)


def test_the_audit_reads_every_file_of_requirements():
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    workflow = yaml.safe_load((settings.REPOSITORY / ".github/workflows/dependency-audit.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    [job] = workflow["jobs"].values()
    commands = " ".join(step.get("run", "") for step in job["steps"])
    audited = set(re.findall(r"-r (\S+)", commands))
    assert audited == {"requirements.lock", *REQUIREMENT_FILES} - {"requirements.txt"}
    assert all((settings.REPOSITORY / path).is_file() for path in audited)
    assert set(job["strategy"]["matrix"]["service"]) == {"pypi", "osv"}
