"""WebSocket connections that come back: a socket that hands over each frame at once, and the loop that reopens it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import Event, State

from trading.gateways.binance.cutter import Cutter, masked
from trading.ports import RateLimited, TradingError

log = structlog.get_logger("binance")

OnText = Callable[[bytes], None]
OnRefused = Callable[[int, str, str], None]
"""(HTTP status, Retry-After, body) of a refused opening."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
PING, PONG = 15.0, 10.0
"""How often we ask whether the other side is there, and how long it has to say so, s."""
STABLE = 10.0
"""A connection that lived this long, s, starts the backoff anew."""


class Socket(ClientConnection):
    """A client connection without queue: a text frame reaches `on_text` inside the read callback, no task between.

    One loop turn less between a fill and its counter-order; the price is that nobody may call `recv`.
    """

    def __init__(self, protocol: ClientProtocol, on_text: OnText, **options: Any) -> None:
        super().__init__(protocol, **options)
        self.frames = 0
        """How many messages came."""
        self._on_text = on_text
        self._parts: list[bytes] = []
        self._cutter: Cutter | None = None
        """None until it is known where frames begin."""

    def data_received(self, data: bytes) -> None:
        if self._cutter is None or self.protocol.state is not State.OPEN:
            super().data_received(data)
            if data.startswith(b"HTTP/") and self.protocol.state is State.OPEN:
                self._cutter = Cutter.after(data.partition(b"\r\n\r\n")[2])
            return
        for is_text, piece in self._cutter.cut(data):
            if not is_text:
                super().data_received(piece)
            elif self.protocol.state is State.OPEN:
                self.frames += 1
                self._on_text(piece)

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self.frames += 1
            if event.fin and not self._parts:
                self._on_text(bytes(event.data))
                return
            self._parts.append(bytes(event.data))
            if event.fin:
                whole, self._parts = b"".join(self._parts), []
                self._on_text(whole)
            return
        super().process_event(event)

    @property
    def is_open(self) -> bool:
        return self.protocol.state is State.OPEN and not self.transport.is_closing()

    def write(self, text: bytes) -> bool:
        """Put one text frame on its way now; False = the connection is not open and nothing left."""
        if not self.is_open:
            return False
        self.transport.write(masked(text))
        return True

    def abort(self) -> None:
        """Drop the connection without a word; the loop opens a new one."""
        self.transport.abort()


class Stream:
    """One connection that is opened again for as long as `run` runs: backoff with jitter, no end.

    `address` may call the venue (a listenKey); `on_up` gets each new socket, `on_down` the reason of each loss.
    """

    def __init__(
        self,
        name: str,
        address: Callable[[], Awaitable[str]],
        on_text: OnText,
        on_up: Callable[[Socket], None],
        on_down: Callable[[str], None],
        on_refused: OnRefused = lambda status, retry_after, body: None,
    ) -> None:
        self.name = name
        self.socket: Socket | None = None
        self._address = address
        self._on_text = on_text
        self._on_up = on_up
        self._on_down = on_down
        self._on_refused = on_refused

    @property
    def is_open(self) -> bool:
        return self.socket is not None and self.socket.is_open

    def write(self, text: bytes) -> bool:
        """Send now; False = nothing left."""
        return self.socket is not None and self.socket.write(text)

    def abort(self) -> None:
        if self.socket is not None:
            self.socket.abort()

    async def run(self) -> None:
        """Keep the connection until cancelled. Closes after 24 h, 1006 and 1011 are normal life."""
        pause, loop = FIRST_PAUSE, asyncio.get_running_loop()
        while True:
            began = loop.time()
            why, wait = await self._once()
            if loop.time() - began > STABLE:
                pause = FIRST_PAUSE
            log.info("stream_down", stream=self.name, why=why)
            self._on_down(why)
            await asyncio.sleep(max(wait, pause * random.uniform(0.5, 1.0)))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _once(self) -> tuple[str, float]:
        """One connection from opening to end: why it ended, and how long to stay away at least (s)."""
        try:
            address = await self._address()
            connecting = connect(
                address,
                create_connection=self._create,  # type: ignore[arg-type]
                compression=None,
                open_timeout=10,
                ping_interval=PING,
                ping_timeout=PONG,
                close_timeout=1,
                max_size=2**23,
                proxy=None,
            )
            async with connecting as socket:
                assert isinstance(socket, Socket)
                self.socket = socket
                self._on_up(socket)
                await socket.wait_closed()
                return f"closed {socket.close_code}", 0.0
        except RateLimited as error:
            return str(error), 5.0
        except InvalidStatus as error:
            answer = error.response
            body = (answer.body or b"")[:300].decode(errors="replace")
            self._on_refused(answer.status_code, answer.headers.get("Retry-After", ""), body)
            return f"refused {answer.status_code}", 0.0
        except (TradingError, WebSocketException, OSError, TimeoutError) as error:
            # the address may hold a listenKey, so only the kind of a connection error is told
            return (str(error) if isinstance(error, TradingError) else type(error).__name__), 0.0
        finally:
            self.socket = None

    def _create(self, protocol: ClientProtocol, **options: Any) -> Socket:
        return Socket(protocol, self._on_text, **options)
