"""Telegram's flood limits as token buckets: 30 messages a second in all, one a second per chat after a short burst."""

from __future__ import annotations

import math
import time

from msgspec import Struct

from bot.localchat.errors import TooMany


class Bucket(Struct):
    """Room for `size` messages, refilled by `rate` a second."""

    size: float
    rate: float
    level: float
    filled: float

    def take(self, now: float) -> float:
        """Seconds to wait; 0 = taken."""
        self.level = min(self.size, self.level + (now - self.filled) * self.rate)
        self.filled = now
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) / self.rate


class Flood:
    """Counts what the bot sends; the precise limits are unpublished, these are the documented ones with a burst."""

    TOTAL = (30.0, 30.0)
    CHAT = (20.0, 1.0)
    EDITS = (30.0, 1.0)

    def __init__(self, is_on: bool = True) -> None:
        self.is_on = is_on
        self.buckets: dict[str, Bucket] = {}
        self.forced_until = 0.0

    def force(self, seconds: float) -> None:
        """From now on refuse everything for some seconds (a switch of the page)."""
        self.forced_until = time.monotonic() + seconds

    def take(self, chat: int, *, edit: bool = False) -> None:
        """Count one message or edit; raises TooMany when the bot is too fast."""
        now = time.monotonic()
        wait = max(0.0, self.forced_until - now)
        if not wait and self.is_on:
            kind, (size, rate) = ("edit", self.EDITS) if edit else ("send", self.CHAT)
            wait = self.bucket("total", *self.TOTAL).take(now) or self.bucket(f"{kind}{chat}", size, rate).take(now)
        if wait:
            raise TooMany(max(1, math.ceil(wait)))

    def bucket(self, name: str, size: float, rate: float) -> Bucket:
        if name not in self.buckets:
            self.buckets[name] = Bucket(size, rate, size, time.monotonic())
        return self.buckets[name]
