"""What is kept, on real databases: SQLite files, and PostgreSQL where TRELLIS_TEST_POSTGRES holds a URL."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from storage import accounts, audit, backup, drafts, outbox, schema, users
from storage.books import DatabaseBooks
from storage.columns import booked
from storage.database import Database, Locked, Unusable
from storage.lock import Taken
from storage.outbox import Priority
from storage.records import Writer
from storage.users import Role
from storage.vault import Tampered, Vault, WrongKey
from tests.databases import OWNER, a_bot, a_fill
from trading.model import Environment, Instrument
from trading.ports import Books, Credentials, Endpoints, Record

pytestmark = pytest.mark.timeout(90)
ROOT = Path(__file__).parents[2]
VAULT = Vault("correct horse battery staple", "environment")
KEYS = Credentials("public", "s3cr3t")
KNOWN = Instrument(
    key="binance:BTC-USDT-PERP",
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.10"),
    lot_size=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal(1000),
    market_max_qty=Decimal(120),
    min_notional=Decimal(100),
)

# --------------------------------------------------------------------------- schema and lock


async def test_migrations_go_up_down_and_up_again_from_any_directory(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    database = Database(url)
    await database.open()
    await users.add(database, 7, Role.ADMIN, now=1)
    await database.change(schema.downgrade)
    async with database.reading() as session:
        connection = await session.connection()
        assert await connection.run_sync(schema.current) is None
    await database.close()
    again = Database(url)
    await again.open()
    assert await users.everybody(again) == []
    await again.close()


async def test_models_and_migrations_describe_the_same_schema(database: Database) -> None:
    def differences(connection):
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), SQLModel.metadata)
        return [each for each in found if "sqlite_sequence" not in str(each)]

    async with database.reading() as session:
        assert await (await session.connection()).run_sync(differences) == []


async def test_a_schema_of_a_later_version_is_refused_and_left_alone(url: str) -> None:
    database = Database(url)
    await database.open()
    async with database.session() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    with pytest.raises(schema.Newer):
        await Database(url).open()


async def test_opening_twice_changes_nothing(url: str) -> None:
    for _ in range(2):
        database = Database(url)
        await database.open()
        await users.add(database, 7, Role.TRADER, now=1)
        assert len(await users.everybody(database)) == 1
        await database.close()
        await database.close()


HOLD = """
import asyncio, sys
from storage.database import Database
async def main():
    database = Database(sys.argv[1])
    await database.open()
    print("open", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def _holder(url: str, script: str = HOLD) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, url]
    held = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)
    assert held.stdout is not None and held.stdout.readline() == "open\n"
    return held


async def test_a_second_service_is_refused_by_name_and_let_in_at_once_after_a_kill(url: str) -> None:
    held = await asyncio.to_thread(_holder, url)
    try:
        with pytest.raises(Locked) as refused:
            await Database(url).open()
        assert refused.value.pid == held.pid and refused.value.host and refused.value.since > 0
        assert str(held.pid) in str(refused.value)
    finally:
        held.kill()
        held.communicate()
    after = Database(url)
    await after.open()
    await after.close()


async def _cut(url: str) -> None:
    """The server ends every session of the database but this one: the network broke, or it was started anew."""
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        await connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
    await engine.dispose()


async def test_a_lock_that_broke_is_taken_again_or_found_in_other_hands(url: str) -> None:
    service = Database(url)
    await service.open()
    await service.check()
    if url.startswith("postgresql"):
        await _cut(url)
        await service.check()
        with pytest.raises(Locked):
            await Database(url).open()
        await _cut(url)
        other = Database(url)
        await other.open()
        with pytest.raises(Locked) as taken:
            await service.check()
        assert taken.value.pid == os.getpid()
        await other.close()
        await service.check()
    await service.close()


