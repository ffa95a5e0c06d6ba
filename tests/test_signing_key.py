"""The key of a home: one for all its processes, readable by its owner only, and never made twice."""

import base64
import hmac
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cnnlab.storage import signing_key as module
from cnnlab.storage.signing_key import FILE, SigningKey, signing_key


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_it_is_made_once_with_256_bits_that_only_its_owner_reads(home: Path) -> None:
    made = signing_key()
    assert (home / FILE).read_bytes() == made.secret and len(made.secret) == 32
    assert stat.S_IMODE((home / FILE).stat().st_mode) == 0o600
    module._keys.clear()  # as after a restart
    assert signing_key() == made
    assert [path.name for path in home.iterdir()] == [FILE]


def test_processes_that_begin_at_once_have_one_key(home: Path) -> None:
    home.mkdir()
    with ThreadPoolExecutor(8) as pool:
        assert len({one.secret for one in pool.map(lambda _: module._create(home / FILE), range(16))}) == 1


def test_a_key_that_was_cut_off_is_replaced(home: Path) -> None:
    home.mkdir()
    (home / FILE).write_bytes(b"short")
    assert len(signing_key().secret) == 32
    assert (home / FILE).read_bytes() == signing_key().secret


def test_where_nothing_can_be_written_a_process_has_a_key_of_its_own(home: Path) -> None:
    home.parent.joinpath("home").write_text("in the way")
    assert signing_key() is signing_key()
    assert len(signing_key().secret) == 32


def test_a_signature_is_that_of_rfc_2104_and_belongs_to_one_purpose() -> None:
    key = SigningKey(b"Jefe", 0.0)
    signature = key.sign("what", "x")
    assert base64.urlsafe_b64decode(signature + "==") == hmac.digest(b"Jefe", b"what:x", "sha256")[:16]
    assert len(signature) == 22
    assert key.is_signed("what", "x", signature)
    assert not key.is_signed("that", "x", signature) and not key.is_signed("what", "y", signature)
    assert not key.is_signed("what", "x", "ä")
    assert not SigningKey(b"Jeff", 0.0).is_signed("what", "x", signature)
