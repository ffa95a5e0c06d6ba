"""Checks the installation and the running services: python -m cnnlab doctor

Prints one result per line: `ok`, `note` (works, with a restriction) or `FAIL` with the remedy. Whether Keras sees the
GPUs is checked in a subprocess, which takes some seconds; with `--exit-code`, for health checks, it is skipped, and the
exit status is 1 if a check fails, for example because no dispatcher runs.
"""

import sys
from collections.abc import Iterator

from cnnlab.doctor import installation, services, stored_files
from cnnlab.doctor.finding import FAIL, Finding
from cnnlab.training_packages import missing_packages


def run_checks(*, ask_keras: bool = True) -> Iterator[Finding]:
    """Run all checks, the slow one last."""
    yield from installation.check_versions()
    yield from installation.check_settings()
    yield from installation.check_auth()
    yield from installation.check_gpus()
    yield from stored_files.check_data()
    yield from stored_files.check_runs(thorough=ask_keras)
    yield from stored_files.check_disk()
    yield from services.check_queue()
    yield from services.check_dispatcher()
    if ask_keras and not missing_packages():
        yield from installation.check_keras()


def print_report(exit_code: bool = False) -> int:
    """Run the checks and print each result; returns the exit status: 1 if `exit_code` is set and a check fails."""
    if not exit_code:
        print("Asking Keras takes some seconds; it is asked last.", file=sys.stderr)
    failed = False
    for finding in run_checks(ask_keras=not exit_code):
        print(finding, flush=True)
        failed |= finding.state == FAIL
    return int(failed and exit_code)
