"""A SQLite connection whose requests run to their end: a cancellation gets through at the first wait after them.

aiosqlite stops waiting at once while its thread goes on: a BEGIN that nobody waits for any more would keep the write
lock, and one cancelled button press or timeout would stop every later commit.
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
        is_cancelled = False
        while not done.done():
            try:
                await asyncio.wait([done])
            except asyncio.CancelledError:
                is_cancelled = True
        if is_cancelled and (task := asyncio.current_task()) is not None:
            task.uncancel()  # said again below: it must count once, or asyncio.timeout mistakes it for another
            task.cancel()
        return done.result()

    async def transact(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Run `work` as one transaction in one trip to the connection's thread. Raises sqlite3.Error."""
        await self._execute(_transact, self._conn, work)

    async def close(self) -> None:
        if self._connection is not None and self._running:
            await self._execute(_abandon, self._connection)
        await super().close()

    def stop(self) -> asyncio.Future[Any] | None:
        if self._connection is not None:
            self._tx.put_nowait((None, partial(_abandon, self._connection)))
        return super().stop()


def _abandon(connection: sqlite3.Connection) -> None:
    """Undo an open transaction: closing alone would leave it open for as long as some traceback holds a cursor."""
    if connection.in_transaction:
        connection.rollback()


def _transact(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], None]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _prepare(connection: sqlite3.Connection) -> None:
    # We begin transactions ourselves: the driver would begin late, and never for a schema change.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    # FULL: a command must outlive a power cut too, not only a kill. It costs a sync in the connection's own thread,
    # never on the event loop.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def connect(file: Path, busy_seconds: float) -> SteadyConnection:
    """To be awaited, as aiosqlite's."""

    def opened() -> sqlite3.Connection:
        connection = sqlite3.connect(file, timeout=busy_seconds, check_same_thread=False)
        _prepare(connection)
        return connection

    connection = SteadyConnection(opened, iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy does: a connection left open must not keep a process alive
    return connection
