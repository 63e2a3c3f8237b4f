"""The keys that open user streams (binance-usdm.md §11.1)."""

from __future__ import annotations

import secrets
import string

LIFE = 60 * 60_000
_ALPHABET = string.ascii_letters + string.digits


class ListenKeys:
    """At most one living listen key per account."""

    def __init__(self) -> None:
        self._living: dict[str, tuple[str, int]] = {}

    def current(self, account: str) -> str | None:
        living = self._living.get(account)
        return living[0] if living else None

    def open(self, account: str, now: int) -> str:
        """The living key, 60 minutes longer, or a fresh one."""
        living = self._living.get(account)
        key = living[0] if living else "".join(secrets.choice(_ALPHABET) for _ in range(64))
        self._living[account] = (key, now + LIFE)
        return key

    def extend(self, account: str, now: int) -> str | None:
        """None where there is none."""
        return self.open(account, now) if account in self._living else None

    def close(self, account: str) -> str | None:
        living = self._living.pop(account, None)
        return living[0] if living else None

    def expired(self, now: int) -> list[str]:
        """Keys whose hour is over; they are gone now."""
        over = [(account, key) for account, (key, until) in self._living.items() if until <= now]
        for account, _ in over:
            del self._living[account]
        return [key for _, key in over]
