"""A grid on paper: prices over real sockets, a matching venue in process, and books that outlive a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from storage import accounts
from storage.books import DatabaseBooks
from storage.database import Database
from storage.journal import DatabaseJournal
from tests.gateways import SYMBOL, Bench, PaperBench, name
from trading.core.venue import Venue
from trading.gateways import paper
from trading.gateways.catalog import open_gateway
from trading.live.desk import Desk
from trading.messages import Accepted, Filled, Funding
from trading.model import Environment, Instrument, MarginMode, Side
from trading.ports import Account, Credentials, Gateway

pytestmark = pytest.mark.timeout(60)

GRID = {
    "symbol": SYMBOL, "direction": "NEUTRAL", "lower": "60000", "upper": "70000", "grids": "20",
    "investment": "3000", "leverage": "5",
}  # fmt: skip


@asynccontextmanager
async def desk_on(bench: Bench, database: Database, keep: Path) -> AsyncIterator[tuple[Desk, int]]:
    """One life of a service with an account of paper."""
    account = await accounts.ensure(database, 1, "paper", "paper", Environment.PAPER, 1, bench.endpoints)
    journal = DatabaseJournal(database)

    async def opener(of: Account) -> Gateway:
        return open_gateway(of, Credentials("", ""), keep=keep)

    desk = Desk(DatabaseBooks(database), journal, opener, lambda: time.time_ns() // 1_000_000)
    writing = asyncio.create_task(journal.run())
    await desk.open()
    try:
        await until(lambda: desk.health()[0].ok)
        yield desk, account.id
    finally:
        await desk.close()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await journal.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_grid_trades_on_paper_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/t.db")
    await database.open()
    async with Bench() as bench:
        async with desk_on(bench, database, tmp_path / "paper") as (desk, account):
            bot = await desk.create(1, account, GRID, "once")
            await desk.start(bot, 1, confirmed=True)
            await until(lambda: desk.card(bot).status == "RUNNING")
            await bench.move("64200")
            await until(lambda: desk.card(bot).fills == 1)
            await bench.move("65100")
            await until(lambda: desk.card(bot).fills == 2)
            assert desk.card(bot).pairs == 1
            assert desk.card(bot).badge == "PAPER"
            before = {(row.slot, row.price) for row in await desk.orders(account)}
            assert len(before) == 20
        async with desk_on(bench, database, tmp_path / "paper") as (desk, account):
            await until(lambda: desk.card(bot).orders_working == 20)
            assert {(row.slot, row.price) for row in await desk.orders(account)} == before
            await bench.move("64200")
            await until(lambda: desk.card(bot).fills == 3)
            wallet = (await desk.balances())[0].wallet
            assert desk.card(bot).fills == 3
            assert wallet != 10_000
        assert not bench.sandbox.exchange.venue.all_orders("key"), "nothing went to the exchange"
    await database.close()


async def test_what_was_listed_after_the_books_were_begun_is_traded_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with PaperBench() as bench:
        begun = paper.PaperGateway._begun

        def early(gateway: paper.PaperGateway, rules: dict[str, Instrument]) -> Venue:
            coarse = replace(rules[SYMBOL], tick_size=Decimal(100))
            return begun(gateway, {SYMBOL: coarse})

        monkeypatch.setattr(paper.PaperGateway, "_begun", early)
        first = await bench.connected()
        await first.gateway.prepare(SYMBOL, 5, MarginMode.CROSS)
        await first.gateway.close()
        again = await bench.connected()
        again.place(name(1), Side.BUY, "64010.1")
        await again.hear(Accepted, name(1))
        again.symbol = "ETHUSDT"
        await again.look()
        await again.gateway.prepare("ETHUSDT", 5, MarginMode.CROSS)
        again.place(name(2), Side.BUY, again.at("-2"), again.qty)
        await again.hear(Accepted, name(2))


async def test_settlements_that_are_heard_of_together_are_told_each() -> None:
    async with PaperBench() as bench:
        trader = await bench.connected()
        trader.market_order(name(1), Side.BUY)
        await trader.hear(Filled, name(1))
        exchange = bench.sandbox.exchange
        mark, now = exchange.venue.mark(SYMBOL), exchange.now()
        exchange.settled += [(SYMBOL, now - 1, Decimal("0.0001"), mark), (SYMBOL, now, Decimal("0.0002"), mark)]
        await trader.hear(Funding, count=2)
        assert [told.time for told in trader.of(Funding)] == [now - 1, now]