async def test_a_command_works_beside_the_service(url: str) -> None:
    service = Database(url)
    await service.open()
    beside = Database(url)
    await beside.open(exclusive=False)
    await users.add(beside, 7, Role.ADMIN, now=1)
    await beside.close()
    assert (await users.get(service, 7)) is not None
    with pytest.raises(Locked):
        await Database(url).open()
    await service.close()


async def test_a_command_may_come_before_the_first_service(url: str) -> None:
    beside = Database(url)
    await beside.open(exclusive=False)
    await users.add(beside, 7, Role.ADMIN, now=1)
    service = Database(url)
    await service.open()
    await service.check()
    await service.close()
    await beside.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
async def test_a_forked_child_does_not_keep_the_lock_of_its_parent(tmp_path: Path) -> None:
    script = HOLD.replace('print("open"', 'import os; os.fork() or __import__("time").sleep(60); print("open"')
    url = f"sqlite:///{tmp_path / 'a.db'}"
    held = await asyncio.to_thread(_holder, url, script)
    try:
        held.kill()
        await asyncio.to_thread(held.wait)
        after = Database(url)
        await after.open()
        await after.close()
    finally:
        os.killpg(held.pid, 9)


@pytest.mark.parametrize(
    "bad",
    ["sqlite://", "sqlite:///:memory:", "mysql://a:hunter2@b/c", "hunter2", "postgresql://u:hunter2@127.0.0.1:9/x"],
)
async def test_an_unusable_url_is_one_clear_error_without_its_password(bad: str) -> None:
    with pytest.raises(Unusable) as refused:
        await Database(bad).open()
    assert "hunter2" not in str(refused.value)


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    file.write_bytes(b"these are not the bytes you are looking for" * 100)
    with pytest.raises(Unusable):
        await Database(f"sqlite:///{file}").open()
    assert file.read_bytes().startswith(b"these are not")


async def test_writers_wait_for_each_other_instead_of_failing(url: str) -> None:
    one, two = Database(url), Database(url)
    await one.open()
    await two.open(exclusive=False)

    async def many(database: Database, first: int) -> None:
        for user in range(first, first + 25):
            await users.add(database, user, Role.VIEWER, now=1)

    await asyncio.gather(many(one, 0), many(one, 100), many(two, 200), many(two, 300))
    assert len(await users.everybody(one)) == 100
    await two.close()
    await one.close()


async def test_an_error_inside_a_session_undoes_all_of_it(database: Database) -> None:
    with pytest.raises(KeyError):
        async with database.session() as session:
            await session.execute(text("INSERT INTO meta VALUES ('a', 'b')"))
            raise KeyError
    async with database.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM meta"))).scalar_one() == 0


async def test_a_cancelled_writer_leaves_no_lock_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.database.BUSY_SECONDS", 0.02)
    database = Database(url)
    await database.open()
    for step in range(120):
        writer = asyncio.create_task(users.add(database, step, Role.VIEWER, now=1))
        await asyncio.sleep(step * 0.00003)
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        await users.add(database, 999, Role.ADMIN, now=1)
    await database.close()


async def test_a_timeout_round_a_slow_write_is_told_as_one(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    await database.open()
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as rival:
        rival.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.2, rival.execute, "ROLLBACK")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await users.add(database, 1, Role.VIEWER, now=1)
                await asyncio.sleep(1)
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
    await users.add(database, 2, Role.VIEWER, now=1)
    await database.close()


# --------------------------------------------------------------------------- money

MONEY = st.decimals(min_value=Decimal("-1e17"), max_value=Decimal("1e17"), places=10)


