"""Reading request parameters: text in, exact values or the venue's refusal out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from trading.sandbox.refusal import Refusal, invalid, missing

Fields = Mapping[str, str]

_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?")
_MOST = Decimal(10) ** 15
"""No price and no quantity is as large, and arithmetic in 28 digits holds what is smaller, in ticks and lots."""
_LONG = 1 << 63
CLIENT_ID = re.compile(r"[\.A-Z\:/a-z0-9_-]{1,36}")


def text(fields: Fields, name: str) -> str:
    """A mandatory parameter; -1102 without it."""
    value = fields.get(name)
    if not value:
        raise missing(name)
    return value


def decimal(fields: Fields, name: str) -> Decimal | None:
    """A decimal, None where absent; -1102 where it is no number, -1111 where it is larger than anything."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    if not _DECIMAL.fullmatch(value):
        raise missing(name)
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise missing(name) from None
    if abs(found) >= _MOST:
        raise Refusal(-1111)
    return found


def integer(fields: Fields, name: str) -> int | None:
    """An integer, None where absent; -1102 where it is none, or none of 64 bits."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        found = int(value)
    except ValueError:
        raise missing(name) from None
    if not -_LONG <= found < _LONG:
        raise missing(name)
    return found


def flag(fields: Fields, name: str) -> bool | None:
    """A boolean in any case, None where absent."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    lowered = value.lower()
    if lowered not in ("true", "false"):
        raise missing(name)
    return lowered == "true"


def limit(fields: Fields, default: int, most: int) -> int:
    """How many rows are wanted; -1130 outside 1..most."""
    found = integer(fields, "limit")
    if found is None:
        return default
    if not 1 <= found <= most:
        raise invalid("limit")
    return found


def client_id(fields: Fields, name: str) -> str | None:
    """A client id, None where absent; -4015 where malformed."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    if len(value) > 36:
        raise Refusal(-4015, "Client order id length should not be more than 36 chars")
    if not CLIENT_ID.fullmatch(value):
        raise Refusal(-4015)
    return value
