"""Pictures of grids: what is to be drawn, a painter in a process of its own, and a memory of what it painted.

Drawing takes a few hundred milliseconds of pure computing. In a thread it would hold up the answers to fills, so a
child process does it, at low priority; it ends by itself when the service does, because its input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import sys
from collections import OrderedDict

import msgspec
import structlog
from msgspec import Struct

log = structlog.get_logger("bot.charts")
REMEMBERED = 48
"""Pictures kept, some 80 kB each."""
PATIENCE = 20.0
"""Seconds that one picture may take, the start of the painter included."""
IDLE = 300.0
"""Seconds without work after which the painter is let go: it holds some 60 MB."""
LAST = 0.5
"""Seconds that the painter may take to be gone."""
OURS = "TRELLIS_"
"""Variables of ours that the painter has no business with."""


class Bar(Struct, frozen=True, array_like=True):
    """One candle."""

    time: int
    open: float
    high: float
    low: float
    close: float


class Dot(Struct, frozen=True, array_like=True):
    """One trade; `side` is +1 for a buy, -1 for a sell."""

    time: int
    price: float
    side: int


class Rest(Struct, frozen=True, array_like=True):
    """One resting order."""

    price: float
    side: int


class GridMap(Struct, frozen=True, tag=True):
    """Candles with the grid over them."""

    title: str
    badge: str
    theme: str
    bars: tuple[Bar, ...]
    levels: tuple[float, ...]
    orders: tuple[Rest, ...]
    fills: tuple[Dot, ...]
    stops: tuple[float, ...]
    target: float | None
    price: float | None
    places: int
    """Decimals of a price."""
    words: dict[str, str]


class Point(Struct, frozen=True, array_like=True):
    """One moment of an account: everything together, and grid profit alone."""

    time: int
    total: float
    matched: float


class Equity(Struct, frozen=True, tag=True):
    """What a grid has made, over time."""

    title: str
    badge: str
    theme: str
    quote: str
    points: tuple[Point, ...]
    words: dict[str, str]


Picture = GridMap | Equity


class CannotPaint(Exception):
    """The picture could not be made; the reader is told, the log says why."""


class Charts:
    """Paints pictures, each content once."""

    def __init__(self) -> None:
        self._made: OrderedDict[bytes, bytes] = OrderedDict()
        self._painter: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None

    async def png(self, picture: Picture) -> bytes:
        """The picture as PNG; raises CannotPaint."""
        wish = msgspec.msgpack.encode(picture)
        key = hashlib.blake2b(wish, digest_size=16).digest()
        async with self._turn:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
            try:
                async with asyncio.timeout(PATIENCE):
                    png = await self._painted(wish)
            except (OSError, EOFError, TimeoutError) as error:
                self.close()
                log.error("picture not painted", error=repr(error))
                raise CannotPaint from error
            if not png:
                raise CannotPaint
            self._made[key] = png
            while len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
            return png

    async def _painted(self, wish: bytes) -> bytes:
        painter = await self._open()
        assert painter.stdin is not None and painter.stdout is not None
        painter.stdin.write(len(wish).to_bytes(4, "big") + wish)
        await painter.stdin.drain()
        size = int.from_bytes(await painter.stdout.readexactly(4), "big")
        return await painter.stdout.readexactly(size)

    async def _open(self) -> asyncio.subprocess.Process:
        """The painter, started where none is at work."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE, self.close)
        if self._painter is None or self._painter.returncode is not None:
            self._painter = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bot.painter",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=environment(),
                limit=2**24,
            )
        return self._painter

    async def end(self) -> None:
        """Let the painter go and see it gone."""
        painter = self._painter
        self.close()
        if painter is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST):
                    await painter.wait()

    def close(self) -> None:
        """Let the painter go."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        painter, self._painter = self._painter, None
        if painter is not None and painter.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                painter.kill()


def environment() -> dict[str, str]:
    """What the painter may know: the way to the modules, and none of our secrets."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MPLBACKEND": "Agg"}
