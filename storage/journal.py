"""Where sessions commit: state, fills and notices of many bots in one transaction, off the road of the orders."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import structlog
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from storage.database import Database
from storage.records import Told, Writer
from trading.messages import Notice
from trading.ports import Account, Broken, Record, Recorder

GROUP_SECONDS = 0.015
"""How long the first request of a group waits for company. A fill is answered before, so nobody waits with it."""
FIRST_RETRY, LAST_RETRY = 0.2, 30.0
REFUSED = (
    *(IntegrityError, DataError, ProgrammingError),
    *(sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError),
)
OUT_OF_REACH = (OSError, DBAPIError, PoolTimeout, sqlite3.Error)
log = structlog.get_logger(__name__)


def _wall() -> int:
    return time.time_ns() // 1_000_000


class _Stuck(Struct):
    """A bot whose record the database refuses, alone as well as in company."""

    again: float
    pause: float


class DatabaseJournal:
    """`ports.Journal` on a Database.

    `run()` belongs into the service's TaskGroup; without it `now` and `tell` commit by themselves and `later` waits
    for `close()`. A record that was taken is kept until it is committed. While the database cannot be written (disk
    full, connection lost) `now` waits rather than fails: what has not been committed must not be acted upon, and a
    failure told now would be untrue when the record gets through after all. `trouble` says what is wrong meanwhile.
    """

    def __init__(self, database: Database, clock: Callable[[], int] = _wall) -> None:
        self.trouble = ""
        self._writer = Writer(database, clock)
        self._dirty: dict[int, Recorder] = {}
        self._asked: dict[int, list[asyncio.Future[None]]] = {}
        """Who waits, by source."""
        self._kept: dict[int, Record] = {}
        """Taken and not committed, one per bot: a later one takes in the earlier."""
        self._waiting: dict[int, list[asyncio.Future[None]]] = {}
        """Who waits, by bot of the kept record; 0 for what is told."""
        self._told: list[Told] = []
        self._stuck: dict[int, _Stuck] = {}
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._one = asyncio.Lock()
        self._is_running = False
        self._pause = FIRST_RETRY

    # ------------------------------------------------------------------ ports.Journal

    def later(self, source: Recorder) -> None:
        self._dirty[id(source)] = source
        self._wake.set()

    async def now(self, source: Recorder) -> None:
        """Raises Broken if the database refuses this very record, whatever is tried."""
        done = asyncio.get_running_loop().create_future()
        self._asked.setdefault(id(source), []).append(done)
        self.later(source)
        await self._hurry(done)

    async def tell(self, account: Account, notices: Iterable[Notice]) -> None:
        done = asyncio.get_running_loop().create_future()
        self._told.extend(Told(account, notice) for notice in notices)
        self._waiting.setdefault(0, []).append(done)
        await self._hurry(done)

    async def _hurry(self, done: asyncio.Future[None]) -> None:
        self._wake.set()
        self._urgent.set()
        while not self._is_running and not done.done():
            await self._attempt()
        await done

    # ------------------------------------------------------------------ the flusher

    async def run(self) -> None:
        """Commit whatever is asked for, in groups, until cancelled."""
        self._is_running = True
        try:
            while True:
                await self._wake.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(GROUP_SECONDS):
                        await self._urgent.wait()
                await self._attempt()
        finally:
            self._is_running = False

    async def close(self, patience: float = 5.0) -> None:
        """Commit what is left; what cannot be within `patience` seconds the venue still knows."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._dirty or self._told or self._kept.keys() - self._stuck.keys():
                    await self._attempt()
        if self._kept or self._told:
            log.error("journal_closed_with_records", bots=sorted(self._kept), told=len(self._told))

    async def _attempt(self) -> None:
        """One flush; after a failure that may pass, a pause instead."""
        self._wake.clear()
        self._urgent.clear()
        try:
            await self.flush()
            self._pause, self.trouble = FIRST_RETRY, ""
        except OUT_OF_REACH as error:
            self.trouble = type(error).__name__
            log.error("journal_commit_failed", error=str(error), bots=len(self._kept), again_in=self._pause)
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, LAST_RETRY)
            self._wake.set()

    async def flush(self) -> None:
        """Commit everything asked for up to now in one transaction. Raises what a later attempt may mend."""
        async with self._one:
            self._take()
            late = asyncio.get_running_loop().time()
            due = [bot for bot, stuck in self._stuck.items() if stuck.again <= late or self._waiting.get(bot)]
            together = [record for bot, record in self._kept.items() if bot not in self._stuck]
            try:
                await self._commit(together, self._told[:])
            except Exception as error:
                if not _is_lasting(error):
                    raise
                due += [record.bot for record in together]
                await self._alone(0, [], self._told[:])
            for bot in due:
                await self._alone(bot, [self._kept[bot]], [])

    def _take(self) -> None:
        sources, self._dirty = self._dirty, {}
        for key, source in sources.items():
            waiting = self._asked.pop(key, [])
            try:
                record = source.take()
            except Exception as error:  # a supervising place: one bad bot never takes another down
                log.exception("journal_take_failed")
                _fail(waiting, error)
                continue
            earlier = self._kept.get(record.bot)
            self._kept[record.bot] = _joined(earlier, record) if earlier else record
            self._waiting.setdefault(record.bot, []).extend(waiting)

    async def _commit(self, records: Sequence[Record], told: Sequence[Told]) -> None:
        """Write these and forget them."""
        if records or told:
            await self._writer.write(records, told)
        for record in records:
            self._kept.pop(record.bot)
            self._stuck.pop(record.bot, None)
            _settle(self._waiting.pop(record.bot, []))
        del self._told[: len(told)]
        if not self._told:
            _settle(self._waiting.pop(0, []))

    async def _alone(self, bot: int, records: Sequence[Record], told: Sequence[Told]) -> None:
        """Write what spoiled a group by itself, so that it spoils no other."""
        try:
            await self._commit(records, told)
        except Exception as error:
            if not _is_lasting(error):
                raise
            log.error("journal_record_refused", bot=bot, error=str(error))
            _fail(self._waiting.pop(bot, []), error)
            if bot == 0:
                del self._told[: len(told)]  # nothing but words: they are in the log
                return
            pause = min(2 * self._stuck[bot].pause, LAST_RETRY) if bot in self._stuck else FIRST_RETRY
            loop = asyncio.get_running_loop()
            self._stuck[bot] = _Stuck(loop.time() + pause, pause)
            loop.call_later(pause, self._wake.set)


def _is_lasting(error: Exception) -> bool:
    """Whether the same record would be refused again and again, as against a database that is out of reach."""
    return isinstance(error, REFUSED) or not isinstance(error, OUT_OF_REACH)


def _joined(earlier: Record, later: Record) -> Record:
    return replace(
        later,
        fills=earlier.fills + later.fills,
        notices=earlier.notices + later.notices,
        booked=earlier.booked + later.booked,
    )


def _settle(waiting: Iterable[asyncio.Future[None]]) -> None:
    for done in waiting:
        if not done.done():
            done.set_result(None)


def _fail(waiting: Iterable[asyncio.Future[None]], error: Exception) -> None:
    for done in waiting:
        if not done.done():
            done.set_exception(Broken(f"the journal refuses the record: {type(error).__name__}"))
