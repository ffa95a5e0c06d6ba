"""Thirty students answer a step at the same moment, again and again, and the server is killed in the middle.

    python tests/load/lesson_answers.py [--students 30] [--rounds 20]

Measured without browsers: each student is a thread with the file of answers that a web process shares, so the time is
that of the transaction. A second process that answers without pause is ended with SIGKILL; every answer that it had
confirmed must be in the file afterwards.

Target: 95 of 100 answers take less than a second, and no confirmed answer is lost.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import server  # noqa: F401  # which brings cnnlab within reach

from cnnlab.lessons import answers, learners
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.sheet_files import open_sheet
from cnnlab.settings import subprocess_environment

MOST_SECONDS = 1.0
WRITER = """
import itertools
from cnnlab.lessons import answers, learners
from cnnlab.lessons.lesson_file import LessonFile
from cnnlab.lessons.sheet_files import open_sheet
file, sheet = LessonFile(), open_sheet("taster")
learner = learners.open_sheet(file, "writer", sheet.name, sheet.steps[0].id)
for number in itertools.count():
    answers.submit(file, learner, sheet.steps[2], sheet.steps[2].options[0], round_number=number)
    print(number, flush=True)
"""


def main() -> int:
    """Measure, print, and return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["CNNLAB_HOME"] = home
        seconds = sorted(answer_at_once(options.students, options.rounds))
        lost, confirmed = kill_a_writer(Path(home))
    p95 = seconds[int(0.95 * len(seconds))]
    print(f"{len(seconds)} answers of {options.students} students at once:")
    print(
        f"median {1000 * statistics.median(seconds):.0f} ms, p95 {1000 * p95:.0f} ms, most {1000 * seconds[-1]:.0f} ms"
    )
    print(f"after SIGKILL {lost} of {confirmed} confirmed answers are lost")
    return int(p95 > MOST_SECONDS or lost > 0)


def answer_at_once(students: int, rounds: int) -> list[float]:
    """The seconds of each answer, all students of a round at once."""
    file, sheet = LessonFile(), open_sheet("taster")
    step = sheet.steps[2]
    people = [learners.open_sheet(file, f"student{number}", sheet.name, step.id) for number in range(students)]

    def answer(person: learners.Learner, number: int) -> float:
        started = time.perf_counter()
        answers.submit(file, person, step, step.options[0], round_number=number)
        return time.perf_counter() - started

    with ThreadPoolExecutor(students) as pool:
        jobs = [pool.map(answer, people, [number] * students) for number in range(rounds)]
        seconds = [one for job in jobs for one in job]
    file.close()
    return seconds


def kill_a_writer(home: Path) -> tuple[int, int]:
    """How many confirmed answers of a killed process are lost, and how many it had confirmed."""
    environment = subprocess_environment() | {"CNNLAB_HOME": str(home)}
    process = subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE, env=environment)
    confirmed = [int(process.stdout.readline()) for _ in range(50)]
    os.kill(process.pid, signal.SIGKILL)
    confirmed += [int(line) for line in process.stdout.read().split()]
    process.wait()
    file = LessonFile()
    kept = answers.answers_of(file, learners.find_learner(file, "writer"), "taster")[open_sheet("taster").steps[2].id]
    file.close()
    return len(set(confirmed) - {one.round for one in kept}), len(confirmed)


if __name__ == "__main__":
    sys.exit(main())
