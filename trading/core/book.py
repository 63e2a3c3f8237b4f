"""One symbol's market: resting orders of our accounts by price and time, and the liquidity of the world outside."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from decimal import Decimal

from trading.core.margin import most_notional
from trading.core.records import Level, MarketState, Order
from trading.model import ZERO, Bracket, Instrument, Side

_BUY = Side.BUY
# reading a member off its Enum is slow, and these are asked for at every order

_NEVER_BID = Decimal(-1)
_NEVER_ASK = Decimal("Infinity")


class Shelf:
    """Resting orders of one side, best price first, first come first served inside a price.

    Keys are prices, negated for buys, so that the best is always the smallest.
    """

    __slots__ = ("_keys", "_queues", "_sign", "edge")

    def __init__(self, side: Side) -> None:
        self._sign = -side.sign
        self._keys: list[Decimal] = []
        self._queues: dict[Decimal, list[Order]] = {}
        self.edge = _NEVER_BID if side is _BUY else _NEVER_ASK
        """The best price, or one that no price reaches."""

    def __bool__(self) -> bool:
        return bool(self._keys)

    def add(self, order: Order) -> None:
        key = order.price if self._sign > 0 else -order.price
        queue = self._queues.get(key)
        if queue is not None:
            queue.append(order)
            return
        self._queues[key] = [order]
        place = bisect_left(self._keys, key)
        self._keys.insert(place, key)
        if not place:
            self.edge = order.price

    def remove(self, order: Order) -> None:
        key = order.price if self._sign > 0 else -order.price
        queue = self._queues[key]
        if len(queue) > 1:
            queue.remove(order)
            return
        del self._queues[key]
        keys = self._keys
        if key != keys[0]:
            del keys[bisect_left(keys, key)]
            return
        del keys[0]
        if keys:
            self.edge = self._queues[keys[0]][0].price
        else:
            self.edge = _NEVER_ASK if self._sign > 0 else _NEVER_BID

    def best(self) -> Order | None:
        return self._queues[self._keys[0]][0] if self._keys else None

    def reached(self, price: Decimal) -> Order | None:
        """The first order in line that a price of `price` reaches."""
        keys = self._keys
        if not keys or keys[0] > (price if self._sign > 0 else -price):
            return None
        return self._queues[keys[0]][0]

    def levels(self) -> Iterator[Level]:
        for key in self._keys:
            yield Level(abs(key), sum((order.remaining for order in self._queues[key]), ZERO))


class Market:
    """Prices, outside liquidity and resting orders of one symbol."""

    __slots__ = (
        "_caps",
        "asks",
        "bids",
        "brackets",
        "instrument",
        "last",
        "marked",
        "outer_asks",
        "outer_bids",
        "trades",
        "walks",
    )

    def __init__(self, instrument: Instrument, brackets: tuple[Bracket, ...]) -> None:
        self.instrument = instrument
        self.brackets = brackets
        self.bids = Shelf(_BUY)
        self.asks = Shelf(Side.SELL)
        self.outer_bids: list[Level] = []
        self.outer_asks: list[Level] = []
        self.last = ZERO
        self.marked = ZERO
        self.trades = 0
        self.walks = False
        self._caps: dict[int, Decimal] = {}

    def most_notional(self, leverage: int) -> Decimal:
        """The largest position at `leverage`; 0 = unlimited."""
        most = self._caps.get(leverage)
        if most is None:
            most = self._caps[leverage] = most_notional(self.brackets, leverage)
        return most

    def shelf(self, side: Side) -> Shelf:
        return self.bids if side is _BUY else self.asks

    def outer(self, side: Side) -> list[Level]:
        return self.outer_bids if side is _BUY else self.outer_asks

    @property
    def mark(self) -> Decimal:
        """As set; else the mid of the outside touch; on a candle path the last point."""
        if self.marked:
            return self.marked
        if self.outer_bids and self.outer_asks and not self.walks:
            return (self.outer_bids[0].price + self.outer_asks[0].price) / 2
        return self.last

    @property
    def bid(self) -> Decimal:
        """The best price to sell at, 0 for none; on a candle path one tick below the point."""
        if self.walks:
            return self.last - self.instrument.tick_size
        outer = self.outer_bids[0].price if self.outer_bids else ZERO
        return max(outer, self.bids.edge) if self.bids else outer

    @property
    def ask(self) -> Decimal:
        if self.walks:
            return self.last + self.instrument.tick_size
        outer = self.outer_asks[0].price if self.outer_asks else ZERO
        if not self.asks:
            return outer
        return min(outer, self.asks.edge) if outer else self.asks.edge

    def crosses(self, side: Side, price: Decimal) -> bool:
        """Whether a limit order at `price` would take."""
        if side is _BUY:
            ask = self.ask
            return bool(ask) and price >= ask
        return price <= self.bid

    def depth(self, side: Side) -> list[Level]:
        """Levels of both worlds, best first; on a candle path there is only ours."""
        merged: dict[Decimal, Decimal] = {}
        outer = [] if self.walks else self.outer(side)
        for level in (*outer, *self.shelf(side).levels()):
            merged[level.price] = merged.get(level.price, ZERO) + level.qty
        return [Level(price, merged[price]) for price in sorted(merged, reverse=side is _BUY)]

    def top(self, side: Side, price: Decimal) -> Level | None:
        """What stands at `price`, the best one, in both worlds; None for nothing."""
        outer = self.outer(side)
        there = outer[0].qty if outer and outer[0].price == price else ZERO
        inner = next(self.shelf(side).levels(), None)
        if inner is not None and inner.price == price:
            there += inner.qty
        return Level(price, there) if there else None

    def take_outer(self, side: Side, qty: Decimal) -> None:
        """Take `qty` off the first outside level of `side`."""
        levels = self.outer(side)
        left = levels[0].qty - qty
        if left > 0:
            levels[0] = Level(levels[0].price, left)
        else:
            del levels[0]

    def state(self) -> MarketState:
        return MarketState(
            self.instrument,
            self.brackets,
            self.last,
            self.marked,
            self.walks,
            list(self.outer_bids),
            list(self.outer_asks),
            self.trades,
        )

    @classmethod
    def restored(cls, state: MarketState) -> Market:
        """Without resting orders: those come with the accounts."""
        market = cls(state.instrument, state.brackets)
        market.last, market.marked, market.walks = state.last, state.marked, state.walks
        market.outer_bids, market.outer_asks, market.trades = list(state.bids), list(state.asks), state.trades
        return market