async def test_money_comes_back_to_the_last_digit(database: Database) -> None:
    bot = await a_bot(database)
    writer = Writer(database, lambda: 1)
    trade = 0

    async def round_trip(price: Decimal, fee: Decimal) -> None:
        nonlocal trade
        trade += 1
        fill = msgspec.structs.replace(a_fill(bot.id, trade), price=price, fee=fee)
        await writer.write([Record(bot.id, "RUNNING", "", b"", (fill,), ())], [])
        assert await DatabaseBooks(database).fills(bot.id, 1) == [fill]

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(price=MONEY, fee=MONEY)
    def examples(price: Decimal, fee: Decimal) -> None:
        asyncio.run_coroutine_threadsafe(round_trip(price, fee), loop).result(20)

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(examples)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e17"), max_value=Decimal("1e17")))
def test_finer_money_is_rounded_half_up(value: Decimal) -> None:
    kept = booked(value)
    assert abs(kept - value) <= Decimal("5e-11")
    assert kept == kept.quantize(Decimal("1e-10"), rounding=ROUND_HALF_UP)


def test_half_goes_up_whatever_rounding_the_process_has_been_set_to() -> None:
    assert booked(Decimal("0.00000000005")) == Decimal("1e-10")
    assert booked(Decimal("-0.00000000005")) == Decimal("-1e-10")


NOT_MONEY = [1.5, 3, "1", Decimal("1e18"), Decimal("999999999999999999.99999999995"), Decimal("NaN")]


