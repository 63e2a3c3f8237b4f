"""The desk over real sockets: sandbox exchange, Binance gateway, SQLite; no chat."""

import asyncio
import time
from contextlib import asynccontextmanager
from decimal import Decimal as D

import aiohttp
import pytest

from storage import accounts
from storage.books import DatabaseBooks
from storage.database import Database
from storage.journal import DatabaseJournal
from trading.gateways.catalog import local, open_gateway
from trading.live.desk import Desk
from trading.model import Environment
from trading.ports import Credentials
from trading.sandbox.server import Options, Sandbox
from trading.views import Declined

KEYS = Credentials("sandboxkey", "sandboxsecret")
GRID = {
    "symbol": "BTCUSDT", "direction": "NEUTRAL", "lower": "60000", "upper": "70000", "grids": "10",
    "investment": "2000", "leverage": "5",
}  # fmt: skip


def now() -> int:
    return time.time_ns() // 1_000_000


class Bench:
    """A sandbox whose price we move, and a desk on it."""

    def __init__(self, sandbox: Sandbox, database: Database) -> None:
        self.sandbox = sandbox
        self.database = database
        self.desk: Desk
        self.account = 0

    async def to(self, price: str, symbol: str = "BTCUSDT") -> None:
        url = f"http://127.0.0.1:{self.sandbox.port}/sandbox/market"
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, json={"reach": {"symbol": symbol, "price": price}}) as answer,
        ):
            assert answer.status == 200, await answer.text()

    async def fault(self, **order: object) -> None:
        url = f"http://127.0.0.1:{self.sandbox.port}/sandbox/faults"
        async with aiohttp.ClientSession() as http, http.post(url, json=order) as answer:
            assert answer.status == 200, await answer.text()

    def orders(self):
        venue = self.sandbox.exchange.venue
        return venue.open_orders("sandboxkey", "BTCUSDT")

    async def until(self, condition, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds} s: {self.desk.cards()}"
            await asyncio.sleep(0.01)

    async def running(self, **changes: str) -> int:
        bot = await self.desk.create(1, self.account, GRID | changes, "once-1")
        await self.desk.start(bot, 1)
        await self.until(lambda: self.desk.card(bot).status == "RUNNING")
        return bot


@asynccontextmanager
async def opened(bench: Bench):
    """A service's life on the bench: desk and journal."""
    account = await accounts.ensure(
        bench.database, 1, "demo", "binance", Environment.DEMO, now(), local(bench.sandbox.port)
    )
    bench.account = account.id
    journal = DatabaseJournal(bench.database)

    async def open_it(of):
        return open_gateway(of, KEYS)

    bench.desk = Desk(DatabaseBooks(bench.database), journal, open_it, now)
    flusher = asyncio.create_task(journal.run())
    await bench.desk.open()
    try:
        await bench.until(lambda: bench.desk.health()[0].ok)
        yield bench
    finally:
        await bench.desk.close()
        flusher.cancel()
        await asyncio.gather(flusher, return_exceptions=True)
        await journal.close()


@pytest.fixture
async def bench(tmp_path):
    sandbox = Sandbox(Options(still=True))
    await sandbox.start()
    database = Database(f"sqlite:///{tmp_path}/t.db")
    await database.open()
    try:
        yield Bench(sandbox, database)
    finally:
        await database.close()
        await sandbox.close()


async def test_a_grid_is_previewed_created_started_filled_and_stopped(bench):
    async with opened(bench):
        await bench.to("65000")
        preview = await bench.desk.preview(bench.account, GRID)
        assert len(preview.plan.levels) == 11
        bot = await bench.running()
        assert len(bench.orders()) == 10
        await bench.to("63900")
        await bench.until(lambda: bench.desk.card(bot).fills == 1)
        await bench.until(lambda: len(bench.orders()) == 10)
        await bench.to("65000")
        await bench.until(lambda: bench.desk.card(bot).pairs == 1)
        await bench.desk.stop(bot, 1, close=True)
        await bench.until(lambda: bench.desk.card(bot).status == "STOPPED")
        assert bench.orders() == []


