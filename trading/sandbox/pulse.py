"""How long and how fast a client's socket lives: pings, pongs and frames a second (binance-usdm.md §2.4)."""

from __future__ import annotations

import asyncio

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

PATIENCE = 10 / 3
"""Pings that may stay unanswered: ten minutes at one in three."""


class Pace:
    """How many frames a connection may send in a second."""

    def __init__(self, most: int, is_real: bool) -> None:
        self._most = most
        self._is_real = is_real
        self._second = 0
        self._count = 0

    def allows(self) -> bool:
        second = int(asyncio.get_running_loop().time())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return self._count <= self._most or not self._is_real


class Pulse:
    """The pings of one socket: ours are answered with what they bear, or it is closed; its client's we answer."""

    def __init__(self, socket: web.WebSocketResponse, period: float, pace: Pace) -> None:
        """`pace`: of the client's pings and pongs."""
        self._socket = socket
        self._period = period
        self._pace = pace
        self._sent = b""
        self._answered = asyncio.get_running_loop().time()

    async def beat(self) -> None:
        """Ping until the client has been silent for too long."""
        loop = asyncio.get_running_loop()
        while loop.time() - self._answered < self._period * PATIENCE:
            await asyncio.sleep(self._period)
            self._sent = b"%d" % (loop.time() * 1000)
            try:
                await self._socket.ping(self._sent)
            except (ConnectionError, RuntimeError):
                return
        await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Pong timeout")

    async def hear(self, message: WSMessage) -> bool:
        """Take a frame that is no text; whether the client may go on talking."""
        if message.type is WSMsgType.PONG:
            if message.data == self._sent:  # others are allowed and mean nothing
                self._answered = asyncio.get_running_loop().time()
        elif message.type is WSMsgType.PING:
            await self._socket.pong(message.data)
        else:
            return True
        return self._pace.allows()


async def cut(socket: web.WebSocketResponse) -> None:
    """Close on a client that talks too fast."""
    await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