@pytest.mark.parametrize("bad", NOT_MONEY)
def test_what_is_no_exact_amount_is_refused(bad: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        booked(bad)  # type: ignore[arg-type]


# --------------------------------------------------------------------------- people, accounts, drafts, audit


async def test_people_are_added_changed_counted_and_removed(database: Database) -> None:
    await users.add(database, 2**40, Role.ADMIN, now=1, language="zh_CN")
    await users.add(database, 8, Role.VIEWER, now=2)
    assert (await users.add(database, 8, Role.TRADER, now=3)).added == 2
    assert [(each.id, each.role, each.language) for each in await users.everybody(database)] == [
        (2**40, Role.ADMIN, "zh_CN"),
        (8, Role.TRADER, "en"),
    ]
    assert await users.count(database, Role.ADMIN) == 1
    assert await users.remove(database, 8) and not await users.remove(database, 8)
    assert await users.get(database, 8) is None


async def test_keys_are_sealed_in_the_file_and_open_only_for_their_account(database: Database) -> None:
    one = await accounts.add(database, VAULT, OWNER, "one", "binance", Environment.TESTNET, KEYS, now=1)
    two = await accounts.add(database, VAULT, OWNER, "two", "binance", Environment.TESTNET, KEYS, now=1)
    opened = await accounts.credentials(database, VAULT, one.id)
    assert (opened.key, opened.secret) == ("public", "s3cr3t")
    with pytest.raises(WrongKey):
        await accounts.credentials(database, Vault("quite another vault key", "file"), one.id)
    async with database.session() as session:
        await session.execute(
            text("UPDATE accounts SET sealed = (SELECT sealed FROM accounts WHERE id = :two) WHERE id = :one"),
            {"one": one.id, "two": two.id},
        )
    with pytest.raises(Tampered):
        await accounts.credentials(database, VAULT, one.id)
    if database.path is not None:
        kept = b"".join(file.read_bytes() for file in database.path.parent.iterdir())
        assert b"s3cr3t" not in kept


async def test_an_account_of_the_environment_is_the_same_at_every_start(database: Database) -> None:
    here, there = Endpoints("http://a", "ws://b", "ws://c"), Endpoints("http://d", "ws://e", "ws://f")
    first = await accounts.ensure(database, OWNER, "demo", "binance", Environment.DEMO, now=1, endpoints=here)
    second = await accounts.ensure(database, OWNER, "demo", "binance", Environment.DEMO, now=2, endpoints=there)
    assert first.id == second.id and second.endpoints == there
    with pytest.raises(accounts.NoKeys):
        await accounts.credentials(database, VAULT, first.id)


async def test_another_environment_is_another_account(database: Database) -> None:
    test = await accounts.ensure(database, OWNER, "main", "binance", Environment.TESTNET, now=1)
    live = await accounts.ensure(database, OWNER, "main", "binance", Environment.MAINNET, now=2)
    assert test.id != live.id
    assert [each.environment for each in await accounts.everything(database, OWNER)] == [
        Environment.TESTNET,
        Environment.MAINNET,
    ]


async def test_an_account_is_removed_only_without_bots_and_its_keys_are_gone(database: Database) -> None:
    account = await accounts.add(database, VAULT, OWNER, "one", "binance", Environment.TESTNET, KEYS, now=1)
    with pytest.raises(accounts.NameTaken):
        await accounts.add(database, VAULT, OWNER, "one", "binance", Environment.TESTNET, KEYS, now=2)
    bot = await a_bot(database, account=account)
    with pytest.raises(accounts.InUse):
        await accounts.remove(database, account.id)
    await DatabaseBooks(database).hide_bot(bot.id)
    assert await accounts.remove(database, account.id) and not await accounts.remove(database, account.id)
    assert await accounts.everything(database) == []
    with pytest.raises(accounts.NoKeys):
        await accounts.credentials(database, VAULT, account.id)
    back = await accounts.add(database, VAULT, OWNER, "one", "binance", Environment.TESTNET, KEYS, now=3)
    assert back.id == account.id


async def test_a_draft_is_kept_replaced_and_cleared(database: Database) -> None:
    assert await drafts.load(database, OWNER) is None
    await drafts.save(database, OWNER, "range", {"symbol": "BTCUSDT"}, now=1)
    await drafts.save(database, OWNER, "count", {"symbol": "BTCUSDT", "lower": "網"}, now=2, message="7:9")
    kept = await drafts.load(database, OWNER)
    assert kept == drafts.Draft(OWNER, "count", {"symbol": "BTCUSDT", "lower": "網"}, "7:9", 2)
    await drafts.clear(database, OWNER)
    assert await drafts.load(database, OWNER) is None


async def test_the_audit_tells_the_newest_first(database: Database) -> None:
    books = DatabaseBooks(database)
    for number in range(5):
        await books.audit(OWNER + number % 2, "start", f"bot {number}", "done", number)
    assert [each.target for each in await audit.latest(database, 2)] == ["bot 4", "bot 3"]
    assert [each.time for each in await audit.latest(database, 9, user=OWNER)] == [4, 2, 0]


# --------------------------------------------------------------------------- books


async def test_the_install_tag_is_drawn_once(url: str) -> None:
    tags = set()
    for _ in range(2):
        database = Database(url)
        await database.open()
        tags |= set(await asyncio.gather(*(DatabaseBooks(database).install() for _ in range(4))))
        await database.close()
    (tag,) = tags
    assert len(tag) == 4 and set(tag) <= set("0123456789abcdefghijklmnopqrstuv")


async def test_a_double_press_creates_one_bot_and_numbers_are_never_given_again(database: Database) -> None:
    books: Books = DatabaseBooks(database)
    first, same = await a_bot(database, "x"), await a_bot(database, "x")
    other = await a_bot(database, "y")
    assert first == same and first.parameters == {"lower": "58000"} and first.status == "CREATED"
    assert other.id > first.id
    assert [each.id for each in await books.bots()] == [first.id, other.id]
    await books.hide_bot(other.id)
    assert [each.id for each in await books.bots()] == [first.id]
    assert (await a_bot(database, "z")).id > other.id


async def test_rules_are_replaced_as_a_whole_per_venue_and_environment(database: Database) -> None:
    books: Books = DatabaseBooks(database)
    assert await books.rules("binance", "demo") is None
    await books.save_rules("binance", "demo", 5, {"BTCUSDT": KNOWN, "OLD": KNOWN})
    await books.save_rules("binance", "testnet", 6, {"BTCUSDT": KNOWN})
    await books.save_rules("binance", "demo", 7, {"BTCUSDT": KNOWN})
    assert await books.rules("binance", "demo") == (7, {"BTCUSDT": KNOWN})
    assert await books.rules("binance", "testnet") == (6, {"BTCUSDT": KNOWN})


async def test_rules_saved_by_several_at_once_are_there_once(database: Database) -> None:
    books = DatabaseBooks(database)
    many = {f"S{n}USDT": KNOWN for n in range(50)}
    await asyncio.gather(*(books.save_rules("binance", "demo", 5, many) for _ in range(8)))
    assert await books.rules("binance", "demo") == (5, many)


async def test_rules_written_by_another_version_count_as_not_cached(database: Database) -> None:
    books = DatabaseBooks(database)
    await books.save_rules("binance", "demo", 5, {"BTCUSDT": KNOWN})
    async with database.session() as session:
        await session.execute(text("UPDATE symbol_rules SET rules = '{}'"))
    assert await books.rules("binance", "demo") is None


# --------------------------------------------------------------------------- outbox


async def _add(database: Database, ref: str, urgency: Priority, now: int = 0) -> None:
    await outbox.add(database, chat=OWNER, kind="report", ref=ref, payload="{}", now=now, urgency=urgency)


async def test_the_outbox_gives_the_urgent_first_then_the_older(database: Database) -> None:
    order = {"f1": Priority.FILL, "n1": Priority.NORMAL, "f2": Priority.FILL, "c1": Priority.CRITICAL}
    for ref, urgency in order.items():
        await _add(database, ref, urgency)
        await _add(database, ref, urgency)
    await _add(database, "later", Priority.CRITICAL, now=99)
    assert [each.ref for each in await outbox.due(database, now=10, limit=3)] == ["c1", "n1", "f1"]
    assert await outbox.pending(database) == 5


async def test_a_parcel_is_claimed_sent_retried_or_given_up(database: Database) -> None:
    for ref in "abcd":
        await _add(database, ref, Priority.NORMAL)
    a, b, c, d = (each.id for each in await outbox.due(database, now=0, limit=9))
    await outbox.claim(database, [a, b, c, d], now=3)
    assert [(each.claimed, each.attempts) for each in await outbox.due(database, now=3, limit=9)] == [(3, 1)] * 4
    await outbox.sent(database, [a], message_id=77)
    await outbox.retry(database, [b], next_at=50)
    await outbox.retry(database, [c], next_at=60, unclear=True)
    await outbox.dead(database, [d])
    await outbox.sent(database, [], message_id=1)
    assert await outbox.due(database, now=49, limit=9) == []
    assert [(each.id, each.claimed) for each in await outbox.due(database, now=60, limit=9)] == [(b, None), (c, 3)]
    await outbox.dead(database, [b, c])
    assert await outbox.pending(database) == 0


# --------------------------------------------------------------------------- backup


async def test_a_copy_made_while_the_service_writes_can_be_put_back(tmp_path: Path) -> None:
    file, copy = tmp_path / "a.db", tmp_path / "copies" / "a.backup"
    database = Database(f"sqlite:///{file}")
    await database.open()
    await users.add(database, 7, Role.ADMIN, now=1)
    await asyncio.to_thread(backup.save, file, copy)
    await users.remove(database, 7)
    with pytest.raises(FileExistsError):
        backup.save(file, copy)
    with pytest.raises(Taken):
        backup.restore(copy, file)
    await database.close()
    aside = await asyncio.to_thread(backup.restore, copy, file)
    again = Database(f"sqlite:///{file}")
    await again.open()
    assert await users.get(again, 7) is not None
    await again.close()
    assert aside is not None and sqlite3.connect(aside).execute("SELECT count(*) FROM users").fetchone() == (0,)


def test_what_is_no_whole_database_is_not_put_back(tmp_path: Path) -> None:
    bad, file = tmp_path / "bad", tmp_path / "a.db"
    bad.write_bytes(b"nothing of value")
    file.write_bytes(b"precious")
    with pytest.raises(backup.BadBackup):
        backup.restore(bad, file)
    assert file.read_bytes() == b"precious"