async def test_a_new_service_on_the_same_database_resumes_without_flattening(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        await bench.to("63900")
        await bench.until(lambda: bench.desk.card(bot).fills == 1)
        before = bench.desk.card(bot)
    await bench.to("61900")
    async with opened(bench):
        await bench.until(lambda: bench.desk.card(bot).fills == 3)
        await bench.until(lambda: len(bench.orders()) == 10)
        assert bench.desk.card(bot).position > before.position
        assert bench.sandbox.exchange.venue.position("sandboxkey", "BTCUSDT").qty == bench.desk.card(bot).position


async def test_a_directional_grid_takes_its_inventory(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running(direction="LONG")
        card = bench.desk.card(bot)
        assert card.position > 0
        assert len(bench.orders()) == 10
        assert card.missing == ()


async def test_when_sockets_drop_the_bot_reconciles_and_nothing_is_lost(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        await bench.fault(drop=["user", "market", "wsapi"])
        await bench.to("61900")
        await bench.until(lambda: bench.desk.card(bot).fills == 3, 20)
        await bench.until(lambda: len(bench.orders()) == 10)
        names = [o.client_id for o in bench.sandbox.exchange.venue.all_orders("sandboxkey")]
        assert len(names) == len(set(names))


async def test_two_bots_on_one_instrument_are_refused(bench):
    async with opened(bench):
        await bench.to("65000")
        await bench.running()
        second = await bench.desk.create(1, bench.account, GRID, "once-2")
        with pytest.raises(Declined) as no:
            await bench.desk.start(second, 1)
        assert no.value.refusals[0].code == "instrument_taken"


async def test_pressed_twice_creates_and_starts_once(bench):
    async with opened(bench):
        await bench.to("65000")
        made = await asyncio.gather(*(bench.desk.create(1, bench.account, GRID, "nonce") for _ in range(3)))
        assert len(set(made)) == 1
        starts = await asyncio.gather(*(bench.desk.start(made[0], 1) for _ in range(2)), return_exceptions=True)
        assert sorted(type(s).__name__ for s in starts) == ["Declined", "NoneType"]


async def test_unknown_symbols_are_met_with_the_nearest_names(bench):
    async with opened(bench):
        for text in ("btc", "BTCUSDT", "BTC/USDT", "BTC/USDT:USDT", "btc-usdt", "binance:BTC-USDT-PERP"):
            assert (await bench.desk.resolve(bench.account, text)).symbol == "BTCUSDT"
        with pytest.raises(Declined) as no:
            await bench.desk.resolve(bench.account, "BTCUSD1T")
        assert "BTCUSDT" in no.value.refusals[0].values["nearest"]


async def test_a_position_that_is_not_the_bots_own_refuses_the_start(bench):
    async with opened(bench):
        await bench.to("65000")
        gateway = bench.desk._gateway(bench.account)
        venue = bench.sandbox.exchange.venue
        from trading.core.venue import OrderRequest
        from trading.model import OrderType, Side

        venue.place("sandboxkey", OrderRequest("BTCUSDT", Side.BUY, OrderType.MARKET, D("0.01")), now())
        assert (await gateway.position("BTCUSDT")).qty == D("0.01")
        bot = await bench.desk.create(1, bench.account, GRID, "once")
        with pytest.raises(Declined) as no:
            await bench.desk.start(bot, 1)
        assert no.value.refusals[0].code == "foreign_position"


async def test_a_bot_with_a_trigger_waits_and_starts_when_the_price_comes(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.desk.create(1, bench.account, GRID | {"trigger": "63000"}, "once")
        await bench.desk.start(bot, 1)
        assert bench.desk.card(bot).status == "WAITING"
        await bench.to("64000")
        await asyncio.sleep(0.3)
        assert bench.orders() == []
        await bench.to("62900")
        await bench.until(lambda: bench.desk.card(bot).status == "RUNNING")
        assert len(bench.orders()) == 10


async def test_a_waiting_bot_can_be_stopped(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.desk.create(1, bench.account, GRID | {"trigger": "63000"}, "once")
        await bench.desk.start(bot, 1)
        await bench.desk.stop(bot, 1, close=False)
        assert bench.desk.card(bot).status == "STOPPED"


async def test_a_stop_loss_cancels_closes_and_finishes(bench):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running(stop_loss="58000", stop_loss_high="72000")
        await bench.to("57900")
        await bench.until(lambda: bench.desk.card(bot).status == "FINISHED", 15)
        assert bench.desk.card(bot).reason == "stop_loss"
        assert bench.orders() == []
        assert bench.sandbox.exchange.venue.position("sandboxkey", "BTCUSDT").qty == 0


@pytest.mark.parametrize("flatten", [True, False])
async def test_a_reset_lays_the_grid_anew(bench, flatten):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running()
        await bench.to("62900")
        await bench.until(lambda: bench.desk.card(bot).fills == 2)
        held = bench.desk.card(bot).position
        await bench.desk.reset(bot, 1, flatten)
        await bench.until(lambda: bench.desk.card(bot).status == "RUNNING" and len(bench.orders()) == 10)
        assert bench.desk.card(bot).position == (0 if flatten else held)
        names = [o.client_id for o in bench.sandbox.exchange.venue.all_orders("sandboxkey")]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("close_first", [True, False])
async def test_a_stopped_bot_starts_again_with_its_lots_carried_or_closed(bench, close_first):
    async with opened(bench):
        await bench.to("65000")
        bot = await bench.running(direction="LONG")
        await bench.desk.stop(bot, 1, close=False)
        await bench.until(lambda: bench.desk.card(bot).status == "STOPPED")
        held = bench.desk.card(bot).position
        assert held > 0
        await bench.desk.start(bot, 1, close_first=close_first)
        await bench.until(lambda: bench.desk.card(bot).status == "RUNNING" and len(bench.orders()) == 10)
        venue = bench.sandbox.exchange.venue
        assert venue.position("sandboxkey", "BTCUSDT").qty == bench.desk.card(bot).position > 0
        bought = [o for o in venue.all_orders("sandboxkey") if ".o." in o.client_id]
        closed = [o for o in venue.all_orders("sandboxkey") if ".c." in o.client_id]
        assert (len(bought), len(closed)) == ((2, 1) if close_first else (1, 0))
