"""Sockets that live but say nothing: found by what they should have said, and opened anew.

Looked at once a second, so that frames themselves cost nothing. Dead connections are found by pings already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import structlog

from trading.gateways.binance import wire
from trading.gateways.binance.market import Market, Route
from trading.gateways.binance.streams import Stream
from trading.ports import TradingError

log = structlog.get_logger("binance")

LOOK = 1.0
SPOKEN_FOR = 10.0
"""How long the user stream may keep silent about an accepted order, s."""
MARKS = 10.0
"""How long the mark prices may stay away, s: they come every second."""
QUIET = 15.0
"""After so long without a new best bid or ask, s, REST is asked whether there was none."""
SECOND_LOOK = 2.0
"""How long the stream gets to say what REST said first, s."""
LONGEST = 300.0
ANSWERS = 30
"""More frames than answers to subscriptions: the stream really spoke."""
ReadQuotes = Callable[[str], Awaitable[list[wire.BookTickerRow]]]
"""Best bid and ask over REST, of one symbol or ("") of all."""
Prices = tuple[Decimal, Decimal]


class Pulse:
    """How long a stream has said nothing, by its count of frames."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._socket: object = None
        self._frames = 0
        self._since = 0.0

    def silence(self, now: float) -> float:
        """Seconds since this socket opened or last said anything; 0 where there is none."""
        socket = self.stream.socket
        if socket is None or not socket.is_open:
            self._socket = None
            return 0.0
        if socket is not self._socket or socket.frames != self._frames:
            self._socket, self._frames, self._since = socket, socket.frames, now
        return now - self._since


class Watchman:
    """Looks after the sockets of one account."""

    def __init__(
        self,
        user: Stream,
        accepted: Callable[[], int],
        market: Market,
        quotes: ReadQuotes,
        on_silent: Callable[[], None],
    ) -> None:
        self._user = Pulse(user)
        self._accepted = accepted
        self._heard_of = 0
        """Orders accepted up to when the user stream last spoke."""
        self._unspoken = 0.0
        """Since when an order is accepted of which the user stream has not spoken; 0 = none."""
        self._market = market
        self._marks = {route: Pulse(route.stream) for route in market.routes}
        self._patience = dict.fromkeys(market.routes, MARKS)
        self._quotes = quotes
        self._on_silent = on_silent
        self._said: dict[str, wire.BookTicker | None] = {}
        self._since: dict[str, float] = {}
        self._known: dict[str, Prices] = {}
        """What is known of quiet symbols, by stream or REST, whichever came last."""

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            now = asyncio.get_running_loop().time()
            self._look_at_user(now)
            for route in self._market.routes:
                if route.is_steady:
                    self._look_at_marks(route, now)
            quiet = self._quiet(now)
            if quiet:
                await self._check(quiet)

    # ------------------------------------------------------------------ user stream

    def _look_at_user(self, now: float) -> None:
        silence, accepted = self._user.silence(now), self._accepted()
        # an order's event may come just before its answer, with a look in between
        if silence < 2.5 * LOOK or accepted == self._heard_of:
            self._heard_of, self._unspoken = accepted, 0.0
        elif not self._unspoken:
            self._unspoken = now
        elif now - self._unspoken > SPOKEN_FOR:
            log.warning("silent_stream", stream="user", seconds=round(silence))
            self._heard_of, self._unspoken = accepted, 0.0
            self._on_silent()

    # ------------------------------------------------------------------ market

    def _look_at_marks(self, route: Route, now: float) -> None:
        """Marks come every second as long as anything is wanted; each vain reopening doubles the patience."""
        silence = self._marks[route].silence(now)
        socket = route.stream.socket
        if socket is not None and socket.frames > ANSWERS:
            self._patience[route] = MARKS
        if route.has_wishes and silence > self._patience[route]:
            self._patience[route] = min(self._patience[route] * 2, LONGEST)
            log.warning("silent_stream", stream=route.stream.name, seconds=round(silence))
            route.stream.abort()

    def _quiet(self, now: float) -> list[str]:
        """Symbols without a new quote for long, and who soon would be: one look for all costs as much as for one."""
        found = []
        watched = self._market.watched()
        for symbol in watched:
            said = self._market.last(symbol)
            if symbol not in self._since or said is not self._said.get(symbol):
                self._said[symbol], self._since[symbol] = said, now
                if said is not None:
                    self._known[symbol] = (said.bid, said.ask)
            elif now - self._since[symbol] > QUIET / 2:
                found.append(symbol)
        for symbol in self._since.keys() - watched:
            del self._since[symbol], self._said[symbol]
            self._known.pop(symbol, None)
        return found if any(now - self._since[symbol] > QUIET for symbol in found) else []

    async def _check(self, quiet: list[str]) -> None:
        """Ask REST about quiet symbols: where it knows better, and the stream does not follow, that is opened anew."""
        try:
            rows = {row.symbol: row for row in await self._quotes(quiet[0] if len(quiet) == 1 else "")}
        except TradingError as error:
            log.info("quiet_symbols_unchecked", error=str(error))
            rows = {}
        missed = [symbol for symbol in quiet if symbol in rows and self._is_news(rows[symbol])]
        if missed:
            await asyncio.sleep(SECOND_LOOK)
        now = asyncio.get_running_loop().time()
        for symbol in quiet:
            self._since[symbol] = now
        missed = [symbol for symbol in missed if self._market.last(symbol) is self._said.get(symbol)]
        for route in {self._market.route_of(symbol) for symbol in missed}:
            log.warning("silent_stream", stream=route.stream.name, symbols=missed[:10])
            route.stream.abort()
        for symbol in missed:
            self._market.tell(rows[symbol])

    def _is_news(self, row: wire.BookTickerRow) -> bool:
        """Whether the price moved since we last heard of it; the first time nobody can say."""
        prices = (row.bid_price, row.ask_price)
        known, self._known[row.symbol] = self._known.get(row.symbol, prices), prices
        return known != prices
