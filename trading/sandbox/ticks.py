"""Recorded trades, quotes and raw stream captures on disk, read lazily as moves of a market."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path

from msgspec import Raw, Struct

from trading.gateways.binance import wire
from trading.model import ZERO
from trading.sandbox.market import QuoteMove, TradePrint
from trading.sandbox.recording import MICROSECONDS, Unreadable, rows, text_of

LINE = re.compile(r"(?P<time>\d+(?:\.\d+)?):? (?P<body>\{.*)")
"""A captured frame behind the time it came: seconds with a fraction, ms or µs."""
LEVELS = 20
"""Deeper levels of a captured book that are shown."""
DEPTH_PERIOD = 250
"""ms of tape time between two looks at them."""
TIMES = ("transact_time", "trade_time", "transaction_time", "time", "event_time")


class MarkMove(Struct, frozen=True):
    """The mark price was told."""

    symbol: str
    price: Decimal


class Tick(Struct, frozen=True):
    """Something the recorded market did; `time` is tape time, ms UTC."""

    time: int
    move: QuoteMove | TradePrint | MarkMove

    @property
    def symbol(self) -> str:
        return self.move.symbol


def kind_of(path: Path) -> str:
    """What a recording holds: `ticks` (trades, quotes, raw frames) or `candles`."""
    try:
        with text_of(path) as file:
            first = file.readline()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: {error}") from None
    if "{" in first:
        return "ticks"
    fields = first.strip().split(",")
    has_side = "is_buyer_maker" in fields or fields[-1].lower() in ("true", "false")
    return "ticks" if has_side or "update_id" in fields else "candles"


def ticks(path: Path, symbol: str) -> Iterator[Tick]:
    """The moves of `symbol` in a recording, in its order."""
    with text_of(path) as file:
        first = file.readline()
    return _captured(path, symbol) if "{" in first else _listed(path, symbol)


# --------------------------------------------------------------------------- CSV


def _listed(path: Path, symbol: str) -> Iterator[Tick]:
    """Rows of a trades, aggTrades or bookTicker archive, with a header or as Binance's older ones without."""
    source = rows(path)
    first = next(source, [])
    if first and not first[0].isdigit():
        read = _reader(path, symbol, {name: number for number, name in enumerate(first)})
    else:
        read = _reader(path, symbol, {"price": 1, "quantity": 2, "transact_time": 5, "is_buyer_maker": 6})
        yield read(1, first)
    for number, row in enumerate(source, 2):
        if row:
            yield read(number, row)


def _reader(path: Path, symbol: str, columns: Mapping[str, int]) -> Callable[[int, list[str]], Tick]:
    """How to read one row."""

    def column(*names: str) -> int:
        for name in names:
            if name in columns:
                return columns[name]
        raise Unreadable(f"{path}: has no column {names[0]}")

    time = column(*TIMES)
    if "is_buyer_maker" in columns:
        price, qty, maker = column("price"), column("quantity", "qty"), columns["is_buyer_maker"]

        def move(row: list[str]) -> QuoteMove | TradePrint:
            return TradePrint(symbol, 0, Decimal(row[price]), Decimal(row[qty]), row[maker].lower() == "true")
    else:
        bid, bid_qty = column("bid_price", "best_bid_price"), column("bid_qty", "best_bid_qty")
        ask, ask_qty = column("ask_price", "best_ask_price"), column("ask_qty", "best_ask_qty")

        def move(row: list[str]) -> QuoteMove | TradePrint:
            touch = [Decimal(row[each]) for each in (bid, bid_qty, ask, ask_qty)]
            return QuoteMove(symbol, 0, touch[0], touch[1], touch[2], touch[3])

    def read(number: int, row: list[str]) -> Tick:
        try:
            when = int(row[time])
            return Tick(when // 1000 if when > MICROSECONDS else when, move(row))
        except (ValueError, InvalidOperation, IndexError):
            raise Unreadable(f"{path}: line {number} is no trade or quote") from None

    return read


# --------------------------------------------------------------------------- captured frames


class _Frame(Struct, frozen=True):
    data: Raw = Raw(b"")
    lastUpdateId: int = 0


class _Book:
    """A captured order book, for what stands behind the touch."""

    def __init__(self) -> None:
        self._sides: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
        self._looked = 0
        self._deeper: tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]] = ([], [])

    def change(self, *sides: list[wire.Level]) -> None:
        for side, levels in zip(self._sides, sides, strict=True):
            for level in levels:
                if level.qty:
                    side[level.price] = level.qty
                else:
                    side.pop(level.price, None)

    def behind(self, bid: Decimal, ask: Decimal, now: int) -> tuple[tuple[tuple[Decimal, Decimal], ...], ...]:
        if now - self._looked >= DEPTH_PERIOD:
            self._looked = now
            bids, asks = self._sides
            self._deeper = sorted(bids.items(), reverse=True)[: LEVELS * 2], sorted(asks.items())[: LEVELS * 2]
        return (
            tuple(level for level in self._deeper[0] if level[0] < bid)[:LEVELS],
            tuple(level for level in self._deeper[1] if level[0] > ask)[:LEVELS],
        )


def _captured(path: Path, symbol: str) -> Iterator[Tick]:
    """Frames of raw streams, one a line behind the time they came; REST snapshots of the book among them."""
    book, singles = _Book(), False
    with text_of(path) as file:
        for line in file:
            found = LINE.match(line)
            if found is None:
                continue
            now = _ms(found["time"])
            try:
                frame = wire.decode(found["body"], _Frame)
                if frame.lastUpdateId:
                    depth = wire.decode(found["body"], wire.Depth)
                    book.change(depth.bids, depth.asks)
                    continue
                event = wire.market_event(frame.data) if frame.data else None
            except wire.Malformed:
                continue
            if event is None or event.symbol != symbol:
                continue
            singles = singles or isinstance(event, wire.TradeTick)
            tick = _tick(event, book, now, singles)
            if tick is not None:
                yield tick


def _ms(text: str) -> int:
    if "." in text:
        return int(Decimal(text) * 1000)
    value = int(text)
    return value // 1000 if value > MICROSECONDS else value


def _tick(event: wire.MarketEvent, book: _Book, now: int, singles: bool) -> Tick | None:
    """What a frame does to the market; aggregates count only where single trades were not captured."""
    match event:
        case wire.BookTicker():
            bids, asks = book.behind(event.bid, event.ask, now)
            return Tick(now, QuoteMove(event.symbol, 0, event.bid, event.bid_qty, event.ask, event.ask_qty, bids, asks))
        case wire.DepthUpdate():
            book.change(event.bids, event.asks)
        case wire.TradeTick() if event.kind == "MARKET" and event.qty > ZERO:
            return Tick(now, TradePrint(event.symbol, 0, event.price, event.qty, event.buyer_maker))
        case wire.AggTrade() if not singles:
            return Tick(now, TradePrint(event.symbol, 0, event.price, event.qty, event.buyer_maker))
        case wire.MarkPriceUpdate():
            return Tick(now, MarkMove(event.symbol, event.mark))
    return None
