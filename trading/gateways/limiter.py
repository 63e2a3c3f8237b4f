"""A venue's budgets: how long an order or a read must wait so that the venue never has to say no.

Time is given in (ms of the venue's clock), so the arithmetic is testable; nothing here sleeps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import takewhile
from typing import Protocol

SLACK = 500
"""How much later than allowed we send again, ms: requests travel for different times."""
_UNITS = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}


class Limit(Protocol):
    """A row of `rateLimits`."""

    @property
    def rate_limit_type(self) -> str: ...
    @property
    def interval(self) -> str: ...
    @property
    def interval_num(self) -> int: ...
    @property
    def limit(self) -> int: ...


class Window:
    """At most `limit` orders in any `span`; orders of others on the account are learnt from the venue's counts."""

    def __init__(self, limit: int, span: int) -> None:
        self.limit = limit
        self.span = span
        self._sent: deque[int] = deque()
        self._others = 0
        self._others_end = 0

    def wait(self, now: int) -> int:
        """ms until one more may be sent; 0 = now."""
        while self._sent and self._sent[0] <= now - self.span - SLACK:
            self._sent.popleft()
        if now >= self._others_end:
            self._others = 0
        if len(self._sent) + self._others < self.limit:
            return 0
        ends = [self._sent[0] + self.span + SLACK] if self._sent else []
        if self._others:
            ends.append(self._others_end)
        return max(1, min(ends) - now)

    def take(self, now: int) -> None:
        self._sent.append(now)

    def observe(self, count: int, now: int) -> None:
        """The venue counted `count` orders in its window (aligned to the clock) that contains `now`."""
        start = now - now % self.span
        ours = sum(1 for _ in takewhile(lambda sent: sent >= start, reversed(self._sent)))
        self._others = max(0, count - ours)
        self._others_end = start + self.span


class Weight:
    """Request weight per clock minute, shared by everybody on the same address; the venue's header is the truth."""

    def __init__(self, limit: int, span: int = 60_000) -> None:
        self.limit = limit
        self.span = span
        self._start = 0
        self._used = 0

    def _roll(self, now: int) -> None:
        start = now - now % self.span
        if start != self._start:
            self._start, self._used = start, 0

    def wait(self, now: int, weight: int, is_urgent: bool) -> int:
        """ms until `weight` may be spent; reads leave a tenth for cancels."""
        self._roll(now)
        allowed = self.limit if is_urgent else self.limit - self.limit // 10
        if self._used == 0 or self._used + weight <= allowed:
            return 0
        return self._start + self.span + SLACK - now

    def take(self, now: int, weight: int) -> None:
        self._roll(now)
        self._used += weight

    def observe(self, used: int, now: int) -> None:
        self._roll(now)
        self._used = max(self._used, used)


class Limiter:
    """All budgets of one account; starts with Binance's published ones until `configure` is told better."""

    def __init__(self) -> None:
        self.orders = {10_000: Window(300, 10_000), 60_000: Window(1200, 60_000)}
        self.weight = Weight(2400)
        self.blocked_until = 0

    def configure(self, limits: Iterable[Limit]) -> None:
        """Take the venue's own `rateLimits`; what was already sent stays counted."""
        for row in limits:
            span = _UNITS.get(row.interval, 0) * row.interval_num
            if row.rate_limit_type == "ORDERS" and span:
                self.orders.setdefault(span, Window(row.limit, span)).limit = row.limit
            elif row.rate_limit_type == "REQUEST_WEIGHT" and span == self.weight.span:
                self.weight.limit = row.limit

    def block(self, until: int) -> None:
        """Nothing may be sent before `until`."""
        self.blocked_until = max(self.blocked_until, until)

    def order_wait(self, now: int) -> int:
        """ms until a placement may be sent; 0 = now."""
        wait = max(window.wait(now) for window in self.orders.values())
        return max(wait, self.blocked_until - now, 0)

    def take_order(self, now: int) -> None:
        for window in self.orders.values():
            window.take(now)

    def weight_wait(self, now: int, weight: int, is_urgent: bool = False) -> int:
        """ms until a request of `weight` may be sent; 0 = now."""
        return max(self.weight.wait(now, weight, is_urgent), self.blocked_until - now, 0)

    def take_weight(self, now: int, weight: int) -> None:
        self.weight.take(now, weight)

    def observe(self, kind: str, span: int, count: int, now: int) -> None:
        """What the venue counted: `kind` as in rateLimits, `span` in ms."""
        if kind == "ORDERS" and span in self.orders:
            self.orders[span].observe(count, now)
        elif kind == "REQUEST_WEIGHT" and span == self.weight.span:
            self.weight.observe(count, now)

    def observe_rows(self, rows: Iterable[tuple[str, str, int, int]], now: int) -> None:
        """Rows of (kind, interval, number of intervals, count) from an answer."""
        for kind, interval, number, count in rows:
            self.observe(kind, _UNITS.get(interval, 0) * number, count, now)
