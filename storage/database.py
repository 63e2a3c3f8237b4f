"""One database, SQLite or PostgreSQL: its connections, its transactions, and the lock of the one service on it."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Table, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlmodel import SQLModel, col, delete, select

from storage import schema
from storage.lock import FileLock, Taken
from storage.steady import SteadyConnection, connect
from storage.tables import Lease

BUSY_SECONDS = 15
"""How long a writer waits for another process (a `users add`, a backup)."""
LINGER_SECONDS = 2.0
"""How long PostgreSQL may take to see that a killed service is gone."""
_ADVISORY = "hashtextextended('trellis/' || current_schema(), 0)"
_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}


class Unusable(Exception):
    """The database cannot be opened; the text says why and carries no password."""


class Locked(Exception):
    """A service runs on this database already. `host` is empty where the holder has not signed yet."""

    def __init__(self, host: str, pid: int, since: int) -> None:
        super().__init__(f"the database is in use by process {pid} on {host or 'a host that has not signed yet'}")
        self.host = host
        self.pid = pid
        self.since = since


class Database:
    """Open once per process; every function of this package takes it first."""

    def __init__(self, url: str) -> None:
        self._url = _normal(url)
        self.is_sqlite = self._url.drivername.startswith("sqlite")
        options: dict[str, Any] = {"hide_parameters": True}  # no stored value in an error's text
        if self.is_sqlite:
            options["async_creator"] = self._connect
        else:
            options["pool_pre_ping"] = True
        self._engine = create_async_engine(self._url, **options)
        self._reader = self._engine.execution_options(reading=True)
        if self.is_sqlite:
            event.listen(self._engine.sync_engine, "begin", _begin)
        self._writing = asyncio.Lock()
        self._direct: SteadyConnection | None = None
        self._file: FileLock | None = None
        self._guard: AsyncConnection | None = None

    def __repr__(self) -> str:
        return f"Database({self._url.render_as_string(hide_password=True)})"

    @property
    def path(self) -> Path | None:
        """The SQLite file."""
        return Path(self._url.database or "").resolve() if self.is_sqlite else None

    async def open(self, exclusive: bool = True) -> None:
        """Bring the schema up to date and, if `exclusive`, be the one service on this database.

        Raises Locked, schema.Newer, Unusable. Commands beside the service open with `exclusive=False`.
        """
        try:
            if self.path is not None:
                await asyncio.to_thread(self.path.parent.mkdir, parents=True, exist_ok=True)
            if exclusive:
                await self._claim()
            await self._migrate()
            if exclusive:
                await self._sign()
        except (OSError, SQLAlchemyError) as error:
            await self.close()
            raise Unusable(f"{self!r}: {_plain(error)}") from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let the next service in; safe to call twice."""
        try:
            if self._is_claimed:
                await self._unsign()
        except SQLAlchemyError:
            pass  # the row only names a holder; a dead database must not keep a service from ending
        finally:
            if self._direct is not None:
                await self._direct.close()
                self._direct = None
            await self._engine.dispose()  # before the lock goes, so that the last write is done
            await self._let_go()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A transaction that writes, committed at the end of the block. Not to be nested."""
        # One writer at a time in here: SQLite would make the second one poll.
        turn: AbstractAsyncContextManager[Any] = self._writing if self.is_sqlite else nullcontext()
        async with turn, AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A transaction that only reads: it waits for no writer."""
        async with AsyncSession(self._reader, expire_on_commit=False) as session, session.begin():
            yield session

    async def transact(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """A write in one trip past SQLAlchemy, for the journal: a tenth of its time on the event loop. SQLite only."""
        async with self._writing:
            if self._direct is None:
                direct = self._connect()
                await direct
                self._direct = direct
            await self._direct.transact(work)

    def insert(self, table: type[SQLModel]) -> Any:
        """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update` on this database."""
        rows: Table = table.__table__  # type: ignore[attr-defined]
        return sqlite.insert(rows) if self.is_sqlite else postgresql.insert(rows)

    async def check(self) -> None:
        """Whether the database answers and is still ours alone; raises Unusable, and Locked where it is another's.

        PostgreSQL's lock dies with its session, also when only the network or the server broke: it is taken again.
        """
        try:
            async with self.reading() as session:
                await session.execute(text("SELECT 1"))
            if self._guard is not None and not await self._holds():
                raise await self._holder()
        except (OSError, SQLAlchemyError) as error:
            raise Unusable(f"{self!r}: {_plain(error)}") from None

    async def _holds(self) -> bool:
        """Whether the lock is ours; the session that has it may ask again and again."""
        assert self._guard is not None
        try:
            return bool(await self._guard.scalar(text(f"SELECT pg_try_advisory_lock({_ADVISORY})")))
        except SQLAlchemyError:
            lost = self._guard
            if not await self._claim_session():
                return False
            await lost.invalidate()
            await lost.close()
            return True

    def _connect(self) -> SteadyConnection:
        assert self.path is not None
        return connect(self.path, BUSY_SECONDS)

    # ------------------------------------------------------------------ the one service

    @property
    def _is_claimed(self) -> bool:
        return self._file is not None or self._guard is not None

    async def _claim(self) -> None:
        if self.path is not None:
            is_ours = self._claim_file()
        else:
            is_ours = await self._claim_session()
            for _ in range(0 if is_ours else round(LINGER_SECONDS / 0.1)):
                await asyncio.sleep(0.1)
                if is_ours := await self._claim_session():
                    break
        if not is_ours:
            raise await self._holder()

    async def _let_go(self) -> None:
        if self._guard is not None:
            guard, self._guard = self._guard, None
            await guard.invalidate()  # its session ends, and the lock with it
            await guard.close()
        if self._file is not None:
            self._file.release()
            self._file = None

    def _claim_file(self) -> bool:
        file = FileLock(Path(f"{self.path}.lock"))
        try:
            file.acquire()
        except Taken:
            return False
        self._file = file
        return True

    async def _claim_session(self) -> bool:
        guard = await self._engine.connect()
        await guard.execution_options(isolation_level="AUTOCOMMIT")
        if await guard.scalar(text(f"SELECT pg_try_advisory_lock({_ADVISORY})")):
            self._guard = guard
            return True
        await guard.close()
        return False

    async def _holder(self) -> Locked:
        try:
            async with self.reading() as session:
                row = (await session.execute(select(Lease))).scalar_one_or_none()
        except DBAPIError:
            row = None  # the holder is only now making the tables
        return Locked(row.host, row.pid, row.since) if row else Locked("", 0, 0)

    async def _sign(self) -> None:
        async with self.session() as session:
            await session.execute(delete(Lease))
            session.add(Lease(id=1, host=socket.gethostname(), pid=os.getpid(), since=time.time_ns() // 1_000_000))

    async def _unsign(self) -> None:
        async with self.session() as session:
            is_ours = (col(Lease.pid) == os.getpid()) & (col(Lease.host) == socket.gethostname())
            await session.execute(delete(Lease).where(is_ours))

    # ------------------------------------------------------------------ the schema

    async def _migrate(self) -> None:
        async with self._reader.connect() as connection:
            if await connection.run_sync(schema.is_current):
                return
        is_alone = self._is_claimed
        if not is_alone:
            await self._claim()  # never under the feet of a running service
        await self.change(schema.upgrade)
        if not is_alone:
            await self._let_go()

    async def change(self, step: Any, *arguments: str) -> None:
        """Run `schema.upgrade` or `schema.downgrade` in one transaction: all of it or nothing."""
        async with self._engine.connect() as connection:
            # Rebuilding a table on SQLite would otherwise take the rows that point at it along.
            await _enforce(connection, not self.is_sqlite)
            try:
                await connection.run_sync(step, *arguments)
                await connection.commit()
            finally:
                await connection.rollback()
                await _enforce(connection, True)


async def _enforce(connection: AsyncConnection, is_on: bool) -> None:
    """Switch SQLite's foreign keys, which is only possible outside a transaction."""
    if connection.dialect.name == "sqlite":
        raw = await connection.get_raw_connection()
        await raw.driver_connection.execute(f"PRAGMA foreign_keys={'ON' if is_on else 'OFF'}")  # type: ignore[union-attr]


def _normal(url: str) -> URL:
    """The URL with our driver, however it was written. Raises Unusable."""
    try:
        found = make_url(url)
    except SQLAlchemyError:
        raise Unusable("the database URL cannot be read") from None  # not shown: it may hold a password
    driver = _DRIVERS.get(found.drivername)
    if driver is None:
        raise Unusable(f"{found.drivername} is no database we know: sqlite and postgresql are")
    found = found.set(drivername=driver)
    if driver.startswith("sqlite") and found.database in (None, "", ":memory:"):
        raise Unusable("SQLite needs a file: what is kept in memory would not survive a restart")
    if "sslmode" in found.query:  # libpq's word; asyncpg's is `ssl`
        query = dict(found.query)
        query["ssl"] = query.pop("sslmode")
        found = found.set(query=query)
    return found


def _begin(connection: Connection) -> None:
    # A writer takes the write lock first: one that read before could not be let in any more (SQLITE_BUSY_SNAPSHOT).
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reading") else "BEGIN IMMEDIATE")


def _plain(error: Exception) -> str:
    """What the driver said, without the statement and its values."""
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
