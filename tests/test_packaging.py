"""The package's description, the requirements, the lock file and CONTRIBUTING.md agree with each other and the code."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, entry_points, files, metadata

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from cnnlab import settings

PYPROJECT = tomllib.loads((settings.REPOSITORY / "pyproject.toml").read_text())
CONTRIBUTING = (settings.REPOSITORY / "CONTRIBUTING.md").read_text()


def requirements(name: str) -> list[Requirement]:
    lines = (settings.REPOSITORY / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith(("#", "-"))]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_requirements_and_the_package_name_the_same_dependencies():
    declared = {str(Requirement(text)) for text in PYPROJECT["project"]["dependencies"]}
    assert {str(requirement) for requirement in requirements("requirements.txt")} == declared


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


@pytest.mark.skipif(not entry_points(name="cnnlab", group="console_scripts"), reason="needs pip install -e .")
def test_the_installed_command_starts():
    [script] = entry_points(name="cnnlab", group="console_scripts")
    assert callable(script.load())


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
