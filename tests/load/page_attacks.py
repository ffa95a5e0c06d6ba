"""Attacks on pages that Streamlit's tester draws in this process: damaged files, hostile addresses, every option."""

import contextlib
import importlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tally import CRASH, OK, SENTENCE, Tally

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import damage
import pytest
import test_page_sweep as pages
from damaged_pages import VICTIM, VIEWS, WEIGHT_VIEWS, compute_again, home_of_two_runs, restore, tried, victim
from page_sweep import Report, Visitor, random_walk, sweep
from streamlit.logger import set_log_level

from cnnlab.data import load_dataset
from cnnlab.experiment import Experiment
from cnnlab.pages import look_inside
from cnnlab.storage.run import Run
from cnnlab.ui import state

set_log_level("ERROR")  # the tester warns of every step
SEED = 20261124
WALK_NETWORKS = [("none", 1), ("l2", 2), ("dropout", 3), ("batchnorm", 4)]
WALK_STEPS = 2000
OUTCOMES = {"whole": OK, "sentence": SENTENCE, "crash": CRASH}
MANY_TRAININGS = json.dumps(  # a hundred million: `create_sweep` may not list them
    {
        "base": json.loads(Experiment().to_json()),
        "axes": [["train_images", list(range(9_999))], ["seed", [*range(9_999)]]],
    }
)
HOSTILE_WORDS = (
    "", " ", "0", "-1", "1", "7", "99999", "1e999", "nan", "inf", "0x10", "1,1", "1:1", "a:b:c", "none", "null", "{}",
    "[]", "../../etc/passwd", "/dev/zero", "%00", "\x00", "\u202e", "\u0663", "½", "🐈", "![x](http://a.b/c.png)",
    "$x^2$",
    "<script>alert(1)</script>", "conv1", "conv99", "relu2", "test-3", "sample-3", "val-0", "photo-0123456789abcdef",
    "a" * 5_000, ",".join(["0123456789abcdef"] * 200), "True", "all", "cat", "upload", "camera", "9" * 5_000,
    "[" * 5_000, '{"axes": 1}', MANY_TRAININGS, "own-0123456789ab-leaves", "conv1.0-9999~conv1.0", "a.b~" * 500,
)  # fmt: skip


