"""Our service as a process that is commanded over stdin: what is shipped, without a chat, with any number of accounts.

`python -m benchmarks.service --database URL --port PORT --account NAME …`; started by the benchmarks, see `room.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from alerts.schedule import first_jobs
from service import logs
from service.wiring import now, spin, stop_on_signals
from storage import accounts
from storage.books import DatabaseBooks
from storage.database import Database
from storage.journal import DatabaseJournal
from tests.trial.lines import serve
from trading.gateways.catalog import local, open_gateway
from trading.live.desk import Desk
from trading.model import Environment
from trading.ports import Account, Credentials, Gateway
from trading.views import Declined

OWNER = 1
SECRET = "benchmarksecret"
"""Of every account."""


class Work(Struct):
    """A desk at work and the numbers of its accounts by name."""

    desk: Desk
    accounts: dict[str, int]


@asynccontextmanager
async def working(url: str, port: int, names: Sequence[str], audit: float = 60) -> AsyncIterator[Work]:
    """Desk, gateways, engines, audits and a journal that commits, as in `service/wiring.py`."""
    database = Database(url)
    await database.open()
    keys: dict[int, Credentials] = {}
    for name in names:
        account = await accounts.ensure(database, OWNER, name, "binance", Environment.DEMO, now(), local(port))
        keys[account.id] = Credentials(name, SECRET)

    async def opened(of: Account) -> Gateway:
        return open_gateway(of, keys[of.id])

    journal = DatabaseJournal(database)
    desk = Desk(DatabaseBooks(database), journal, opened, now)
    jobs = first_jobs(
        desk.audit_bots, desk.refresh_rules, desk.keep_alive, audit_seconds=audit, rules_hours=24, keepalive_minutes=25
    )
    flusher = asyncio.create_task(journal.run())
    try:
        await desk.open()
        async with jobs.running():
            yield Work(desk, {credentials.key: account for account, credentials in keys.items()})
    finally:
        await desk.close()
        flusher.cancel()
        await asyncio.gather(flusher, return_exceptions=True)
        await journal.close()
        await database.close()


class Verbs:
    """What a benchmark may ask of the service."""

    def __init__(self, work: Work, began: int) -> None:
        self._stamps = {"imported": began, "opened": time.monotonic_ns()}
        self._desk = work.desk
        self._accounts = work.accounts

    def named(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("settled", "create", "stamps", "reconciled", "free", "lag")}

    async def stamps(self) -> dict[str, int]:
        """When its code was loaded and when its desk had its books: by the machine's monotonic clock, ns."""
        return self._stamps

    async def settled(self) -> int:
        """When every account is reached: by the machine's monotonic clock, ns."""
        while not all(row.ok for row in self._desk.health() if row.part.startswith("account:")):
            await asyncio.sleep(0.002)
        return time.monotonic_ns()

    async def create(self, bots: list[dict[str, Any]]) -> float:
        """Make and start bots, those of one account one after another, of several side by side; seconds it took."""
        began = time.perf_counter()
        queues: dict[str, list[dict[str, Any]]] = {}
        for bot in bots:
            queues.setdefault(bot.pop("account"), []).append(bot)
        await asyncio.gather(*(self._create(account, wanted) for account, wanted in queues.items()))
        return time.perf_counter() - began

    async def _create(self, account: str, bots: list[dict[str, Any]]) -> None:
        for raw in bots:
            while not await self._made(account, raw):
                await asyncio.sleep(5)

    async def _made(self, account: str, raw: dict[str, Any]) -> bool:
        """Whether the bot runs; not while the exchange's budgets are used up."""
        try:
            number = await self._desk.create(OWNER, self._accounts[account], raw, f"{account}:{raw['symbol']}")
            await self._desk.start(number, OWNER, confirmed=True)
        except Declined as no:
            if any(refusal.code not in ("venue_down", "start_refused") for refusal in no.refusals):
                raise
            return False
        return True

    async def reconciled(self, bots: int) -> int:
        """When so many bots agree with the exchange: by the machine's monotonic clock, ns."""
        engines = [bot.engine for bot in self._desk.roster.bots.values()]
        if len(engines) != bots:
            raise RuntimeError(f"{len(engines)} bots, not {bots}")
        while not all(engine.is_synced for engine in engines):
            await asyncio.sleep(0.002)
        return time.monotonic_ns()

    async def free(self) -> None:
        """Let go of what nobody needs any more."""
        gc.collect()

    async def lag(self, during: float) -> list[int]:
        """How late a timer of 1 ms comes, ns, again and again for so many seconds: what holds the event loop."""
        late, end = [], time.monotonic() + during
        while time.monotonic() < end:
            began = time.perf_counter_ns()
            await asyncio.sleep(0.001)
            late.append(time.perf_counter_ns() - began - 1_000_000)
        return sorted(late)


async def main(url: str, port: int, names: Sequence[str], audit: float) -> None:
    """Until SIGTERM or the end of stdin."""
    began, stop = time.monotonic_ns(), stop_on_signals()
    async with working(url, port, names, audit) as work:
        talk = asyncio.create_task(serve(Verbs(work, began).named()))
        talk.add_done_callback(lambda _: stop.set())
        await stop.wait()
        talk.cancel()
        await asyncio.gather(talk, return_exceptions=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--account", action="append", required=True)
    parser.add_argument("--audit", type=float, default=60)
    parser.add_argument("--log", type=Path, required=True)
    given = parser.parse_args()
    logs.set_up(given.log, "info")
    spin(main(given.database, given.port, given.account, given.audit))
