"""The only place that sees an exchange key in the clear: seals credentials for the database and opens them again."""

from __future__ import annotations

import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import scrypt, sha256
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trading.ports import Credentials

MIN_KEY = 16
_SALT = b"trellis vault 1"
"""Fixed: the key must come out the same on another machine that has only TRELLIS_VAULT_KEY and the database."""


class VaultError(Exception):
    """Something is wrong with the vault's key or a sealed text; never shows either."""


class BadKey(VaultError):
    """The vault's key itself cannot be used."""


class WrongKey(VaultError):
    """The text was sealed with another key than the vault's."""


class Tampered(VaultError):
    """The text is damaged, or belongs to another account."""


class Vault:
    """Seals with AES-256-GCM under one key. `source` is `environment` or `file`."""

    def __init__(self, key: str, source: str) -> None:
        if len(key.strip()) < MIN_KEY:
            raise BadKey(f"the vault key ({source}) needs at least {MIN_KEY} characters")
        derived = scrypt(key.strip().encode(), salt=_SALT, n=2**14, r=8, p=1, dklen=32)
        self.source = source
        self._cipher = AESGCM(derived)
        self._mark = sha256(b"mark" + derived).hexdigest()[:8]
        """Tells a wrong key from a damaged text, and nothing about the key."""

    def __repr__(self) -> str:
        return f"Vault({self.source})"

    def seal(self, credentials: Credentials, account: int) -> str:
        """`credentials` as text that only this key opens, and only for `account`."""
        nonce = secrets.token_bytes(12)
        body = self._cipher.encrypt(nonce, msgspec.json.encode(credentials), self._bound(account))
        return f"1.{self._mark}.{urlsafe_b64encode(nonce + body).decode()}"

    def open(self, sealed: str, account: int) -> Credentials:
        """The credentials sealed for `account`. Raises WrongKey, Tampered."""
        version, _, rest = sealed.partition(".")
        mark, _, text = rest.partition(".")
        if version != "1" or not text:
            raise Tampered("the sealed keys cannot be read")
        if mark != self._mark:
            raise WrongKey(f"the keys of account {account} were sealed with another vault key")
        try:
            body = urlsafe_b64decode(text)
            clear = self._cipher.decrypt(body[:12], body[12:], self._bound(account))
            return msgspec.json.decode(clear, type=Credentials)
        except (InvalidTag, ValueError):
            raise Tampered(f"the sealed keys of account {account} are damaged or belong to another account") from None

    def _bound(self, account: int) -> bytes:
        return f"trellis account {account}".encode()


def open_vault(home: Path, key: str | None) -> Vault:
    """The vault of `key` (TRELLIS_VAULT_KEY), else of the random one in `home`/vault.key, drawn at the first call."""
    if key:
        return Vault(key, "environment")
    path = home / "vault.key"
    try:
        return Vault(_kept(path), "file")
    except (OSError, UnicodeDecodeError) as error:
        raise BadKey(f"{path} cannot be read or written: {type(error).__name__}") from None


def _kept(path: Path) -> str:
    if not path.exists():
        _draw(path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return path.read_text("ascii")


def _draw(path: Path) -> None:
    """Write a random key: whole or not at all, and never over another process's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".vault.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first: its key counts
    finally:
        draft.unlink()
