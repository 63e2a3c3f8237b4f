"""Quotes and mark prices of watched symbols, from the two routes that Binance splits them over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from trading.gateways.binance import wire
from trading.gateways.binance.streams import Socket, Stream
from trading.messages import Event, Mark, Quote

log = structlog.get_logger("binance")

OnEvent = Callable[[str, Event], None]
GATHER = 0.12
"""Subscriptions of so many seconds share one frame: the venue takes ten frames a second."""
PER_FRAME = 100


class Route:
    """One market connection (`/public` or `/market`) and the streams wanted on it."""

    def __init__(self, name: str, address: str, suffix: str, on_text: Callable[[bytes], None]) -> None:
        self.stream = Stream(name, self._address, on_text, self._on_up, self._on_down)
        self._url = address
        self._suffix = suffix
        self._wanted: set[str] = set()
        self._asked: set[str] = set()
        self._flush: asyncio.TimerHandle | None = None
        self._needed = asyncio.Event()
        self._number = 0

    async def run(self) -> None:
        """Connect as soon as something is wanted."""
        await self._needed.wait()
        await self.stream.run()

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

    async def _address(self) -> str:
        return self._url

    def _on_up(self, socket: Socket) -> None:
        self._asked = set()
        self._subscribe()

    def _on_down(self, why: str) -> None:
        self._asked = set()

    def _subscribe(self) -> None:
        """Ask for what is wanted and not yet asked for, and the other way round, in few frames."""
        self.close()
        if not self.stream.is_open:
            return
        for method, names in (
            ("UNSUBSCRIBE", sorted(self._asked - self._wanted)),
            ("SUBSCRIBE", sorted(self._wanted - self._asked)),
        ):
            for start in range(0, len(names), PER_FRAME):
                self._number += 1
                frame = {"method": method, "params": names[start : start + PER_FRAME], "id": self._number}
                self.stream.write(wire.encode(frame))
        self._asked = set(self._wanted)


class Market:
    """Counted subscriptions: a symbol is streamed for as long as anybody watches it."""

    def __init__(self, streams: str) -> None:
        base = streams.rstrip("/")
        self.routes = (
            Route("public", f"{base}/public/ws", "bookTicker", self._on_text),
            Route("market", f"{base}/market/ws", "markPrice@1s", self._on_text),
        )
        self._watchers: dict[str, list[OnEvent]] = {}
        self._heard: set[str] = set()

    def watch(self, symbol: str, on_event: OnEvent) -> None:
        watchers = self._watchers.setdefault(symbol, [])
        watchers.append(on_event)
        if len(watchers) == 1:
            self._want(symbol, True)

    def unwatch(self, symbol: str, on_event: OnEvent) -> None:
        watchers = self._watchers.get(symbol, [])
        if on_event in watchers:
            watchers.remove(on_event)
        if not watchers and self._watchers.pop(symbol, None) is not None:
            self._heard.discard(symbol)
            self._want(symbol, False)

    def is_heard(self, symbol: str) -> bool:
        """Whether the stream has already spoken of `symbol`."""
        return symbol in self._heard

    def close(self) -> None:
        for route in self.routes:
            route.close()

    def _want(self, symbol: str, is_wanted: bool) -> None:
        for route in self.routes:
            route.want(symbol, is_wanted)

    def _on_text(self, data: bytes) -> None:
        try:
            frame = wire.market_event(data)
        except wire.Malformed as error:
            log.warning("malformed_frame", error=str(error))
            return
        if isinstance(frame, wire.BookTicker):
            self._heard.add(frame.symbol)
            event: Event = Quote(frame.time or frame.event_time, frame.bid, frame.ask)
        elif isinstance(frame, wire.MarkPriceUpdate):
            event = Mark(frame.event_time, frame.mark)
        else:
            return
        for on_event in tuple(self._watchers.get(frame.symbol, ())):
            on_event(frame.symbol, event)
