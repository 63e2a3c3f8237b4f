"""Ears on a sandbox's sockets: when a fill was told, and when each order that answers it came, by one monotonic clock.

Nothing of the program is changed for that: the listeners stand before the sandbox's own protocol and feeds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from trading.sandbox.exchange import Exchange
from trading.sandbox.feeds import Feed

TEXT = 1
"""The opcode of a text frame; everything else that a client sends on its order socket is ping, pong or farewell."""


class Watch:
    """The time from a fill to the orders that answer it.

    While more answers are awaited, the venue is kept from those that came: else its work on the first order would
    delay its hearing of the second.
    """

    def __init__(self) -> None:
        self.told = 0
        self.last = 0
        """When the last fill so far was told."""
        self._answers: asyncio.Future[list[int]] | None = None
        self._came: list[int] = []
        self._wanted = 0
        self._held: list[Callable[[], None]] = []

    def arm(self, answers: int = 1) -> asyncio.Future[list[int]]:
        """The next fill counts; the future is when each of so many answers came, ns after it was told."""
        self.told, self._came, self._wanted = 0, [], answers
        self._answers = asyncio.get_running_loop().create_future()
        return self._answers

    def tell(self, frame: bytes) -> None:
        if b'"ORDER_TRADE_UPDATE"' in frame and b'"FILLED"' in frame:
            self.last = time.perf_counter_ns()
            self.told = self.told or self.last

    def hear(self, heard: int, requests: int) -> None:
        """So many requests came at `heard`."""
        if self.told and self._answers is not None and not self._answers.done():
            self._came += [heard - self.told] * requests
            if len(self._came) >= self._wanted:
                self._answers.set_result(self._came)

    def pass_on(self, work: Callable[[], None]) -> None:
        """What the venue has to do with bytes that came: now, or with the last answer."""
        self._held.append(work)
        if self.told and self._answers is not None and not self._answers.done():
            return
        held, self._held = self._held, []
        for each in held:
            each()


class Frames:
    """Whole text frames in a client's bytes, counted by their headers."""

    def __init__(self) -> None:
        self._rest = b""

    def texts(self, data: bytes) -> int:
        """How many were completed by these bytes."""
        self._rest += data
        return sum(opcode == TEXT for opcode in self._taken())

    def _taken(self) -> Iterator[int]:
        while len(self._rest) >= 2:
            size, head = self._rest[1] & 0x7F, 6  # two bytes and the mask, which every client sends
            if size >= 126:
                wide = 2 if size == 126 else 8
                size, head = int.from_bytes(self._rest[2 : 2 + wide]), head + wide
            if len(self._rest) < head + size:
                return
            opcode, self._rest = self._rest[0] & 0x0F, self._rest[head + size :]
            yield opcode


class Heard(asyncio.Protocol):
    """Stands before a connection's own protocol and tells when requests came."""

    def __init__(self, inner: Any, watch: Watch) -> None:
        self._inner = inner
        self._watch = watch
        self._frames = Frames()

    def data_received(self, data: bytes) -> None:
        heard = time.perf_counter_ns()
        requests = self._frames.texts(data)
        if requests:
            self._watch.hear(heard, requests)
        self._watch.pass_on(partial(self._inner.data_received, data))

    def __getattribute__(self, name: str) -> Any:
        if name in ("data_received", "_inner", "_watch", "_frames", "__class__"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_inner"), name)


class Told:
    """Stands before a feed's socket and tells when a frame is written."""

    def __init__(self, inner: Any, watch: Watch) -> None:
        self._inner = inner
        self._watch = watch

    def send_frame(self, frame: bytes, kind: Any) -> Awaitable[None]:
        self._watch.tell(frame)
        sending: Awaitable[None] = self._inner.send_frame(frame, kind)
        return sending

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def listen(exchange: Exchange, watch: Watch) -> None:
    """Listen in on every order socket and every user stream that is open now."""
    for feed in list(exchange.hub.feeds):
        _tap(feed, watch)


def _tap(feed: Feed, watch: Watch) -> None:
    socket: Any = feed.socket
    if feed.kind == "wsapi":
        transport = socket._req.transport
        transport.set_protocol(Heard(transport.get_protocol(), watch))
    elif feed.listens_to_user:
        feed.socket = Told(socket, watch)  # type: ignore[assignment]
