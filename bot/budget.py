"""How much may be said: one allowance for all that is sent, per chat and overall, shared by priority.

Telegram takes about one message a second in a chat and thirty overall, with short bursts (telegram.md §3, "Rate
limits"). Whoever ranks lower leaves room for those above, so a storm of fills never holds up an answer, and a 429 that
anybody meets silences everybody for as long as it asks.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import IntEnum

from msgspec import Struct


class Rank(IntEnum):
    """Smaller goes first."""

    ANSWER = 0
    CRITICAL = 1
    NOTICE = 2
    FILL = 3
    LIVE = 4


CHAT, EDITS, TOTAL = (8.0, 1.0), (18.0, 1.0), (24.0, 24.0)
"""Burst and refill a second: of messages in a chat, of edits there, of everything. Below Telegram's own."""
ROOM = {Rank.ANSWER: 0.0, Rank.CRITICAL: 1.0, Rank.NOTICE: 2.0, Rank.FILL: 4.0, Rank.LIVE: 5.0}
"""What each rank leaves in a bucket to those above it."""
REMEMBERED = 4_000
"""Buckets; the one that was used longest ago is full again by the time it is forgotten."""
SHARED = 1.0
"""Longest silence in seconds that the limit of one chat puts on the others, for it may have been the overall one."""


class Bucket(Struct):
    """Room for `size` messages, refilled by `rate` a second."""

    size: float
    rate: float
    level: float
    filled: float

    def wait(self, now: float, room: float) -> float:
        """Seconds until one may be taken with `room` left over."""
        self.level = min(self.size, self.level + max(0.0, now - self.filled) * self.rate)
        self.filled = now
        return max(0.0, (1 + room - self.level) / self.rate)


class Budget:
    """Ask before sending, tell of every 429."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[tuple[int, bool], Bucket] = OrderedDict()
        self._total = Bucket(*TOTAL, TOTAL[0], clock())
        self._silent_until: dict[int, float] = {}
        self._all_silent_until = 0.0

    def wait(self, chat: int, rank: Rank, is_edit: bool = False) -> float:
        """Seconds until something of this rank may be sent; 0 = now."""
        now = self._clock()
        silence = max(self._silent_until.get(chat, 0.0), self._all_silent_until) - now
        bucket = self._bucket(chat, is_edit, now)
        return max(silence, bucket.wait(now, ROOM[rank]), self._total.wait(now, ROOM[rank]), 0.0)

    def take(self, chat: int, rank: Rank, is_edit: bool = False) -> float:
        """The same, and takes one where nothing is to be waited for."""
        wait = self.wait(chat, rank, is_edit)
        if not wait:
            self._bucket(chat, is_edit, self._clock()).level -= 1
            self._total.level -= 1
        return wait

    async def admit(self, chat: int, rank: Rank, is_edit: bool = False) -> None:
        """Wait for one and take it."""
        while wait := self.take(chat, rank, is_edit):  # noqa: ASYNC110 - time refills it, nobody sets an event
            await asyncio.sleep(wait)

    def rest(self, chat: int, seconds: float) -> None:
        """Telegram asked for silence."""
        now = self._clock()
        self._silent_until = {key: until for key, until in self._silent_until.items() if until > now}
        self._silent_until[chat] = max(self._silent_until.get(chat, 0.0), now + seconds)
        self._all_silent_until = max(self._all_silent_until, now + min(seconds, SHARED))

    def _bucket(self, chat: int, is_edit: bool, now: float) -> Bucket:
        key = (chat, is_edit)
        if key not in self._buckets:
            size, rate = EDITS if is_edit else CHAT
            self._buckets[key] = Bucket(size, rate, size, now)
            if len(self._buckets) > REMEMBERED:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return self._buckets[key]
