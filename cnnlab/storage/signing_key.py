"""The secret key of this home, which signs its tokens: 32 random bytes in `identity.key`, mode 600.

All web processes of a home share the file. If it cannot be written, a process signs with a key of its own, and its
tokens are invalid after a restart.
"""

import hashlib
import hmac
import logging
import os
import secrets
import uuid
from base64 import urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cnnlab import settings
from cnnlab.operating_system import file_operations

KEY_BYTES = 32
SIGNATURE_BYTES = 16  # of the 32 of HMAC-SHA256: 128 bits
FILE = "identity.key"
MAX_FILE_BYTES = 1_000  # a larger file is no key

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SigningKey:
    """The secret, and its time of creation (Unix time)."""

    secret: bytes
    created: float

    def sign(self, purpose: str, text: str) -> str:
        """The signature of `text` for one purpose: 22 URL-safe characters, 128 bits (HMAC-SHA256, RFC 2104)."""
        digest = hmac.new(self.secret, f"{purpose}:{text}".encode(), hashlib.sha256).digest()
        return urlsafe_b64encode(digest[:SIGNATURE_BYTES]).decode().rstrip("=")

    def is_signed(self, purpose: str, text: str, signature: str) -> bool:
        """Whether this is the signature of `text`, compared in constant time."""
        return hmac.compare_digest(self.sign(purpose, text).encode(), signature.encode())


_keys: dict[Path, SigningKey] = {}  # read once per process


def signing_key() -> SigningKey:
    """The key of this home; made at its first use."""
    path = settings.home() / FILE
    if path not in _keys:
        try:
            _keys[path] = _read(path) or _create(path)
        except OSError as error:
            logger.warning("%s cannot be used (%s): names of browsers last until the restart", path, error.strerror)
            _keys[path] = SigningKey(secrets.token_bytes(KEY_BYTES), 0.0)
    return _keys[path]


def _read(path: Path) -> SigningKey | None:
    """The key in the file; None where the file is missing or too short."""
    try:
        secret = file_operations.read_regular_file(path, MAX_FILE_BYTES)
    except FileNotFoundError:
        return None
    return SigningKey(secret, path.stat().st_mtime) if len(secret) == KEY_BYTES else None


def _create(path: Path) -> SigningKey:
    """Write a new key, unless another process was faster. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    descriptor = file_operations.create_private(part)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        file_operations.fsync_file(part)
        if path.exists() and path.stat().st_size != KEY_BYTES:  # damaged
            file_operations.replace(part, path)
        else:
            with suppress(FileExistsError):
                os.link(part, path)
    finally:
        file_operations.remove(part)
    found = _read(path)
    if found is None:
        raise OSError(0, "it was changed meanwhile")
    return found
