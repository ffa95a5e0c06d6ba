"""Puts what lies beside the package in the repository into a wheel, as `cnnlab/bundled/`: see `cnnlab.settings`.

Everything else about the build is in pyproject.toml.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

REPOSITORY = Path(__file__).parent
BUNDLED = ("streamlit_app.py", ".streamlit/config.toml", "pretrained")


class BuildWithAppFiles(build_py):
    """Copies the app's files after the modules; an editable install uses those of the repository."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "cnnlab" / "bundled"
        shutil.rmtree(target, ignore_errors=True)
        for name in BUNDLED:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copyfile
            copy(REPOSITORY / name, target / name)


setup(cmdclass={"build_py": BuildWithAppFiles})
