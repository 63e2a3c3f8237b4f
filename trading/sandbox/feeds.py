"""Who listens to what: sockets with their outboxes, stream names, and the hub between publishers and listeners."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterable

from aiohttp import WSCloseCode, WSMsgType, web
from msgspec import Struct

from trading.sandbox.tape import INTERVALS

OUTBOX = 50_000
"""Frames a slow listener may be behind before it is cut off."""

PUBLIC, MARKET, PRIVATE = "public", "market", "private"
LISTEN_KEY = re.compile(r"[A-Za-z0-9]{64}")


class Stream(Struct, frozen=True):
    """A stream name, taken apart."""

    name: str
    kind: str
    """The part after `@` or `!`: bookTicker, depth, book (partial depth), aggTrade, trade, markPrice, kline, …"""
    symbol: str = ""
    """Upper case; empty = all symbols."""
    argument: str = ""
    """Levels of a partial book, interval of a kline."""
    period: int = 0
    """ms between frames, 0 = as it happens."""

    @property
    def pattern(self) -> str:
        """The name with its symbol left open: `<s>@kline_<i>`."""
        if self.kind == "user":
            return "<listenKey>"
        if not self.symbol:
            return self.name.partition("@1s")[0]
        head = f"<s>_perpetual@{self.kind}" if self.kind == "continuousKline" else f"<s>@{self.kind}"
        head = head.replace("@book", "@depth<N>") if self.kind == "book" else head
        return f"{head}_<i>" if self.kind in ("kline", "continuousKline") else head

    @property
    def route(self) -> str:
        if self.kind == "user":
            return PRIVATE
        return PUBLIC if self.kind in ("bookTicker", "depth", "book", "trade", "rpiDepth") else MARKET


_PERIODS = {
    "depth": 250,
    "book": 250,
    "markPrice": 3000,
    "kline": 250,
    "continuousKline": 250,
    "miniTicker": 2000,
    "ticker": 2000,
    "forceOrder": 1000,
}
_PLAIN = ("bookTicker", "depth", "aggTrade", "trade", "markPrice", "miniTicker", "ticker", "forceOrder")
_WHOLE = {
    "!bookTicker": ("bookTicker", 5000),
    "!miniTicker@arr": ("miniTicker", 1000),
    "!ticker@arr": ("ticker", 1000),
    "!markPrice@arr": ("markPrice", 3000),
    "!markPrice@arr@1s": ("markPrice", 1000),
    "!forceOrder@arr": ("forceOrder", 1000),
    "!contractInfo": ("contractInfo", 0),
}


def stream_of(name: str) -> Stream | None:
    """The stream that `name` asks for; None for one that nobody ever publishes."""
    if LISTEN_KEY.fullmatch(name):
        return Stream(name, "user")
    if name in _WHOLE:
        return Stream(name, _WHOLE[name][0], "", "", _WHOLE[name][1])
    symbol, at, rest = name.partition("@")
    if not at or not symbol or symbol != symbol.lower():
        return None
    body, _, speed = rest.partition("@")
    kind, argument = body, ""
    if rest == "rpiDepth@500ms":
        kind = "depth"  # nobody posts retail orders here: it is the plain book
    elif body.startswith("continuousKline_"):
        symbol, _, contract = symbol.partition("_")
        kind, argument = "continuousKline", body[16:]
        if contract != "perpetual" or argument not in INTERVALS:
            return None
    elif body.startswith("kline_"):
        kind, argument = "kline", body[6:]
        if argument not in INTERVALS:
            return None
    elif body in ("depth5", "depth10", "depth20"):
        kind, argument = "book", body[5:]
    elif body not in _PLAIN:
        return None
    period = _period(kind, speed)
    return None if period is None else Stream(name, kind, symbol.upper(), argument, period)


def _period(kind: str, speed: str) -> int | None:
    if not speed:
        return _PERIODS.get(kind, 0)
    allowed = {
        "depth": ("0ms", "100ms", "250ms", "500ms"),
        "book": ("0ms", "100ms", "250ms", "500ms"),
        "markPrice": ("1s",),
    }
    if speed not in allowed.get(kind, ()):
        return None
    return 1000 if speed == "1s" else max(100, int(speed[:-2]))


class Feed:
    """One socket: what is sent to it goes through its outbox, in order."""

    def __init__(self, socket: web.WebSocketResponse, kind: str, route: str, combined: bool) -> None:
        self.socket = socket
        self.kind = kind
        """`stream` or `wsapi`."""
        self.route = route
        """public, market, private; empty = unrouted."""
        self.combined = combined
        self.names: dict[str, None] = {}
        """Everything subscribed, what never delivers too."""
        self.wanted: dict[str, frozenset[str]] = {}
        """Event names per listen key, where a filter was given."""
        self.stalled_until = 0.0
        """Loop time until which nothing is sent (a fault)."""
        self._outbox: deque[bytes] = deque()
        self._filled = asyncio.Event()
        self.is_dropped = False
        self._is_ending = False

    @property
    def listens_to_user(self) -> bool:
        return self.route == PRIVATE or any(LISTEN_KEY.fullmatch(name) for name in self.names)

    def put(self, frame: bytes) -> None:
        """Queue one text frame."""
        if self.is_dropped:
            return
        if len(self._outbox) >= OUTBOX:
            self.drop()
            return
        self._outbox.append(frame)
        self._filled.set()

    def event(self, name: str, frame: bytes) -> None:
        """Queue an event of stream `name`, wrapped where this socket wants that."""
        self.put(b'{"stream":"%b","data":%b}' % (name.encode(), frame) if self.combined else frame)

    def stall(self, seconds: float) -> None:
        """Hold everything back from now on, for so long (a fault)."""
        self.stalled_until = asyncio.get_running_loop().time() + seconds

    def end(self) -> None:
        """Close politely, after what is queued (the day is over)."""
        self._is_ending = True
        self._filled.set()

    def drop(self) -> None:
        """Cut the line without a closing handshake, as a broken network does."""
        self.is_dropped = True
        self._filled.set()
        request = self.socket._req  # aiohttp keeps the transport nowhere public
        if request is not None and request.transport is not None:
            request.transport.abort()

    async def write(self) -> None:
        """Send what is queued until cancelled or the socket is gone."""
        loop = asyncio.get_running_loop()
        while not self.is_dropped:
            if not self._outbox:
                if self._is_ending:
                    await self.socket.close(code=WSCloseCode.GOING_AWAY)
                    return
                self._filled.clear()
                await self._filled.wait()
                continue
            late = self.stalled_until - loop.time() if self.stalled_until else 0.0
            if late > 0:
                await asyncio.sleep(late)
                continue
            try:
                await self.socket.send_frame(self._outbox.popleft(), WSMsgType.TEXT)
            except (ConnectionError, RuntimeError):
                return


class Hub:
    """Streams by name with the feeds that listen to them. `is_strict`: unrouted sockets get public streams only."""

    def __init__(self, is_strict: bool = False) -> None:
        self.is_strict = is_strict
        self.feeds: dict[Feed, None] = {}
        self.heard: set[str] = set()
        """Kinds of streams that had a listener since the start."""
        self.streams: dict[str, Stream] = {}
        """Those with a listener."""
        self.fresh: set[str] = set()
        """Those that a listener came to: who sends snapshots owes it one, changed or not."""
        self._listeners: dict[str, dict[Feed, None]] = {}

    def join(self, feed: Feed) -> None:
        self.feeds[feed] = None

    def leave(self, feed: Feed) -> None:
        self.feeds.pop(feed, None)
        for name in list(feed.names):
            self.unsubscribe(feed, name)

    def subscribe(self, feed: Feed, name: str) -> None:
        """Deliver `name` to `feed`; an unknown or wrongly routed stream is noted and stays silent."""
        feed.names[name] = None
        stream = stream_of(name)
        if stream is None or not self._may_hear(feed, stream):
            return
        self.streams[name] = stream
        self.fresh.add(name)
        self.heard.add(stream.pattern)
        self._listeners.setdefault(name, {})[feed] = None

    def _may_hear(self, feed: Feed, stream: Stream) -> bool:
        if feed.route:
            return feed.route == stream.route
        return stream.route == PUBLIC or not self.is_strict

    def unsubscribe(self, feed: Feed, name: str) -> None:
        feed.names.pop(name, None)
        listeners = self._listeners.get(name)
        if listeners is not None:
            listeners.pop(feed, None)
            if not listeners:
                del self._listeners[name]
                self.streams.pop(name, None)
                self.fresh.discard(name)

    def has(self, name: str) -> bool:
        return name in self._listeners

    def publish(self, name: str, frame: bytes, event: str = "") -> None:
        """Send `frame` to everyone who listens to `name`; `event` lets a user stream's filter work."""
        for feed in self._listeners.get(name, ()):
            wanted = feed.wanted.get(name)
            if wanted is None or not event or event in wanted:
                feed.event(name, frame)

    def of_kind(self, *kinds: str) -> Iterable[Stream]:
        """The streams of these kinds that somebody listens to."""
        return [stream for stream in self.streams.values() if stream.kind in kinds]
