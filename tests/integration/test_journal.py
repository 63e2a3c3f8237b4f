"""The journal on real databases: one commit for state, fills and notices, all of it or nothing, and nothing lost."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from storage import accounts, outbox
from storage.books import DatabaseBooks
from storage.database import Database, Locked
from storage.journal import DatabaseJournal
from storage.outbox import Priority
from tests.databases import OWNER, Bot, a_bot, a_fill, a_notice
from trading.messages import Notice, NoticeKind
from trading.ports import Broken, Journal, Record

pytestmark = pytest.mark.timeout(90)
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def running(database: Database) -> AsyncIterator[DatabaseJournal]:
    """A journal with its flusher, as the service keeps it."""
    journal = DatabaseJournal(database)
    async with asyncio.TaskGroup() as tasks:
        flusher = tasks.create_task(journal.run())
        await asyncio.sleep(0)
        try:
            yield journal
        finally:
            flusher.cancel()
    await journal.close()


async def count(database: Database, table: str, bot: int) -> int:
    async with database.reading() as session:
        found = await session.execute(text(f"SELECT count(*) FROM {table} WHERE bot = :bot"), {"bot": bot})
        return found.scalar_one()


async def agrees(database: Database, bot: Bot) -> None:
    """State, fills and notices of the last commit tell the same story."""
    state = await DatabaseBooks(database).checkpoint(bot.bot)
    assert state == str(bot.count).encode()
    assert await count(database, "fills", bot.bot) == bot.count
    assert await count(database, "outbox", bot.bot) == bot.count


async def test_now_returns_when_it_is_in_the_database(database: Database) -> None:
    row = await a_bot(database)
    bot = Bot(row.id)
    async with running(database) as journal:
        contract: Journal = journal
        for _ in range(3):
            bot.fill()
            await contract.now(bot)
            await agrees(database, bot)
    (kept,) = await DatabaseBooks(database).bots()
    assert kept.status == "RUNNING"
    assert [each.trade % 10 for each in await DatabaseBooks(database).fills(row.id, 2)] == [3, 2]


async def test_now_needs_no_flusher_and_close_writes_what_later_left(database: Database) -> None:
    one, two = Bot((await a_bot(database, "1")).id), Bot((await a_bot(database, "2")).id)
    journal = DatabaseJournal(database)
    one.fill()
    await journal.now(one)
    await agrees(database, one)
    two.fill()
    journal.later(two)
    await journal.close()
    await agrees(database, two)


async def test_later_groups_what_comes_within_a_few_milliseconds(database: Database) -> None:
    bots = [Bot((await a_bot(database, str(number))).id) for number in range(20)]
    async with running(database) as journal:
        for bot in bots * 5:
            bot.fill()
            journal.later(bot)
        assert [bot.takes for bot in bots] == [0] * 20
        async with asyncio.timeout(5):
            while [await DatabaseBooks(database).checkpoint(bot.bot) for bot in bots] != [b"5"] * 20:
                await asyncio.sleep(0.01)
    assert [bot.takes for bot in bots] == [1] * 20
    for bot in bots:
        await agrees(database, bot)


async def test_later_costs_next_to_nothing(tmp_path: Path) -> None:
    journal = DatabaseJournal(Database(f"sqlite:///{tmp_path / 'a.db'}"))
    bots = [Bot(number) for number in range(20)]
    best = min(_timed(journal, bots) for _ in range(20))
    assert best < 5e-6, f"{best * 1e6:.2f} µs"


def _timed(journal: DatabaseJournal, bots: list[Bot]) -> float:
    began = time.perf_counter()
    for bot in bots * 50:
        journal.later(bot)
    return (time.perf_counter() - began) / (50 * len(bots))


async def test_fills_and_notices_told_again_after_a_crash_add_nothing(database: Database) -> None:
    row = await a_bot(database)
    for _ in range(2):
        bot = Bot(row.id)
        for _ in range(4):
            bot.fill()
        await DatabaseJournal(database).now(bot)
    await agrees(database, bot)


async def test_notices_become_parcels_for_the_owner_in_their_order(database: Database) -> None:
    row = await a_bot(database)
    bot = Bot(row.id)
    kinds = [NoticeKind.FILL, NoticeKind.STARTED, NoticeKind.PAIR, NoticeKind.ERROR, NoticeKind.FAILED, NoticeKind.FILL]
    bot.notices = [a_notice(row.id, str(ref), kind) for ref, kind in enumerate(kinds)]
    expected = bot.notices[:]
    journal = DatabaseJournal(database, clock=lambda: 1_000)
    await journal.now(bot)
    parcels = await outbox.due(database, now=1_000, limit=10)
    assert [each.ref for each in parcels] == ["3", "4", "1", "0", "2", "5"]
    assert {each.chat for each in parcels} == {OWNER} and {each.account for each in parcels} == {row.account}
    assert {each.bot for each in parcels} == {row.id}
    assert [msgspec.json.decode(each.payload, type=Notice) for each in sorted(parcels, key=lambda p: p.id)] == expected


async def test_an_account_tells_each_thing_once(database: Database) -> None:
    await a_bot(database)
    (account,) = await accounts.everything(database)
    down = [Notice(0, NoticeKind.DISCONNECTED, f"{account.id}:5", 5, {"account": "main"})]
    async with running(database) as journal:
        await journal.tell(account, down)
        await journal.tell(account, down)
        await journal.tell(account, [])
    (parcel,) = await outbox.due(database, now=2**50, limit=10)
    assert (parcel.account, parcel.bot, parcel.chat, parcel.priority) == (account.id, 0, OWNER, Priority.CRITICAL)


async def test_many_sessions_at_once_lose_nothing(database: Database) -> None:
    bots = [Bot((await a_bot(database, str(number))).id) for number in range(8)]
    dice = random.Random(7)

    async def trade(journal: DatabaseJournal, bot: Bot) -> None:
        for _ in range(40):
            bot.fill()
            if dice.random() < 0.2:
                await journal.now(bot)
            else:
                journal.later(bot)
            await asyncio.sleep(dice.random() * 0.003)

    async with running(database) as journal:
        await asyncio.gather(*(trade(journal, bot) for bot in bots))
    for bot in bots:
        await agrees(database, bot)


async def test_callers_and_a_flusher_that_are_cancelled_lose_nothing(database: Database) -> None:
    bots = [Bot((await a_bot(database, str(number))).id) for number in range(4)]
    dice = random.Random(11)
    journal = DatabaseJournal(database)
    for _ in range(25):
        flusher = asyncio.create_task(journal.run())
        callers = []
        for bot in bots:
            bot.fill()
            callers.append(asyncio.create_task(journal.now(bot)))
        await asyncio.sleep(dice.random() * 0.02)
        dice.choice(callers).cancel()
        flusher.cancel()
        await asyncio.gather(flusher, return_exceptions=True)
        await journal.close()
        await asyncio.gather(*callers, return_exceptions=True)
        for bot in bots:
            await agrees(database, bot)


# --------------------------------------------------------------------------- trouble


async def test_a_database_out_of_reach_makes_now_wait_and_loses_nothing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("storage.database.BUSY_SECONDS", 0.05)
    file = tmp_path / "a.db"
    database = Database(f"sqlite:///{file}")
    await database.open()
    bot = Bot((await a_bot(database)).id)
    async with running(database) as journal:
        with closing(sqlite3.connect(file, isolation_level=None)) as rival:
            rival.execute("BEGIN IMMEDIATE")
            bot.fill()
            waiting = asyncio.ensure_future(journal.now(bot))
            await asyncio.sleep(0.5)
            assert not waiting.done() and journal.trouble
            bot.fill()
            journal.later(bot)
            rival.execute("ROLLBACK")
        await asyncio.wait_for(waiting, 5)
        async with asyncio.timeout(5):
            while journal.trouble or await count(database, "fills", bot.bot) < 2:
                await asyncio.sleep(0.02)
    await agrees(database, bot)
    await database.close()


async def test_a_record_that_cannot_be_written_holds_up_no_other_bot(database: Database) -> None:
    bad, good = Bot((await a_bot(database, "1")).id), Bot((await a_bot(database, "2")).id)
    async with running(database) as journal:
        bad.fills = [a_fill(bad.bot, 1, price=Decimal("1e18"))]
        good.fill()
        journal.later(good)
        with pytest.raises(Broken):
            await journal.now(bad)
        good.fill()
        await journal.now(good)
        await agrees(database, good)
        assert await DatabaseBooks(database).checkpoint(bad.bot) is None
        with pytest.raises(Broken):
            await journal.now(Bot(987_654))


async def test_a_session_that_cannot_be_asked_holds_up_no_other(database: Database) -> None:
    class Faulty(Bot):
        def take(self) -> Record:
            raise ZeroDivisionError

    good = Bot((await a_bot(database)).id)
    async with running(database) as journal:
        good.fill()
        journal.later(good)
        with pytest.raises(Broken):
            await journal.now(Faulty(1))
    await agrees(database, good)


@pytest.mark.parametrize("seed", range(6))
async def test_after_kill_9_state_fills_and_notices_agree(url: str, seed: int) -> None:
    bots = 3
    command = [sys.executable, "-m", "tests.integration.journal_writer", url, str(bots)]
    writer = await asyncio.to_thread(_killed, command, 0.05 + random.Random(seed).random() * 0.5)
    database = Database(url)
    async with asyncio.timeout(10):
        await _open(database)
    promised = [int(line) for line in writer.splitlines()[1:] if line.isdigit()]
    for bot in range(1, bots + 1):
        state = int(await DatabaseBooks(database).checkpoint(bot) or 0)
        assert await count(database, "fills", bot) == state
        assert await count(database, "outbox", bot) == state
        if bot == 1 and promised:
            assert state >= promised[-1], "what now() had returned from is there"
    await database.close()


def _killed(command: list[str], after: float) -> str:
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert writer.stdout is not None
    first = writer.stdout.readline()
    time.sleep(after)
    writer.kill()
    rest, _ = writer.communicate()
    assert first == "ready\n"
    return first + rest


async def _open(database: Database) -> None:
    """PostgreSQL notices a killed client a moment later."""
    while True:
        try:
            return await database.open()
        except Locked:
            await asyncio.sleep(0.05)
