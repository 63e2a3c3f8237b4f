"""Recorded trades and quotes, played move by move: matched by price, time and traded quantity (product.md §9)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from trading.model import ZERO
from trading.sandbox.drive import Player, trade
from trading.sandbox.exchange import Exchange
from trading.sandbox.market import QuoteMove, TradePrint
from trading.sandbox.ticks import MarkMove, Tick

THERE = 20
"""What stands at the touch of a tape without quotes, in sizes of its usual trade."""


class Reel(Player):
    """A tape of moves; it stands where an order filled, like a tape of candles. Candles run by the wall clock."""

    def __init__(
        self,
        exchange: Exchange,
        sources: Mapping[str, Iterator[Tick]],
        fundings: Mapping[str, Sequence[tuple[int, Decimal]]],
        speed: float,
        settle: int,
        is_held: bool,
        passed: int = 0,
    ) -> None:
        super().__init__(exchange, {}, fundings, speed, settle, is_held, passed)
        self._symbols = set(sources)
        self._points = heapq.merge(*sources.values(), key=lambda tick: tick.time)
        self._quoted: set[str] = set()
        self._usual: dict[str, Decimal] = {}

    def begin(self) -> None:
        """Play until every symbol has a price, or go to where the last run stopped."""
        while self.passed < self._skip and (tick := next(self._points, None)) is not None:
            self._pass(tick)
            if isinstance(tick.move, QuoteMove):
                self._quoted.add(tick.symbol)
        waiting = set() if self.passed else set(self._symbols)
        while waiting and (tick := next(self._points, None)) is not None:
            if not self.passed:
                self._forget_fundings(tick.time)
            self._step(tick)
            if self._exchange.venue.last(tick.symbol):
                waiting.discard(tick.symbol)
        self.is_over = bool(waiting)
        self._exchange.filled = 0.0
        self._forget_fundings(self.time + 1)

    def _pass(self, point: Tick) -> None:
        self.passed += 1
        self.time = point.time

    def _step(self, point: Tick) -> None:
        self._pass(point)
        self._settle_fundings(point)
        exchange, move = self._exchange, point.move
        match move:
            case TradePrint():
                trade(exchange, move)
                if move.symbol not in self._quoted:
                    self._touch(move)
            case QuoteMove():
                self._quoted.add(move.symbol)
                exchange.venue.set_quote(
                    move.symbol, move.bid, move.bid_qty, move.ask, move.ask_qty, exchange.now(), move.bids, move.asks
                )
            case MarkMove():
                exchange.venue.set_mark(move.symbol, move.price, exchange.now())
        exchange.flush()
        exchange.publisher.touch(point.symbol)

    def _touch(self, move: TradePrint) -> None:
        """Quotes round a trade, where none were recorded. They never reach our orders: only traded quantity does."""
        exchange, symbol = self._exchange, move.symbol
        rules = exchange.rules[symbol]
        usual = self._usual.get(symbol, move.qty)
        self._usual[symbol] = usual = usual + (move.qty - usual) / 16
        there = max(rules.floor_qty(usual * THERE), rules.min_qty)
        highest, lowest = exchange.venue.edges(symbol)
        bid = move.price if move.is_buyer_maker else move.price - rules.tick_size
        bid = min(bid, lowest - rules.tick_size)
        ask = max(bid + rules.tick_size, highest + rules.tick_size)
        if bid > ZERO:
            exchange.venue.set_quote(symbol, bid, there, ask, there, exchange.now())
