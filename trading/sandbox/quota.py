"""Rate limits: request weight per address, orders per account, counted in fixed windows (binance-usdm.md §4.2)."""

from __future__ import annotations

from trading.sandbox.refusal import Refusal

WEIGHT = 2400
ORDERS_TEN_SECONDS = 300
ORDERS_MINUTE = 1200
FUNDING_POOL = 500
MINUTE = 60_000
TEN_SECONDS = 10_000
FIVE_MINUTES = 300_000
STRIKES = 20
"""Refused requests of one address in a minute before it is banned."""
FIRST_BAN = 2 * MINUTE
LONGEST_BAN = 3 * 86_400_000
UNBOUND = 1_000_000_000
"""The limit told where none is enforced."""


class Offender:
    """An address that goes on asking after 429: every ban is longer than the last."""

    __slots__ = ("bans", "minute", "strikes", "until")

    def __init__(self) -> None:
        self.until = 0
        self.bans = 0
        self.minute = 0
        self.strikes = 0

    def strike(self, now: int) -> None:
        """One more refusal; enough of them in one minute ban the address."""
        if now // MINUTE != self.minute:
            self.minute, self.strikes = now // MINUTE, 0
        self.strikes += 1
        if self.strikes >= STRIKES:
            self.ban(now, min(FIRST_BAN * 4**self.bans, LONGEST_BAN))

    def ban(self, now: int, length: int) -> None:
        self.until, self.bans, self.strikes = now + length, self.bans + 1, 0


class Window:
    """A counter that starts again at each multiple of its length."""

    __slots__ = ("count", "length", "limit", "start")

    def __init__(self, length: int, limit: int) -> None:
        self.length = length
        self.limit = limit
        self.start = 0
        self.count = 0

    def used(self, now: int) -> int:
        """What was counted in the window that holds `now`."""
        if now - self.start >= self.length:
            self.start = now - now % self.length
            self.count = 0
        return self.count

    def add(self, now: int, cost: int) -> bool:
        """Count `cost`; whether that stays within the limit. What goes over is counted too."""
        self.used(now)
        self.count += cost
        return self.count <= self.limit

    def has_room(self, now: int, cost: int) -> bool:
        return self.used(now) + cost <= self.limit

    def wait(self, now: int) -> int:
        """Whole seconds until the next window."""
        return max(1, -(-(self.start + self.length - now) // 1000))


class Quota:
    """Every counter of the exchange. With `is_real` false it counts but never refuses."""

    def __init__(self, is_real: bool = True) -> None:
        self.is_real = is_real
        self._weights: dict[str, Window] = {}
        self._orders: dict[str, tuple[Window, Window]] = {}
        self._fundings: dict[str, Window] = {}
        self._offenders: dict[str, Offender] = {}

    def told(self, limit: int) -> int:
        """What clients are told `limit` is, so that they do not keep to one that nobody enforces."""
        return limit if self.is_real else UNBOUND

    def weight(self, address: str) -> Window:
        found = self._weights.get(address)
        if found is None:
            found = self._weights[address] = Window(MINUTE, WEIGHT)
        return found

    def orders(self, key: str) -> tuple[Window, Window]:
        """The 10 second and 1 minute counters of one account."""
        found = self._orders.get(key)
        if found is None:
            found = (Window(TEN_SECONDS, ORDERS_TEN_SECONDS), Window(MINUTE, ORDERS_MINUTE))
            self._orders[key] = found
        return found

    def admit(self, address: str, now: int) -> None:
        """418 -1003 for a banned address."""
        offender = self._offenders.get(address)
        if offender is not None and offender.until > now:
            text = (
                f"Way too many requests; IP({address}) banned until {offender.until}. "
                "Please use the websocket for live updates to avoid bans."
            )
            raise Refusal(-1003, text, 418, -(-(offender.until - now) // 1000))

    def ban(self, address: str, length: int, now: int) -> None:
        """Nothing from `address` is answered for `length` ms."""
        self._offenders.setdefault(address, Offender()).ban(now, length)

    def pardon(self) -> None:
        """End every ban and forget what led to it."""
        self._offenders.clear()

    def _strike(self, address: str, now: int) -> None:
        self._offenders.setdefault(address, Offender()).strike(now)

    def spend_funding(self, address: str, now: int) -> None:
        """Count a request to fundingRate or fundingInfo: a pool of their own, told in no header."""
        window = self._fundings.setdefault(address, Window(FIVE_MINUTES, FUNDING_POOL))
        if not window.add(now, 1) and self.is_real:
            self._strike(address, now)
            text = f"Too many requests; current limit is {FUNDING_POOL} requests per 5 minutes."
            raise Refusal(-1003, text, 429, window.wait(now))

    def spend(self, address: str, cost: int, now: int) -> None:
        """Count request weight; 429 -1003 over the limit, 418 for who does not stop then."""
        self.admit(address, now)
        window = self.weight(address)
        if not window.add(now, cost) and self.is_real:
            self._strike(address, now)
            self.admit(address, now)
            text = (
                f"Too many requests; current limit of IP({address}) is {WEIGHT} requests per minute. "
                "Please use the websocket for live updates to avoid polling the API."
            )
            raise Refusal(-1003, text, 429, window.wait(now))

    def order(self, key: str, short: int, long: int, now: int) -> None:
        """Count placements or amendments; 429 -1015 over a limit, which then counts nothing."""
        ten, minute = self.orders(key)
        if self.is_real:
            if not ten.has_room(now, short):
                text = f"Too many new orders; current limit is {ORDERS_TEN_SECONDS} orders per TEN_SECONDS."
                raise Refusal(-1015, text, 429, ten.wait(now))
            if not minute.has_room(now, long):
                text = f"Too many new orders; current limit is {ORDERS_MINUTE} orders per MINUTE."
                raise Refusal(-1015, text, 429, minute.wait(now))
        ten.add(now, short)
        minute.add(now, long)

    def headers(self, address: str, key: str | None, now: int) -> dict[str, str]:
        """What every response tells, with the order counters where an account's order was asked for."""
        told = {"X-MBX-USED-WEIGHT-1M": str(self.weight(address).used(now))}
        if key is not None:
            ten, minute = self.orders(key)
            told["X-MBX-ORDER-COUNT-10S"] = str(ten.used(now))
            told["X-MBX-ORDER-COUNT-1M"] = str(minute.used(now))
        return told
