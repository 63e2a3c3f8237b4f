"""Who is asking: API keys, signatures over the bytes as received, and the clock rules (binance-usdm.md §3)."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import unquote_plus, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from trading.sandbox.refusal import Refusal, missing

DEFAULT_WINDOW = 5000
LONGEST_WINDOW = 60_000
_RAW = re.compile(rb"[^A-Za-z0-9\-_.~%&=+]")
"""What percent-encoding would have replaced."""
LEAD = 1000
"""How far ahead of the server a timestamp may be, ms."""


def digest(secret: str, payload: bytes) -> str:
    """Lower-case hex HMAC-SHA256 of `payload`."""
    return hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def can_log_on(secret: str) -> bool:
    """Whether an account may authorise a whole WebSocket API session: its key is Ed25519, `secret` the public half."""
    return secret.startswith("-----BEGIN") and isinstance(load_pem_public_key(secret.encode()), Ed25519PublicKey)


def is_signed(secret: str, payload: bytes, signature: str) -> bool:
    """Whether `signature` over `payload` is of `secret`: an HMAC secret, or the PEM of an Ed25519 or RSA public key."""
    if not secret.startswith("-----BEGIN"):
        return same(digest(secret, payload), signature)
    key = load_pem_public_key(secret.encode())
    try:
        given = b64decode(signature, validate=True)
        if isinstance(key, Ed25519PublicKey):
            key.verify(given, payload)
        elif isinstance(key, RSAPublicKey):
            key.verify(given, payload, PKCS1v15(), SHA256())
        else:
            return False
    except (ValueError, InvalidSignature):
        return False
    return True


def without_signature(raw: bytes) -> tuple[bytes, str]:
    """`raw` (a query string or form body) less its `signature` pair, and that signature ("" where absent)."""
    pairs = raw.split(b"&")
    kept = [pair for pair in pairs if not pair.startswith(b"signature=")]
    if len(kept) == len(pairs):
        return raw, ""
    found = next(pair for pair in pairs if pair.startswith(b"signature="))
    return b"&".join(kept), unquote_plus(found[10:].decode("ascii", "replace"))


def parsed(raw: bytes) -> dict[str, str]:
    """The pairs of a query string or form body, decoded."""
    pairs: dict[str, str] = {}
    for pair in raw.decode("utf-8", "replace").split("&"):
        name, equals, value = pair.partition("=")
        if equals:
            pairs[unquote_plus(name)] = unquote_plus(value)
    return pairs


def check_rest(secret: str, query: bytes, body: bytes, is_strict: bool = False) -> None:
    """Refuse with -1022 unless query + body, as received and less the signature pair, were signed with `secret`."""
    bare_query, in_query = without_signature(query)
    bare_body, in_body = without_signature(body)
    signature = in_query or in_body
    if not signature:
        raise missing("signature")
    if is_strict and _RAW.search(bare_query + bare_body):
        raise Refusal(-1022)
    if not is_signed(secret, bare_query + bare_body, signature):
        raise Refusal(-1022)


def check_socket(secret: str, params: Mapping[str, str]) -> None:
    """Refuse with -1022 unless the sorted params of a WebSocket API request were signed, joined raw or encoded."""
    signature = params.get("signature")
    if not signature:
        raise missing("signature")
    pairs = sorted(pair for pair in params.items() if pair[0] != "signature")
    joined = "&".join(f"{name}={value}" for name, value in pairs)
    if is_signed(secret, joined.encode(), signature):
        return
    if not is_signed(secret, urlencode(pairs).encode(), signature):
        raise Refusal(-1022)


def same(expected: str, given: str) -> bool:
    """Hex digits compare without case, in constant time."""
    return hmac.compare_digest(expected.encode(), given.lower().encode("utf-8", "replace"))


def check_clock(params: Mapping[str, str], now: int) -> None:
    """Refuse with -1102 or -1021 unless `timestamp` is within its recvWindow of `now`."""
    try:
        timestamp = int(params["timestamp"])
    except (KeyError, ValueError):
        raise missing("timestamp") from None
    window = _window(params)
    if timestamp >= now + LEAD:
        raise Refusal(-1021, f"Timestamp for this request was {LEAD}ms ahead of the server's time.")
    if now - timestamp > window:
        raise Refusal(-1021)


def _window(params: Mapping[str, str]) -> int:
    try:
        window = int(params.get("recvWindow") or DEFAULT_WINDOW)
    except ValueError:
        raise missing("recvWindow") from None
    if not 0 < window <= LONGEST_WINDOW:
        raise Refusal(-1131, "recvWindow must be less than 60000")
    return window


def check_engine(params: Mapping[str, str], now: int) -> None:
    """The matching engine looks at the clock again: -5028 for an order that was under way too long."""
    if now - int(params["timestamp"]) > _window(params):
        raise Refusal(-5028)


class Keyring(Protocol):
    """API keys and their secrets."""

    def secret(self, key: str) -> str | None: ...


def secret_of(keys: Keyring, key: str | None) -> str:
    """The secret of `key`; -2014 where none was sent, -2015 where it is unknown."""
    if not key:
        raise Refusal(-2014)
    secret = keys.secret(key)
    if secret is None:
        raise Refusal(-2015)
    return secret
