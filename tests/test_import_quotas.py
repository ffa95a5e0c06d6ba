"""Networks and pictures from one network address are bounded, whatever the cookies; nobody else's make room."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from home_settings import write_settings
from test_own_pictures import write_pictures, zipped

from cnnlab import settings
from cnnlab.data.picture_folder import PictureImportError
from cnnlab.datasets import DATASETS
from cnnlab.jobs import import_quotas, network_uploads, picture_uploads
from cnnlab.jobs.import_quotas import ImportKind, Stored, counted_import
from cnnlab.jobs.queue import Queue
from cnnlab.jobs.quotas import QuotaExceeded
from cnnlab.storage import imported_networks
from cnnlab.storage.imported_networks import ImportedNetwork
from cnnlab.storage.network_import import NetworkDescription, NetworkImportError, max_stored_bytes
from cnnlab.storage.run_retention import directory_bytes

KIND = ImportKind(noun="network", most_of_person=10, max_bytes=2 * 10**9)
NOTHING = Stored({}, frozenset())


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def fresh(number: int) -> str:
    """The name of a browser without a cookie."""
    return f"b{number:012x}"


@pytest.fixture(scope="module")
def keras_file() -> bytes:
    return (settings.PRETRAINED / "2conv-none" / "model.keras").read_bytes()


@pytest.fixture
def bring_in(keras_file: bytes) -> Callable[..., ImportedNetwork]:
    """A function that imports the same file for a person."""

    def bring(person: str, content: bytes = keras_file, **how: object) -> ImportedNetwork:
        names = DATASETS["cifar10"].classes
        described = NetworkDescription(title="mine", owner=person, classes=names, dataset="cifar10", pixels="0-1")
        return network_uploads.import_for_person(content, described, **how)  # type: ignore[arg-type]

    return bring


def test_one_address_with_fresh_names_leaves_room_for_others(home: Path, bring_in: Callable[..., object]) -> None:
    write_settings(address_import_megabytes=5)  # two networks, and the room for what comes with a third
    first = bring_in(fresh(0), address="one")
    bring_in(fresh(1), address="one")
    with pytest.raises(
        NetworkImportError, match=r"imported from your network address take 2 MB here, and 5 MB may: remove"
    ):
        bring_in(fresh(2), address="one")
    bring_in(fresh(3), address="two")
    bring_in(fresh(4))  # an account, a teacher, or on the server itself
    assert isinstance(first, ImportedNetwork)
    imported_networks.remove_imported(first.name)
    bring_in(fresh(2), address="one")
    assert len(imported_networks.list_imported()) == 4


def test_one_address_tries_only_so_often_and_failures_count(home: Path, bring_in: Callable[..., object]) -> None:
    write_settings(address_imports_per_hour=2)
    bring_in(fresh(0), address="one")
    with pytest.raises(NetworkImportError, match="is here already"):
        bring_in(fresh(0), address="one")
    with pytest.raises(
        NetworkImportError, match=r"^2 imports came from your network address .* and at most 2 may: try again later"
    ):
        bring_in(fresh(1), address="one")
    with closing(sqlite3.connect(home / "jobs.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE imports SET started = started - 3601")
    bring_in(fresh(1), address="one")


@pytest.mark.slow
def test_pictures_of_one_address_are_bounded_too(home: Path, tmp_path: Path) -> None:
    content = zipped(write_pictures(tmp_path / "pictures"))
    write_settings(address_import_megabytes=1)

    def bring(title: str, person: str, address: str) -> str:
        progress = lambda step, share: None  # noqa: E731
        return picture_uploads.import_archive(content, title, person, progress, address=address).info.name

    name = bring("first", fresh(0), "one")
    used = directory_bytes(settings.data_dir() / name)
    write_settings(address_import_megabytes=1.5 * used / 1e6)
    with pytest.raises(PictureImportError, match=r"^The data sets imported from your network address take .* MB here"):
        bring("second", fresh(1), "one")
    bring("third", fresh(1), "two")


@contextmanager
def going_on(person: str, address: str = "one", size: int = 1, stored: Stored = NOTHING):
    with counted_import(KIND, person, address, stored, size) as made:
        yield made


def test_imports_at_one_moment_do_not_pass_a_limit_together(home: Path) -> None:
    with going_on(fresh(0), size=600 * 10**6):
        with (
            pytest.raises(QuotaExceeded, match="imported from your network address"),
            going_on(fresh(1), size=600 * 10**6),
        ):
            pass
        with (
            going_on(fresh(2), "two", size=600 * 10**6),
            going_on(fresh(3), "three", size=600 * 10**6),
            pytest.raises(QuotaExceeded, match="of everybody take 2 GB"),
            going_on(fresh(4), "four", 600 * 10**6),
        ):
            pass
    with going_on(fresh(1), size=600 * 10**6):  # the first has failed: its room is free
        pass


def test_one_person_keeps_no_more_than_allowed_in_several_tabs_at_once(home: Path) -> None:
    own = frozenset(f"own-{number}" for number in range(9))
    stored = Stored(dict.fromkeys(own, 1), own)
    with going_on(fresh(0), stored=stored):
        with pytest.raises(QuotaExceeded, match="You have 10 networks here"), going_on(fresh(0), stored=stored):
            pass
        with going_on(fresh(1)):
            pass


def test_thirty_students_behind_one_address_bring_in_their_tenth_network(home: Path) -> None:
    kept = {f"{student}-{turn}": 1_500_000 for student in range(30) for turn in range(9)}
    Queue().waiting()
    with closing(sqlite3.connect(home / "jobs.sqlite")) as db, db:
        sql = (
            "INSERT INTO imports (kind, person, address, started, bytes, name) VALUES ('network', 'x', 'one', 0, 0, ?)"
        )
        db.executemany(sql, [(name,) for name in kept])
    for student in range(30):
        own = frozenset(name for name in kept if name.startswith(f"{student}-"))
        size = 1_100_000 + network_uploads.PREDICTIONS_BYTES  # the report's 2-conv network
        with going_on(fresh(student), size=size, stored=Stored(kept, own)) as made:
            made.name = f"{student}-9"
        kept[made.name] = 1_500_000
    assert len(kept) == 300


def test_many_at_once_are_counted_one_after_the_other(home: Path) -> None:
    write_settings(address_imports_per_hour=7)

    def attempt(number: int) -> bool:
        try:
            with going_on(fresh(number)):
                return True
        except QuotaExceeded:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(40))) == 7


def test_rows_of_what_was_removed_or_failed_are_forgotten_after_an_hour(home: Path) -> None:
    for number, name in enumerate(("kept", "removed", "")):
        with going_on(fresh(number)) as made:
            made.name = name
    with closing(sqlite3.connect(home / "jobs.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE imports SET started = started - ?", (import_quotas.WINDOW_SECONDS + 1,))
    with going_on(fresh(9), stored=Stored({"kept": 5}, frozenset())):
        pass
    with Queue().read_transaction() as db:
        assert [row["name"] for row in db.execute("SELECT name FROM imports ORDER BY id")] == ["kept", ""]


def test_imports_from_before_the_clock_was_set_back_do_not_count(home: Path) -> None:
    write_settings(address_imports_per_hour=1)
    with going_on(fresh(0)):
        pass
    with pytest.raises(QuotaExceeded, match="within an hour"), going_on(fresh(1)):
        pass
    with closing(sqlite3.connect(home / "jobs.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE imports SET started = started + 86400")
    with going_on(fresh(1)):
        pass


def test_what_is_kept_of_a_network_is_not_more_than_was_counted(
    keras_file: bytes, bring_in: Callable[..., ImportedNetwork]
) -> None:
    network = bring_in(fresh(0))
    used = sum(path.stat().st_size for path in network.path.iterdir())
    assert used <= max_stored_bytes(keras_file, "0-1") < 2 * used


def test_only_so_many_imports_go_on_at_once_and_others_wait_for_their_turn(home: Path, monkeypatch) -> None:
    monkeypatch.setattr(import_quotas, "POLL_SECONDS", 0.01)
    polls: list[int] = []

    def leave() -> None:
        polls.append(len(polls))
        if len(polls) == 3:
            first.__exit__(None, None, None)

    first = going_on(fresh(0))
    first.__enter__()
    with going_on(fresh(1)), going_on(fresh(2)):
        with monkeypatch.context() as hurry:
            hurry.setattr(import_quotas, "WAIT_SECONDS", 0.3)
            with pytest.raises(QuotaExceeded, match=r"^Many people import something at this moment"):
                going_on(fresh(3)).__enter__()
        with counted_import(KIND, fresh(4), "one", NOTHING, 1, leave) as made:
            made.name = "the next one"
    assert len(polls) == 3
