"""What the public has seen of one instrument: its last trades and its candles."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice

from msgspec import Struct

from trading.model import ZERO, Candle, Instrument

MINUTE = 60_000
DAY = 86_400_000
WEEK = 7 * DAY
MONTH = 31 * DAY
"""The longest; candles of a month are as long as theirs."""
FIRST_MONDAY = 4 * DAY
"""1970-01-05."""
KEPT_PRINTS = 2000
KEPT_BARS = 10_000
INTERVALS = {
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": 60 * MINUTE,
    "2h": 120 * MINUTE,
    "4h": 240 * MINUTE,
    "6h": 360 * MINUTE,
    "8h": 480 * MINUTE,
    "12h": 720 * MINUTE,
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": WEEK,
    "1M": MONTH,
}
"""Lengths in ms."""


def opening(time: int, interval: int) -> int:
    """When the candle opens that holds `time`: weeks on Monday, months on the first, all in UTC."""
    if interval == MONTH:
        return time - time % DAY - (datetime.fromtimestamp(time // 1000, UTC).day - 1) * DAY
    if interval == WEEK:
        time -= FIRST_MONDAY
        return time - time % WEEK + FIRST_MONDAY
    return time - time % interval


def closing(opened: int, interval: int) -> int:
    """The last ms of the candle that opens at `opened`."""
    return opening(opened + interval, interval) - 1


class Print(Struct, frozen=True):
    """A public trade."""

    id: int
    price: Decimal
    qty: Decimal
    time: int
    is_buyer_maker: bool


class Bar(Struct):
    """A candle in the making; `time` is its open time."""

    time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    quote: Decimal = ZERO
    trades: int = 0
    taker_base: Decimal = ZERO
    taker_quote: Decimal = ZERO
    first: int = 0
    last: int = 0

    def merge(self, other: Bar) -> None:
        """Take in a bar that follows this one."""
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        self.close = other.close
        self.volume += other.volume
        self.quote += other.quote
        self.trades += other.trades
        self.taker_base += other.taker_base
        self.taker_quote += other.taker_quote
        self.last = other.last or self.last

    def copy(self, time: int) -> Bar:
        return Bar(
            time,
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.quote,
            self.trades,
            self.taker_base,
            self.taker_quote,
            self.first,
            self.last,
        )


class Tape:
    """Trades and one-minute bars of one instrument, oldest first."""

    def __init__(self, rules: Instrument) -> None:
        self.rules = rules
        self.prints: deque[Print] = deque(maxlen=KEPT_PRINTS)
        self.bars: deque[Bar] = deque(maxlen=KEPT_BARS)
        self.changes = 0
        """Grows with every change: streams compare it."""
        self.last_id = 0

    def add(self, trade: Print, in_bars: bool = True) -> None:
        """A public trade; a replayed candle counts it already, so it stays out of the bars."""
        self.prints.append(trade)
        self.last_id = max(self.last_id, trade.id)
        self.changes += 1
        if not in_bars:
            return
        bar = self.bar_at(trade.time, trade.price)
        amount = trade.price * trade.qty
        bar.volume += trade.qty
        bar.quote += amount
        bar.trades += 1
        bar.first = bar.first or trade.id
        bar.last = trade.id
        if not trade.is_buyer_maker:
            bar.taker_base += trade.qty
            bar.taker_quote += amount

    def bar_at(self, time: int, price: Decimal) -> Bar:
        """The bar that holds `time`, moved to `price`."""
        start = time - time % MINUTE
        if not self.bars or self.bars[-1].time < start:
            self.bars.append(Bar(start, price, price, price, price))
            return self.bars[-1]
        bar = self.bars[-1]
        bar.high, bar.low, bar.close = max(bar.high, price), min(bar.low, price), price
        return bar

    def point(self, candle: Candle, index: int, price: Decimal) -> None:
        """A path point of a recorded candle: its bar grows with it and gets a quarter of its volume."""
        if index == 0 or not self.bars or self.bars[-1].time != candle.time:
            self.bars.append(Bar(candle.time, price, price, price, price))
        bar = self.bars[-1]
        share = self.rules.floor_qty(candle.volume / 4) if index < 3 else candle.volume - bar.volume
        bar.high, bar.low, bar.close = max(bar.high, price), min(bar.low, price), price
        bar.volume += share
        bar.quote += share * price
        bar.trades += 1
        self.changes += 1

    def candles(self, interval: int, start: int | None, end: int | None, limit: int) -> list[Bar]:
        """Bars of `interval` ms: the newest `limit`, or from `start` on; the last one may be open."""
        newest: Iterable[Bar] = self.bars
        if start is None and end is None:
            enough = (limit + 1) * max(1, interval // MINUTE)
            newest = islice(self.bars, max(0, len(self.bars) - enough), None)
        made: list[Bar] = []
        for bar in newest:
            opened = opening(bar.time, interval)
            if (start is not None and opened < start) or (end is not None and opened > end):
                continue
            if made and made[-1].time == opened:
                made[-1].merge(bar)
            elif start is not None and len(made) == limit:
                break
            else:
                made.append(bar.copy(opened))
        return made if start is not None else made[-limit:]

    def day(self) -> Bar | None:
        """The last 24 hours as one bar, None before the first price."""
        if not self.bars:
            return None
        since = self.bars[-1].time - DAY
        whole: Bar | None = None
        for bar in islice(self.bars, max(0, len(self.bars) - 1440), None):
            if bar.time <= since:
                continue
            if whole is None:
                whole = bar.copy(bar.time)
            else:
                whole.merge(bar)
        return whole

    def invent(self, price: Decimal, now: int, seed: int, minutes: int = 1440) -> None:
        """A past for a market that has none: seeded one-minute bars that end at `price`."""
        chance = random.Random(f"{seed}/{self.rules.symbol}")
        level, closes = 0.0, [0.0]
        for _ in range(minutes * 4):
            level += chance.gauss(0.0, 0.0006 * math.sqrt(15)) - level * 15 * math.log(2) / 600
            closes.append(level)
        start = now - now % MINUTE - minutes * MINUTE
        shift = closes[-1]
        for minute in range(minutes):
            path = [self._near(price, step - shift) for step in closes[minute * 4 : minute * 4 + 5]]
            volume = self.rules.floor_qty(Decimal(f"{chance.uniform(20, 60):.3f}"))
            quote = volume * path[-1]
            self.bars.append(
                Bar(
                    start + minute * MINUTE,
                    path[0],
                    max(path),
                    min(path),
                    path[-1],
                    volume,
                    quote,
                    240,
                    self.rules.floor_qty(volume / 2),
                    quote / 2,
                )
            )

    def _near(self, price: Decimal, distance: float) -> Decimal:
        return self.rules.round_price(price * Decimal(f"{math.exp(distance):.10f}"))