def damage_table(steps: int) -> list[Tally]:
    """Each file of a run damaged in every way, and every page about it; `steps` ways at most, spread over all."""
    tally = Tally("damage")
    with tempfile.TemporaryDirectory() as folder, home_of_two_runs(Path(folder)) as home:
        load_dataset("shapes")
        compute_again(Run(victim(), VICTIM))
        whole = home / "whole"
        shutil.copytree(victim(), whole, symlinks=True)
        every = [case for file in damage.FILES for case in damage.cases(file)]
        for case in every[:: max(1, -(-len(every) // steps))]:
            restore(whole)
            more = WEIGHT_VIEWS * (case.file in ("weights/001.npz", "model.keras", "top.npz"))
            for one in tried(case, VIEWS + more):
                tally.add(OUTCOMES[one.kind], one.cpu_seconds, one.megabytes, one.detail)
    return [tally]


def address_table(steps: int) -> list[Tally]:
    """Pages at addresses of random parameters with hostile words, and with words of other parameters."""
    tally, random = Tally("addresses"), Random(SEED)
    scripts = pages.SCRIPTS
    for page in scripts:  # which declare the words of their addresses
        importlib.import_module(f"cnnlab.pages.{page}")
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        pages.home_of_runs(Path(folder), WALK_NETWORKS) as runs,
    ):
        patch.setenv("CNNLAB_TEACHER_KEY", pages.TEACHER_KEY)
        names = sorted(state.url_params_of("cnnlab"))
        known = [run.name for run in runs.values()] + list(look_inside.VIEWS)
        report = Report(watch=tally.add)
        for _ in range(steps):
            page = random.choices(list(scripts), [4 if page == "look_inside" else 2 for page in scripts])[0]
            chosen = random.sample(names, random.randint(1, 5))
            address = {name: random.choice([*HOSTILE_WORDS, *known]) for name in chosen}
            if random.random() < 0.5:
                address["run"] = random.choice(known)
            Visitor(scripts[page], address, report, pages.teacher_session(page))
    return [tally]


def sweep_table(steps: int, archive: Path | None) -> list[Tally]:
    """Every option of every page, for a network of each regularizer and depth, with and without CIFAR-10; then walks.

    `steps` limits each network, each page and each walk.
    """
    with data_sets(archive) as places:
        tallies = [one for name, data in places.items() for one in sweeps(name, data, steps)]
    return [*tallies, fresh_clone_sweep(steps), *random_walks(steps)]


def fresh_clone_sweep(steps: int) -> Tally:
    """Every page with the runs that came with the program, and nothing else."""
    tally = Tally("sweep of the pages, fresh clone")
    for page, script in pages.SCRIPTS.items():
        with (
            pytest.MonkeyPatch.context() as patch,
            tempfile.TemporaryDirectory() as folder,
            pages.home_of_runs(Path(folder), [], shipped=True),
        ):
            patch.setenv("CNNLAB_TEACHER_KEY", pages.TEACHER_KEY)
            address, session = pages.beginning(page)
            sweep(script, address, {pages.VIEW_MENU}, session, Report(watch=tally.add), steps)
    return tally


def random_walks(steps: int) -> Iterator[Tally]:
    """A long walk on Look inside, and shorter ones on the other pages."""
    for page, script in pages.SCRIPTS.items():
        walk = Tally(f"random walk, {page}")
        with (
            pytest.MonkeyPatch.context() as patch,
            tempfile.TemporaryDirectory() as folder,
            pages.home_of_runs(Path(folder), WALK_NETWORKS),
        ):
            patch.setenv("CNNLAB_TEACHER_KEY", pages.TEACHER_KEY)
            address, session = pages.beginning(page)
            most = WALK_STEPS if page == "look_inside" else pages.STEPS_OF_A_WALK
            random_walk(script, address, min(steps, most), SEED, Report(watch=walk.add), session)
        yield walk


def sweeps(name: str, data: Path | None, steps: int) -> Iterator[Tally]:
    """The pages beside Look inside, and Look inside for each network."""
    tally = Tally(f"sweep of the pages, {name}")
    for page, script in pages.PAGES.items():
        networks = [("none", 2), ("dropout", 3), ("batchnorm", 2)]
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
            patch.setenv("CNNLAB_TEACHER_KEY", pages.TEACHER_KEY)
            with pages.home_of_runs(Path(folder), networks, data):
                address, session = pages.beginning(page)
                sweep(script, address, session=session, report=Report(watch=tally.add), most_steps=steps)
    yield tally
    tally = Tally(f"sweep of Look inside, {name}")
    for regularizer, depth in pages.NETWORKS:
        networks = [(regularizer, depth), ("none", 5 - depth)]
        with tempfile.TemporaryDirectory() as folder, pages.home_of_runs(Path(folder), networks, data) as runs:
            sweep_views(runs[regularizer, depth].name, tally, steps)
    yield tally


def sweep_views(run: str, tally: Tally, steps: int) -> None:
    """Every view of one run, each with its share of the steps."""
    for view in look_inside.VIEWS:
        skip = {pages.RUN_MENU, pages.VIEW_MENU} if view == "maps" else pages.SAME_IN_EVERY_VIEW
        share = max(2, steps // len(look_inside.VIEWS))
        sweep(pages.inside, {"run": run, "view": view}, skip, report=Report(watch=tally.add), most_steps=share)


@contextlib.contextmanager
def data_sets(archive: Path | None) -> Iterator[dict[str, Path | None]]:
    """The data of a home, by name: none, so the samples; and the real CIFAR-10 where its archive is at hand."""
    from cnnlab.data import cifar10

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", folder)
        if archive:
            cifar10.prepare(archive)
        yield {"samples": None} | ({"CIFAR-10": Path(folder) / "data"} if archive else {})
