"""A SQLite connection that finishes what it has begun before a cancellation gets through.

aiosqlite gives up waiting at once while its thread goes on: a BEGIN that nobody waits for any more would keep the
write lock, and a cancelled button press or a timeout would stop every later commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite


class SteadyConnection(aiosqlite.Connection):
    """aiosqlite's, whose every request runs to its end."""

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self._running or not self._connection:
            raise ValueError("Connection closed")  # aiosqlite's words, which SQLAlchemy knows
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((done, partial(fn, *args, **kwargs)))
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            while not done.done():
                try:
                    await asyncio.wait([done])
                except asyncio.CancelledError:
                    continue  # told already
            done.exception()
            del done  # with a cursor that nobody will close: it would keep the file busy as long as the traceback lives
            raise


def connect(file: Path, busy_seconds: float) -> SteadyConnection:
    """To be awaited, as aiosqlite's."""
    opening = partial(sqlite3.connect, file, timeout=busy_seconds, check_same_thread=False)
    connection = SteadyConnection(opening, iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy does: a connection left open must not keep a process alive
    return connection
