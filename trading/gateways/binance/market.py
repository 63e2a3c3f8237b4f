"""Quotes and mark prices of watched symbols, from the two routes that Binance splits them over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import structlog

from trading.gateways.binance import wire
from trading.gateways.binance.streams import OnRefused, Socket, Stream
from trading.messages import Event, Mark, Quote
from trading.ports import OnEvent

log = structlog.get_logger("binance")

GATHER = 0.12
"""Subscriptions of so many seconds share one frame."""
PER_FRAME = 100
PAUSE = 0.25
"""Between two frames, s: the venue ends a connection that sends more than ten a second, pings included."""
MOST_STREAMS = 1000
"""On one connection; the venue allows 1024."""
CONNECTIONS = 2
"""Per route; the second is opened only for what the first cannot take."""


async def no_wait() -> None:
    """Nothing stands before a connection."""


class Route:
    """One market connection (`/public` or `/market`) and the streams wanted on it."""

    def __init__(
        self,
        name: str,
        address: Callable[[], Awaitable[str]],
        suffix: str,
        on_text: Callable[[bytes], None],
        on_refused: OnRefused,
    ) -> None:
        self.stream = Stream(name, address, on_text, self._on_up, self._on_down, on_refused)
        self.is_steady = suffix == "markPrice@1s"
        """Whether every stream on it speaks each second."""
        self._suffix = suffix
        self._wanted: set[str] = set()
        self._asked: set[str] = set()
        self._frames: list[bytes] = []
        """Control frames that wait for their turn."""
        self._flush: asyncio.TimerHandle | None = None
        self._needed = asyncio.Event()
        self._number = 0

    async def run(self) -> None:
        """Connect as soon as something is wanted."""
        await self._needed.wait()
        await self.stream.run()

    @property
    def has_wishes(self) -> bool:
        return bool(self._wanted)

    @property
    def is_full(self) -> bool:
        # what is asked for and no longer wanted is counted until it was unsubscribed
        return len(self._wanted | self._asked) >= MOST_STREAMS

    def want(self, symbol: str, is_wanted: bool) -> None:
        name = f"{symbol.lower()}@{self._suffix}"
        (self._wanted.add if is_wanted else self._wanted.discard)(name)
        self._needed.set()
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(GATHER, self._subscribe)

    def close(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None

    def _on_up(self, socket: Socket) -> None:
        self._asked, self._frames = set(), []
        self._subscribe()

    def _on_down(self, why: str) -> None:
        self._asked, self._frames = set(), []

    def _subscribe(self) -> None:
        """Send the next control frame; ask for what is wanted and not yet asked for, and the other way round."""
        self.close()
        if not self.stream.is_open:
            return
        if not self._frames:
            self._frames = list(self._changes())
            self._asked = set(self._wanted)
        if self._frames:
            self.stream.write(self._frames.pop(0))
            self._flush = asyncio.get_running_loop().call_later(PAUSE, self._subscribe)

    def _changes(self) -> Iterator[bytes]:
        for method, names in (
            ("UNSUBSCRIBE", sorted(self._asked - self._wanted)),
            ("SUBSCRIBE", sorted(self._wanted - self._asked)),
        ):
            for start in range(0, len(names), PER_FRAME):
                self._number += 1
                yield wire.encode({"method": method, "params": names[start : start + PER_FRAME], "id": self._number})


class Market:
    """Counted subscriptions: a symbol is streamed for as long as anybody watches it."""

    def __init__(
        self,
        streams: str,
        opening: Callable[[], Awaitable[None]] = no_wait,
        on_refused: OnRefused = lambda status, retry_after, body: None,
    ) -> None:
        """`opening` is awaited before each connection."""
        base = streams.rstrip("/")

        def route(name: str, suffix: str, number: int) -> Route:
            async def address() -> str:
                await opening()
                return f"{base}/{name}/ws"

            return Route(f"{name}{number or ''}", address, suffix, self._on_text, on_refused)

        self._quotes = tuple(route("public", "bookTicker", number) for number in range(CONNECTIONS))
        self._marks = tuple(route("market", "markPrice@1s", number) for number in range(CONNECTIONS))
        self.routes = (*self._quotes, *self._marks)
        self._places: dict[str, int] = {}
        """On which connection a symbol is."""
        self._watchers: dict[str, list[OnEvent]] = {}
        self._heard: dict[str, wire.BookTicker] = {}

    def watch(self, symbol: str, on_event: OnEvent) -> None:
        watchers = self._watchers.setdefault(symbol, [])
        watchers.append(on_event)
        if len(watchers) == 1:
            free = (number for number, route in enumerate(self._quotes) if not route.is_full)
            self._places[symbol] = next(free, CONNECTIONS - 1)
            self._want(symbol, True)

    def unwatch(self, symbol: str, on_event: OnEvent) -> None:
        watchers = self._watchers.get(symbol, [])
        if on_event in watchers:
            watchers.remove(on_event)
        if not watchers and self._watchers.pop(symbol, None) is not None:
            self._heard.pop(symbol, None)
            self._want(symbol, False)
            del self._places[symbol]

    def is_waiting(self, symbol: str, on_event: OnEvent, said: wire.BookTicker | None) -> bool:
        """Whether `on_event` still watches `symbol` and the stream spoke of it no more since it `said` that."""
        return self._heard.get(symbol) is said and on_event in self._watchers.get(symbol, ())

    def last(self, symbol: str) -> wire.BookTicker | None:
        """What the stream last said of `symbol`."""
        return self._heard.get(symbol)

    def watched(self) -> set[str]:
        return set(self._watchers)

    def route_of(self, symbol: str) -> Route:
        """The connection that tells the quotes of `symbol`."""
        return self._quotes[self._places.get(symbol, 0)]

    def tell(self, row: wire.BookTickerRow) -> None:
        """Pass on a quote that was read instead of streamed."""
        self._spread(row.symbol, Quote(row.time, row.bid_price, row.ask_price))

    def close(self) -> None:
        for route in self.routes:
            route.close()

    def _want(self, symbol: str, is_wanted: bool) -> None:
        place = self._places[symbol]
        for route in (self._quotes[place], self._marks[place]):
            route.want(symbol, is_wanted)

    def _on_text(self, data: bytes) -> None:
        try:
            frame = wire.market_event(data)
        except wire.Malformed as error:
            log.warning("malformed_frame", error=str(error))
            return
        if isinstance(frame, wire.BookTicker):
            self._heard[frame.symbol] = frame
            event: Event = Quote(frame.time or frame.event_time, frame.bid, frame.ask)
        elif isinstance(frame, wire.MarkPriceUpdate):
            event = Mark(frame.event_time, frame.mark)
        else:
            return
        self._spread(frame.symbol, event)

    def _spread(self, symbol: str, event: Event) -> None:
        for on_event in tuple(self._watchers.get(symbol, ())):
            on_event(symbol, event)
