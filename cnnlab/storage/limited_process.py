"""The command and the environment of a Python process for content that is not trusted: isolated, without secrets.

The process sets its own limits (`operating_system.resource_limits`); `background_process.run_to_end` runs it.
"""

import os
import sys
from pathlib import Path
from types import ModuleType

from cnnlab import settings

INHERITED_VARIABLES = ("LD_LIBRARY_PATH", "SYSTEMROOT")  # all that such a process inherits


def isolated_command(module: str, arguments: list[str], packages: tuple[ModuleType, ...]) -> list[str]:
    """The command line that calls `main(arguments)` of a module, with cnnlab and these packages on the path.

    It is isolated from the environment and without site-packages' start-up files, which take longer than small work.
    """
    folders = {str(settings.REPOSITORY), *(str(Path(str(package.__file__)).parent.parent) for package in packages)}
    code = f"import sys; sys.path += sys.argv[{1 + len(arguments)}:]; from {module} import main; main()"
    return [sys.executable, "-I", "-S", "-c", code, *arguments, *sorted(folders)]


def limited_environment() -> dict[str, str]:
    """No secrets, and one thread: threads take address space, which is limited."""
    inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    return inherited | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
