"""A venue's budgets: how long an order or a read must wait so that the venue never has to say no.

Time is given in (ms of the venue's clock), so the arithmetic is testable; nothing here sleeps. That clock may be put
back: what was noted in its later time then counts as of now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
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
        self._start = 0
        """Of the venue's window that holds the last order, and how many of ours it holds."""
        self._ours = 0
        self._others = 0
        self._others_end = 0

    def wait(self, now: int) -> int:
        """ms until one more may be sent; 0 = now."""
        while self._sent and self._sent[0] <= now - self.span - SLACK:
            self._sent.popleft()
        if self._sent and self._sent[-1] > now:
            self._sent = deque(min(time, now) for time in self._sent)
        self._others_end = min(self._others_end, now + self.span)
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
        self._roll(now)
        self._ours += 1

    def observe(self, count: int, now: int) -> None:
        """The venue counted `count` orders in its window (aligned to the clock) that contains `now`."""
        self._roll(now)
        self._others = max(0, count - self._ours)
        self._others_end = self._start + self.span

    def _roll(self, now: int) -> None:
        # a clock that was put back a little stays in the later window: too careful for a moment, never too bold
        start = now - now % self.span
        if not self._start - self.span <= start <= self._start:
            self._start, self._ours = start, 0


class Weight:
    """Request weight per clock minute, shared by everybody on the same address; the venue's header is the truth."""

    def __init__(self, limit: int, span: int = 60_000) -> None:
        self.limit = limit
        self.span = span
        self._start = 0
        self._used = 0
        self._next_turn = 0
        """When the next read that can wait may begin, ms."""

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

    def turn(self, now: int, weight: int) -> int:
        """ms until the turn of a read of `weight` that can wait; to be asked once for each, by a clock never put back.

        Such reads follow one another so that all of them together take half of the budget at most, evenly.
        """
        begin = max(now, self._next_turn)
        self._next_turn = begin + 2 * weight * self.span // self.limit
        return begin - now

    def leisure(self, now: int, weight: int) -> int:
        """ms until others leave room for a read that can wait; 0 = now. The last quarter is theirs."""
        self._roll(now)
        if self._used == 0 or self._used + weight <= self.limit - self.limit // 4:
            return 0
        return self._start + self.span + SLACK - now

    def take(self, now: int, weight: int) -> None:
        self._roll(now)
        self._used = max(0, self._used + weight)

    def observe(self, used: int, now: int) -> None:
        self._roll(now)
        self._used = max(self._used, used)


class Address:
    """What every account behind one network address shares: request weight, and bans."""

    def __init__(self) -> None:
        self.weight = Weight(2400)
        self.blocked_until = 0
        self.banned_until = 0
        """The venue spoke of a ban, not only of a limit; 0 = never."""
        self.on_ban: set[Callable[[], None]] = set()

    def block(self, until: int, is_ban: bool = False) -> None:
        """Nothing may be sent before `until`."""
        self.blocked_until = max(self.blocked_until, until)
        if is_ban:
            self.banned_until = max(self.banned_until, until)
            for tell in tuple(self.on_ban):
                tell()


class Overload:
    """The venue's "throttled by system-level protection": each such answer doubles how long openings stay away."""

    FIRST, LONGEST = 250, 8_000

    def __init__(self) -> None:
        self.until = 0
        self._pause = 0
        self._hit = 0

    def hit(self, now: int) -> None:
        """One more order was throttled. Answers to what was sent before the last pause ended count once."""
        if now < self.until:
            return
        is_new = now - self._hit > 4 * self.LONGEST
        self._pause = self.FIRST if is_new else min(self._pause * 2, self.LONGEST)
        self._hit, self.until = now, now + self._pause

    def wait(self, now: int) -> int:
        """ms until openings may be sent; 0 or less = now."""
        self.until = min(self.until, now + self._pause)
        return self.until - now


class Limiter:
    """All budgets of one account; starts with Binance's published ones until `configure` is told better."""

    def __init__(self, address: Address | None = None) -> None:
        self.orders = {10_000: Window(300, 10_000), 60_000: Window(1200, 60_000)}
        self.address = address or Address()
        self.overload = Overload()
        self._orders_blocked_until = 0

    @property
    def weight(self) -> Weight:
        return self.address.weight

    @property
    def blocked_until(self) -> int:
        return self.address.blocked_until

    def configure(self, limits: Iterable[Limit]) -> None:
        """Take the venue's own `rateLimits`; what was already sent stays counted."""
        for row in limits:
            span = _UNITS.get(row.interval, 0) * row.interval_num
            if row.rate_limit_type == "ORDERS" and span:
                self.orders.setdefault(span, Window(row.limit, span)).limit = row.limit
            elif row.rate_limit_type == "REQUEST_WEIGHT" and span == self.weight.span:
                self.weight.limit = row.limit

    def block(self, until: int, is_ban: bool = False) -> None:
        """Nothing may be sent before `until`, by no account of this address."""
        self.address.block(until, is_ban)

    def block_orders(self, until: int) -> None:
        """No placement may be sent before `until`; reads and cancels may."""
        self._orders_blocked_until = max(self._orders_blocked_until, until)

    def order_wait(self, now: int, is_exempt: bool = False) -> int:
        """ms until a placement may be sent; 0 = now. Closing orders are exempt from the overload protection."""
        wait = 0
        for window in self.orders.values():
            wait = max(wait, window.wait(now))
        if not is_exempt:
            wait = max(wait, self.overload.wait(now))
        return max(wait, self.address.blocked_until - now, self._orders_blocked_until - now)

    def take_order(self, now: int) -> None:
        for window in self.orders.values():
            window.take(now)

    def weight_wait(self, now: int, weight: int, is_urgent: bool = False) -> int:
        """ms until a request of `weight` may be sent; 0 = now."""
        return max(self.weight.wait(now, weight, is_urgent), self.address.blocked_until - now, 0)

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
