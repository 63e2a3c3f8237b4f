"""What moves the market: a synthetic walk in real time, or a recorded tape that waits for its traders."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from trading.core import records
from trading.model import Candle
from trading.sandbox.exchange import Exchange
from trading.sandbox.market import Move, PathPoint, QuoteMove, TradePrint, replay
from trading.sandbox.tape import Print

BURST = 0.005
"""Seconds a tape may run before the sockets get their turn."""
INVENTED = 14_400
"""One-minute bars of the past that are made up at the start, for all instruments together."""
SLEPT = 1.0
"""Seconds behind from which the walk does not catch up (the machine was asleep)."""


class Timed(Protocol):
    """Something of a tape."""

    @property
    def symbol(self) -> str: ...

    @property
    def time(self) -> int: ...


class Drive(Protocol):
    """Something that moves the market."""

    is_held: bool
    is_over: bool
    passed: int
    """Points of the tape that are behind."""
    time: int
    """Tape time, ms; 0 without a tape."""

    def begin(self) -> None:
        """Give every symbol its first price."""

    def go(self) -> None:
        """End a hold."""

    async def run(self) -> None: ...


class Stillness:
    """A market that moves only when told."""

    def __init__(self, exchange: Exchange, starts: Mapping[str, Decimal]) -> None:
        self._exchange = exchange
        self._starts = starts
        self.is_held = False
        self.is_over = True
        self.passed = 0
        self.time = 0

    def begin(self) -> None:
        for symbol, price in self._starts.items():
            reach(self._exchange, symbol, self._exchange.venue.last(symbol) or price)

    def go(self) -> None:
        pass

    async def run(self) -> None:
        pass


def reach(exchange: Exchange, symbol: str, price: Decimal, qty: Decimal = Decimal(0)) -> None:
    """The path goes to `price`; a public trade of `qty` there, if any. Replayed symbols have their candles already."""
    venue, now = exchange.venue, exchange.now()
    exchange.flush()
    venue.reach(symbol, price, now)
    exchange.flush()
    if symbol not in exchange.replayed:
        exchange.tapes[symbol].bar_at(now, price)
        exchange.tapes[symbol].changes += 1
    if qty:
        trade(exchange, TradePrint(symbol, 0, price, qty, False))
    exchange.publisher.touch(symbol)


def trade(exchange: Exchange, move: TradePrint) -> None:
    """A trade of the outside world: what resting orders got of it is published as theirs, the rest as its own."""
    venue, tape, now = exchange.venue, exchange.tapes[move.symbol], exchange.now()
    exchange.flush()
    venue.print_trade(move.symbol, move.price, move.qty, move.is_buyer_maker, now)
    happened = exchange.gather()
    number = tape.last_id + 1
    filled = sum(
        (each.trade.qty for each in happened if isinstance(each, records.OrderUpdate) and each.trade), Decimal(0)
    )
    tape.last_id = number
    if move.qty > filled:
        exchange.print(move.symbol, Print(number, move.price, move.qty - filled, now, move.is_buyer_maker))
    exchange.tell(happened)


class Walk:
    """The synthetic market, in real time."""

    def __init__(self, exchange: Exchange, moves: Iterator[Move], seed: int) -> None:
        self._exchange = exchange
        self._moves = moves
        self._seed = seed
        self._first: Move | None = None
        self.is_held = False
        self.is_over = False
        self.passed = 0
        self.time = 0

    def begin(self) -> None:
        """Everything of the first instant, and a past for the candles."""
        for move in self._moves:
            if move.delay:
                self._first = move
                break
            self._apply(move)
        # A day for a few instruments; for hundreds of them an hour, so that the start takes no minute.
        minutes = max(60, min(1440, INVENTED // max(1, len(self._exchange.tapes))))
        for symbol, tape in self._exchange.tapes.items():
            last, bars = self._exchange.venue.last(symbol), list(tape.bars)
            tape.bars.clear()
            tape.invent(last, self._exchange.now(), self._seed, minutes)
            tape.bars.extend(bars)

    def go(self) -> None:
        pass

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        move = self._first or next(self._moves)
        while True:
            due += move.delay / 1000
            wait = due - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            elif wait < -SLEPT:
                due = loop.time()
                await asyncio.sleep(0)
            self._apply(move)
            move = next(self._moves)

    def _apply(self, move: Move) -> None:
        exchange = self._exchange
        if isinstance(move, TradePrint):
            trade(exchange, move)
            return
        self._quote(move)
        exchange.flush()
        exchange.publisher.touch(move.symbol)

    def _quote(self, move: QuoteMove) -> None:
        self._exchange.venue.set_quote(
            move.symbol, move.bid, move.bid_qty, move.ask, move.ask_qty, self._exchange.now(), move.bids, move.asks
        )


class Player:
    """Recorded candles, played point by point (product.md §9)."""

    def __init__(
        self,
        exchange: Exchange,
        candles: Mapping[str, Iterator[Candle]],
        fundings: Mapping[str, Sequence[tuple[int, Decimal]]],
        speed: float,
        settle: int,
        is_held: bool,
        passed: int = 0,
    ) -> None:
        """`passed`: points that were played before a restart; `settle` in ms."""
        self._exchange = exchange
        self._speed = speed
        self._settle = settle / 1000
        rules = exchange.rules
        paths = [replay(symbol, rows, rules[symbol].tick_size) for symbol, rows in candles.items()]
        self._points: Iterator[Any] = heapq.merge(*paths, key=lambda point: point.time)
        self._fundings = {symbol: list(rows) for symbol, rows in fundings.items()}
        self._skip = passed
        self._gone = asyncio.Event()
        self.is_held = is_held
        self.is_over = False
        self.passed = 0
        self.time = 0
        if not is_held:
            self._gone.set()

    def go(self) -> None:
        self.is_held = False
        self._gone.set()

    def begin(self) -> None:
        """Go to the first point, or to where the last run stopped; every symbol gets a price."""
        while self.passed < self._skip and (point := next(self._points, None)) is not None:
            self._pass(point)
        if not self.passed:
            ahead: list[PathPoint] = []
            waiting = set(self._exchange.replayed)
            while waiting and (point := next(self._points, None)) is not None:
                ahead.append(point)
                if point.symbol in waiting:
                    waiting.discard(point.symbol)
                    self._exchange.venue.reach(point.symbol, point.price, self._exchange.now())
            if not ahead:
                self.is_over = True
                return
            self._points = heapq.merge(ahead[1:], self._points, key=lambda point: point.time)
            self._forget_fundings(ahead[0].time)
            self._step(ahead[0])
        self._exchange.filled = 0.0
        self._forget_fundings(self.time + 1)

    def _forget_fundings(self, before: int) -> None:
        """Settlements that lie behind the tape are nobody's."""
        for symbol, rows in self._fundings.items():
            self._fundings[symbol] = [row for row in rows if row[0] >= before]
            self._announce(symbol)

    def _pass(self, point: Any) -> None:
        self._exchange.tapes[point.symbol].point(point.candle, point.index, point.price)
        self.passed += 1
        self.time = point.time

    async def run(self) -> None:
        await self._gone.wait()
        loop = asyncio.get_running_loop()
        began, anchor, turn = loop.time(), self.time, loop.time()
        for point in self._points:
            if self._speed:
                wait = began + (point.time - anchor) / 1000 / self._speed - loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                    turn = loop.time()
            if loop.time() - turn > BURST:
                await asyncio.sleep(0)
                turn = loop.time()
            if self._exchange.filled:
                await self._stand()
                began, anchor, turn = loop.time(), point.time, loop.time()
            self._step(point)
        await self._stand()
        self.is_over = True

    async def _stand(self) -> None:
        """Where an order filled the tape stands until its traders have been quiet for the settling time."""
        loop, exchange = asyncio.get_running_loop(), self._exchange
        while self._settle and exchange.filled:
            left = max(exchange.filled, exchange.acted) + self._settle - loop.time()
            if left <= 0:
                break
            await asyncio.sleep(left)
        exchange.filled = 0.0

    def _step(self, point: Any) -> None:
        exchange = self._exchange
        self._pass(point)
        self._settle_fundings(point)
        rules = exchange.rules[point.symbol]
        share = max(rules.floor_qty(point.candle.volume / 4), rules.min_qty) if point.candle.volume else Decimal(0)
        reach(exchange, point.symbol, point.price, share)

    def _settle_fundings(self, point: Timed) -> None:
        rows = self._fundings.get(point.symbol)
        while rows and rows[0][0] <= point.time:
            self._pay(point.symbol, *rows.pop(0))

    def _pay(self, symbol: str, time: int, rate: Decimal) -> None:
        self._exchange.settle_funding(symbol, rate, time)
        self._exchange.flush()
        self._announce(symbol)

    def _announce(self, symbol: str) -> None:
        rows = self._fundings[symbol]
        self._exchange.rates[symbol] = rows[0][1] if rows else Decimal(0)
